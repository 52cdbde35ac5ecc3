"""One scale for all images of one size: they are taken for fields of one microscope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from mmleuk.calibration.red_cells import Finder, RedCells, measure_again, measure_red_cells
from mmleuk.utils.words import plural_n

FIELDS = 3
"""Images of one size that are measured."""

AGREEMENT = 1.4
"""Largest ratio of widths, or of heights, between images of one microscope."""


@dataclass(frozen=True)
class Calibration:
    """What the red cells of images of one size say.

    Args:
        size_hw: height and width of the images in pixels.
        n_images: images of this size.
        fields: red cells of the measured images that show enough of them.
        n_looked_at: measured images.
        part: what was measured: whole images, or windows of large ones.
    """

    size_hw: tuple[int, int]
    n_images: int
    fields: tuple[RedCells, ...]
    n_looked_at: int
    part: str = 'image'

    @property
    def agreeing(self) -> tuple[RedCells, ...]:
        """The measured images that can be from one microscope: those near the median one."""
        if not self.fields:
            return ()
        width, height = _median_size(self.fields)
        limit = sqrt(AGREEMENT)
        return tuple(f for f in self.fields if all(
            1 / limit <= ratio <= limit for ratio in (f.width / width, f.height / height)))

    @property
    def agrees(self) -> bool:
        """Whether more than half of the measured images can be from one microscope."""
        return 2 * len(self.agreeing) > len(self.fields) or not self.fields

    @property
    def red_cells(self) -> RedCells | None:
        """The median over the images that agree; None where there are none, or where most disagree."""
        fields = self.agreeing
        if not fields or not self.agrees:
            return None
        return RedCells(*_median_size(fields), sum(f.count for f in fields))

    @property
    def left_out(self) -> int:
        """Measured images that don't agree with most."""
        return len(self.fields) - len(self.agreeing)

    @property
    def sentence(self) -> str:
        """What was measured, or why not, for the user."""
        height, width = self.size_hw
        of = f'{plural_n(self.n_images, "image")} of {width} x {height} px'
        cells = self.red_cells
        if cells is not None:
            x, y = cells.um_per_px
            spread = max(max(side) / min(side) - 1 for side in zip(*[field.um_per_px for field in self.agreeing]))
            scale = f'{x:.3f}' if abs(x / y - 1) < 0.05 else f'{x:.3f} wide and {y:.3f} high'
            return (f'{of}: a pixel is {scale} micrometres, by {plural_n(cells.count, "red cell")} in '
                    f'{plural_n(len(self.agreeing), self.part)}' + f', which differ by {spread:.0%}' * (spread >= 0.005)
                    + f'; {self.left_out} that differs more is left out' * bool(self.left_out))
        if not self.fields:
            return (f'warning: {of}: no red cells found in {plural_n(self.n_looked_at, self.part)}, so the scale is '
                    'the config\'s; if it is known, give --microns-per-pixel')
        widths = ' and '.join(f'{field.width:.0f} x {field.height:.0f}' for field in self.fields)
        return (f'warning: {of}: red cells of {widths} px, so they are not from one microscope; every '
                f'{self.part} is measured by itself')


def _median_size(fields: Sequence[RedCells]) -> tuple[float, float]:
    """Median width and height."""
    return float(np.median([cells.width for cells in fields])), float(np.median([cells.height for cells in fields]))


def calibrate(images: Sequence[np.ndarray], find: Finder, diameter: float, n_images: int | None = None) -> Calibration:
    """Measure images of one size.

    Args:
        images: (H, W, 3) uint8 BGR, at least one; three are enough.
        find: finds red cells that are about ``diameter`` pixels wide.
        diameter: of red cells in the finder's training, pixels.
        n_images: how many images they stand for; default: these.
    """
    fields: list[RedCells] = []
    of_other_scale = []
    for image in images:
        seen = measure_again(image, find, diameter, fields[0]) if fields else measure_red_cells(image, find, diameter)
        if seen is not None:
            fields.append(seen)
        elif fields:
            of_other_scale.append(image)
    if 2 * len(fields) <= len(images):  # else most agree, and a search in the others, which takes long, changes nothing
        searched = [measure_red_cells(image, find, diameter) for image in of_other_scale]
        fields += [seen for seen in searched if seen is not None]
    return Calibration(images[0].shape[:2], n_images or len(images), tuple(fields), len(images))


def evenly_spaced(number: int, chosen: int = FIELDS) -> list[int]:
    """Indices of the images to measure, of ``number``.

    >>> evenly_spaced(17), evenly_spaced(2)
    ([2, 8, 14], [0, 1])
    """
    if number <= chosen:
        return list(range(number))
    return [int((index + 0.5) * number / chosen) for index in range(chosen)]
