"""Soft sampling: the weight of a negative grows with its overlap with a labelled object."""

from __future__ import annotations

import torch
from torch import Tensor


def soft_sampling_weights(max_iou: Tensor, floor: float = 0.25, offset: float = 50.0, slope: float = 20.0,
                          full_iou: float = 0.5) -> Tensor:
    """Weight of a negative with overlap o: a + (1 - a) exp(-b exp(-c o)); 1 if o is at least ``full_iou``.

    Far from all labels a negative may be an unlabelled object. Near a label the annotator has looked.

    Args:
        max_iou: (...) largest IoU with a labelled object, in [0, 1].
        floor: a, the weight far away.
        offset: b.
        slope: c.
        full_iou: a negative with at least this IoU has weight 1.

    Returns:
        (...) in [floor, 1].

    Example:
        >>> [round(w, 2) for w in soft_sampling_weights(torch.tensor([0.0, 0.1, 0.2, 0.3, 0.5])).tolist()]
        [0.25, 0.25, 0.55, 0.91, 1.0]

    Source: Soft Sampling for Robust Object Detection (BMVC 2019) and its authors' release.
    """
    weights = floor + (1 - floor) * torch.exp(-offset * torch.exp(-slope * max_iou))
    return weights.masked_fill(max_iou >= full_iou, 1.0)
