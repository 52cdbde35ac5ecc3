"""Padding that remembers how large the picture is."""

from __future__ import annotations

from typing import Any

from mmdet.datasets.transforms import Pad as MMDetPad

from mmleuk.registry import TRANSFORMS


@TRANSFORMS.register_module()
class Pad(MMDetPad):
    """Pad for testing: ``img_shape`` stays the picture's, so that detections end where the picture ends.

    MMDetection's sets ``img_shape`` to the padded size, to which detectors cut their boxes: a cell at the border of a
    picture that isn't square gets a box that reaches into the padding, too large to match. ``pad_shape`` is the padded
    size with both. In training use MMDetection's: flips and crops after it need the padded size.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img``; set ``pad_shape`` (H, W)."""
        picture_hw = results['img'].shape[:2]
        return super().transform(results) | dict(img_shape=picture_hw)
