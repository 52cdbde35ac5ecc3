"""Padding that keeps the image's own size in the metainfo."""

from __future__ import annotations

from typing import Any

from mmdet.datasets.transforms import Pad as MMDetPad

from mmleuk.registry import TRANSFORMS


@TRANSFORMS.register_module()
class Pad(MMDetPad):
    """Pad for testing: ``img_shape`` stays that of the image, so detections end at the image's border.

    MMDetection's Pad sets ``img_shape`` to the padded size, and detectors cut their boxes there. In an image that isn't
    square, the box of a cell at the border may then reach into the padding and be too large to match. Both set
    ``pad_shape`` to the padded size. In training use MMDetection's: flips and crops after it need the padded size.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img``; set ``pad_shape`` (H, W)."""
        picture_hw = results['img'].shape[:2]
        return super().transform(results) | dict(img_shape=picture_hw)
