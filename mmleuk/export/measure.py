"""Size, latency and memory of a torch model and its exported files, on the same machine and images.

Also a program: ``python -m mmleuk.export.measure`` runs one model over images in a process of its own, for its memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from mmleuk.errors import UserError
from mmleuk.inference.base import BaseInferencer

MOST_IMAGES = 50
WARM_UP = 2


@dataclass(frozen=True)
class Cost:
    """Of one way to run a model.

    Args:
        bytes: of its files.
        seconds: median per image, from the file to the cells.
        ratio: median over images of torch's seconds divided by these.
        memory: bytes, the most that its process held; None where it wasn't measured.
    """

    bytes: int
    seconds: float
    ratio: float
    memory: int | None


def time_together(inferencers: Mapping[str, BaseInferencer], paths: Sequence[Path]) -> dict[str, list[float]]:
    """Seconds per image of several inferencers in turn, so that other work of the machine slows all of them alike.

    Red cells are measured before.
    """
    spent: dict[str, list[float]] = {name: [] for name in inferencers}
    for inferencer in inferencers.values():
        inferencer.calibrate(paths)
    for number, path in enumerate([*paths[:WARM_UP], *paths]):
        for name, inferencer in inferencers.items():
            start = time.perf_counter()
            list(inferencer.predict([path]))
            if number >= min(WARM_UP, len(paths)):
                spent[name].append(time.perf_counter() - start)
    return spent


def peak_memory(model: Sequence[str], paths: Sequence[Path]) -> int | None:
    """Bytes that a process held at most which runs a model over images; None where the system doesn't tell.

    Args:
        model: config and checkpoint, an exported file, or nothing for the model in the package.
        paths: images.

    Raises:
        UserError: the process failed.
    """
    if not Path('/proc/self/status').is_file():
        return None
    request = json.dumps(dict(model=list(model), paths=[str(path) for path in paths]))
    done = subprocess.run([sys.executable, '-W', 'ignore', '-m', 'mmleuk.export.measure'], input=request, text=True,
                          capture_output=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ['no message'])[-1]
        raise UserError(f'memory could not be measured ({reason:.200}); --no-measure skips it')
    return int(done.stdout.split()[-1])


def costs(times: Mapping[str, list[float]], sizes: Mapping[str, int],
          memory: Mapping[str, int | None]) -> dict[str, Cost]:
    """Costs by name; the first name is what the others are compared with."""
    first = times[next(iter(times))]
    return {name: Cost(sizes[name], median(spent), median(a / b for a, b in zip(first, spent)), memory.get(name))
            for name, spent in times.items()}


def table(found: Mapping[str, Cost]) -> str:
    """Lines for people."""
    lines = [f'{"":<10}{"files":>10}{"per image":>12}{"speed":>9}{"memory":>10}']
    for name, cost in found.items():
        held = '' if cost.memory is None else f'{cost.memory / 1e6:.0f} MB'
        lines.append(f'{name:<10}{f"{cost.bytes / 1e6:.1f} MB":>10}{f"{cost.seconds * 1e3:.1f} ms":>12}'
                     f'{f"{cost.ratio:.2f}x":>9}{held:>10}')
    return '\n'.join(lines)


def _most_held() -> int:
    """Bytes. The kernel's ru_maxrss would count what the parent held when it started this process."""
    for line in Path('/proc/self/status').read_text(encoding='ascii').splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) * 1024
    raise UserError('/proc/self/status has no VmHWM')


def _main() -> None:
    request = json.load(sys.stdin)
    inferencer: BaseInferencer
    if len(request['model']) != 1:
        from mmleuk.export.torch_model import load_torch_model
        inferencer = load_torch_model(*request['model'])
    else:
        from mmleuk.inference.exported import ExportedInferencer
        inferencer = ExportedInferencer(request['model'][0])
    paths = [Path(path) for path in request['paths']]
    inferencer.calibrate(paths)
    for _ in inferencer.predict(paths):
        pass
    sys.stdout.write(f'{_most_held()}\n')


if __name__ == '__main__':
    _main()
