"""The middle of an image."""

from __future__ import annotations

from mmdet.datasets.transforms import RandomCrop

from mmleuk.registry import TRANSFORMS


@TRANSFORMS.register_module()
class CenterCrop(RandomCrop):
    """Keep the middle of the image, with the boxes, regions and masks in it.

    Arguments are those of MMDetection's RandomCrop, of which it is the case without chance: ``crop_size`` is (width,
    height) in pixels, or shares of the image with ``crop_type='relative'``. A side that is shorter stays.

    Source: WBCAtt+ B.1; the cell of a single-cell image stands in its middle.
    """

    def _rand_offset(self, margin: tuple[int, int]) -> tuple[int, int]:
        """Rows above and columns left of the crop, half of those that are cut off."""
        return margin[0] // 2, margin[1] // 2
