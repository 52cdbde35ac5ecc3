"""``mmleuk export``: a trained model as an ONNX or OpenVINO file, checked against the torch model."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mmleuk.errors import UserError
from mmleuk.shipped import get_shipped
from mmleuk.utils.command_line import fraction
from mmleuk.utils.image_inputs import check_images, list_images

if TYPE_CHECKING:
    from mmleuk.apis import Inferencer

SUFFIXES = dict(onnx='.onnx', openvino='.xml')
RENDERED = 8
"""Fields that are rendered for the check where no images are given."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.usage = '%(prog)s [OPTIONS] [CONFIG CHECKPOINT]'
    parser.add_argument('model', nargs='*', metavar='CONFIG CHECKPOINT',
                        help='config file of a detector and its weights (.pth, .safetensors); default: the model in '
                        'the package (mmleuk models)')
    parser.add_argument('--format', nargs='+', choices=tuple(SUFFIXES), default=['onnx'],
                        help='what to write (default: onnx); each is checked and measured')
    parser.add_argument('--out', metavar='FILE', help='file to write, .onnx or .xml; for both formats without suffix '
                        '(default: the name of the weights, here)')
    parser.add_argument('--nms', choices=('inside', 'outside'), default='inside',
                        help='whether the graph suppresses overlaps: one file that returns cells; outside, the first '
                        'file returns all locations and a second one, NAME.cells, reads attributes (default: inside)')
    parser.add_argument('--min-score', type=fraction, help='lowest score of a cell; inside, it becomes part of the '
                        "graph (default: the model's by class, else 0.25)")
    parser.add_argument('--images', nargs='+', metavar='IMAGE', help='files or folders on which torch model and file '
                        'have to find the same (default: rendered fields)')
    parser.add_argument('--no-measure', action='store_true', help='measure neither latency nor memory')


def run(args: argparse.Namespace) -> int:
    """Export, check, measure, and say what was written; 0.

    Raises:
        UserError: bad input, the model has a part that can't be exported, or a file finds something else than the torch
            model; nothing has been written.
    """
    formats = list(dict.fromkeys(args.format))
    _check_model(args.model)
    outs = _outs(args.out, args.model[1] if args.model else get_shipped().weights, formats)
    paths = list_images(args.images) if args.images else []
    check_images(paths)
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f"{error.name} is not installed; the export needs pip install 'mmleuk[export]'") from error
    from mmleuk.export.torch_model import load_torch_model  # late: --help must not wait for torch
    from mmleuk.export.writing import build_graphs, check_targets, checked_files
    check_targets(outs, formats)
    config, checkpoint = args.model or (None, None)
    inferencer = load_torch_model(config, checkpoint, args.min_score)
    with _images(paths) as images, ExitStack() as files:
        graphs = build_graphs(inferencer, inside=args.nms == 'inside')
        temporary = []
        for out, kind in zip(outs, formats):
            path, parity = files.enter_context(checked_files(graphs, out, kind, inferencer, images))
            print(f'{kind}: {parity.text}')
            temporary.append(path)
        if not args.no_measure:
            _measure(inferencer, args.model, dict(zip(formats, temporary)), images)
    for out in outs:
        print(f'  {out}')
    return 0


def _check_model(words: Sequence[str]) -> None:
    """Refuse all but config and checkpoint, or none for the model in the package."""
    if len(words) not in (0, 2):
        raise UserError(f'config and checkpoint belong together; got {" ".join(words)}; give both, or none for the '
                        'model in the package')


def _outs(out: str | None, checkpoint: str | Path, formats: Sequence[str]) -> list[Path]:
    stem = Path(out or Path(checkpoint).stem)
    if out and len(formats) == 1:
        return [stem]
    if out and stem.suffix in SUFFIXES.values():
        raise UserError(f'--out {out}: each format adds its own suffix here; give the name without {stem.suffix}')
    return [stem.with_name(f'{stem.name}{SUFFIXES[kind]}') for kind in formats]


@contextmanager
def _images(paths: Sequence[Path]) -> Iterator[Sequence[Path]]:
    """The given images, or some that are rendered for the moment."""
    if paths:
        yield paths
        return
    from mmleuk.synthetic.writer import synthesize
    with tempfile.TemporaryDirectory() as folder:
        synthesize(Path(folder) / 'films', train=0, test=RENDERED, workers=1)
        yield list_images(Path(folder) / 'films' / 'images')


def _measure(inferencer: Inferencer, model: Sequence[str], files: dict[str, Path], images: Sequence[Path]) -> None:
    from mmleuk.export.measure import MOST_IMAGES, costs, peak_memory, table, time_together
    from mmleuk.inference.exported import ExportedInferencer
    images = images[:MOST_IMAGES]
    checkpoint = Path(inferencer.run_info().checkpoint)
    models = {'torch': model, **{kind: [str(path)] for kind, path in files.items()}}
    exported = {kind: ExportedInferencer(path) for kind, path in files.items()}
    sizes = {'torch': checkpoint.stat().st_size, **{kind: sum(
        each.stat().st_size for each in path.parent.iterdir()) for kind, path in files.items()}}
    times = time_together({'torch': inferencer, **exported}, images)
    memory = {name: peak_memory(model, images) for name, model in models.items()}
    print(f'\n{len(images)} images one by one, from file to cells; speed against torch, image by image:\n'
          f'{table(costs(times, sizes, memory))}\n')
