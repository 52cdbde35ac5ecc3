"""Cells and annotated regions of one image, in the pixels of another one.

Legend: N boxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from mmleuk.errors import UserError
from mmleuk.structures.ground_truth import ImageTruth
from mmleuk.structures.inscribed import project_regions
from mmleuk.transfer.registration import Homography, project_points, warp

_DECIMALS = 2  # of pixels in files
_OF_THE_PICTURE = ('domain', 'factors')
"""Keys of an image that describe how it was taken: they don't hold for the other microscope's image."""


@dataclass(frozen=True)
class Carried:
    """An image's annotation in another image.

    Args:
        image: entry of the COCO JSON, without ``id``.
        annotations: its cells, without ``id`` and ``image_id``.
        dropped: number of cells that lie outside the other image, or in it by too small a part.
    """

    image: dict[str, Any]
    annotations: tuple[dict[str, Any], ...]
    dropped: int


def carry_boxes(boxes_xyxy: NDArray[np.float64], homography: Homography) -> NDArray[np.float64]:
    """Boxes around what the ellipses inside the boxes become, (N, 4) pixels, not cut.

    Cells are round: a box's corners are empty. The hull of the moved corners would grow by 1.41 under a turn of 45
    degrees; this stays as large as the cell.

    Args:
        boxes_xyxy: (N, 4) pixels of the source.
        homography: (3, 3), maps the source to the target; all boxes lie before the camera.

    Example:
        >>> turn = np.sqrt(0.5) * np.array([[1., -1., 0.], [1., 1., 0.], [0., 0., 2 ** 0.5]])
        >>> carry_boxes(np.array([[-10., -10., 10., 10.]]), turn).round(6).tolist()
        [[-10.0, -10.0, 10.0, 10.0]]
    """
    boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    centres, halves = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    place = np.tile(np.eye(3), (len(boxes), 1, 1))
    place[:, :2, 2] = centres
    moved = homography @ place
    # The dual conic of an ellipse; a line x = t touches it where t is a root of D22 t^2 - 2 D02 t + D00.
    squares = np.column_stack([halves ** 2, -np.ones(len(boxes))])
    dual = moved @ (squares[:, :, None] * moved.transpose(0, 2, 1))
    last = dual[:, 2, 2]
    low_high = []
    for axis in (0, 1):
        middle = dual[:, axis, 2] / last
        half = np.sqrt(np.maximum(middle ** 2 - dual[:, axis, axis] / last, 0))
        low_high.append((middle - half, middle + half))
    (x1, x2), (y1, y2) = low_high
    return np.column_stack([x1, y1, x2, y2])


def cut(boxes_xyxy: NDArray[np.float64], size_wh: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Boxes (N, 4) cut at an image's border, and the share of each box's area that is left (N,).

    >>> [part.tolist() for part in cut(np.array([[-5., 0., 5., 10.]]), (100, 100))]
    [[[0.0, 0.0, 5.0, 10.0]], [0.5]]
    """
    inside = np.clip(boxes_xyxy, 0, np.tile(size_wh, 2))
    area = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(1)
    left = (inside[:, 2:] - inside[:, :2]).prod(1)
    return inside, np.divide(left, area, out=np.zeros_like(area), where=area > 0)


def carry_image(image: ImageTruth, entry: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]],
                homography: Homography, target_name: str, target_wh: tuple[int, int], *,
                min_visible: float = 0.5) -> Carried:
    """An image's annotation in the pixels of ``target_name``; types, attributes and all other keys stay.

    ``annotated_region`` becomes the part of the target that the source knows. Boxes are cut at the target's border. A
    crowd stays as soon as a part of it is visible: nothing in it is known to be background.

    Args:
        image: checked record of the source's image.
        entry: the same image as it stands in the file.
        annotations: its annotations as they stand in the file, in the order of ``image.cells``.
        homography: (3, 3), maps the source to the target, pixels.
        target_name: file name of the target.
        target_wh: its width and height.
        min_visible: share of its area, above 0 to 1, by which a cell must lie in the target.

    Raises:
        UserError: an annotation has keypoints, which can't be carried.
    """
    boxes = carry_boxes(image.boxes_xyxy, homography)
    inside, visible = cut(boxes, target_wh)
    kept = np.where(image.ignored, visible > 0, visible >= min_visible)
    kept &= np.array([min(_xywh(box)[2:]) > 0 for box in inside], bool)  # a sliver of a crowd may have no width
    moved = [_carry_annotation(annotation, image, target_wh, homography, box)
             for annotation, box, keep in zip(annotations, inside, kept, strict=True) if keep]
    plain = {key: value for key, value in entry.items() if key not in ('id', *_OF_THE_PICTURE)}
    stated = dict(file_name=target_name, width=target_wh[0], height=target_wh[1],
                  annotated_region=carry_regions(image, homography, target_wh), carried_from=image.file_name)
    return Carried(plain | stated, tuple(moved), int((~kept).sum()))


def carry_regions(image: ImageTruth, homography: Homography, target_wh: tuple[int, int]) -> list[list[float]]:
    """The source's known regions in the target, each [x, y, w, h] inside it; [] where nothing is known."""
    regions = torch.tensor(image.known_regions, dtype=torch.float64).reshape(-1, 4)
    moved, _ = cut(project_regions(regions, homography).numpy(), target_wh)
    return [_xywh(box) for box in moved if (box[2:] - box[:2] >= 1).all()]


def _carry_annotation(annotation: Mapping[str, Any], image: ImageTruth, target_wh: tuple[int, int],
                      homography: Homography, box: NDArray[np.float64]) -> dict[str, Any]:
    plain = {key: value for key, value in annotation.items() if key not in ('id', 'image_id')}
    plain |= dict(bbox=_xywh(box), carried_from=annotation['id'])
    if 'area' in plain:  # keep what share of its box the cell fills
        old = np.prod(annotation['bbox'][2:])
        plain['area'] = round(float(annotation['area'] / old * np.prod(plain['bbox'][2:])), _DECIMALS)
    if plain.get('segmentation'):
        plain['segmentation'] = _carry_mask(plain['segmentation'], image.size_hw, homography, target_wh)
    if 'keypoints' in plain:
        raise UserError(f'image {image.file_name}: annotation {annotation["id"]}: has keypoints, which are not '
                        'carried; remove them from the file')
    return plain


def _carry_mask(mask: Any, size_hw: tuple[int, int], homography: Homography, target_wh: tuple[int, int]) -> Any:
    """Polygons point by point; a run-length encoding as a warped mask, compressed."""
    if isinstance(mask, list):
        return [project_points(np.reshape(polygon, (-1, 2)), homography).round(_DECIMALS).flatten().tolist()
                for polygon in mask]
    encoded = coco_mask.frPyObjects(mask, *size_hw) if isinstance(mask['counts'], list) else mask
    warped = warp(coco_mask.decode(encoded), homography, target_wh, cv2.INTER_NEAREST)
    packed = coco_mask.encode(np.asfortranarray(warped))
    return dict(size=packed['size'], counts=packed['counts'].decode('ascii'))


def _xywh(box: NDArray[np.float64]) -> list[float]:
    x1, y1, x2, y2 = np.round(box, _DECIMALS).tolist()
    return [x1, y1, round(x2 - x1, _DECIMALS), round(y2 - y1, _DECIMALS)]
