"""Colours of another microscope's films, as those of training."""

from __future__ import annotations

from typing import Any

from mmcv.transforms import BaseTransform

from mmleuk.calibration.colour import Density, TrainingColours
from mmleuk.registry import TRANSFORMS
from mmleuk.transforms.color import checked_image


@TRANSFORMS.register_module()
class FilmColours(BaseTransform):
    """Red cells and nuclei get the colours that they have in training, by one linear map of optical density.

    Args:
        red_cells, nuclei: optical density in training, BGR.
        glass: colour of glass in training, BGR, 0 to 255.
        largest_red: films whose red cells have no larger ratio of red to green density keep their colours.

    Raises:
        UserError: the image isn't (H, W, 3) uint8.

    Example::

        dict(type='mmleuk.FilmColours', red_cells=(0.22, 0.35, 0.16), nuclei=(0.41, 2.43, 1.35), glass=(203, 228, 255))
    """

    def __init__(self, *, red_cells: Density, nuclei: Density, glass: Density, largest_red: float = 0.0) -> None:
        self.colours = TrainingColours(largest_red, red_cells, nuclei, glass)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img`` (BGR)."""
        results['img'] = self.colours.change(checked_image(results, 'FilmColours'))
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.colours})'
