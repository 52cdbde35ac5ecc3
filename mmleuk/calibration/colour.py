"""Colours of a film that lie outside of those in training, changed to those in training.

Most of a film that isn't glass is red cells. So the median optical density of what isn't glass tells how strongly the
film is stained. Optical density is -ln(light / light through glass); a gain of it per channel changes stain and light,
and leaves glass as it is. Legend: channels are BGR, as cv2 reads.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mmleuk.transforms.interference.density import to_density

Density = tuple[float, float, float]
GLASS_PERCENTILE = 90
GLASS_DENSITY = 0.12
"""Green light through less dense pixels is taken for glass."""
PALE_SHARE = 60
"""Percentile of green density up to which the other pixels count: the darkest ones are nuclei."""
GAINS = 0.3, 2.0
"""Bounds of the gain: a stronger one would amplify noise, or erase nuclei."""
EVERY = 4
"""Rows and columns are looked at in steps of this many pixels."""


@dataclass(frozen=True)
class TrainingColours:
    """Films as a network saw them in training.

    Args:
        largest_red: largest ratio of red to green density; up to it a film keeps its colours. Red cells are pink in
            training; on some films they are blue-grey, as nuclei are in training.
        density: what other films are changed to.
        glass: colour of glass after the change, 0 to 255.
    """

    largest_red: float
    density: Density
    glass: Density

    def fits(self, density: Density) -> bool:
        """Whether a film looks as in training."""
        return density[2] <= self.largest_red * density[1]

    def table(self, density: Density, glass: NDArray) -> NDArray[np.uint8]:
        """The new value of every value and channel, (1, 256, 3), for :func:`cv2.LUT`.

        Args:
            density: of the film.
            glass: (3,) of the image.
        """
        gains = np.clip(np.array(self.density) / np.maximum(density, 1e-3), *GAINS)
        light = np.clip(np.arange(256)[:, None] / glass, 1e-2, 1.2)
        return np.clip(light ** gains * np.array(self.glass), 0, 255).round().astype(np.uint8)[None]

    def change(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image (H, W, 3) with colours as in training; itself where they are so already."""
        glass = glass_of(image)
        density = density_of(image, glass)
        if density is None or self.fits(density):
            return image
        return np.asarray(cv2.LUT(image, self.table(density, glass)), np.uint8)


def glass_of(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Colour (3,) of the glass: brighter than nine of ten pixels, by channel."""
    return np.maximum(np.percentile(image[::EVERY, ::EVERY].reshape(-1, 3), GLASS_PERCENTILE, axis=0), 1)


def density_of(image: NDArray[np.uint8], glass: NDArray) -> Density | None:
    """Median optical density of the paler part of what isn't glass; None where nearly all is glass.

    Args:
        image: (H, W, 3).
        glass: (3,) colour of its glass.
    """
    densities = to_density(image[::EVERY, ::EVERY], glass).reshape(-1, 3)
    cells = densities[densities[:, 1] > GLASS_DENSITY]
    if len(cells) < len(densities) / 100:
        return None
    pale = cells[cells[:, 1] <= np.percentile(cells[:, 1], PALE_SHARE)]
    blue, green, red = np.median(pale, axis=0).tolist()
    return blue, green, red
