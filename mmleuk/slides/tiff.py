"""Windows of a TIFF file, tile by tile: BigTIFF, OME-TIFF, pyramids."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from mmleuk.slides.intensity import Intensity
from mmleuk.slides.readers import INSTALL, Slide, SlideError, foreign_colours, turned_image

MAX_SEGMENT_BYTES = 64 * 2 ** 20
"""Larger strips or tiles, decoded, are no way to read a file in parts."""
_CACHE_BYTES = 32 * 2 ** 20
_INVERTED, _GREY, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6  # TIFF's PhotometricInterpretation
_JPEGS = (6, 7, 33007, 34892)  # TIFF's Compression


class TiledTiff(Slide):
    """The finest level of a TIFF file's first image; its tiles, or its strips if they are small."""

    def __init__(self, path: Path, file: tifffile.TiffFile, pages: list[Any], intensity: Intensity | None) -> None:
        self._file, self._pages = file, pages
        page = pages[0]
        self._tile_hw = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
        self._across = -(-page.imagewidth // self._tile_hw[1])
        self._down = -(-page.imagelength // self._tile_hw[0])
        self._cache: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._planes = page.samplesperpixel if page.planarconfig == 2 else 1
        self._dtype = np.dtype(np.uint8) if page.photometric == _PALETTE else np.dtype(page.dtype)
        super().__init__(path, (page.imagelength, page.imagewidth), self._dtype, intensity)

    @classmethod
    def open(cls, path: Path, intensity: Intensity | None) -> TiledTiff | None:
        """The file; None if its strips are so large that it can't be read in parts.

        Raises:
            SlideError: broken, a stack of images, or of more channels than red, green and blue.
        """
        faults = (tifffile.TiffFileError, OSError, ValueError, KeyError, IndexError, TypeError)
        try:
            file = tifffile.TiffFile(path)
        except faults as error:
            raise SlideError(f'{path}: is no TIFF file that can be read ({error}); restore or convert it') from error
        try:
            pages = _pages(file, path)
        except (*faults, SlideError) as error:
            file.close()
            if isinstance(error, SlideError):
                raise
            raise SlideError(f'{path}: is no TIFF file that can be read ({error}); restore or convert it') from error
        page = pages[0]
        height, width = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
        if min(height, page.imagelength) * width * page.samplesperpixel * page.dtype.itemsize > MAX_SEGMENT_BYTES:
            file.close()
            return None
        return cls(path, file, pages, intensity)

    def _samples(self, x: int, y: int, width: int, height: int) -> np.ndarray:
        planes = [self._plane(page, plane, x, y, width, height)
                  for page in range(len(self._pages)) for plane in range(self._planes)]
        samples = planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)
        return self._in_colour(samples)

    def _in_colour(self, samples: np.ndarray) -> np.ndarray:
        page = self._pages[0]
        if page.photometric == _PALETTE:
            return np.asarray((np.asarray(page.colormap) >> 8).astype(np.uint8).T[samples[..., 0]])
        if page.photometric == _INVERTED and samples.dtype.kind == 'u':
            return np.iinfo(samples.dtype).max - samples
        return samples

    def _plane(self, page: int, plane: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        """(height, width, S) samples of one page and plane, from all tiles that the window touches."""
        tile_h, tile_w = self._tile_hw
        samples = 1 if self._planes > 1 else self._pages[0].samplesperpixel
        window = np.zeros((height, width, samples), self._pages[0].dtype)
        for row in range(y // tile_h, -(-(y + height) // tile_h)):
            for column in range(x // tile_w, -(-(x + width) // tile_w)):
                tile = self._tile(page, (plane * self._down + row) * self._across + column)
                top, left = row * tile_h, column * tile_w
                y0, x0 = max(y, top), max(x, left)
                y1, x1 = min(y + height, top + tile.shape[0]), min(x + width, left + tile.shape[1])
                window[y0 - y:y1 - y, x0 - x:x1 - x] = tile[y0 - top:y1 - top, x0 - left:x1 - left]
        return window

    def _tile(self, page: int, index: int) -> np.ndarray:
        if (page, index) in self._cache:
            self._cache.move_to_end((page, index))
            return self._cache[page, index]
        tile = self._decode(page, index)
        self._cache[page, index] = tile
        # A fixed number of bytes, so that wide images take no more memory than narrow ones.
        while len(self._cache) > max(4, _CACHE_BYTES // max(1, tile.nbytes)):
            self._cache.popitem(last=False)
        return tile

    def _decode(self, page: int, index: int) -> np.ndarray:
        ifd = self._pages[page]
        jpeg = dict(jpegtables=ifd.jpegtables, jpegheader=ifd.jpegheader) if ifd.compression in _JPEGS else {}
        try:
            data = self._read_at(ifd.dataoffsets[index], ifd.databytecounts[index])
            tile, _, shape = ifd.decode(data, index, **jpeg)
        except (ValueError, RuntimeError, IndexError, OSError, TypeError) as error:
            missing = ' and needs imagecodecs' if 'imagecodecs' in str(error) else ''
            raise SlideError(f'{self.path}: tile {index} cannot be decoded ({error}){missing}; restore or convert the '
                             f'file{f", or install it: {INSTALL}" if missing else ""}') from error
        if tile is None:  # a tile without data, as scanners write for unscanned glass
            return np.full(shape[1:], self._empty(), ifd.dtype)
        return np.asarray(tile[0])

    def _empty(self) -> int:
        page = self._pages[0]
        return 0 if page.photometric == _INVERTED or page.dtype.kind not in 'u' else int(np.iinfo(page.dtype).max)

    def _read_at(self, offset: int, size: int) -> bytes | None:
        if not size:
            return None
        self._file.filehandle.seek(offset)
        data = bytes(self._file.filehandle.read(size))
        if len(data) < size:
            raise ValueError('the file is truncated')
        return data

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _pages(file: tifffile.TiffFile, path: Path) -> list[Any]:
    """The pages of the first image's finest level: one, or one per colour.

    Raises:
        SlideError: it is a stack (of focus, time, channels), turned, or in colours other than RGB.
    """
    level = file.series[0].levels[0]
    axes = {axis: length for axis, length in zip(level.axes, level.shape) if length > 1}
    colours = len(level.pages)
    if set(axes) - set('YXSC') or colours not in (1, 3) or any(page is None for page in level.pages):
        shape = ', '.join(f'{axis} {length}' for axis, length in zip(level.axes, level.shape))
        raise SlideError(f'{path}: is a stack ({shape}), not one image in grey or colour; save the plane to look at as '
                         'its own file')
    pages: list[Any] = [page.aspage() if isinstance(page, tifffile.TiffFrame) else page for page in level.pages]
    if pages[0].samplesperpixel == 2 or pages[0].samplesperpixel > 4:
        raise SlideError(f'{path}: has {pages[0].samplesperpixel} channels; grey, RGB and RGBA can be read')
    if pages[0].tags.valueof('Orientation', 1) > 1:
        raise turned_image(path)
    # The decoder of JPEG gives RGB.
    if pages[0].photometric not in (_INVERTED, _GREY, _RGB, _PALETTE) and not (
            pages[0].photometric == _YCBCR and pages[0].compression in _JPEGS):
        raise foreign_colours(path, getattr(pages[0].photometric, 'name', str(pages[0].photometric)))
    return pages
