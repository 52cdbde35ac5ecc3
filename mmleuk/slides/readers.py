"""Open an image of any size, and read windows of it.

PNG, JPEG and other files up to 4,096 px are decoded at once, as everywhere in this package. Larger ones and TIFF files
in large strips come row by row from libvips, tiled TIFF files (BigTIFF, OME-TIFF) tile by tile from tifffile, slide
scanners' formats from OpenSlide. So the memory doesn't grow with the image.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from PIL import Image

from mmleuk.errors import UserError
from mmleuk.slides.intensity import Intensity, parse_intensity, to_bgr
from mmleuk.utils.image_files import PILLOW_ERRORS, TIFF_STARTS, decode_image, find_truncation, read_image_file

WHOLE_SIDE_PX = 4096
"""Images with a longer side than this are read window by window."""
OPENSLIDE_SUFFIXES = ('.svs', '.ndpi', '.mrxs', '.scn', '.vms', '.vmu', '.bif', '.svslide')
OME_SUFFIXES = ('.ome.tif', '.ome.tiff')
BIG_TIFF_STARTS = (b'II+\0', b'MM\0+')
INSTALL = "pip install 'mmleuk[wsi]'"
_GREY_OR_RGB = ('b-w', 'grey16', 'srgb', 'rgb16', 'scrgb')  # libvips' interpretations of samples
_STRIP_PX = 64
_SPOTS, _SPOT_PX = 5, 256  # for percentiles: 5 x 5 spots of 256 px


class SlideError(UserError):
    """An image that can't be read."""


class Slide(ABC):
    """An open image. A subclass reads samples; :meth:`read` turns them into what a detector gets.

    Args:
        path: for messages.
        size_hw: height and width in pixels.
        dtype: of the samples.
        intensity: how samples become 8 bits; without it they must have 8.

    Raises:
        SlideError: the samples don't have 8 bits, and no conversion is stated.
    """

    def __init__(self, path: Path, size_hw: tuple[int, int], dtype: np.dtype, intensity: Intensity | None) -> None:
        self.path, self.size_hw = path, size_hw
        self.limits: tuple[float, float] | None = None
        try:
            self._choose_limits(dtype, intensity)
        except UserError:
            self.close()
            raise

    def _choose_limits(self, dtype: np.dtype, intensity: Intensity | None) -> None:
        if intensity is not None:
            samples = self._spots() if intensity.word == 'percentiles' else np.zeros(1, dtype)
            self.limits = intensity.limits_of(samples, str(self.path))
        elif dtype != np.uint8:
            raise SlideError(f'{self.path}: has {dtype} samples, not 8 bits; say how they become 8 bits: --intensity '
                             'full, percentiles, or LOW:HIGH')

    def read(self, x: int, y: int, width: int, height: int) -> np.ndarray:
        """Pixels of a window inside the image, (height, width, 3) uint8 BGR.

        Raises:
            SlideError: the file is damaged there.
        """
        return to_bgr(self._samples(x, y, width, height), self.limits)

    @abstractmethod
    def _samples(self, x: int, y: int, width: int, height: int) -> np.ndarray:
        """Samples of a window, (height, width) grey or (height, width, C) RGB, as stored."""

    def close(self) -> None:  # noqa: B027 (not every kind keeps a file open)
        """Close the file."""

    def _spots(self) -> np.ndarray:
        """Samples of spots all over the image."""
        height, width = self.size_hw
        w, h = min(_SPOT_PX, width), min(_SPOT_PX, height)
        return np.concatenate([self._samples(x, y, w, h).ravel()
                               for y in np.linspace(0, height - h, _SPOTS).astype(int).tolist()
                               for x in np.linspace(0, width - w, _SPOTS).astype(int).tolist()])

    def __enter__(self) -> Slide:
        """The slide itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Close."""
        self.close()


class WholeImage(Slide):
    """An image that is small enough to be decoded at once."""

    def __init__(self, path: Path, intensity: Intensity | None) -> None:
        try:
            content = read_image_file(str(path))
            self._pixels = _decode_samples(content, path) if intensity is not None else np.ascontiguousarray(
                decode_image(content, str(path))[..., ::-1])
        except UserError as error:
            raise SlideError(str(error)) from error
        height, width = self._pixels.shape[:2]
        super().__init__(path, (height, width), self._pixels.dtype, intensity)

    def _samples(self, x: int, y: int, width: int, height: int) -> np.ndarray:
        return self._pixels[y:y + height, x:x + width]

    def _spots(self) -> np.ndarray:
        return self._pixels


def _decode_samples(content: bytes, path: Path) -> np.ndarray:
    """Samples of an encoded image as stored: grey, or RGB."""
    fault = find_truncation(content)
    samples = None if fault else cv2.imdecode(np.frombuffer(content, np.uint8),
                                              cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    if samples is None:
        raise SlideError(f'{path}: {fault or "it is no image that can be decoded"}; restore or convert the file, or '
                         'leave it out')
    return samples if samples.ndim == 2 else samples[..., ::-1]


class OpenSlideImage(Slide):
    """A slide scanner's file, at its finest level."""

    def __init__(self, path: Path, intensity: Intensity | None) -> None:
        openslide = _needed('openslide', path)
        try:
            self._slide = openslide.OpenSlide(str(path))
        except (openslide.OpenSlideError, OSError) as error:
            raise SlideError(f'{path}: OpenSlide cannot read it ({error}); restore or convert the file') from error
        self._errors = openslide.OpenSlideError
        width, height = self._slide.dimensions
        super().__init__(path, (height, width), np.dtype(np.uint8), intensity)

    def _samples(self, x: int, y: int, width: int, height: int) -> np.ndarray:
        try:
            region = np.asarray(self._slide.read_region((x, y), 0, (width, height)))
        except self._errors as error:
            raise SlideError(f'{self.path}: cannot be read at {x}, {y} ({error}); restore the file') from error
        # Transparent pixels were not scanned: they are glass.
        return np.where(region[..., 3:] == 0, np.uint8(255), region[..., :3])

    def close(self) -> None:
        """Close the file."""
        self._slide.close()


class StreamedImage(Slide):
    """A large file that can only be decoded from top to bottom (PNG, JPEG, strips of TIFF), by libvips.

    Windows should come row by row: one above the kept rows starts decoding again.
    """

    def __init__(self, path: Path, intensity: Intensity | None) -> None:
        vips = _needed('pyvips', path)
        self.path, self._vips, self._errors = path, vips, vips.Error
        self._start()
        turned = self._image.get_typeof('orientation') and self._image.get('orientation') > 1
        if turned:
            raise turned_image(path)
        if self._image.interpretation not in _GREY_OR_RGB:
            raise foreign_colours(path, self._image.interpretation)
        dtype = {'uchar': 'uint8', 'ushort': 'uint16', 'float': 'float32'}.get(self._image.format)
        if dtype is None:
            raise SlideError(f'{path}: has samples of the type {self._image.format}; convert the file to 8 or 16 bits')
        super().__init__(path, (self._image.height, self._image.width), np.dtype(dtype), intensity)

    def _start(self) -> None:
        try:
            image: Any = self._vips.Image.new_from_file(str(self.path), access='sequential', fail_on='truncated')
            self._image = image
            self._region = self._vips.Region.new(image)
        except self._errors as error:
            raise self._broken(error) from error
        self._rows: np.ndarray | None = None  # the rows from self._top on
        self._top = 0

    def _broken(self, error: Exception) -> SlideError:
        return SlideError(f'{self.path}: cannot be decoded ({str(error).strip().splitlines()[0]}); restore or convert '
                         'the file')

    def _samples(self, x: int, y: int, width: int, height: int) -> np.ndarray:
        if self._rows is None or y < self._top or y + height > self._top + len(self._rows):
            self._load(y, height)
        assert self._rows is not None
        return self._rows[y - self._top:y - self._top + height, x:x + width]

    def _load(self, y: int, height: int) -> None:
        if self._rows is not None and y < self._top:
            self._start()
        kept = self._rows[y - self._top:] if self._rows is not None and y < self._top + len(self._rows) else None
        below = y if kept is None else y + len(kept)
        rows = self._fetch(below, y + height - below)
        self._rows, self._top = rows if kept is None else np.concatenate([kept, rows]), y

    def _fetch(self, y: int, height: int) -> np.ndarray:
        """Rows of the image, (height, width, C)."""
        dtype = {'uchar': np.uint8, 'ushort': np.uint16, 'float': np.float32}[self._image.format]
        rows = np.empty((height, self._image.width, self._image.bands), dtype)
        for top in range(0, height, _STRIP_PX):  # libvips keeps much more than a strip that it is asked for
            strip = rows[top:top + _STRIP_PX]
            try:
                data = self._region.fetch(0, y + top, self._image.width, len(strip))
            except self._errors as error:
                raise self._broken(error) from error
            strip[:] = np.frombuffer(data, dtype).reshape(strip.shape)
        return rows


def turned_image(path: Path) -> SlideError:
    """The error for an orientation, which small images follow and windows of large ones cannot."""
    return SlideError(f'{path}: its EXIF orientation turns it, which large images cannot follow; save it upright '
                      '(vips autorot IN OUT)')


def foreign_colours(path: Path, stored: str) -> SlideError:
    """The error for samples that are neither grey nor red, green and blue.

    libvips converts CMYK, but to other colours than OpenCV gives for small images (by 30 of 255), so it isn't asked to.
    """
    return SlideError(f'{path}: its colours are stored as {stored}, not in grey or RGB; save it in RGB')


def _needed(module: str, path: Path) -> Any:
    """An optional package.

    Raises:
        SlideError: it isn't installed; names the command.
    """
    from importlib import import_module
    try:
        return import_module(module)
    except (ImportError, OSError) as error:  # OSError: the library behind it is missing
        raise SlideError(f'{path}: reading it needs {module} ({error}); install it: {INSTALL}') from error


def is_large(path: str | Path) -> bool:
    """Whether an image is read window by window: more than 4,096 px, a scanner's format, BigTIFF or OME-TIFF."""
    path = Path(path)
    if path.name.lower().endswith((*OPENSLIDE_SUFFIXES, *OME_SUFFIXES)):
        return True
    start = _start(path)
    if start in BIG_TIFF_STARTS:
        return True
    try:
        if start in TIFF_STARTS:
            return max(_tiff_size(path)) > WHOLE_SIDE_PX
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return max(image.size) > WHOLE_SIDE_PX
    except Image.DecompressionBombError:
        return True
    except PILLOW_ERRORS:
        return False


def _start(path: Path) -> bytes:
    try:
        with open(path, 'rb') as file:
            return file.read(4)
    except OSError:
        return b''


def _tiff_size(path: Path) -> tuple[int, int]:
    """Width and height of the first page; Pillow doesn't know all kinds of samples, tifffile does."""
    try:
        import tifffile
    except ImportError:
        with Image.open(path) as image:
            return image.size
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            return int(page.imagewidth), int(page.imagelength)
    except (tifffile.TiffFileError, OSError, ValueError, KeyError, IndexError, TypeError):
        return 0, 0  # broken: the decoder says so


def open_slide(path: str | Path, intensity: Intensity | str | None = None) -> Slide:
    """Open an image of any size.

    Args:
        path: of the file.
        intensity: how samples of other than 8 bits become 8, also as text; 8-bit samples are converted, too.

    Raises:
        SlideError: missing, broken or of an unknown format; its samples don't have 8 bits and ``intensity`` is None; or
            an optional package is needed. The message names the file and what to do.
    """
    path = Path(path)
    intensity = parse_intensity(intensity) if isinstance(intensity, str) else intensity
    if path.suffix.lower() in OPENSLIDE_SUFFIXES:
        return OpenSlideImage(path, intensity)
    if not is_large(path):
        return WholeImage(path, intensity)
    if _start(path) in TIFF_STARTS + BIG_TIFF_STARTS:
        from mmleuk.slides.tiff import TiledTiff  # late: tifffile is optional

        _needed('tifffile', path)
        return TiledTiff.open(path, intensity) or StreamedImage(path, intensity)
    return StreamedImage(path, intensity)
