"""How fast this package is beside the original YOLOv5, in one run, by CPU time on one thread.

    python tools/measure_speed.py ANNOTATIONS --images DIR --config CONFIG --checkpoint CHECKPOINT \\
        [--other PYTHON] [--turns 20] [--tasks forward_320 ...] [--json FILE]

A process of each side holds the same weights, fields and annotations, and they take turns, so that other work on the
machine slows both. ``--other`` names the Python of an environment with the PyPI package ``yolov5`` 7.0; without it only
this package is measured. A ratio below 1: this package is faster. docs/speed.md says what is measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed
sys.path.insert(0, str(Path(__file__).resolve().parent / 'model_converters'))

from mmleuk.errors import UserError
from mmleuk.utils.command_line import exit_status
from mmleuk.utils.json_files import write_json
from speed.material import SIZES, prepare, write_weights
from speed.turns import LOADED, Side

TASKS = tuple(f'{name}_{size}' for name in ('forward', 'train', 'load', 'field', 'onnx', 'batch8') for size in SIZES)
PARTNER = {'batch8': 'field'}
"""What the original does where it has no such task."""
SHARES = {'batch8': (8, 1), 'load': (LOADED, LOADED)}
"""Fields or samples of a turn of each side, where there are several."""


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('annotations', type=Path, help='COCO JSON, completely annotated')
    parser.add_argument('--images', type=Path, required=True, help='folder of its images')
    parser.add_argument('--config', required=True, help="of a YOLOv5n with the annotations' classes")
    parser.add_argument('--checkpoint', type=Path, required=True, help="the config's weights")
    parser.add_argument('--other', metavar='PYTHON', help='interpreter of an environment with yolov5 7.0')
    parser.add_argument('--turns', type=int, default=20, help='of each task (default: 20)')
    parser.add_argument('--count', type=int, default=200, help='images, the first ones (default: 200)')
    parser.add_argument('--tasks', nargs='+', choices=TASKS, default=TASKS, metavar='TASK', help=' '.join(TASKS))
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all turns, too')
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0, or 2 and one line on stderr."""
    return exit_status(run, build_parser().parse_args(arguments))


def run(args: argparse.Namespace) -> None:
    """Measure, and print a row per task.

    Raises:
        UserError: too few turns or images, or the checkpoint is another network's.
    """
    if args.turns < 1:
        raise UserError(f'--turns {args.turns}: at least one is needed')
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        setup = folder / 'setup.json'
        setup.write_text(json.dumps(prepare(folder, args.annotations, args.images, args.checkpoint, args.config,
                                            args.count)))
        scripts = Path(__file__).resolve().parent / 'speed'
        sides = [Side(sys.executable, scripts / 'ours.py', setup)]
        if args.other:
            sides.append(Side(args.other, scripts / 'original.py', setup))
            write_weights(folder / 'original.pt', args.checkpoint, sides[1].greeting)
        rows = []
        print(f'{"task":12} {"mmleuk":>10} {"original":>10}  ratio  (middle half)  checks')
        for task in args.tasks:
            rows.append(measure(task, sides, args.turns))
            print(text(rows[-1]), flush=True)
        for side in sides:
            side.close()
    if args.json:
        write_json(args.json, rows)


def measure(task: str, sides: Sequence[Side], turns: int) -> dict[str, Any]:
    """All turns of a task, after two that warm up: CPU seconds (per field or sample) and checks by side."""
    kind, _, size = task.partition('_')
    names = [task, f'{PARTNER.get(kind, kind)}_{size}']
    shares = SHARES.get(kind, (1, 1))
    row: dict[str, Any] = dict(task=task, cpu_s=[[] for _ in sides], checks=[[] for _ in sides])
    for turn in range(-2, turns):
        order = list(range(len(sides)))
        for index in order if turn % 2 else order[::-1]:
            found = sides[index].ask(names[index], turn + 2)
            if turn >= 0:
                row['cpu_s'][index].append(found['cpu_s'] / shares[index])
                row['checks'][index].append(found['check'])
    return row


def text(row: dict[str, Any]) -> str:
    """A row: milliseconds (mean), ratio of the sums, middle half of the turns' ratios, mean checks."""
    spent = [sum(side) for side in row['cpu_s']]
    line = f'{row["task"]:12} {1000 * spent[0] / len(row["cpu_s"][0]):7.1f} ms'
    checks = ' '.join(f'{statistics.fmean(side):.6g}' for side in row['checks'])
    if len(spent) < 2:
        return f'{line}  {checks}'
    ratios = sorted(ours / other for ours, other in zip(*row['cpu_s']))
    quarter = len(ratios) // 4
    return (f'{line} {1000 * spent[1] / len(row["cpu_s"][1]):7.1f} ms  {spent[0] / spent[1]:5.2f}  '
            f'({ratios[quarter]:.2f}..{ratios[-1 - quarter]:.2f})  {checks}')


if __name__ == '__main__':
    sys.exit(main())
