"""One image several times side by side: its truth, and what each model made of it."""

from __future__ import annotations

import io
import math
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from PIL import Image

from mmleuk.datasets.annotations import Annotations
from mmleuk.errors import UserError
from mmleuk.evaluation.pseudo_label_quality import HiddenCells, match_place_and_class
from mmleuk.pictures.layout import Rect, Rects, best_spot, tag_spots
from mmleuk.pictures.text import plain_text
from mmleuk.structures.ground_truth import ImageTruth
from mmleuk.structures.prediction import Cell
from mmleuk.utils.words import plural_n

Verdict = Literal['true', 'right', 'false', 'missed', 'ignored']


class _Style(NamedTuple):
    colour: str
    dash: Any  # as matplotlib's linestyle
    width: float
    meaning: str


# Colours of Okabe and Ito (2008); blue, orange and black stay apart in every kind of colour blindness and in grey, and
# the lines differ as well.
STYLES: dict[Verdict, _Style] = {
    'true': _Style('#000000', '-', 1.2, 'true cell'),
    'right': _Style('#0072B2', '-', 1.4, 'right: found, with its class'),
    'false': _Style('#E69F00', '-', 2.4, 'false: no cell there, another class, or found twice'),
    'missed': _Style('#000000', (0, (3, 2)), 1.8, 'missed'),
    'ignored': _Style('#777777', ':', 1.2, 'not counted'),
}
_COUNTED: tuple[Verdict, ...] = ('right', 'false', 'missed')
_COLUMNS = 3
_PANEL_INCHES = 4.6
_LABEL_POINTS = 7
_LETTER_WIDTH, _LINE_HEIGHT = 0.58, 1.25  # of the font's size, about
_TITLE_LETTERS = 52  # per line
_DPI = 130


@dataclass(frozen=True)
class Mark:
    """One box to draw: xyxy in pixels of the image; ``score`` None for what nobody predicted."""

    verdict: Verdict
    box: tuple[float, float, float, float]
    class_name: str
    score: float | None = None


@dataclass(frozen=True)
class Panel:
    """One copy of the image with boxes."""

    title: str
    marks: tuple[Mark, ...]

    def count(self, verdict: Verdict) -> int:
        """Number of boxes of this kind."""
        return sum(mark.verdict == verdict for mark in self.marks)


def find_image(annotations: Annotations, image: str) -> ImageTruth:
    """The record of an image, named by its index in the file (from 0) or by its file's name or path.

    Raises:
        UserError: no such image, or several of that name.
    """
    if image.isdecimal():
        if int(image) >= len(annotations.images):
            raise UserError(f'{annotations.path}: has {len(annotations.images)} images, counted from 0; there is no '
                            f'number {image}')
        return annotations.images[int(image)]
    path = Path(image)
    same_name = [record for record in annotations.images if Path(record.file_name).name == path.name]
    found = [record for record in same_name if path.as_posix().endswith(record.file_name)] or same_name
    if len(found) != 1:
        raise UserError(f'{annotations.path}: {len(found)} of its images are called {path.name}; name one of them, or '
                        'its number in the file')
    return found[0]


def truth_panel(record: ImageTruth, classes: Sequence[str]) -> Panel:
    """The annotated cells; the title counts them by class."""
    marks = [Mark('ignored' if cell.ignore else 'true', cell.box_xyxy, classes[cell.label]) for cell in record.cells]
    counts = Counter(mark.class_name for mark in marks if mark.verdict == 'true')
    parts = ', '.join(f'{counts[name]} {name}' for name in classes if counts[name])
    return Panel(f'Truth: {plural_n(sum(counts.values()), "cell")}\n{parts}', tuple(marks))


def model_panel(title: str, cells: Sequence[Cell], record: ImageTruth, classes: Sequence[str],
                min_iou: float = 0.5) -> Panel:
    """A model's detections against the truth; the title counts what is right, false and missed.

    A detection is right when it lies on a cell of its class by ``min_iou`` or more; each cell is found once. One of
    another class is false, and the cell under it missed. Detections on ignored cells don't count.

    Args:
        title: the model's name.
        cells: its detections, boxes in pixels of the image.
        record: the image's truth, labels by ``classes``.
        classes: the truth's class names.
        min_iou: smallest IoU of a match.
    """
    truth = HiddenCells(np.array([cell.box_xyxy for cell in record.cells], float).reshape(-1, 4),
                        np.array([cell.label for cell in record.cells], int),
                        np.array([cell.ignore for cell in record.cells], bool))
    labels = np.array([_label(cell, classes) for cell in cells], int)
    found, _ = match_place_and_class(np.array([cell.box for cell in cells], float).reshape(-1, 4), labels,
                                     np.array([cell.score for cell in cells], float), truth, min_iou)
    verdicts = [_verdict(int(index), int(label), truth) for index, label in zip(found, labels)]
    marks = [Mark(verdict, cell.box, cell.class_name, cell.score) for verdict, cell in zip(verdicts, cells)]
    hits = {int(index) for index, verdict in zip(found, verdicts) if verdict == 'right'}
    marks += [Mark('missed', cell.box_xyxy, classes[cell.label]) for index, cell in enumerate(record.cells)
              if index not in hits and not cell.ignore]
    panel = Panel(title, tuple(marks))
    counts = ', '.join(f'{panel.count(verdict)} {verdict}' for verdict in _COUNTED)
    return Panel(f'{title}\n{counts}', panel.marks)


def _label(cell: Cell, classes: Sequence[str]) -> int:
    if cell.class_name not in classes:
        raise UserError(f'a model predicts the class {cell.class_name!r}, the truth has {", ".join(classes)}; compare '
                        'models of the same classes')
    return list(classes).index(cell.class_name)


def _verdict(found: int, label: int, truth: HiddenCells) -> Verdict:
    if found >= 0 and truth.labels[found] == label:
        return 'right'
    return 'ignored' if found < -1 else 'false'


@plain_text()
def draw_comparison(image: Image.Image, panels: Sequence[Panel], caption: str) -> bytes:
    """A PNG of the panels in rows, with legend and caption below.

    Boxes of the most frequent class carry no name, the others do; detections also carry their score.

    Args:
        image: RGB, at its original size.
        panels: truth first.
        caption: what is shown and how it was made; wrapped.
    """
    common = Counter(mark.class_name for mark in panels[0].marks).most_common(1)
    unnamed = common[0][0] if common else ''
    if unnamed:
        caption = f'Boxes without a name are {unnamed}. {caption}'
    columns = min(len(panels), _COLUMNS)
    words = textwrap.wrap(caption, 20 + 55 * columns)
    titles = [_wrap(panel.title) for panel in panels]
    head = 0.14 + 0.18 * max(title.count('\n') + 1 for title in titles)
    figure, axes = _grid(len(panels), columns, image.height / image.width, head, 0.45 + 0.16 * len(words))
    for axis, panel, title in zip(axes, panels, titles):
        axis.set_title(title, fontsize=11)
        _draw_panel(axis, image, panel, unnamed)
    shown = {mark.verdict for panel in panels for mark in panel.marks}
    handles = [Line2D([], [], color=style.colour, linestyle=style.dash, linewidth=style.width, label=style.meaning)
               for verdict, style in STYLES.items() if verdict in shown]
    figure.legend(handles=handles, loc='lower center', ncols=min(len(handles), 2 * columns), fontsize=9, frameon=False,
                  title='\n'.join(words), title_fontsize=8.5, borderaxespad=0.1)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=_DPI)
    return buffer.getvalue()


def _wrap(title: str) -> str:
    """Lines that a panel is wide enough for; the title's own line breaks stay."""
    return '\n'.join(short for line in title.split('\n') for short in textwrap.wrap(line, _TITLE_LETTERS) or [''])


def _grid(count: int, columns: int, shape: float, head: float, foot: float) -> tuple[Figure, list[Axes]]:
    """A figure with axes of the image's shape (height by width), ``head`` inches above each, ``foot`` below all."""
    rows = math.ceil(count / columns)
    wide, high = _PANEL_INCHES * columns, (_PANEL_INCHES * shape + head) * rows + foot
    figure = Figure(figsize=(wide, high))
    axes = [figure.add_axes((index % columns / columns + 0.005,
                             1 - (index // columns + 1) * (high - foot) / rows / high,
                             1 / columns - 0.01, _PANEL_INCHES * shape / high)) for index in range(count)]
    return figure, axes


def _draw_panel(axes: Axes, image: Image.Image, panel: Panel, unnamed: str) -> None:
    axes.imshow(image)
    axes.set_xticks([])
    axes.set_yticks([])
    order: list[Verdict] = ['ignored', 'true', 'right', 'missed', 'false']
    marks = sorted(panel.marks, key=lambda mark: order.index(mark.verdict))
    for mark in marks:
        style = STYLES[mark.verdict]
        x1, y1, x2, y2 = mark.box
        # A light edge keeps the line visible on dark nuclei and on stained plasma.
        halo = [patheffects.withStroke(linewidth=style.width + 1.6, foreground='white')]
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=style.colour,
                                 linestyle=style.dash, linewidth=style.width, path_effects=halo))
    labels = [(mark, words) for mark in reversed(marks) if (words := _words(mark, unnamed))]  # false ones first
    for (_, words), (x1, _, _, y2) in zip(labels, place_labels(labels, image.size)):
        axes.text(x1, y2, words, fontsize=_LABEL_POINTS, va='bottom', ha='left', color='black', clip_on=True,
                  path_effects=[patheffects.withStroke(linewidth=2, foreground='white')])


def _words(mark: Mark, unnamed: str) -> str:
    words = [] if mark.class_name == unnamed else [mark.class_name]
    if mark.score is not None:
        words.append(f'{mark.score:.2f}')
    return ' '.join(words)


def place_labels(labels: Sequence[tuple[Mark, str]], size_wh: tuple[int, int]) -> list[Rect]:
    """Where each mark's words go, inside an image of this size and off those before, in its pixels.

    Words that don't fit beside what is there lie over as little of it as they can.
    """
    pixels = _LABEL_POINTS / 72 / _PANEL_INCHES * size_wh[0]
    taken, spots = Rects(size_wh), []
    for mark, words in labels:
        tag = (_LETTER_WIDTH * pixels * len(words), _LINE_HEIGHT * pixels)
        spots.append(best_spot(tag_spots(mark.box, tag), size_wh, taken)[0])
        taken.add(spots[-1])
    return spots
