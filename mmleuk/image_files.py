"""Reading image files so that a broken one is never taken for a picture."""

from __future__ import annotations

import os

import cv2
import mmcv
import numpy as np
from mmengine.fileio import get

from mmleuk.errors import UserError

JPEG_START, JPEG_SCAN, JPEG_END = b'\xff\xd8\xff', b'\xff\xda', b'\xff\xd9'
PNG_START, PNG_END = b'\x89PNG\r\n\x1a\n', b'IEND'
_END_BYTES = 4096  # smaller files are decoded: a thumbnail's end could pass for the image's
SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff')


def read_image_file(path: str, backend_args: dict | None = None) -> bytes:
    """Content of an image file.

    Raises:
        UserError: missing or unreadable.
    """
    try:
        return get(path, backend_args=backend_args)
    except OSError as error:
        raise UserError(_unreadable(path, error)) from error


def _unreadable(path: str, error: OSError) -> str:
    return f'{path}: cannot be read ({error.strerror}); check data_root and data_prefix, or restore the file'


def decode_image(content: bytes, path: str, color_type: str = 'color', backend: str = 'cv2') -> np.ndarray:
    """Pixels of an encoded image, (H, W, 3) uint8 BGR.

    Args:
        content: the file's bytes.
        path: for the message.
        color_type: ``flag`` of ``mmcv.imfrombytes``.
        backend: of ``mmcv.imfrombytes``.

    Raises:
        UserError: truncated or no image.
    """
    fault = find_truncation(content)
    if fault is None:
        try:
            image = mmcv.imfrombytes(content, flag=color_type, backend=backend)
        except (cv2.error, OSError, ValueError) as error:
            fault = f'it cannot be decoded ({error})'
        else:
            if image is not None:
                return image
            fault = 'it is no image that can be decoded'
    raise UserError(f'{path}: {fault}; restore or convert the file, or take it out of the annotation file')


def check_image_file(path: str) -> None:
    """Refuse a local file that is no whole image, from its first and last bytes where these tell.

    Opening a file takes some 50 us, decoding a film's field 10 ms; so this can look at every image before training. A
    file that its ends don't vouch for is decoded. What is damaged in between shows when the image is loaded.

    Raises:
        UserError: missing, unreadable, truncated or no image.
    """
    try:
        with open(path, 'rb') as file:
            start = file.read(len(PNG_START))
            file.seek(max(os.path.getsize(path) - _END_BYTES, len(start)))
            end = file.read()
    except OSError as error:
        raise UserError(_unreadable(path, error)) from error
    if not any(start.startswith(head) and tail in end for head, tail in
               ((JPEG_START, JPEG_END), (PNG_START, PNG_END))) or len(end) < _END_BYTES:
        decode_image(read_image_file(path), path)


def find_truncation(content: bytes) -> str | None:
    """What is missing from a JPEG or PNG file's end; None when it is complete or of another format.

    OpenCV decodes the start of a truncated file and fills the rest with grey, without an error: a network would
    train on it. In a JPEG's scan data neither marker can occur, so the end marker must follow the last scan's start
    (a thumbnail in the header has its own).

    Example:
        >>> find_truncation(b''), find_truncation(JPEG_START + JPEG_SCAN + b'abc')
        ('the file is empty', 'the end of the JPEG data is missing')
    """
    if not content:
        return 'the file is empty'
    if content.startswith(JPEG_START) and content.rfind(JPEG_END) <= content.rfind(JPEG_SCAN):
        return 'the end of the JPEG data is missing'
    if content.startswith(PNG_START) and content.rfind(PNG_END) < 0:
        return 'the end of the PNG data is missing'
    return None
