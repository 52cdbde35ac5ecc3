"""``mmleuk infer`` and tools/infer.py: find cells in images; write predictions, drawings and a report."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mmleuk.commands.film_scales import calibrate
from mmleuk.commands.finding import (
    Found,
    Windows,
    add_window_arguments,
    check_slides,
    check_windows,
    find,
    find_share,
    open_journal,
    remove_journals,
    windows_of,
)
from mmleuk.commands.ray_engine import check_ray, find_with_ray
from mmleuk.commands.run_files import PICTURES, begin_run, check_inputs_stay, check_users_files_stay, end_run
from mmleuk.commands.team import Team
from mmleuk.errors import UserError
from mmleuk.pictures.crops import make_crops
from mmleuk.pictures.drawing import draw_overview, draw_prediction, load_image, save_picture
from mmleuk.report.page import TYPICAL_CELLS, render_page
from mmleuk.report.sentence import describe
from mmleuk.report.statistics import typical_by_type
from mmleuk.schema import leukocyte_classes
from mmleuk.slides.journal import Journal
from mmleuk.slides.readers import OPENSLIDE_SUFFIXES
from mmleuk.structures.prediction import FailedImage, Prediction, Run
from mmleuk.structures.prediction_files import to_csv, to_json
from mmleuk.utils.command_line import fraction, positive_pair
from mmleuk.utils.files import ensure_writable, write_atomic
from mmleuk.utils.image_files import SUFFIXES
from mmleuk.utils.image_inputs import check_images, list_images, name_images
from mmleuk.utils.lock import FolderLock
from mmleuk.utils.memory import keep_freed_memory

if TYPE_CHECKING:
    from mmleuk.inference.base import BaseInferencer

LOCK = '.mmleuk_infer.lock'
WEIGHTS = ('.pth', '.pt', '.safetensors')
EXPORTED = ('.onnx', '.xml')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.usage = '%(prog)s [OPTIONS] INPUT [INPUT ...] [CONFIG CHECKPOINT | EXPORTED]'
    parser.add_argument('inputs', nargs='+', metavar='INPUT',
                        help='image files, folders (searched through) or globs; at the end a config file and its '
                        'weights (.pth, .safetensors), or a file of mmleuk export (.onnx, .xml), if it is not the '
                        'model in the package (mmleuk models)')
    parser.add_argument('--out-dir', default='outputs', help='folder for everything written (default: outputs)')
    parser.add_argument('--min-score', type=fraction,
                        help="leave out cells with a lower score (default: the model's by class, else 0.25)")
    parser.add_argument('--max-overlap', type=fraction, default=0.5,
                        help='where cells overlap by a larger IoU, keep only the highest-scoring one (default: 0.5)')
    parser.add_argument('--batch-size', type=int, default=1, help='images per step (default: 1)')
    parser.add_argument('--image-size', type=int, metavar='N',
                        help="pixels of the longer side of the network's input (default: by the red cells, else the "
                        "config's)")
    parser.add_argument('--no-calibrate', action='store_true',
                        help='measure no red cells: images keep the config\'s size, and no cell gets a diameter')
    parser.add_argument('--microns-per-pixel', type=positive_pair, metavar='UM[,UM]',
                        help='micrometres that a pixel is wide and high, if that is known: nothing is measured')
    parser.add_argument('--device', help='such as cpu or cuda:0 (default: a GPU if there is one)')
    parser.add_argument('--format', nargs='+', choices=('json', 'csv'), default=['json', 'csv'],
                        help='files with the predictions (default: both)')
    parser.add_argument('--leukocytes', nargs='+', metavar='CLASS',
                        help='classes that count as leukocytes (default: those that the data set declares)')
    parser.add_argument('--no-pictures', action='store_true', help='draw no pictures')
    parser.add_argument('--no-report', action='store_true', help='write no report.html')
    add_window_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Predict and write.

    All images are decoded once before the model runs (of large ones a corner): an unreadable one stops the run before
    anything is written. An image that becomes unreadable later is reported; everything else is still written. Files of
    an earlier run that this run doesn't write are removed; other files stay, and a run that would overwrite one of them
    is refused. So is a second run in the same folder at the same time.

    Returns:
        0, or 1 if an image could not be read during the run.

    Raises:
        UserError: bad input, folder, config, checkpoint or device; nothing has been written.
    """
    keep_freed_memory()
    windows, team = windows_of(args), Team.of_torchrun()
    check_engine(args, team)
    inputs, config, checkpoint = split_model(args.inputs)
    paths = list_images(inputs, skip=args.out_dir, suffixes=(*SUFFIXES, *OPENSLIDE_SUFFIXES))
    check_images([path for path in paths if not windows.scans(path)])
    check_slides([path for path in paths if windows.scans(path)], windows)
    pictures, tables = _files_to_write(args, paths)
    inferencer = _inferencer(args, config, checkpoint, team)
    check_windows(inferencer, paths, windows)
    scales = calibrate(inferencer, paths, windows)
    leukocytes = leukocyte_classes(inferencer.classes, args.leukocytes or inferencer.leukocytes)
    out_dir = ensure_writable(args.out_dir)
    if team.rank:
        with open_journal(out_dir, inferencer, paths, windows, args.resume, team) as journal:
            find_share(inferencer, paths, windows, journal, team, out_dir)
        return 0
    with FolderLock(out_dir, LOCK, 'mmleuk infer'):
        begin_run(out_dir, pictures.values())
        for sentence in scales:
            print(sentence)
        with open_journal(out_dir, inferencer, paths, windows, args.resume, team) as journal:
            if team.size > 1:
                find_share(inferencer, paths, windows, journal, team, out_dir)
            elif args.engine == 'ray':
                _find_with_ray(args, config, checkpoint, inferencer, paths, windows, journal)
            found = _look(inferencer, find(inferencer, paths, windows, journal, draw=bool(pictures)),
                          {image: out_dir / name for image, name in pictures.items()}, leukocytes)
            begin_run(out_dir, tables)
            written, lost = write_run(found, out_dir, args.format, not args.no_report, pictures, leukocytes)
            drawn = [pictures[prediction.image] for prediction in found.predictions] if pictures else []
            end_run(out_dir, [*(path.name for path in written), *drawn])
            remove_journals(out_dir, journal)
    film = describe(found.predictions, found.info.classes, found.info.schema, leukocytes)
    print(f'{film.text}\n{film.evidence}')
    for path in [*written, *([out_dir / PICTURES] if drawn else [])]:
        print(f'  {path}')
    return report_failures([*found.failed, *lost])


def _files_to_write(args: argparse.Namespace, paths: Sequence[Path]) -> tuple[dict[str, str], list[str]]:
    """Path of each image's drawing, and those of the other files, below the output folder.

    Raises:
        UserError: one of them would overwrite an input, or a file of the user.
    """
    pictures = {} if args.no_pictures else picture_paths(name_images(paths))
    tables = [f'predictions.{kind}' for kind in args.format] + ([] if args.no_report else ['report.html'])
    out_dir = Path(args.out_dir)
    check_inputs_stay(out_dir, pictures.values(), paths)
    check_users_files_stay(out_dir, [*tables, *pictures.values()])
    return pictures, tables


def split_model(words: Sequence[str]) -> tuple[list[str], str | None, str | None]:
    """Inputs, config and checkpoint; both are None for the model in the package, the config for an exported one.

    Raises:
        UserError: one of config and checkpoint is missing, or there is no input.

    >>> split_model(['films/', 'yolo.py', 'last.pth']), split_model(['film.png'])
    ((['films/'], 'yolo.py', 'last.pth'), (['film.png'], None, None))
    >>> split_model(['films/', 'yolo.onnx'])
    (['films/'], None, 'yolo.onnx')
    """
    inputs = list(words)
    if inputs[-1].endswith(EXPORTED):
        *inputs, exported = inputs
        if not inputs:
            raise UserError(f'{exported}: no image is named; give images before the model')
        return inputs, None, exported
    if len(inputs) > 1 and inputs[-2].endswith('.py'):
        *inputs, config, checkpoint = inputs
        if not inputs:
            raise UserError(f'{config}: no image is named; give images before config and checkpoint')
        return inputs, config, checkpoint
    if inputs[-1].endswith('.py'):
        raise UserError(f'{inputs[-1]}: a config without its checkpoint; give its weights after it')
    if inputs[-1].endswith(WEIGHTS):
        raise UserError(f'{inputs[-1]}: weights without their config; give the config before them')
    return inputs, None, None


def _inferencer(args: argparse.Namespace, config: str | None, checkpoint: str | None,
                team: Team) -> BaseInferencer:
    inferencer: BaseInferencer
    if config is None and checkpoint is not None:
        inferencer = _exported(args, checkpoint)
    else:
        # Late import: --help and the message on a wrong path must not wait for torch.
        from mmleuk.apis import Inferencer
        inferencer = Inferencer(config, checkpoint, args.device or team.device(), args.min_score, args.batch_size,
                                args.max_overlap, args.image_size, not args.no_calibrate, args.microns_per_pixel)
    if args.image_size not in (None, inferencer.image_size):
        print(f"note: --image-size {args.image_size} is no multiple of the network's stride; it becomes "
              f'{inferencer.image_size}')
    return inferencer


def check_engine(args: argparse.Namespace, team: Team) -> None:
    """Refuse what doesn't go together with an engine.

    Raises:
        UserError: Ray is missing, is started in several processes, or ``--workers`` doesn't fit.
    """
    if args.workers is not None and (args.engine != 'ray' or args.workers < 1):
        raise UserError(f'--workers {args.workers}: is a number from 1 on, for --engine ray; torchrun has its own '
                        'option for processes')
    if args.engine == 'ray':
        if team.size > 1:
            raise UserError('--engine ray starts its own processes; start it without torchrun')
        check_ray()


def _find_with_ray(args: argparse.Namespace, config: str | None, checkpoint: str | None, inferencer: BaseInferencer,
                   paths: Sequence[Path], windows: Windows, journal: Journal) -> None:
    build = partial(_inferencer, args, _absolute(config), _absolute(checkpoint), Team())
    find_with_ray(build, inferencer, paths, windows, journal, args.device, args.workers)


def _absolute(path: str | None) -> str | None:
    return str(Path(path).absolute()) if path is not None and Path(path).exists() else path


def _exported(args: argparse.Namespace, path: str) -> BaseInferencer:
    """The inferencer of a model that ``mmleuk export`` wrote; it needs no torch."""
    from mmleuk.inference.exported import ExportedInferencer
    if args.device not in (None, 'cpu'):
        raise UserError(f'--device {args.device}: an exported model runs on the CPU; leave it out, or give config and '
                        'checkpoint')
    inferencer = ExportedInferencer(path, args.min_score, args.batch_size, args.max_overlap, args.image_size,
                                    not args.no_calibrate, args.microns_per_pixel)
    if inferencer.calibrator is None and not args.no_calibrate:
        print('note: this exported model measures no red cells, so cells get no diameter; --microns-per-pixel states '
              'the scale')
    return inferencer


def _look(inferencer: BaseInferencer, results: Iterable[Found], pictures: Mapping[str, Path],
          leukocytes: Sequence[str]) -> Run:
    """Collect the results, and draw each picture that has a path in ``pictures``."""
    predictions: list[Prediction] = []
    failed: list[FailedImage] = []
    for found in results:
        result = found.result
        if isinstance(result, FailedImage):
            failed.append(result)
            continue
        if result.image in pictures:
            try:
                picture = _draw(found, result, inferencer, leukocytes)
            except UserError as error:  # removed or changed since the prediction
                failed.append(FailedImage(result.image, f'could not be read: {error}'))
                continue
            save_picture(picture, pictures[result.image])
        predictions.append(result)
    return Run(inferencer.run_info(), tuple(predictions), tuple(failed))


def _draw(found: Found, prediction: Prediction, inferencer: BaseInferencer, leukocytes: Sequence[str]) -> Image.Image:
    if found.pixels is None:
        image = load_image(str(prediction.path))
    else:
        image = Image.fromarray(np.ascontiguousarray(found.pixels[..., ::-1]))
    if found.scale < 1:
        return draw_overview(image, prediction, inferencer.classes, found.scale, leukocytes)
    return draw_prediction(image, prediction, inferencer.classes, inferencer.schema, leukocytes)


def write_run(run: Run, out_dir: Path, formats: Sequence[str], report: bool, pictures: Mapping[str, str],
              leukocytes: Sequence[str] | None = None) -> tuple[list[Path], list[FailedImage]]:
    """Write predictions.json, predictions.csv and report.html if requested.

    Args:
        run: the predictions.
        out_dir: folder.
        formats: of 'json' and 'csv'.
        report: whether to write the page.
        pictures: path of each image's picture relative to ``out_dir``, for the page's links.
        leukocytes: classes that count as leukocytes on the page.

    Returns:
        The written files, and the images that could not be read for the page's images of cells.
    """
    written: list[Path] = []
    lost: list[FailedImage] = []
    if 'json' in formats:
        written.append(to_json(run, out_dir / 'predictions.json'))
    if 'csv' in formats:
        written.append(to_csv(run.predictions, run.info.schema, out_dir / 'predictions.csv'))
    if report:
        typical = typical_by_type(run.predictions, run.info.classes, run.info.schema, TYPICAL_CELLS)
        crops, lost = make_crops(entry for entries in typical.values() for entry in entries)
        written.append(write_atomic(out_dir / 'report.html', render_page(run, crops, pictures, leukocytes)))
    return written, lost


def picture_paths(images: Sequence[str]) -> dict[str, str]:
    """Path of each image's drawing below the output folder; images that would share one keep their suffixes.

    >>> picture_paths(['a/film.png', 'b.png', 'b.tif'])
    {'a/film.png': 'pictures/a/film.jpg', 'b.png': 'pictures/b.png.jpg', 'b.tif': 'pictures/b.tif.jpg'}
    """
    stems = {name: str(PurePosixPath(name).with_suffix('')) for name in images}
    counts = Counter(stems.values())
    kept = {name for name in images if counts[stems[name]] > 1}
    while more := {name for name in images if stems[name] in kept} - kept:  # b.png.jpg beside b.png and b.tif
        kept |= more
    return {name: f'{PICTURES}/{name if name in kept else stems[name]}.jpg' for name in images}


def report_failures(failed: Sequence[FailedImage]) -> int:
    """Print the images that could not be read on stderr; returns the exit status."""
    for failure in failed:
        print(f'error: {failure.image}: {failure.error}', file=sys.stderr)
    return 1 if failed else 0
