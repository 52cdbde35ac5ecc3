"""Find the cells of one large image, window by window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmleuk.slides.glass import is_empty_glass
from mmleuk.slides.journal import Journal, Recorder
from mmleuk.slides.merge import merge
from mmleuk.slides.readers import Slide
from mmleuk.slides.windows import Plan
from mmleuk.structures.prediction import Cell, Prediction

Predict = Callable[[Sequence[np.ndarray]], Sequence[Prediction]]
"""A detector: (H, W, 3) uint8 BGR arrays -> one prediction each, such as ``Inferencer.predict_arrays``."""
See = Callable[[np.ndarray, Sequence[int]], None]
"""Gets each window's pixels and its x1, y1, x2, y2."""
OnStep = Callable[[int, int], None]
"""Gets the number of windows and of cells of a finished step."""


@dataclass(frozen=True)
class Scan:
    """What was found in one image.

    Args:
        cells: each once, in pixels of the image, highest score first.
        windows: number of windows.
        empty: how many of them were empty glass.
        repeated: detections that were left out because another window saw the same cell.
        um_per_px: micrometres that a pixel is wide and high; None where the windows don't share one scale, or where
            none shows more than glass.
    """

    cells: tuple[Cell, ...]
    windows: int
    empty: int
    repeated: int
    um_per_px: tuple[float, float] | None = None


def scan(slide: Slide, image: str, predict: Predict, plan: Plan, journal: Journal, *, batch_size: int = 1,
         skip_glass: bool = True, see: See | None = None, on_step: OnStep | None = None) -> Scan:
    """Read each window once, predict, and merge.

    Memory: one step's windows, 48 bytes per detection, and the cells of the result.

    Args:
        slide: the image.
        image: its name in the journal.
        predict: the detector.
        plan: its windows.
        journal: steps that it has are not done again.
        batch_size: windows per step. Steps don't depend on where a run stopped, so that resuming changes no digit.
        skip_glass: leave out windows of empty glass.
        see: gets the pixels of all windows, those of earlier runs, too.
        on_step: for progress.

    Raises:
        UserError: the image is damaged, or the journal can't be written.
    """
    boxes: list[np.ndarray] = []
    window_of: list[int] = []
    scales: set[tuple[float, float] | None] = set()
    empty = 0
    for number, windows in enumerate(_steps(plan, batch_size)):
        step = (image, number)
        if step not in journal or see is not None:
            arrays = [_read(slide, plan.windows_xyxy[window], see) for window in windows]
            if step not in journal:
                _predict(step, windows, arrays, predict, plan, journal, skip_glass)
        record = journal.record(step)
        boxes.append(np.array([(*cell['box'], cell['score']) for cell in record['cells']]).reshape(-1, 5))
        window_of += record['windows']
        scales |= {um_per_px and (um_per_px[0], um_per_px[1]) for um_per_px in record['um_per_px']}
        empty += record['empty']
        if on_step is not None:
            on_step(len(windows), len(record['cells']))
    found = np.concatenate(boxes) if boxes else np.zeros((0, 5))
    kept = merge(found[:, :4], found[:, 4], np.array(window_of, np.int64), plan)
    cells = _cells(journal, image, [len(part) for part in boxes], kept)
    cells.sort(key=lambda cell: -cell.score)
    um_per_px = next(iter(scales)) if len(scales) == 1 else None
    return Scan(tuple(cells), len(plan), empty, len(found) - len(kept), um_per_px)


def find_steps(slide: Slide, image: str, predict: Predict, plan: Plan, journal: Recorder, mine: Callable[[int], bool],
               *, batch_size: int = 1, skip_glass: bool = True) -> None:
    """Predict some of an image's steps, and only record them: one of several processes; see :func:`scan`.

    Args:
        mine: whether a step, by its number, is to be done.
    """
    for number, windows in enumerate(_steps(plan, batch_size)):
        if mine(number) and (image, number) not in journal:
            arrays = [_read(slide, plan.windows_xyxy[window], None) for window in windows]
            _predict((image, number), windows, arrays, predict, plan, journal, skip_glass)


def n_steps(plan: Plan, batch_size: int = 1) -> int:
    """How many steps :func:`scan` makes of an image."""
    return len(_steps(plan, batch_size))


def _steps(plan: Plan, batch_size: int) -> list[range]:
    return [range(start, min(start + batch_size, len(plan))) for start in range(0, len(plan), batch_size)]


def _read(slide: Slide, window: np.ndarray, see: See | None) -> np.ndarray:
    x1, y1, x2, y2 = window.tolist()
    pixels = slide.read(x1, y1, x2 - x1, y2 - y1)
    if see is not None:
        see(pixels, (x1, y1, x2, y2))
    return pixels


def _predict(step: tuple[str, int], windows: Sequence[int], arrays: Sequence[np.ndarray], predict: Predict, plan: Plan,
             journal: Recorder, skip_glass: bool) -> None:
    """Predict the windows of one step, and record it."""
    shown = [index for index, pixels in enumerate(arrays) if not (skip_glass and is_empty_glass(pixels))]
    predictions = predict([arrays[index] for index in shown]) if shown else []
    cells: list[Cell] = []
    window_of: list[int] = []
    for index, prediction in zip(shown, predictions, strict=True):
        left, top = plan.windows_xyxy[windows[index], :2].tolist()
        cells += [moved(cell, left, top) for cell in prediction.cells]
        window_of += [windows[index]] * len(prediction.cells)
    scales = [um_per_px and list(um_per_px) for um_per_px in dict.fromkeys(each.um_per_px for each in predictions)]
    journal.add(step, cells, windows=window_of, empty=len(arrays) - len(shown), um_per_px=scales)


def moved(cell: Cell, x: float, y: float) -> Cell:
    """The cell with its box moved by x and y pixels."""
    x1, y1, x2, y2 = cell.box
    return replace(cell, box=(x1 + x, y1 + y, x2 + x, y2 + y))


def _cells(journal: Journal, image: str, lengths: Sequence[int], kept: np.ndarray) -> list[Cell]:
    """The kept cells, read from the journal: until now none of them was in memory."""
    wanted = set(kept.tolist())
    cells: list[Cell] = []
    start = 0
    for number, length in enumerate(lengths):
        inside = [index for index in range(length) if start + index in wanted]
        if inside:
            step = journal.cells((image, number))
            cells += [step[index] for index in inside]
        start += length
    return cells
