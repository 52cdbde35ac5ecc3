"""Load an image; if its file is broken, the error names the file and the fix."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from mmcv.transforms import LoadImageFromFile
from PIL import Image

from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS
from mmleuk.utils.image_files import PILLOW_ERRORS, decode_image, read_image_file


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile``, which never returns a broken image.

    A missing, truncated or undecodable file raises; so does one whose size differs from the annotation's, because
    then every box would be wrong. Arguments are those of its parent.
    """

    def transform(self, results: dict) -> dict:
        """Add ``img`` (H, W, 3) BGR, ``img_shape`` and ``ori_shape`` (H, W); needs ``img_path``.

        Raises:
            UserError: names the file and the fix.
        """
        path = results['img_path']
        content = read_image_file(path, self.backend_args)
        image = decode_image(content, path, self.color_type, self.imdecode_backend)
        check_size(image, path, results.get('height'), results.get('width'), content)
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results


def check_size(image: np.ndarray, path: str, height: int | None, width: int | None, content: bytes = b'') -> None:
    """Compare an image, (H, W, ...), with the size in pixels that its annotation states; None states nothing.

    Args:
        content: the file's bytes: with them the message can name an EXIF orientation as the cause.

    Raises:
        UserError: they differ.
    """
    if height is None and width is None or (height, width) == image.shape[:2]:
        return
    raise UserError(f'{path}: {size_fault(image.shape[:2], (height, width), exif_orientation(content))}')


def size_fault(image_hw: tuple[int, int], stated_hw: tuple[int | None, int | None], orientation: int = 1) -> str:
    """What is wrong if an image's size isn't the stated one; '' if it is. ``orientation`` is EXIF's, 1 to 8."""
    if image_hw == stated_hw:
        return ''
    actual, stated = (f'{width}x{height}' for height, width in (image_hw, stated_hw))
    if orientation >= 5 and image_hw == stated_hw[::-1]:
        return (f'its EXIF orientation {orientation} turns the image to {actual} px, but its annotation is of the '
                f'image as stored, {stated} px; remove the tag (exiftool -Orientation= FILE) and leave width, height '
                'and boxes as they are')
    return (f'the image is {actual} px, its annotation says {stated}; correct width and height in the annotation file, '
            'or restore the image that was annotated')


def exif_orientation(content: bytes) -> int:
    """The EXIF orientation by which OpenCV turns an image in reading: 1 (as stored) to 8."""
    try:
        with Image.open(BytesIO(content)) as image:
            orientation = image.getexif().get(0x112, 1)
    except PILLOW_ERRORS:
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
