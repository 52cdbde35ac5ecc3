"""Loads an image and says which file is broken, and how to mend it, when one is."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import LoadImageFromFile

from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS
from mmleuk.utils.image_files import decode_image, read_image_file


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile`` that never hands on a broken image.

    A missing, truncated or undecodable file raises; so does one whose size differs from the annotation's, because
    then every box would be wrong. Arguments as its parent's.
    """

    def transform(self, results: dict) -> dict:
        """Add ``img`` (H, W, 3) BGR, ``img_shape`` and ``ori_shape`` (H, W); needs ``img_path``.

        Raises:
            UserError: names the file and the mend.
        """
        path = results['img_path']
        image = decode_image(read_image_file(path, self.backend_args), path, self.color_type, self.imdecode_backend)
        check_size(image, path, results.get('height'), results.get('width'))
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results


def check_size(image: np.ndarray, path: str, height: int | None, width: int | None) -> None:
    """Compare an image, (H, W, ...), with the size in pixels that its annotation states; None states nothing.

    Raises:
        UserError: they differ.
    """
    actual = image.shape[:2]
    if (height, width) != (None, None) and (height, width) != actual:
        raise UserError(f'{path}: the image is {actual[1]}x{actual[0]} px, its annotation says {width}x{height}; '
                        'correct width and height in the annotation file, or restore the image that was annotated')
