"""Measure the scale of the images of ``mmleuk infer``, before it looks for cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmleuk.calibration.groups import FIELDS, evenly_spaced
from mmleuk.commands.finding import Windows, default_side, plan_of
from mmleuk.slides.glass import is_empty_glass
from mmleuk.slides.readers import open_slide
from mmleuk.slides.windows import Plan

if TYPE_CHECKING:
    from mmleuk.inference.base import BaseInferencer

LOOKS = 30
"""Windows of a large image that are read in the search of some with cells: in its middle, then elsewhere."""
LARGE_CELL_MICRONS = 20
"""Diameter of a large leukocyte on a film."""


def calibrate(inferencer: BaseInferencer, paths: Sequence[Path], windows: Windows) -> list[str]:
    """Measure the red cells of fields by their size, and of large images in windows from their middle.

    Returns:
        A sentence per size.
    """
    if not inferencer.measures:
        return []
    sentences = inferencer.calibrate([path for path in paths if not windows.scans(path)])
    side = default_side(inferencer)
    groups: dict[tuple[int, int], list[Path]] = {}
    for path in sorted(path for path in paths if windows.scans(path)):
        groups.setdefault(plan_of(path, windows, side).size_hw, []).append(path)
    for size_hw, group in sorted(groups.items()):
        found = _windows_with_cells(group, windows, side)
        sentences += inferencer.calibrate_windows([found[index] for index in evenly_spaced(len(found))], size_hw,
                                                  len(group))
        sentences += _note_on_cut_cells(inferencer, windows, windows.plan(group[0], size_hw, side))
    return sentences


def _note_on_cut_cells(inferencer: BaseInferencer, windows: Windows, plan: Plan) -> list[str]:
    """Say it where a large leukocyte is wider than windows overlap: it may be whole in none of them."""
    assert inferencer.calibrator is not None
    red_cells = inferencer.calibrator.calibrations[plan.size_hw].red_cells
    side = int((plan.windows_xyxy[0, 2:] - plan.windows_xyxy[0, :2]).max())
    overlap = side // 4 if windows.overlap is None else windows.overlap
    if red_cells is None or len(plan) == 1:
        return []
    cell = round(LARGE_CELL_MICRONS / min(red_cells.um_per_px))
    height, width = plan.size_hw
    enough = -(-4 * cell // 32) * 32
    return [] if cell <= overlap else [
        f'note: a leukocyte of {LARGE_CELL_MICRONS} micrometres is {cell} px wide in images of {width} x {height} px, '
        f'but their windows of {side} px overlap by {overlap} px, so it may be cut; give --window {enough}']


def _windows_with_cells(paths: Sequence[Path], windows: Windows, side: int) -> list[np.ndarray]:
    """Windows of three of the images, or of those after them if these show only glass."""
    chosen = evenly_spaced(len(paths))
    found: list[np.ndarray] = []
    for number, index in enumerate([*chosen, *(index for index in range(len(paths)) if index not in chosen)]):
        if number >= FIELDS and found:
            break
        found += _middle_windows(paths[index], windows, side)
    return found


def _middle_windows(path: Path, windows: Windows, side: int) -> list[np.ndarray]:
    """Up to three windows that show more than glass, from the middle outwards, then from all over the image."""
    found: list[np.ndarray] = []
    with open_slide(path, windows.intensity) as slide:
        plan = windows.plan(path, slide.size_hw, side)
        corners = plan.windows_xyxy
        order = np.argsort(np.abs(corners[:, :2] - np.median(corners[:, :2], axis=0)).sum(1), kind='stable')
        others = np.sort(order[LOOKS:])
        for index in [*order[:LOOKS], *others[::max(1, len(others) // LOOKS)]]:
            x1, y1, x2, y2 = corners[index].tolist()
            pixels = slide.read(x1, y1, x2 - x1, y2 - y1)
            if not is_empty_glass(pixels):
                found.append(pixels)
            if len(found) == FIELDS:
                break
    return found
