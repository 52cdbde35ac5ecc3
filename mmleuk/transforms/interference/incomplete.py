"""Cells that the image's border cuts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS
from mmleuk.transforms.interference.scene import Interference, Scene, check_range

_CUT_BELOW = 0.75  # share left from which on a cell counts as whole
_LEAST_PX = 3
_LEAST_FIELD = 0.3  # smallest share of the image that is left


@TRANSFORMS.register_module()
class IncompleteCells(Interference):
    """Crop so that the border cuts a chosen cell; it may cut others too.

    Boxes are clipped. For cells that were cut before, shares refer to the part that was visible.

    Args:
        visible: smallest and largest share of the chosen cell's box that stays.
        min_visible: cells with a smaller share left are hard to recognise: they are dropped or ignored.
        remainder: 'ignore' marks those cells (scores don't count them), 'drop' removes them from the
            annotation. Slivers of under 3 pixels are always dropped.
        labels: classes of cells to cut; None: any.
        seed: see :class:`Interference`.

    Source: Li et al. 2022: leukocytes with "only 25-50% of the cells in a limited visible area".
    """

    factor = 'incomplete_cells'
    needs_cells = True

    def __init__(self, *, visible: tuple[float, float] = (0.25, 0.5), min_visible: float = 0.2,
                 remainder: str = 'ignore', labels: tuple[int, ...] | None = None, seed: int | None = None) -> None:
        super().__init__(seed=seed)
        self.visible = check_range('IncompleteCells', 'visible', visible, 0.05, 0.95)
        self.min_visible = min_visible
        if not 0 <= min_visible <= visible[0]:
            raise UserError(f'IncompleteCells: min_visible is {min_visible}; it lies between 0 and the least visible '
                            f'share, {visible[0]}')
        if remainder not in ('ignore', 'drop'):
            raise UserError(f"IncompleteCells: remainder is {remainder!r}; say 'ignore' or 'drop'")
        self.remainder = remainder
        self.labels = labels

    def interfere(self, scene: Scene, rng: np.random.Generator) -> Scene | None:
        """None if no cell can be cut so that enough of the image is left. Cut cells count as affected."""
        chosen = choose_window(scene, self._candidates(scene), self.visible, rng)
        return None if chosen is None else crop(scene, chosen, self.min_visible, self.remainder == 'drop')

    def _candidates(self, scene: Scene) -> np.ndarray:
        allowed = np.ones(len(scene.labels), bool) if self.labels is None else np.isin(scene.labels, self.labels)
        height, width = scene.image_hw
        inside = (scene.corners[:, :2] >= 1).all(1) & (scene.corners[:, 2:] <= (width - 1, height - 1)).all(1)
        return np.flatnonzero(allowed & inside & ~scene.ignored.astype(bool))


def choose_window(scene: Scene, cells: np.ndarray, visible: tuple[float, float],
                  rng: np.random.Generator) -> tuple[int, int, int, int] | None:
    """x0, y0, x1, y1 of the crop, whole pixels, with one of ``cells`` cut; None if there is none.

    Of the four ways to cut a cell those that leave enough of the picture are drawn with the odds of what they leave.
    """
    height, width = scene.image_hw
    for cell in rng.permutation(cells):
        x0, y0, x1, y1 = scene.corners[cell]
        share = rng.uniform(*visible)
        across, down = share * (x1 - x0), share * (y1 - y0)
        windows = np.round([(x1 - across, 0, width, height), (0, 0, x0 + across, height),
                            (0, y1 - down, width, height), (0, 0, width, y0 + down)]).astype(int)
        left = (windows[:, 2] - windows[:, 0]) * (windows[:, 3] - windows[:, 1]) / (width * height)
        odds = np.where(left >= _LEAST_FIELD, left, 0)
        if odds.sum() > 0:
            return tuple(windows[rng.choice(4, p=odds / odds.sum())].tolist())
    return None


def crop(scene: Scene, window: tuple[int, int, int, int], min_visible: float, drop: bool) -> Scene:
    """Cut the scene down to a window x0, y0, x1, y1 of whole pixels; regions move along."""
    x0, y0, x1, y1 = window
    boxes = scene.boxes.clone()
    before = boxes.areas.numpy()
    boxes.translate_((-x0, -y0))
    boxes.clip_((y1 - y0, x1 - x0))
    share = boxes.areas.numpy() / np.maximum(before, 1e-9)
    sides = (boxes.tensor[:, 2:] - boxes.tensor[:, :2]).amin(1).numpy() if len(boxes) else np.zeros(0)
    faint = share < min_visible
    impurities = np.clip(scene.impurities - (x0, y0, x0, y0), 0, (x1 - x0, y1 - y0, x1 - x0, y1 - y0))
    cut = replace(scene, image=np.ascontiguousarray(scene.image[y0:y1, x0:x1]), boxes=boxes,
                  ignored=scene.ignored.astype(bool) | faint, affected=scene.affected | ((share < _CUT_BELOW) & ~faint),
                  impurities=impurities[(impurities[:, 2:] > impurities[:, :2]).all(1)])
    untouched = torch.as_tensor(share >= 1 - 1e-9).numpy()
    return cut.keep(untouched | ((sides >= _LEAST_PX) & ~(faint & drop)))
