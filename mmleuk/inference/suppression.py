"""From a detector's many locations to detections, in NumPy: for exported files whose graph leaves it out.

Legend: P locations, C classes, N detections of one image.
"""

from __future__ import annotations

import numpy as np

from mmleuk.inference.facts import Suppression
from mmleuk.structures.overlaps import suppress_overlaps


def suppress(boxes: np.ndarray, probs: np.ndarray, picture_hw: tuple[int, int], rules: Suppression,
             score_thr: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Detections of one image.

    Args:
        boxes: (P, 4) float32 xyxy, pixels of the input.
        probs: (P, 1 + C) float32, objectness, then classes.
        picture_hw: boxes end at its border.
        rules: of the suppression.
        score_thr: locations need a higher score.

    Returns:
        Boxes (N, 4), scores (N,), labels (N,) int64 and class probabilities (N, C), the highest score first.
    """
    likely = np.flatnonzero(probs[:, 0] > score_thr)  # a score is at most its objectness
    limits = np.array([picture_hw[1], picture_hw[0]] * 2, np.float32)
    boxes, classes = boxes[likely], probs[likely, 1:]
    if rules.clip_first:
        boxes = boxes.clip(0, limits)
        shown = (boxes[:, 2:] > boxes[:, :2]).all(1)
        boxes, classes, likely = boxes[shown], classes[shown], likely[shown]
    scores = probs[likely, :1] * classes
    if not rules.multi_label:
        scores = np.where(np.arange(scores.shape[1]) == scores.argmax(1)[:, None], scores, 0)
    locations, labels = np.nonzero(scores > score_thr)
    scores = scores[locations, labels]
    best = np.argsort(-scores, kind='stable')[:rules.nms_pre]
    locations, labels, scores = locations[best], labels[best], scores[best]
    kept: np.ndarray = np.zeros(0, np.int64)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        kept = np.append(kept, rows[suppress_overlaps(boxes[locations[rows]], scores[rows], rules.iou_threshold)])
    kept = np.sort(kept)[:rules.max_per_img]
    locations = locations[kept]
    return boxes[locations].clip(0, limits), scores[kept], labels[kept].astype(np.int64), classes[locations]
