"""Read image files, and refuse broken ones.

OpenCV decodes them; Pillow only examines TIFF files. Pillow gives the same pixels for JPEG, PNG, BMP, WebP and 8-bit
TIFF files, but takes twice as long in every epoch (a JPEG of 575x575 px: 4.1 ms, OpenCV 1.8 ms). It clips 16-bit grey
to white, and its CMYK differs by one step.
"""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from mmleuk.errors import UserError

PILLOW_ERRORS = (OSError, EOFError, SyntaxError, TypeError, ValueError, Image.DecompressionBombError)
"""Errors of Pillow for broken files; they differ by format and by fault."""

JPEG_START, JPEG_SCAN, JPEG_END = b'\xff\xd8\xff', b'\xff\xda', b'\xff\xd9'
PNG_START, PNG_END = b'\x89PNG\r\n\x1a\n', b'IEND'
PNG_DEPTH_AT = 24  # offset of the bits per sample
TIFF_STARTS = (b'II*\0', b'MM\0*')
_TIFF_WIDTH, _TIFF_HEIGHT, _ORIENTATION = 256, 257, 274  # tags
DARK_16_BIT = 2 ** 14  # values below this are at most 63 in 8 bits
_END_BYTES = 4096  # smaller files are decoded: the end of a thumbnail looks like the end of the image
SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff', '.webp')


def files_below(folder: Path, suffixes: str | tuple[str, ...] = SUFFIXES) -> list[Path]:
    """Files with these suffixes (lower case) in a folder and its sub-folders, sorted.

    Hidden files and folders are left out: they are remains of other programs, such as a Mac's ``._film.png`` and
    ``__MACOSX``.
    """
    def is_hidden(path: Path) -> bool:
        return any(part.startswith('.') or part == '__MACOSX' for part in path.relative_to(folder).parts)

    return [path for path in sorted(folder.rglob('*'))
            if path.name.lower().endswith(suffixes) and not is_hidden(path) and path.is_file()]


def read_image_file(path: str, backend_args: dict | None = None) -> bytes:
    """Content of an image file.

    Raises:
        UserError: missing or unreadable.
    """
    try:
        if backend_args is None and '://' not in path:
            with open(path, 'rb') as file:
                return file.read()
        from mmengine.fileio import get  # late: it imports torch, and the message on a wrong path must not wait for it

        return get(path, backend_args=backend_args)
    except OSError as error:
        raise UserError(_unreadable(path, error)) from error


def _unreadable(path: str, error: OSError) -> str:
    return (f'{path}: cannot be read ({error.strerror}); restore the file, or correct its path (for a data set, '
            'data_root and data_prefix)')


def decode_image(content: bytes, path: str, color_type: str = 'color', backend: str = 'cv2') -> np.ndarray:
    """Pixels of an encoded image, (H, W, 3) uint8 BGR.

    Args:
        content: the file's bytes.
        path: for the message.
        color_type: ``flag`` of ``mmcv.imfrombytes``.
        backend: of ``mmcv.imfrombytes``.

    Raises:
        UserError: the file is truncated, isn't an image, is a stack of pages, or has 16 bits of which only 10 to 14
            are used.
    """
    fault = find_truncation(content) or _find_tiff_fault(content)
    if fault is None:
        try:
            image = _decode(content, color_type, backend)
        except (cv2.error, OSError, ValueError) as error:
            fault = f'it cannot be decoded ({error})'
        else:
            if image is None:
                fault = 'it is no image that can be decoded'
            elif (fault := find_dark_16_bit(content, image)) is None:
                return image
    raise UserError(f'{path}: {fault}; restore or convert the file, or leave it out')


def check_image_file(path: str) -> None:
    """Refuse a local file that isn't a complete image. Its first and last bytes are enough in most cases.

    Opening a file takes 50 us, decoding an image 10 ms; so this can check every image before training. A file is
    decoded if its ends aren't those of a complete JPEG or PNG file. Damage in between is found when the image is
    loaded.

    Raises:
        UserError: as :func:`decode_image`, missing or unreadable.
    """
    try:
        with open(path, 'rb') as file:
            start = file.read(PNG_DEPTH_AT + 1)
            file.seek(max(os.path.getsize(path) - _END_BYTES, len(start)))
            end = file.read()
    except OSError as error:
        raise UserError(_unreadable(path, error)) from error
    whole = any(start.startswith(head) and tail in end for head, tail in
                ((JPEG_START, JPEG_END), (PNG_START, PNG_END))) and len(end) == _END_BYTES
    if not whole or _is_16_bit_png(start):
        decode_image(read_image_file(path), path)


def header_size(path: str | Path) -> tuple[int, int] | None:
    """Width and height of an image file from its header, rotated as in decoding; None if Pillow can't read it.

    Takes 0.1 ms: the image isn't decoded. OpenCV rotates all formats but WebP.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            # New versions of Pillow turn the size of TIFF files already.
            tags = getattr(image, 'tag_v2', {})
            width, height = tags.get(_TIFF_WIDTH, width), tags.get(_TIFF_HEIGHT, height)
            turned = image.format != 'WEBP' and image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
            return (height, width) if turned else (width, height)
    except PILLOW_ERRORS:
        return None


def find_truncation(content: bytes) -> str | None:
    """A text on what is missing at the end of a JPEG or PNG file; None if it is complete or has another format.

    OpenCV decodes the start of a truncated file and fills the rest with grey, without an error. A network would train
    on it. The scan data of a JPEG contains neither marker, so the end marker must follow the start of the last scan
    (a thumbnail in the header has its own markers).

    Example:
        >>> find_truncation(b''), find_truncation(JPEG_START + JPEG_SCAN + b'abc')
        ('the file is empty', 'the end of the JPEG data is missing')
    """
    if not content:
        return 'the file is empty'
    if content.startswith(JPEG_START):
        end = content.rfind(JPEG_END)
        return 'the end of the JPEG data is missing' if end < 0 or content.find(JPEG_SCAN, end) > 0 else None
    if content.startswith(PNG_START) and content.rfind(PNG_END) < 0:
        return 'the end of the PNG data is missing'
    return None


def _decode(content: bytes, color_type: str, backend: str) -> np.ndarray | None:
    if (color_type, backend) == ('color', 'cv2'):
        image: np.ndarray | None = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        return image
    import mmcv  # imports torch

    decoded: np.ndarray | None = mmcv.imfrombytes(content, flag=color_type, backend=backend)
    return decoded


def _find_tiff_fault(content: bytes) -> str | None:
    """A text on what is wrong with a TIFF file that is damaged or has several planes (focus, channel, time); else None.

    OpenCV reads the first page and fills damaged parts, without an error. Pages of other sizes are previews or levels
    of a pyramid: then the first page is the image.
    """
    if not content.startswith(TIFF_STARTS):
        return None
    try:
        with Image.open(BytesIO(content)) as image:
            image.load()
            pages, size = getattr(image, 'n_frames', 1), image.size
            if pages == 1:
                return None
            image.seek(1)
            same = image.size == size
    except UnidentifiedImageError:
        return None  # broken, or Pillow can't read it; OpenCV decides
    except PILLOW_ERRORS as error:
        return f'it cannot be decoded ({error})'
    return f'it is a stack of {pages} pages, of which the first alone would be read' if same else None


def find_dark_16_bit(content: bytes, decoded: np.ndarray) -> str | None:
    """A text on what is wrong with a 16-bit file of a camera with fewer bits; None for other files.

    Cameras of 10, 12 or 14 bits store their values unscaled. OpenCV takes the upper 8 of 16 bits, so such an image
    becomes nearly black, without an error. Most other images are bright in ``decoded``, so they aren't decoded again.
    """
    if not _is_16_bit_png(content) and not content.startswith(TIFF_STARTS):
        return None
    if decoded.dtype == np.uint8 and decoded.max() > DARK_16_BIT >> 8:
        return None
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or not 0 < pixels.max() < DARK_16_BIT:
        return None
    return f'its 16-bit samples go no further than {pixels.max()}, so with 8 bits it would be nearly black'


def _is_16_bit_png(start: bytes) -> bool:
    return start.startswith(PNG_START) and start[PNG_DEPTH_AT:PNG_DEPTH_AT + 1] == b'\x10'
