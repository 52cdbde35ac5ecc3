"""``tools/ensemble.py``: fuse the predictions of several models, and compare all in a table."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mmleuk.commands.infer import LOCK, report_failures, write_run
from mmleuk.commands.run_files import begin_run, check_users_files_stay, end_run
from mmleuk.datasets.annotations import read_ground_truth
from mmleuk.ensemble.files import ENSEMBLE, Member, check_names, compare, read_members, to_markdown, write_tables
from mmleuk.ensemble.fusion import FusionSettings, check_fraction
from mmleuk.ensemble.runs import check_number, fuse_runs
from mmleuk.errors import UserError
from mmleuk.evaluation.detections import from_run
from mmleuk.structures.ground_truth import GroundTruth
from mmleuk.structures.prediction import FailedImage, Run
from mmleuk.structures.prediction_files import to_json
from mmleuk.utils.command_line import fraction, non_negative
from mmleuk.utils.files import ensure_writable
from mmleuk.utils.image_inputs import check_images, list_images
from mmleuk.utils.lock import FolderLock

_OWN_FILES = (ENSEMBLE, 'predictions', 'table')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--predictions', nargs='+', metavar='JSON',
                        help='one file per model, as tools/test.py (outfile_prefix) or tools/infer.py wrote it')
    source.add_argument('--models', '--model', nargs=2, action='append', metavar=('CONFIG', 'CHECKPOINT'),
                        help='a trained model; give this once for each')
    parser.add_argument('--annotations', metavar='JSON',
                        help='COCO file of the images, for the table; --predictions needs it')
    parser.add_argument('--images', metavar='DIR', help='folder of the images for --models')
    parser.add_argument('--out', required=True,
                        help='with --predictions a JSON file (the table is written beside it); with --models a folder')
    parser.add_argument('--names', nargs='+', metavar='NAME', help="the models' names (default: their files')")
    parser.add_argument('--iou-thr', type=fraction, default=FusionSettings.iou_thr,
                        help='fuse boxes of a class with an IoU above this (default: %(default)s)')
    parser.add_argument('--skip-box-thr', type=fraction, default=FusionSettings.skip_box_thr,
                        help='leave out detections below this confidence (default: %(default)s)')
    parser.add_argument('--weights', type=non_negative, nargs='+', metavar='W',
                        help='one per model (default: equal weights)')
    parser.add_argument('--nms-thr', type=fraction, metavar='IOU', help='where boxes of one model and class overlap '
                        'by a larger IoU, use only the highest-scoring one (default: use all)')
    parser.add_argument('--min-score', type=fraction, default=0.25,
                        help='with --models: lowest score in the report and predictions.json (default: %(default)s)')
    parser.add_argument('--max-overlap', type=fraction, default=0.5,
                        help='with --models: where cells in these files overlap by a larger IoU, keep only the '
                        'highest-scoring one (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=1, help='with --models: images per step (default: 1)')
    parser.add_argument('--device', help='with --models: such as cpu or cuda:0 (default: a GPU if there is one)')


def run(args: argparse.Namespace) -> int:
    """Fuse, compare and write.

    Raises:
        UserError: bad input; nothing has been written.
    """
    settings = FusionSettings(args.iou_thr, args.skip_box_thr, None if args.weights is None else tuple(args.weights),
                              args.nms_thr)
    written, lost = (_fuse_saved(args, settings), []) if args.predictions else _fuse_live(args, settings)
    for path in written:
        print(f'  {path}')
    return report_failures(lost)


def _fuse_saved(args: argparse.Namespace, settings: FusionSettings) -> list[Path]:
    """Fuse saved predictions; write the result and the table."""
    if args.annotations is None or args.images is not None:
        raise UserError('--predictions needs --annotations (the COCO file of their images); leave --images out')
    out = Path(args.out)
    if out.suffix != '.json' or out.is_dir():
        raise UserError(f'--out is {out}; with --predictions it is the JSON file to write, such as fused.json')
    if out.resolve() in {Path(path).resolve() for path in (*args.predictions, args.annotations)}:
        raise UserError(f'--out is {out}, which is also read; name a new file')
    members, truth = read_members(args.predictions, args.annotations, settings, args.names)
    ensure_writable(out.parent)
    comparison = compare(members, truth, settings)
    print(to_markdown(comparison))
    return [comparison.write(out), *write_tables(comparison, out.with_suffix(''))]


def _fuse_live(args: argparse.Namespace, settings: FusionSettings) -> tuple[list[Path], list[FailedImage]]:
    """Run models; write the cells of each, the fused cells, a report, and the table if the truth is known."""
    if args.images is None:
        raise UserError('--models needs --images, the folder of the images')
    check_fraction('--min-score', args.min_score)
    check_fraction('--max-overlap', args.max_overlap)
    check_number(len(args.models), settings, args.names)
    names = _live_names(args)
    truth = None if args.annotations is None else read_ground_truth(args.annotations)
    paths = (list_images(args.images, skip=args.out) if truth is None
             else [Path(args.images) / image.file_name for image in truth.images])
    check_images(paths)
    if Path(args.out).exists() and not Path(args.out).is_dir():
        raise UserError(f'--out is {args.out}, a file; with --models it is a folder')
    files = [*(f'{name}.json' for name in (*names, ENSEMBLE)), 'predictions.json', 'predictions.csv', 'report.html',
             *(() if truth is None else ('table.csv', 'table.md'))]
    check_users_files_stay(Path(args.out), files, 'tools/ensemble.py', '--out')
    from mmleuk.ensemble.live import Ensemble, shown_cells  # late: it takes seconds
    ensemble = Ensemble.load(args.models, settings, names, args.device, args.batch_size)
    runs = ensemble.look(paths)
    fused = fuse_runs(runs, settings, names)
    seen = replace(fused, info=replace(fused.info, min_score=args.min_score), predictions=tuple(
        shown_cells(prediction, args.min_score, args.max_overlap) for prediction in fused.predictions))
    comparison = None if truth is None else compare(*_members(names, runs, truth), settings, fused)
    out = ensure_writable(args.out)
    with FolderLock(out, LOCK, 'run'):
        begin_run(out, files)
        written = [to_json(found, out / f'{name}.json') for name, found in zip((*names, ENSEMBLE), (*runs, fused))]
        of_fused, lost = write_run(seen, out, ('json', 'csv'), report=True, pictures={})
        written += of_fused
        if comparison is not None:
            print(to_markdown(comparison))
            written += write_tables(comparison, out / 'table')
        end_run(out, [path.name for path in written])
    return written, lost


def _live_names(args: argparse.Namespace) -> list[str]:
    configs = [config for config, _ in args.models]
    stems = [Path(config).stem for config in configs]
    names = args.names or (stems if len(set(stems)) == len(stems) else [
        f'{number}_{stem}' for number, stem in enumerate(stems, start=1)])
    for name in check_names(names):
        if '/' in name or name.startswith('.') or name in _OWN_FILES:
            raise UserError(f'a model is called {name!r}; files get this name, so give one without "/", without a dot '
                            f'in front, and none of {", ".join(_OWN_FILES)} (--names)')
    return list(names)


def _members(names: Sequence[str], runs: Sequence[Run], truth: GroundTruth) -> tuple[list[Member], GroundTruth]:
    """Runs of models as members; all models know the same classes."""
    found = []
    for run in runs:
        detections, truth = from_run(run, truth, 'the models')
        found.append(detections)
    return [Member(*each, has_images=True) for each in zip(names, found, runs)], truth
