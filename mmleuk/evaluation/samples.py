"""Read a tested sample, as mmengine passes it to metrics: its detections, its cells, and the matches between them.

Legend: P detections, G cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mmleuk.errors import UserError
from mmleuk.structures import ground_truth
from mmleuk.structures.matching import match, pairwise_iou


def as_array(value: Any) -> NDArray:
    """A tensor or list as an array."""
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def field_rows(instances: Mapping[str, Any], key: str, width: int | None = None) -> NDArray:
    """A field of instances, or no rows where it is missing."""
    if key not in instances:
        return np.zeros((0, width) if width else 0)
    return as_array(getattr(instances[key], 'tensor', instances[key]))


def sample_name(sample: Mapping[str, Any]) -> str:
    """The image's path, for messages."""
    return str(sample.get('img_path', f'image {sample.get("img_id", "without a name")}'))


def refuse_moved_cells(sample: Mapping[str, Any]) -> None:
    """Check that a sample's cells are in pixels of the original image, like its detections.

    Raises:
        UserError: they were scaled or flipped with the image.
    """
    if sample.get('cells_moved', sample.get('flip')):
        raise UserError(f'{sample_name(sample)}: its cells were scaled or flipped with the image, but detections are '
                        "in the original image's pixels. Load the cells after Resize and RandomFlip: end the test "
                        'pipeline, and that of tta_pipeline, with mmleuk.LoadCellAnnotations and mmleuk.PackCells')


def confident_detections(instances: Mapping[str, Any], keys: Sequence[str], min_score: float) -> dict[str, NDArray]:
    """Fields of the detections of at least ``min_score``, best first; ``scores`` must be among the fields."""
    arrays = {key: as_array(instances[key]) for key in keys}
    order = np.argsort(-arrays['scores'], kind='stable')
    order = order[arrays['scores'][order] >= min_score]
    return {key: array[order] for key, array in arrays.items()}


def match_sample(found: Mapping[str, NDArray], sample: Mapping[str, Any], min_iou: float,
                 class_aware: bool) -> tuple[NDArray, NDArray[np.bool_]]:
    """Match a sample's detections to its cells.

    Args:
        found: of :func:`confident_detections`, with ``bboxes``, ``scores`` and ``labels``.
        sample: with ``gt_instances``, and ``ignored_instances`` where there are some.
        min_iou: smallest IoU of a match.
        class_aware: match only detections of the cell's class.

    Returns:
        (P,) of :func:`mmleuk.structures.matching.match`, and (G,) which cells are ignored. Ignored cells come last.

    Raises:
        UserError: as :func:`refuse_moved_cells`.
    """
    refuse_moved_cells(sample)
    parts = [sample['gt_instances'], sample.get('ignored_instances', {})]
    true, extra = (field_rows(part, 'bboxes', 4) for part in parts)
    ignored = np.arange(len(true) + len(extra)) >= len(true)
    allowed = None
    if class_aware:
        allowed = found['labels'][:, None] == np.concatenate([field_rows(part, 'labels') for part in parts])
    iou = pairwise_iou(found['bboxes'], np.concatenate([true, extra]), ignored)
    return match(iou, found['scores'], min_iou=min_iou, ignored=ignored, allowed=allowed), ignored


def regions_of(sample: Mapping[str, Any]) -> Any:
    """(R, 4) xyxy pixels in which the sample's annotation is complete.

    Raises:
        UserError: the sample has no regions; they are never guessed.
    """
    if 'annotated_regions' not in sample:
        raise UserError(f'{sample_name(sample)}: carries no annotated_regions; end the test pipeline with '
                        'mmleuk.LoadCellAnnotations and mmleuk.PackCells')
    return sample['annotated_regions']


def in_regions(boxes_xyxy: NDArray, sample: Mapping[str, Any]) -> NDArray[np.bool_]:
    """(P,) bool, true where the annotation is complete at the box's centre."""
    return ground_truth.in_regions((boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2, as_array(regions_of(sample)))
