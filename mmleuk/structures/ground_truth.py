"""What is known about images: their cells, the cells to ignore, and the regions in which the annotation is complete.

:mod:`mmleuk.datasets.annotations` reads it from files; training, metrics, evaluation, ensembles and reports use it.

An image without stated regions is known everywhere. In a file or data set with partly annotated images every image must
state its regions; the reader refuses one that doesn't.

Legend: I images, G cells of all images, N cells of one image, A attributes, K classes, P points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

RecordId = int | str
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class TrueCell:
    """One annotated cell.

    Args:
        annotation_id: as in the file.
        label: index of the class.
        box_xyxy: pixels, cut at the image's border.
        attributes: A integers, IGNORE where unknown.
        ignore: ``iscrowd`` or ``ignore`` of the file. Such a cell is not counted as found or missed, and a
            detection on it is neither right nor wrong.
        box_xywh: pixels, exactly as in the file.
        area: square pixels, as in the file, else width times height; COCO's size ranges use it.
    """

    annotation_id: RecordId
    label: int
    box_xyxy: Box
    attributes: tuple[int, ...]
    ignore: bool
    box_xywh: Box
    area: float


@dataclass(frozen=True)
class ImageTruth:
    """One image; ``regions_xyxy`` None if the file has no regions, () if nothing is known."""

    image_id: RecordId
    file_name: str
    width: int
    height: int
    regions_xyxy: tuple[Box, ...] | None = None
    domain: str | None = None
    factors: object = None
    patient: str | None = None
    diagnosis: str | None = None
    cells: tuple[TrueCell, ...] = ()

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    @property
    def known_regions(self) -> tuple[Box, ...]:
        """Rectangles in which every cell is annotated: the stated ones, or the whole image."""
        return self._whole if self.regions_xyxy is None else self.regions_xyxy

    @property
    def is_known_everywhere(self) -> bool:
        """Whether a known region covers the whole image."""
        return self._whole[0] in self.known_regions

    @property
    def _whole(self) -> tuple[Box, ...]:
        return ((0.0, 0.0, float(self.width), float(self.height)),)

    @property
    def boxes_xyxy(self) -> NDArray[np.float64]:
        """(N, 4) pixels, cut at the image's border."""
        return np.array([cell.box_xyxy for cell in self.cells], np.float64).reshape(-1, 4)

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) indices of classes."""
        return np.array([cell.label for cell in self.cells], np.int64)

    @property
    def ignored(self) -> NDArray[np.bool_]:
        """(N,) cells that are left out of scores."""
        return np.array([cell.ignore for cell in self.cells], bool)


@dataclass(frozen=True)
class GroundTruth:
    """The cells of all images, ordered by image, then as in the file.

    Args:
        source: the file's path, for messages.
        classes: K names: the file's categories by id, then classes that only the detections have.
        category_ids: id of each category of the file; shorter than ``classes`` if classes were added.
        images: I images by id, the order in which pycocotools takes them.
    """

    source: str
    classes: tuple[str, ...]
    category_ids: tuple[RecordId, ...]
    images: tuple[ImageTruth, ...]

    def with_classes(self, names: Sequence[str]) -> GroundTruth:
        """The same cells, with classes added that no cell of the file has."""
        return replace(self, classes=self.classes + tuple(dict.fromkeys(n for n in names if n not in self.classes)))

    @cached_property
    def image_of(self) -> NDArray[np.int64]:
        """(G,) index of each cell's image."""
        return np.repeat(np.arange(len(self.images)), [len(image.cells) for image in self.images])

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """(G,) indices of classes."""
        return np.array([cell.label for image in self.images for cell in image.cells], np.int64)

    @cached_property
    def boxes_xywh(self) -> NDArray[np.float64]:
        """(G, 4) pixels, exactly as in the file, so that scores equal pycocotools'."""
        return np.array([cell.box_xywh for image in self.images for cell in image.cells], np.float64).reshape(-1, 4)

    @cached_property
    def areas(self) -> NDArray[np.float64]:
        """(G,) square pixels."""
        return np.array([cell.area for image in self.images for cell in image.cells], np.float64)

    @cached_property
    def ignored(self) -> NDArray[np.bool_]:
        """(G,) cells that are left out of scores."""
        return np.array([cell.ignore for image in self.images for cell in image.cells], bool)

    def is_known_at(self, image_of: NDArray, boxes_xywh: NDArray) -> NDArray[np.bool_]:
        """(P,) whether the annotation is complete at the centre of each box (P, 4) of the images (P,)."""
        known = np.ones(len(image_of), bool)
        for index, image in enumerate(self.images):
            if not image.is_known_everywhere:
                own = np.flatnonzero(image_of == index)
                known[own] = in_regions(boxes_xywh[own, :2] + boxes_xywh[own, 2:] / 2, image.known_regions)
        return known


def in_regions(points_xy: NDArray, regions_xyxy: Sequence[Sequence[float]] | NDArray) -> NDArray[np.bool_]:
    """Which of (P, 2) points lie in a region, borders included; (P,) bool. All False without regions.

    >>> in_regions(np.array([[1., 1.], [2., 2.], [5., 5.]]), [(0, 0, 2, 2)]).tolist()
    [True, True, False]
    """
    regions = np.asarray(regions_xyxy, np.float64).reshape(-1, 1, 4)
    inside = (points_xy >= regions[..., :2]) & (points_xy <= regions[..., 2:])
    return np.asarray(inside.all(2).any(0), bool)
