"""What an interference changes: an image, its cells, and the impurities that were added.

Legend: N cells, M impurities.
"""

from __future__ import annotations

import zlib
from abc import abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmleuk.errors import UserError
from mmleuk.structures import CellBoxes
from mmleuk.transforms.masks import refuse_masks

NO_BOXES = np.zeros((0, 4))


@dataclass(frozen=True)
class Scene:
    """An image and its cells; all arrays with N rows belong together.

    Args:
        image: (H, W, 3) uint8 BGR.
        boxes: N cells with attributes, and the image's annotated regions.
        labels: (N,) classes.
        ignored: (N,) bool: not used in training or scores.
        affected: (N,) bool: which cells the interference concerns (overlaps, cuts).
        impurities: (M, 4) xyxy pixels, added artefacts that are not cells.
    """

    image: np.ndarray
    boxes: CellBoxes
    labels: np.ndarray
    ignored: np.ndarray
    affected: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    impurities: np.ndarray = field(default_factory=lambda: NO_BOXES)

    def __post_init__(self) -> None:
        if not len(self.affected):
            object.__setattr__(self, 'affected', np.zeros(len(self.boxes), bool))

    @property
    def corners(self) -> np.ndarray:
        """(N, 4) xyxy pixels."""
        return self.boxes.tensor.double().numpy()

    @property
    def image_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.shape[0], self.image.shape[1]

    def cell_px(self) -> float:
        """Diameter of a typical cell here: median of the boxes' sides, or a tenth of the image without cells.

        A cut cell says little of its size, but half of an image's cells are seldom cut.
        """
        if not len(self.boxes):
            return min(self.image_hw) / 10
        sides = self.corners[:, 2:] - self.corners[:, :2]
        return float(np.median(np.sqrt(np.clip(sides.prod(1), 1, None))))

    def keep(self, cells: np.ndarray) -> Scene:
        """The scene with only the cells of a mask (N,) bool."""
        return replace(self, boxes=self.boxes[torch.from_numpy(cells)], labels=self.labels[cells],
                       ignored=self.ignored[cells], affected=self.affected[cells])


class Interference(BaseTransform):
    """Makes one condition that disturbs detection. A subclass gives ``factor`` and ``interfere``.

    In a pipeline it follows the loading of the image and, if ``needs_cells``, of the annotations, before resizing.

    Args:
        seed: the picture's name and this number decide what happens, so that a test set is the same every time, and the
            same as in the copies of ``mmleuk data interfere``. The name is ``file_name`` as the annotation file has it,
            which :class:`mmleuk.CellDataset` gives; with other data sets the file's name without folders.
            None: another draw each time, from numpy's global generator.
    """

    factor: str
    needs_cells = False

    def __init__(self, *, seed: int | None = None) -> None:
        self.seed = seed

    @abstractmethod
    def interfere(self, scene: Scene, rng: np.random.Generator) -> Scene | None:
        """The changed scene with new arrays; None if this image can't show the condition."""

    @cache_randomness
    def _draw(self) -> int:
        return int(np.random.randint(2 ** 31))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img``, its shapes and the cells; an image that can't show the condition stays unchanged."""
        scene = self._scene(results)
        if self.seed is None:
            rng = np.random.default_rng(self._draw())
        else:
            rng = make_rng(self.seed, self.factor, _name_of(results))
        changed = self.interfere(scene, rng)
        if changed is None:
            return results
        results.update(img=changed.image, img_shape=changed.image_hw, ori_shape=changed.image_hw)
        if 'gt_bboxes' in results:
            if changed.boxes is not scene.boxes:
                refuse_masks(results, type(self).__name__)
            results.update(gt_bboxes=changed.boxes, gt_bboxes_labels=changed.labels, gt_ignore_flags=changed.ignored)
        return results

    def _scene(self, results: dict[str, Any]) -> Scene:
        image, name = results['img'], type(self).__name__
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise UserError(f'{name} needs a (H, W, 3) uint8 image, got {image.shape} {image.dtype}; put it right '
                            'after mmleuk.LoadImage')
        boxes = results.get('gt_bboxes')
        if boxes is None and not self.needs_cells:
            return Scene(image, CellBoxes(np.zeros((0, 4))), np.zeros(0, np.int64), np.zeros(0, bool))
        if not isinstance(boxes, CellBoxes):
            raise UserError(f'{name} moves cells: put mmleuk.LoadCellAnnotations before it, and both before resizing')
        labels = results['gt_bboxes_labels']
        return Scene(image, boxes, labels, results.get('gt_ignore_flags', np.zeros(len(labels), bool)))

    def __repr__(self) -> str:
        values = ', '.join(f'{key}={value!r}' for key, value in vars(self).items())
        return f'{type(self).__name__}({values})'


def _name_of(results: dict[str, Any]) -> bytes:
    """The image's name, independent of the data's folder: ``file_name`` as in the annotation file."""
    path = results.get('img_path')
    name = results.get('file_name') or (Path(path).name if path else None)
    return name.encode() if name else results['img'].tobytes()


def make_rng(seed: int, factor: str, name: bytes) -> np.random.Generator:
    """A random generator for one image and factor; other images and factors don't change it."""
    return np.random.default_rng([seed, zlib.crc32(factor.encode()), zlib.crc32(name)])


def check_range(owner: str, name: str, given: tuple[float, float], low: float, high: float) -> tuple[float, float]:
    """A pair (smallest, largest) within ``low`` to ``high``; UserError for anything else."""
    if len(given) != 2 or not low <= given[0] <= given[1] <= high:
        raise UserError(f'{owner}: {name} is {given}; it needs (least, most) within {low:g} and {high:g}')
    return float(given[0]), float(given[1])
