"""Colours of a film that lie outside of those in training, changed to those in training.

Optical density is -ln(light / light through glass); densities of dyes add up, and glass has none. Most of a film that
isn't glass is red cells, so the median density of what isn't glass is theirs; the densest pixels are nuclei. A linear
map of density takes both to their colours in training. One gain per channel cannot: what makes blue-grey red cells pink
makes nuclei and cytoplasm red, and the leukocyte is taken for a red cell. Legend: channels are BGR, as cv2 reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mmleuk.utils.optical_density import to_density, to_image

Density = tuple[float, float, float]
GLASS_PERCENTILE = 90
GLASS_DENSITY = 0.12
"""Green light through less dense pixels is taken for glass."""
PALE_SHARE = 60
"""Percentile of green density up to which the other pixels count as red cells: the darkest ones are nuclei."""
NUCLEI_PERCENTILE = 98.5
"""Percentile of green density above which pixels are nuclei: a leukocyte in an image at 100x covers some percent."""
DENSER = 1.8
"""Nuclei's green density is at least this many times red cells'; else the densest pixels are piled red cells."""
EVERY = 4
"""Rows and columns are looked at in steps of this many pixels."""


@dataclass(frozen=True)
class TrainingColours:
    """Films as a network saw them in training.

    Args:
        largest_red: largest ratio of red to green density of red cells; up to it a film keeps its colours. They
            are pink in training; on some films they are blue-grey, as nuclei are in training.
        red_cells: density of red cells.
        nuclei: density of nuclei. Only its hue counts: pale nuclei stay pale.
        glass: colour of glass, 0 to 255.
    """

    largest_red: float
    red_cells: Density
    nuclei: Density
    glass: Density

    def fits(self, red_cells: Density) -> bool:
        """Whether a film looks as in training."""
        return red_cells[2] <= self.largest_red * red_cells[1]

    def matrix(self, red_cells: Density, nuclei: Density | None) -> NDArray[np.float64]:
        """(3, 3) from densities of a film to densities as in training; what is neither dye stays as strong as it is.

        Args:
            red_cells: their density on the film.
            nuclei: their density on the film; None where it has none: then they have the hue of training.
        """
        hue = np.array(self.nuclei) / self.nuclei[1]
        own = hue if nuclei is None else np.array(nuclei) / nuclei[1]
        return _basis(self.red_cells, hue) @ np.linalg.inv(_basis(red_cells, own))

    def change(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image (H, W, 3) with colours as in training; itself where they are so already."""
        glass = glass_of(image)
        densities = densities_of(image, glass)
        red_cells = red_cells_of(densities)
        if red_cells is None or self.fits(red_cells):
            return image
        matrix = self.matrix(red_cells, nuclei_of(densities, red_cells))
        return to_image(cv2.transform(to_density(image, glass), matrix), np.array(self.glass))


def _basis(red_cells: Sequence[float] | NDArray, nuclei: NDArray) -> NDArray[np.float64]:
    """Columns (3, 3): two dyes and the direction of length 1 that is neither."""
    neither = np.cross(red_cells, nuclei)
    return np.stack([np.array(red_cells), nuclei, neither / np.linalg.norm(neither)], 1)


def glass_of(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Colour (3,) of the glass: brighter than nine of ten pixels, by channel."""
    return np.maximum(np.percentile(image[::EVERY, ::EVERY].reshape(-1, 3), GLASS_PERCENTILE, axis=0), 1)


def densities_of(image: NDArray[np.uint8], glass: NDArray) -> NDArray[np.float32]:
    """Optical densities (N, 3) of every fourth row's and column's pixels.

    Args:
        image: (H, W, 3).
        glass: (3,) colour of its glass.
    """
    return to_density(image[::EVERY, ::EVERY], glass).reshape(-1, 3)


def red_cells_of(densities: NDArray[np.float32]) -> Density | None:
    """Median optical density of the paler part of what isn't glass; None where nearly all is glass.

    Args:
        densities: (N, 3), :func:`densities_of`.
    """
    cells = densities[densities[:, 1] > GLASS_DENSITY]
    if len(cells) < len(densities) / 100:
        return None
    pale = cells[cells[:, 1] <= np.percentile(cells[:, 1], PALE_SHARE)]
    blue, green, red = np.median(pale, axis=0).tolist()
    return blue, green, red


def nuclei_of(densities: NDArray[np.float32], red_cells: Density) -> Density | None:
    """Median optical density of nuclei; None where the densest pixels look like red cells.

    Args:
        densities: (N, 3), :func:`densities_of`.
        red_cells: their density, :func:`red_cells_of`.
    """
    densest = densities[densities[:, 1] >= np.percentile(densities[:, 1], NUCLEI_PERCENTILE)]
    blue, green, red = np.median(densest, axis=0).tolist()
    # A nucleus absorbs green light more than red, compared with the blue-grey red cells around it.
    is_nucleus = green >= max(DENSER * red_cells[1], 0.6) and red * red_cells[1] <= 0.95 * red_cells[2] * green
    return (blue, green, red) if is_nucleus else None
