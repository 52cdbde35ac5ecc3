"""A model's output for one image as NumPy arrays, whatever ran the model.

Legend: N detections, C classes, A attributes, V values of the attribute with the most.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np


@dataclass(frozen=True)
class Detections:
    """The detections of one image, row by row.

    Args:
        boxes: (N, 4) float32, xyxy in pixels of the original image.
        scores: (N,) float32, 0 to 1.
        labels: (N,) int64.
        attributes: (N, A) int64, IGNORE where unknown; None for models without attributes.
        attribute_probs: (N, A, V) float32, zero beyond an attribute's own values.
        class_probs: (N, C) float32; None where the model gives only the highest.
        novelty: (N,) float32, NaN where unknown; None where the model gives none.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    attributes: np.ndarray | None = None
    attribute_probs: np.ndarray | None = None
    class_probs: np.ndarray | None = None
    novelty: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: np.ndarray) -> Detections:
        """Those of some rows: indices or a mask (N,)."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: column[rows] for name, column in columns.items() if column is not None})
