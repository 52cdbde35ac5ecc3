"""Cells over cells.

Legend: N cells, D donors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from mmleuk.registry import TRANSFORMS
from mmleuk.structures import CellBoxes, points_in_regions
from mmleuk.transforms.interference.placing import box_ious, covered_shares, place_beside
from mmleuk.transforms.interference.scene import Interference, Scene, check_range
from mmleuk.utils.optical_density import find_light, mean_stain, to_density, to_image

_HIDING = 0.75   # largest share of the density below that a dark donor hides
_OPAQUE = 0.45   # mean density at which a donor hides that much
_TRIES = 60
_MAX_COVER = 0.6  # of any cell that isn't the one to be overlapped
_MARGIN = 0.01  # share of the picture's shorter side: nearer to the border a cell may be cut
_LEAST_PX = 6
_SIZES = (0.6, 1.6)  # donor's diameter over the cell's


@dataclass(frozen=True)
class Donor:
    """A cell cut out: its (h, w, 3) density above the background, its image's mean stain, its class and attributes."""

    density: np.ndarray
    stain: np.ndarray
    label: int
    attributes: np.ndarray


def cut_donors(scene: Scene, labels: Sequence[int] | None = None) -> list[Donor]:
    """The scene's whole cells as donors, without ignored ones, those at the border and other classes."""
    light = find_light(scene.image)
    density = to_density(scene.image, light)
    stain = mean_stain(density)
    donors = []
    for index in whole_cells(scene, labels):
        x0, y0, x1, y1 = np.round(scene.corners[index]).astype(int).tolist()
        if min(x1 - x0, y1 - y0) >= _LEAST_PX:
            donors.append(Donor(density[y0:y1, x0:x1], stain, int(scene.labels[index]),
                                scene.boxes.attributes[index].numpy()))
    return donors


def whole_cells(scene: Scene, labels: Sequence[int] | None) -> np.ndarray:
    """Indices of the cells of these classes (None: any) that are not ignored and not near the border."""
    allowed = np.ones(len(scene.labels), bool) if labels is None else np.isin(scene.labels, labels)
    height, width = scene.image_hw
    margin = _MARGIN * min(height, width)
    inside = (scene.corners[:, :2] >= margin).all(1)
    inside &= (scene.corners[:, 2:] <= (width - margin, height - margin)).all(1)
    return np.flatnonzero(allowed & inside & ~scene.ignored.astype(bool))


def soft_ellipse(height: int, width: int) -> np.ndarray:
    """(h, w) float32: 1 inside the ellipse that fills the box, falling to 0 at its edge."""
    y, x = (np.arange(height) + 0.5) / height * 2 - 1, (np.arange(width) + 0.5) / width * 2 - 1
    radius = np.hypot(y[:, None], x[None])
    return np.clip((1.02 - radius) / 0.12, 0, 1).astype(np.float32)


def turn(donor: Donor, rng: np.random.Generator) -> np.ndarray:
    """The donor's density in one of eight positions; its box stays tight."""
    turned = np.rot90(donor.density, int(rng.integers(4)))
    return turned[:, ::-1] if rng.uniform() < 0.5 else turned


def lay_over(density: np.ndarray, donor: np.ndarray, left: int, top: int) -> np.ndarray:
    """A copy of the image's density with the donor's added; a dark donor hides what lies below it."""
    height, width = donor.shape[:2]
    shown = np.maximum(donor, 0) * soft_ellipse(height, width)[..., None]
    hiding = _HIDING * np.clip(shown.mean(-1, keepdims=True) / _OPAQUE, 0, 1)
    hiding = cv2.GaussianBlur(hiding, (0, 0), max(0.01 * max(height, width), 0.5)).reshape(height, width, 1)
    mixed = density.copy()
    window = np.s_[top:top + height, left:left + width]
    mixed[window] = density[window] * (1 - hiding) + shown
    return mixed


@TRANSFORMS.register_module()
class OverlappingCells(Interference):
    """Place copies of cells over other cells, each with its own box, class and attributes.

    A donor is another annotated cell (of ``donors``, or of the same picture), turned, its stain matched to that of the
    picture. It is put beside a cell so that their boxes overlap by an IoU in ``iou``, inside the picture and, where the
    annotation is sparse, with its centre in an annotated region; no other cell is hidden by more than 60%.

    Args:
        iou: smallest and largest IoU of the two boxes.
        share: share of the cells that get another over them; at least one does.
        labels: classes that overlap and get overlapped; None: any.
        seed: see :class:`Interference`.

    Source: one of the factors measured by Li et al. 2022.
    """

    factor = 'overlapping_cells'
    needs_cells = True

    def __init__(self, *, iou: tuple[float, float] = (0.08, 0.3), share: float = 0.3,
                 labels: tuple[int, ...] | None = None, seed: int | None = None) -> None:
        super().__init__(seed=seed)
        self.iou = check_range('OverlappingCells', 'iou', iou, 0.01, 0.8)
        self.share = check_range('OverlappingCells', 'share', (share, share), 0, 1)[0]
        self.labels = labels

    def interfere(self, scene: Scene, rng: np.random.Generator, donors: Sequence[Donor] = ()) -> Scene | None:
        """None if no cell can be placed over another. Both cells of a pair count as affected."""
        donors = donors or cut_donors(scene, self.labels)
        whole = whole_cells(scene, self.labels)
        targets = whole[points_in_regions(scene.boxes.centers[whole], scene.boxes.regions).numpy()]
        if not donors or not len(targets):
            return None
        light = find_light(scene.image)
        density = to_density(scene.image, light)
        stain = mean_stain(density)
        wanted, laid, changed = max(1, round(self.share * len(targets))), 0, scene
        for target in rng.permutation(targets):
            donor = donors[int(rng.integers(len(donors)))]
            pixels = turn(donor, rng) * np.clip(stain / donor.stain, 0.6, 1.6).astype(np.float32)
            corner = self._find_place(changed, int(target), pixels.shape, rng)
            if corner is None:
                continue
            density = lay_over(density, pixels, *corner)
            changed = _add_cell(changed, int(target), donor, (*corner, corner[0] + pixels.shape[1],
                                                              corner[1] + pixels.shape[0]))
            laid += 1
            if laid == wanted:
                break
        return replace(changed, image=to_image(density, light)) if laid else None

    def _find_place(self, scene: Scene, target: int, shape: tuple[int, ...],
                    rng: np.random.Generator) -> tuple[int, int] | None:
        """Left and top of a donor of ``shape``; None if it fits nowhere."""
        height, width = shape[:2]
        cell = scene.corners[target]
        ratio = np.sqrt(width * height / ((cell[2:] - cell[:2]).prod()))
        if not _SIZES[0] <= ratio <= _SIZES[1]:
            return None
        others = np.delete(scene.corners, target, 0)
        for _ in range(_TRIES):
            corner = place_beside(cell, (width, height), rng.uniform(*self.iou), rng.uniform(0, 2 * np.pi))
            if corner is not None and self._fits(scene, cell, others, (*corner, corner[0] + width, corner[1] + height)):
                return corner
        return None

    def _fits(self, scene: Scene, cell: np.ndarray, others: np.ndarray, box: tuple[int, int, int, int]) -> bool:
        height, width = scene.image_hw
        if box[0] < 0 or box[1] < 0 or box[2] > width or box[3] > height:
            return False
        centre = torch.tensor([[(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]])
        placed = np.array(box, float)
        iou = box_ious(placed, cell[None])[0]
        hidden = covered_shares(placed, others)
        return bool(self.iou[0] <= iou <= self.iou[1] and points_in_regions(centre, scene.boxes.regions)[0]
                    and (hidden <= _MAX_COVER).all() and (box_ious(placed, others) <= self.iou[1]).all())


def _add_cell(scene: Scene, target: int, donor: Donor, box: tuple[int, int, int, int]) -> Scene:
    new = CellBoxes(scene.boxes.tensor.new_tensor([box]), attributes=donor.attributes[None])
    affected = scene.affected.copy()
    affected[target] = True
    return replace(scene, boxes=CellBoxes.cat([scene.boxes, new]), affected=np.append(affected, True),
                   labels=np.append(scene.labels, donor.label).astype(scene.labels.dtype),
                   ignored=np.append(scene.ignored, False).astype(scene.ignored.dtype))
