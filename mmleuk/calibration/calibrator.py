"""The scale of every image of a run of inference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmleuk.calibration.groups import Calibration, calibrate, evenly_spaced
from mmleuk.calibration.red_cells import RED_CELL_MICRONS, Finder, RedCells, measure_red_cells
from mmleuk.errors import UserError
from mmleuk.utils.image_files import header_size

Load = Callable[[Path], np.ndarray]
"""Path -> (H, W, 3) uint8 BGR; raises OSError or UserError."""


POSSIBLE = 0.005, 5.0
"""Micrometres per pixel: of a red cell of 1,500 px, and of one of 1.5."""


class Calibrator:
    """Measures red cells: once per image size of a run, or for every image where those of a size disagree.

    Args:
        find: finds red cells that are about ``diameter`` pixels wide.
        diameter: of red cells in the finder's training, pixels.
        microns_per_pixel: (x, y) of all images if the user knows them; then nothing is measured.

    Raises:
        UserError: no microscope has this scale.
    """

    def __init__(self, find: Finder, diameter: float, microns_per_pixel: tuple[float, float] | None = None) -> None:
        self.find, self.diameter = find, diameter
        low, high = POSSIBLE
        if microns_per_pixel is not None and not all(low <= value <= high for value in microns_per_pixel):
            given = ' x '.join(f'{value:g}' for value in microns_per_pixel)
            raise UserError(f'microns_per_pixel is {given}; is that in micrometres? '
                            f'Both numbers lie between {low:g} and {high:g}: a red cell is '
                            f'{RED_CELL_MICRONS:g} micrometres wide, at 100x often 75 pixels')
        self.stated = None if microns_per_pixel is None else RedCells.of_scale(microns_per_pixel)
        self.calibrations: dict[tuple[int, int], Calibration] = {}

    def forget(self) -> None:
        """Forget what was measured: the next film may come from another microscope. A stated scale stays."""
        self.calibrations.clear()

    def measure_files(self, paths: Iterable[Path], load: Load) -> list[Calibration]:
        """Measure the images' sizes that are new; returns their calibrations.

        Args:
            paths: images; those that can't be read are left out.
            load: reads one.
        """
        groups: dict[tuple[int, int], list[Path]] = {}
        for path in sorted(paths) if self.stated is None else ():  # the order in which they are named changes nothing
            size = header_size(path)
            if size is not None:  # the run itself reports the others
                groups.setdefault((size[1], size[0]), []).append(path)
        measured = []
        for size, group in sorted(groups.items()):
            if size not in self.calibrations:
                images = [image for index in evenly_spaced(len(group)) if (image := _loaded(load, group[index]))
                          is not None]
                if images:
                    measured.append(self.measure_arrays(images, len(group)))
        return measured

    def measure_arrays(self, images: Sequence[np.ndarray], n_images: int | None = None) -> Calibration:
        """Measure images of one size, at least one; later images of that size have the same scale."""
        found = calibrate(images, self.find, self.diameter, n_images)
        self.calibrations[found.size_hw] = found
        return found

    def measure_windows(self, windows: Sequence[np.ndarray], size_hw: tuple[int, int], n_images: int) -> Calibration:
        """Measure large images of one size.

        Args:
            windows: of these images; may be none.
            size_hw: of the images, not of their windows.
            n_images: how many they are.
        """
        found = Calibration(size_hw, n_images, (), 0, 'window')
        if windows:
            found = replace(calibrate(windows, self.find, self.diameter), size_hw=size_hw, n_images=n_images,
                            part='window')
        self.calibrations[size_hw] = found
        return found

    def red_cells(self, image: np.ndarray, size_hw: tuple[int, int] | None = None) -> RedCells | None:
        """Red cells of one image; None where its scale isn't known.

        Args:
            image: (H, W, 3) uint8 BGR.
            size_hw: of the image that it is a window of.
        """
        if self.stated is not None:
            return self.stated
        size = size_hw or image.shape[:2]
        if size not in self.calibrations:
            self.measure_arrays([image]) if size_hw is None else self.measure_windows([image], size_hw, 1)
        found = self.calibrations[size]
        return found.red_cells if found.agrees else measure_red_cells(image, self.find, self.diameter)


def _loaded(load: Load, path: Path) -> np.ndarray | None:
    try:
        return load(path)
    # mmcv's loader asserts that the file could be decoded. The run itself reports it.
    except (OSError, AssertionError, ValueError):
        return None
