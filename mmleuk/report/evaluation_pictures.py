"""Pictures of the worst images: every error outlined and named, a legend below."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from mmleuk.errors import UserError
from mmleuk.evaluation.error_types import CORRECT, FALSE_TYPES
from mmleuk.evaluation.evaluate import Evaluation
from mmleuk.pictures.colours import ClassStyle
from mmleuk.pictures.drawing import legend_strip, outline_box, paint_label
from mmleuk.pictures.layout import Rect, Rects, best_spot, on_canvas, tag_spots
from mmleuk.pictures.plan import PAD, TAG_PX
from mmleuk.pictures.text import width_px
from mmleuk.structures.matching import UNMATCHED

STYLES: Mapping[str, ClassStyle] = {
    'correct': ClassStyle('#009E73', False), 'class': ClassStyle('#E69F00', False),
    'localisation': ClassStyle('#56B4E9', False), 'both': ClassStyle('#CC79A7', False),
    'duplicate': ClassStyle('#F0E442', False), 'background': ClassStyle('#D55E00', False),
    'not found': ClassStyle('#FFFFFF', True)}
"""Okabe and Ito's colours by what happened; a cell that no detection of its class found is dashed."""

_LONG_SIDE_PX = 1200
_PAPER = (255, 255, 255)


@dataclass(frozen=True)
class Mark:
    """One outline: x1, y1, x2, y2 in pixels of the original image, a key of STYLES, and words ('' for none)."""

    box: Rect
    kind: str
    text: str


def marks_of(evaluation: Evaluation, index: int) -> list[Mark]:
    """What to draw on an image: correct detections without words, then errors, then cells not found."""
    truth, detections, errors = evaluation.truth, evaluation.detections, evaluation.errors
    correct, false = [], []
    for row in np.flatnonzero((detections.image_of == index) & (errors.types >= CORRECT)):
        name = truth.classes[detections.labels[row]]
        box, score = _xyxy(detections.boxes_xywh[row]), detections.scores[row]
        if errors.types[row] == CORRECT:
            correct.append(Mark(box, 'correct', ''))
            continue
        kind, target = FALSE_TYPES[errors.types[row]], errors.targets[row]
        words = {'class': f', is {truth.classes[truth.labels[target]]}' if target != UNMATCHED else '',
                 'localisation': ', inexact', 'both': ', inexact and wrong', 'duplicate': ', again',
                 'background': ', nothing labelled'}
        false.append(Mark(box, kind, f'{name} {score:.2f}{words[kind]}'))
    taken = _found_cells(evaluation, index)
    missing = [Mark(_xyxy(truth.boxes_xywh[row]), 'not found',
                    f'{truth.classes[truth.labels[row]]} missed' if errors.missed[row] else '')
               for row in np.flatnonzero((truth.image_of == index) & ~truth.ignored) if row not in taken]
    return [*correct, *false, *missing]


def draw_marks(image: Image.Image, marks: Sequence[Mark], title: str) -> Image.Image:
    """The enlarged image with outlines and words, a legend with counts below.

    Args:
        image: RGB, at its original size; stays as it is.
        marks: what to draw, in this order.
        title: first words of the legend.
    """
    factor = max(1, round(_LONG_SIDE_PX / max(image.size)))
    enlarged = image.resize((image.width * factor, image.height * factor), Image.Resampling.BICUBIC)
    counts = Counter(mark.kind for mark in marks)
    entries = [(f'{kind}: {counts[kind]}', style) for kind, style in STYLES.items() if counts[kind]]
    legend = legend_strip([(title, None), *entries], enlarged.width)
    canvas = Image.new('RGB', (enlarged.width, enlarged.height + legend.height), _PAPER)
    draw = ImageDraw.Draw(enlarged)
    boxes = [on_canvas(mark.box, factor, enlarged.size) for mark in marks]
    for mark, box in zip(marks, boxes):
        if mark.kind == 'correct':  # thin, so that the errors stand out
            draw.rectangle([round(v) for v in box], outline=STYLES['correct'].rgb, width=2)
        else:
            outline_box(draw, box, STYLES[mark.kind])
    taken = Rects(enlarged.size)
    errors = Rects(enlarged.size, (box for mark, box in zip(marks, boxes) if mark.text))
    for mark, box in zip(marks, boxes):
        if mark.text:
            size = (width_px(mark.text, bold=True) + 2 * PAD, TAG_PX)
            spot, _ = best_spot(tag_spots(box, size), enlarged.size, taken, errors, own=box)
            taken.add(spot)
            paint_label(draw, spot, mark.text, STYLES[mark.kind])
    canvas.paste(enlarged, (0, 0))
    canvas.paste(legend, (0, enlarged.height))
    return canvas


def find_pictures(evaluation: Evaluation, folder: str | Path | None) -> Path | None:
    """The folder in which ``file_name`` of the images is found.

    Args:
        evaluation: its annotation file says what to look for, and where to look if no folder is given: in ``images``
            beside the file's folder, in that folder's parent, and beside the file.
        folder: given by the user.

    Returns:
        None where no folder was given and none has the first image.

    Raises:
        UserError: the given folder lacks the first image.
    """
    first = evaluation.truth.images[0].file_name
    beside = Path(evaluation.truth.source).resolve().parent
    for candidate in (Path(folder),) if folder is not None else (beside.parent / 'images', beside.parent, beside):
        if (candidate / first).is_file():
            return candidate
    if folder is not None:
        raise UserError(f'{folder}: holds no {first}, the first image of {evaluation.truth.source}; --images is the '
                        "folder that the annotation file's file_name starts from")
    return None


def _found_cells(evaluation: Evaluation, index: int) -> set[int]:
    rows = (evaluation.detections.image_of == index) & (evaluation.errors.types == CORRECT)
    return set(evaluation.found_cells[rows].tolist())


def _xyxy(box_xywh: np.ndarray) -> Rect:
    x, y, width, height = box_xywh.tolist()
    return x, y, x + width, y + height
