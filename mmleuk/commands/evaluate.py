"""``mmleuk evaluate``: score saved predictions; write tables, plots and a page."""

from __future__ import annotations

import argparse
import datetime
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL.Image import Image

from mmleuk.errors import UserError
from mmleuk.evaluation.evaluate import Complexity, Evaluation, Settings, evaluate_files
from mmleuk.evaluation.tables import CSV_FILES, FORMAT, class_rows, error_rows, group_rows, notes, to_dict
from mmleuk.pictures.crops import data_uri
from mmleuk.pictures.drawing import load_image, save_picture
from mmleuk.report.evaluation_page import GalleryEntry, render_evaluation, sentence
from mmleuk.report.evaluation_pictures import draw_marks, find_pictures, marks_of
from mmleuk.report.evaluation_plots import PLOTS, draw_plots
from mmleuk.utils.command_line import fraction
from mmleuk.utils.files import ensure_writable, remove_files, write_atomic
from mmleuk.utils.json_files import read_json
from mmleuk.utils.lock import FolderLock
from mmleuk.utils.tables import csv_text, lines, shown, text_table
from mmleuk.utils.words import plural_n

TIMED_IMAGES = 5
_THUMBNAIL_PX = 640
PICTURES = 'worst'
_FILES = {*CSV_FILES, *PLOTS, 'evaluation.html'}
_PICTURE = re.compile(rf'{PICTURES}/\d{{2,}}_[^/]*\.jpg')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument('annotations', metavar='ANNOTATIONS', help='COCO JSON file with the true cells')
    parser.add_argument('predictions', metavar='PREDICTIONS',
                        help='JSON file that tools/test.py (outfile_prefix) or tools/infer.py wrote')
    parser.add_argument('--out', default='evaluation', help='folder for everything written (default: evaluation)')
    parser.add_argument('--min-score', type=fraction, default=0.3,
                        help='lowest score in confusion matrix, errors and worst images (default: 0.3)')
    parser.add_argument('--min-iou', type=fraction, default=0.5, help='smallest IoU of a match in these (default: 0.5)')
    parser.add_argument('--max-detections', type=int, default=100,
                        help="only the highest-scoring per image and class count (default: 100, COCO's)")
    parser.add_argument('--images', metavar='DIR', help='folder of the images (default: searched near ANNOTATIONS)')
    parser.add_argument('--gallery', type=int, default=12, help='how many of the worst images to draw (default: 12)')
    parser.add_argument('--no-plots', action='store_true', help='draw neither plots nor images')
    parser.add_argument('--config', help='also count parameters and operations of its model, and time it')
    parser.add_argument('--checkpoint', help='weights for the timing (default: random ones)')
    parser.add_argument('--device', help='for the timing (default: cpu)')


def run(args: argparse.Namespace) -> int:
    """Evaluate and write.

    Raises:
        UserError: bad input or folder; nothing has been written.
    """
    settings = Settings(args.min_score, args.min_iou, args.max_detections)
    if args.gallery < 0:
        raise UserError(f'--gallery is {args.gallery}; it must be at least 0')
    if args.checkpoint and not args.config:
        raise UserError('--checkpoint is for timing the model of --config; name that, too')
    if args.device and not args.config:
        raise UserError('--device is for timing the model of --config; name that, too')
    evaluation = evaluate_files(args.annotations, args.predictions, settings)
    pictures = find_pictures(evaluation, args.images)
    if args.config:
        evaluation = replace(evaluation, complexity=_complexity(args, evaluation, pictures))
    gallery = draw_gallery(evaluation, 0 if args.no_plots else args.gallery, pictures)  # may still find bad images
    out = ensure_writable(args.out)
    created = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds')
    plots = {} if args.no_plots else draw_plots(evaluation)
    with FolderLock(out, '.mmleuk_evaluate.lock', 'mmleuk evaluate'):
        written = write_evaluation(evaluation, plots, gallery, created, out)
    _say(evaluation, written)
    return 0


def write_evaluation(evaluation: Evaluation, plots: Mapping[str, bytes],
                     gallery: Sequence[tuple[GalleryEntry, Image | None]], created: str, out: Path) -> list[Path]:
    """Write evaluation.json, the CSV files, plots, pictures and evaluation.html; returns what was written.

    Files of an earlier run in the folder that this run doesn't write are removed, so that nobody takes them for its.
    """
    earlier = files_of_run(out)
    written = [write_atomic(out / name, csv_text(rows(evaluation))) for name, rows in CSV_FILES.items()]
    written += [write_atomic(out / name, content) for name, content in plots.items()]
    pictures = [save_picture(picture, out / str(entry.link)) for entry, picture in gallery if picture is not None]
    page = render_evaluation(evaluation, plots, [entry for entry, _ in gallery], created)
    written.append(write_atomic(out / 'evaluation.html', page))
    files = [path.relative_to(out).as_posix() for path in [*written, *pictures]]
    remove_files(out, [name for name in earlier if name not in files])
    text = json.dumps(to_dict(evaluation, created) | dict(files=files), indent=1, ensure_ascii=False, allow_nan=False)
    return [write_atomic(out / 'evaluation.json', text + '\n'), *written,
            *([out / PICTURES] if pictures else [])]


def files_of_run(folder: Path) -> list[str]:
    """Names of the files that the ``evaluation.json`` in the folder lists as written by its run.

    Only names that a run of this command can write are accepted.
    """
    try:
        record = read_json(folder / 'evaluation.json')
    except UserError:  # missing, or broken; it is replaced
        return []
    names = record.get('files') if isinstance(record, dict) and record.get('format') == FORMAT else None
    return [name for name in names if isinstance(name, str) and (name in _FILES or _PICTURE.fullmatch(name))
            ] if isinstance(names, list) else []


def draw_gallery(evaluation: Evaluation, limit: int, pictures: Path | None) -> list[tuple[GalleryEntry, Image | None]]:
    """The worst images with their drawings; without the image files only with texts."""
    entries: list[tuple[GalleryEntry, Image | None]] = []
    for rank, index in enumerate(evaluation.images.worst(limit), start=1):
        name, caption = evaluation.truth.images[index].file_name, _caption(evaluation, int(index))
        if pictures is None:
            entries.append((GalleryEntry(name, caption), None))
            continue
        image = load_image(pictures / name)
        _check_size(evaluation, int(index), pictures / name, image)
        drawn = draw_marks(image, marks_of(evaluation, int(index)),
                           f'{plural_n(int(evaluation.images.cells[index]), "cell")}')
        link = f'{PICTURES}/{rank:02d}_{Path(name).stem}.jpg'
        small = drawn.copy()
        small.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX * 2))
        entries.append((GalleryEntry(name, caption, data_uri(small), link), drawn))
    return entries


def _check_size(evaluation: Evaluation, index: int, path: Path, image: Image) -> None:
    """Refuse an image whose size differs from the annotated one: boxes would be in the wrong location."""
    height, width = evaluation.truth.images[index].size_hw
    if image.size != (width, height):
        raise UserError(f'{path}: the image is {image.width}x{image.height} px, {evaluation.truth.source} says '
                        f'{width}x{height}; name the folder of the annotated images with --images, correct the file, '
                        'or draw no images with --gallery 0')


def _caption(evaluation: Evaluation, index: int) -> str:
    images = evaluation.images
    false = int(images.false[index].sum())
    return (f'F1 {shown(float(images.f1[index]))}; {plural_n(int(images.cells[index]), "cell")}, '
            f'{int(images.not_found[index])} not found; {plural_n(false, "false detection")}')


def _complexity(args: argparse.Namespace, evaluation: Evaluation, pictures: Path | None) -> Complexity:
    """Time the model on images of the annotation file, or on an empty one with the most frequent size."""
    from mmleuk.evaluation.complexity import measure_complexity  # late: it takes seconds; only --config needs it
    infos = evaluation.truth.images
    if pictures is None:
        height, width = (int(side) for side in np.median([info.size_hw for info in infos], axis=0))
        blank = np.full((height, width, 3), 200, np.uint8)
        return measure_complexity(args.config, args.checkpoint, args.device or 'cpu', [blank],
                                  f'an empty picture of {width} × {height} px')
    chosen = [infos[index] for index in np.unique(np.linspace(0, len(infos) - 1, TIMED_IMAGES).astype(int))]
    arrays = [np.asarray(load_image(pictures / info.file_name))[:, :, ::-1] for info in chosen]
    return measure_complexity(args.config, args.checkpoint, args.device or 'cpu', arrays,
                              f'{plural_n(len(arrays), "image")} of the annotation file')


def _say(evaluation: Evaluation, written: Sequence[Path]) -> None:
    """Print the scores and the written files."""
    print(sentence(evaluation))
    for note in notes(evaluation):
        print(f'note: {note}')
    print()
    columns: tuple[str, ...] = ('class', 'cells', 'AP', 'AP_50', 'AP_75', 'AR', 'precision', 'recall', 'note')
    print(text_table(lines(class_rows(evaluation), columns)))
    if evaluation.groups:
        print()
        columns = ('kind', 'group', 'images', 'cells', 'mAP', 'mAP_50', 'mAR', 'note')
        print(text_table(lines(group_rows(evaluation), columns)))
    print('\nerrors: ' + ', '.join(f'{row["type"]} {row["errors"]}' for row in error_rows(evaluation)))
    cost = evaluation.complexity
    if cost is not None:
        print(f'cost: {cost.parameters:,} parameters, {cost.multiply_adds / 1e9:.2f} x 10^9 multiply-adds at '
              f'{cost.input_hw[1]} x {cost.input_hw[0]} px, {cost.images_per_second:.1f} images per second on '
              f'{cost.device}')
    print()
    for path in written:
        print(f'  {path}')
