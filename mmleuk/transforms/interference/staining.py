"""Over-staining and pale staining."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mmleuk.registry import TRANSFORMS
from mmleuk.transforms.interference.scene import Interference, Scene, check_range
from mmleuk.utils.optical_density import find_dye, find_light, saturate, to_density, to_image

_DARKEST = 1.9  # mean density at which a nucleus shows no chromatin any more


@TRANSFORMS.register_module()
class OverStaining(Interference):
    """Too much dye: all is darker and bluer, chromatin is hidden, and a veil of dye covers the background.

    Density is multiplied, its colour is moved towards that of the nuclei, and it saturates.

    Args:
        gain: smallest and largest factor of the density.
        veil: smallest and largest density of the veil.
        seed: see :class:`Interference`.

    Source: one of the factors measured by Li et al. 2022 (447 over-stained test images); how they look follows the
        text's figure captions (heavily stained, stain outside the usual pH).
    """

    factor = 'over_staining'

    def __init__(self, *, gain: tuple[float, float] = (1.8, 2.6), veil: tuple[float, float] = (0.04, 0.12),
                 seed: int | None = None) -> None:
        super().__init__(seed=seed)
        self.gain = check_range('OverStaining', 'gain', gain, 1, 5)
        self.veil = check_range('OverStaining', 'veil', veil, 0, 1)

    def interfere(self, scene: Scene, rng: np.random.Generator) -> Scene:
        """Every cell counts as affected."""
        gain, veil = rng.uniform(*self.gain), rng.uniform(*self.veil)
        light = find_light(scene.image)
        density = to_density(scene.image, light)
        dye = find_dye(density)
        amount = np.maximum(density, 0).mean(-1, keepdims=True)
        stronger = density + (gain - 1) * (0.6 * np.maximum(density, 0) + 0.4 * amount * dye) + veil * dye
        return replace(scene, image=to_image(saturate(stronger, _DARKEST), light),
                       affected=np.ones(len(scene.boxes), bool))


@TRANSFORMS.register_module()
class PaleStaining(Interference):
    """Too little dye: all densities are multiplied by a share below 1, so cells fade into the background.

    Args:
        share: smallest and largest share of the density that is left.
        seed: see :class:`Interference`.
    """

    factor = 'pale_staining'

    def __init__(self, *, share: tuple[float, float] = (0.35, 0.55), seed: int | None = None) -> None:
        super().__init__(seed=seed)
        self.share = check_range('PaleStaining', 'share', share, 0.05, 1)

    def interfere(self, scene: Scene, rng: np.random.Generator) -> Scene:
        """Every cell counts as affected."""
        light = find_light(scene.image)
        density = to_density(scene.image, light)
        # values brighter than the light come from the camera, not from dye
        paler = np.where(density > 0, rng.uniform(*self.share) * density, density)
        return replace(scene, image=to_image(paler, light), affected=np.ones(len(scene.boxes), bool))
