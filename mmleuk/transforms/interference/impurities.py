"""Dirt and dye on the film.

Legend: N cells, M impurities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS
from mmleuk.synthetic.leukocytes import Patch
from mmleuk.synthetic.pen import extent
from mmleuk.transforms.interference.debris import KINDS
from mmleuk.transforms.interference.placing import covered_shares
from mmleuk.transforms.interference.scene import Interference, Scene, check_range
from mmleuk.utils.optical_density import find_dye, find_light, to_density, to_image

_TRIES = 30
_MAX_COVERS = (0.02, 0.08, 0.25)  # largest covered share of a cell's box, tried in this order
_BLUR = 0.008      # sigma as a share of a cell's diameter: as sharp as the film's own edges


@TRANSFORMS.register_module()
class Impurities(Interference):
    """Stain precipitate, dust, fibres and blots of dye, in the film's own colours.

    None of them has the body of a cell. They may lie on red cells, as on real films, but hide no cell's box by more
    than a quarter. Their boxes are handed on as ``Scene.impurities``: a detection there is a false one.

    Args:
        count: smallest and largest number.
        kinds: which of 'precipitate', 'dust', 'fibre', 'blot'.
        seed: see :class:`Interference`.

    Source: one of the factors measured by Li et al. 2022: "dye residues, cell debris, etc.", the share taken for cells.
    """

    factor = 'impurities'

    def __init__(self, *, count: tuple[int, int] = (5, 10), kinds: Sequence[str] = tuple(KINDS),
                 seed: int | None = None) -> None:
        super().__init__(seed=seed)
        least, most = check_range('Impurities', 'count', count, 1, 200)
        self.count = int(least), int(most)
        unknown = sorted(set(kinds) - set(KINDS))
        if unknown or not kinds:
            raise UserError(f'Impurities: kinds is {kinds}; known are {", ".join(KINDS)}')
        self.kinds = tuple(kinds)

    def interfere(self, scene: Scene, rng: np.random.Generator) -> Scene | None:
        """None if none fits. No cell counts as affected."""
        light = find_light(scene.image)
        density = to_density(scene.image, light)
        dye, cell_px = find_dye(density), scene.cell_px()
        boxes: list[tuple[int, int, int, int]] = []
        for _ in range(int(rng.integers(self.count[0], self.count[1] + 1))):
            kind = self.kinds[int(rng.integers(len(self.kinds)))]
            patch = KINDS[kind](dye, cell_px, rng)
            corner = _find_place(patch, scene, boxes, rng)
            if corner is not None:
                lay_on(density, patch, *corner, sigma=_BLUR * cell_px)
                x0, y0, x1, y1 = extent(patch.mask)
                boxes.append((corner[0] + x0, corner[1] + y0, corner[0] + x1, corner[1] + y1))
        if not boxes:
            return None
        return replace(scene, image=to_image(density, light), impurities=np.array(boxes, float))


def _find_place(patch: Patch, scene: Scene, taken: Sequence[tuple[int, int, int, int]],
                rng: np.random.Generator) -> tuple[int, int] | None:
    """Left and top of the patch, wholly inside the image; None if there is no room."""
    height, width = patch.alpha.shape
    free = scene.image.shape[1] - width, scene.image.shape[0] - height
    if min(free) < 0 or not patch.mask.any():
        return None
    x0, y0, x1, y1 = extent(patch.mask)
    before = np.array(taken, float).reshape(-1, 4)
    covered = sum((covered_shares(box, scene.corners) for box in before), np.zeros(len(scene.boxes)))
    for attempt in range(_TRIES):
        left, top = int(rng.integers(free[0] + 1)), int(rng.integers(free[1] + 1))
        box = np.array([left + x0, top + y0, left + x1, top + y1], float)
        most = _MAX_COVERS[attempt * len(_MAX_COVERS) // _TRIES]
        hidden = covered_shares(box, scene.corners)
        if (covered + hidden)[hidden > 0].max(initial=0) <= most and not covered_shares(box, before).any():
            return left, top
    return None


def lay_on(density: np.ndarray, patch: Patch, left: int, top: int, sigma: float) -> None:
    """Add a patch's density to the film's in place, its corner at ``left``, ``top``; BGR both."""
    height, width = patch.alpha.shape
    density[top:top + height, left:left + width] += cv2.GaussianBlur(patch.density, (0, 0), max(sigma, 0.5))
