"""Mask files: one value per pixel, beside or below a folder of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mmleuk.errors import UserError
from mmleuk.structures.cell_parts import UNKNOWN
from mmleuk.utils.image_files import PILLOW_ERRORS, header_size


def mask_path(image_name: str, folder: str | Path, suffix: str) -> str:
    """Path of an image's mask.

    Args:
        image_name: of the image below its folder, such as ``train/film_0000.jpg``.
        folder: of the masks.
        suffix: what replaces the image's suffix, such as ``_mask.png``.

    >>> mask_path('train/film_0000.jpg', 'data/masks', '.png')
    'data/masks/train/film_0000.png'
    """
    return str(Path(folder) / Path(image_name).with_suffix('')) + suffix


def check_mask_file(path: str, image_path: str) -> tuple[int, int]:
    """Width and height of a mask that has its image's size; both files' headers are read, not their pixels.

    Raises:
        UserError: the mask is missing or can't be read, or its size isn't the image's.
    """
    if not Path(path).is_file():
        raise UserError(f'{path}: no such mask, but there is the image {image_path}; correct the folder or suffix of '
                        'the masks, or leave the image out')
    mask_wh, image_wh = header_size(path), header_size(image_path)
    for name, size_wh in ((path, mask_wh), (image_path, image_wh)):
        if size_wh is None:
            raise UserError(f'{name}: is no image that can be read; restore the file, or leave it out')
    assert mask_wh is not None and image_wh is not None
    if mask_wh != image_wh:
        raise UserError(f'{path}: the mask is {mask_wh[0]}x{mask_wh[1]} px, its image {image_path} '
                        f'{image_wh[0]}x{image_wh[1]}; give each image the mask of its own size')
    return image_wh


def read_mask(path: str, num_parts: int) -> np.ndarray:
    """A mask, (H, W) uint8: values 0 to ``num_parts`` - 1, and 255 for unknown.

    Grey images hold the values themselves, images with a palette the numbers of its colours.

    Raises:
        UserError: the file is missing or broken, has colours, or holds another value.
    """
    try:
        with Image.open(path) as image:
            mode, mask = image.mode, np.asarray(image)
    except PILLOW_ERRORS as error:
        raise UserError(f'{path}: the mask cannot be read ({error}); restore the file, or leave its image out'
                        ) from error
    if mask.ndim != 2:
        raise UserError(f'{path}: is a colour image ({mode}); a mask is a grey PNG with the number of a part, 0 to '
                        f'{num_parts - 1}, in each pixel')
    wrong = np.unique(mask[(mask >= num_parts) & (mask != UNKNOWN)])
    if len(wrong):
        raise UserError(f'{path}: the mask has the value {wrong[0]}; its parts are 0 to {num_parts - 1}, and {UNKNOWN} '
                        'is unknown. Give the data set all its parts')
    return mask.astype(np.uint8)
