"""Which fields of a film overlap, and which cells have a box in two of them.

Neighbouring fields are shifted copies of each other: same microscope, same scale, and at most turned by half a turn, as
when the slide was put in the other way round. The shift is where their
normalised cross-correlation over the shared area is highest; all shifts are tried at once by a Fourier transform.

Legend: H, W height and width in pixels of a reduced image.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from mmleuk.slides.readers import open_slide
from mmleuk.structures.ground_truth import ImageTruth, TrueCell
from mmleuk.utils.image_files import decode_image, read_image_file
from mmleuk.utils.progress import progress

REDUCED_PX = 160
"""Longer side at which shifts are searched; they are refined at full size."""
MIN_SHARED = 0.06
"""Fields that share less of their area are not looked for: chance resemblance grows as the area shrinks."""
MIN_CORRELATION = 0.77
"""Of the fine detail in the shared area: overlapping fields of LeukemiaAttri at 40x reach 0.81, others at most 0.73."""
MIN_IOU = 0.4
"""Boxes of one cell, brought into one field and cut at its border, overlap at least so much."""


@dataclass(frozen=True)
class Field:
    """One image file and what is annotated in it; ``group`` tells files of one split from another's.

    ``intensity``: how the file's samples become 8 bits; None where they have 8.
    """

    path: str
    truth: ImageTruth
    group: int = 0
    intensity: str | None = None


@dataclass(frozen=True)
class Shift:
    """A point (x, y) of the first field is (x - dx, y - dy) in the second.

    Args:
        dx, dy: pixels.
        shared: shared part of a field's area, 0 to 1.
        correlation: of the shared area in both fields, -1 to 1.
        turned: the second field is turned by half a turn first.
    """

    dx: int
    dy: int
    shared: float
    correlation: float
    turned: bool = False


@dataclass(frozen=True)
class SharedCells:
    """Two overlapping fields and the pairs of their cells that are one cell."""

    one: Field
    other: Field
    shift: Shift
    cells: tuple[tuple[TrueCell, TrueCell], ...]

    def __str__(self) -> str:
        return (f'{self.one.truth.file_name} and {self.other.truth.file_name} ({self.shift.shared:.0%} of the area, '
                f'{"turned by half a turn, " if self.shift.turned else ""}shifted by {self.shift.dx}, {self.shift.dy} '
                f'px, {len(self.cells)} cells)')


@dataclass(frozen=True)
class _Reduced:
    """A field prepared for the search.

    Args:
        fine: uint8 at full size, what is between 1 and 6 px wide, around 128.
        size_hw: H, W of the reduced image.
        spectrum: its Fourier transform, padded so that shifts don't wrap around.
        squares: (H + 1, W + 1) cumulative sums of its squares.
    """

    fine: NDArray[np.uint8]
    size_hw: tuple[int, int]
    spectrum: NDArray[np.complex64]
    squares: NDArray[np.float64]


def reduce_field(image: NDArray[np.uint8]) -> _Reduced:
    """Prepare a BGR image (height, width, 3) for :func:`find_shift`."""
    grey: NDArray[np.float32] = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.float32)
    fine = cv2.GaussianBlur(grey, (0, 0), 1.0) - cv2.GaussianBlur(grey, (0, 0), 6.0)
    without_light: NDArray[np.float32] = np.subtract(grey, cv2.GaussianBlur(grey, (0, 0), max(grey.shape) / 16))
    scale = min(1.0, REDUCED_PX / max(grey.shape))
    size_hw = max(1, round(grey.shape[0] * scale)), max(1, round(grey.shape[1] * scale))
    detail = cv2.resize(without_light, size_hw[::-1], interpolation=cv2.INTER_AREA)
    return _Reduced(np.clip(2 * fine + 128, 0, 255).astype(np.uint8), size_hw, fft.rfft2(detail, _padded(size_hw)),
                    np.asarray(cv2.integral(np.square(detail)), np.float64))


def _padded(size_hw: tuple[int, int]) -> tuple[int, int]:
    height, width = (fft.next_fast_len(2 * side, real=True) for side in size_hw)
    return height, width


def find_shift(one: _Reduced, other: _Reduced) -> Shift | None:
    """The shift between two fields of one size; None where they share nothing that can be recognised."""
    if other.fine.shape != one.fine.shape:
        return None
    height, width = one.size_hw
    padded = _padded(one.size_hw)
    products = fft.irfft2(one.spectrum * np.conj(other.spectrum), padded)
    dys, dxs = np.arange(-height + 1, height), np.arange(-width + 1, width)
    products = products[np.ix_(dys % padded[0], dxs % padded[1])]
    energy = _window_sums(one.squares, dys, dxs) * _window_sums(other.squares, -dys, -dxs)
    shared = np.outer(height - np.abs(dys), width - np.abs(dxs)) / (height * width)
    correlation = np.where(shared >= MIN_SHARED, products / np.sqrt(np.maximum(energy, 1e-6)), -1.0)
    # A small area resembles another one by chance more easily than a large one.
    row, column = np.unravel_index(np.argmax(correlation * shared ** 0.25), correlation.shape)
    scale = one.fine.shape[1] / width
    return _refine(one.fine, other.fine, round(dxs[column] * scale), round(dys[row] * scale), int(np.ceil(scale)) + 1)


def _window_sums(squares: NDArray[np.float64], dys: NDArray, dxs: NDArray) -> NDArray[np.float64]:
    """Sums of squares over the part of a field that a shifted one covers, (shifts in y, shifts in x)."""
    height, width = squares.shape[0] - 1, squares.shape[1] - 1
    top, bottom = np.maximum(dys, 0), np.minimum(height + dys, height)
    left, right = np.maximum(dxs, 0), np.minimum(width + dxs, width)
    return (squares[np.ix_(bottom, right)] - squares[np.ix_(top, right)] - squares[np.ix_(bottom, left)]
            + squares[np.ix_(top, left)])


def _refine(one: NDArray[np.uint8], other: NDArray[np.uint8], dx: int, dy: int, reach: int) -> Shift | None:
    """The best shift at full size within ``reach`` pixels of (dx, dy); None where fine detail doesn't agree."""
    height, width = one.shape
    left, top = max(dx, 0) + reach, max(dy, 0) + reach
    right, bottom = min(width, width + dx) - reach, min(height, height + dy) - reach
    if min(right - left, bottom - top) < 8:
        return None
    template = other[top - dy:bottom - dy, left - dx:right - dx]
    window = one[top - reach:bottom + reach, left - reach:right + reach]
    if min(template.std(), window.std()) < 1:  # nothing to see there, and OpenCV calls that equal
        return None
    scores = cv2.matchTemplate(window, template, cv2.TM_CCOEFF_NORMED)
    row, column = np.unravel_index(np.argmax(scores), scores.shape)
    if not scores[row, column] >= MIN_CORRELATION:
        return None
    dx, dy = dx + int(column) - reach, dy + int(row) - reach
    return Shift(dx, dy, (width - abs(dx)) * (height - abs(dy)) / (width * height), float(scores[row, column]))


def find_shared_cells(fields: Sequence[Field], workers: int = 2) -> Iterator[SharedCells]:
    """Overlapping fields with the cells that have a box in both; ignored cells are left out.

    Only fields of one patient are compared, or of unknown patients with each other: N fields need N (N - 1) / 2
    comparisons of about 20 ms.

    Raises:
        UserError: an image cannot be read.
    """
    alike: dict[str | None, list[Field]] = defaultdict(list)
    for field in fields:
        alike[field.truth.patient].append(field)
    with ThreadPoolExecutor(workers) as pool:
        for patient, group in alike.items():
            reduced = list(pool.map(_load, group))
            pairs = [(i, j) for i, j in combinations(range(len(group)), 2) if group[i].path != group[j].path]
            shifts = pool.map(_compare, (reduced[i] for i, _ in pairs), (reduced[j] for _, j in pairs))
            label = f'comparing fields{f" of patient {patient}" if patient is not None else ""}'
            for (i, j), shift in zip(pairs, progress(shifts, total=len(pairs), desc=label), strict=True):
                if shift is not None:
                    yield SharedCells(group[i], group[j], shift, match_cells(group[i].truth, group[j].truth, shift))


def _load(field: Field) -> tuple[_Reduced, _Reduced]:
    """The field as it is, and turned by half a turn."""
    if field.intensity is None:
        image = decode_image(read_image_file(field.path), field.path)
    else:
        with open_slide(field.path, field.intensity) as slide:
            image = slide.read(0, 0, *slide.size_hw[::-1])
    return reduce_field(image), reduce_field(np.ascontiguousarray(image[::-1, ::-1]))


def _compare(one: tuple[_Reduced, _Reduced], other: tuple[_Reduced, _Reduced]) -> Shift | None:
    upright = find_shift(one[0], other[0])
    turned = None if upright else find_shift(one[0], other[1])
    return replace(turned, turned=True) if turned else upright


def match_cells(one: ImageTruth, other: ImageTruth, shift: Shift) -> tuple[tuple[TrueCell, TrueCell], ...]:
    """Pairs of cells whose boxes, cut at the border of the shared area, overlap; the best overlap first."""
    offset = np.array([shift.dx, shift.dy] * 2, float)
    area = np.array([max(0, -shift.dx), max(0, -shift.dy), other.width - max(0, shift.dx),
                     other.height - max(0, shift.dy)], float)
    boxes = other.boxes_xyxy
    if shift.turned:
        boxes = np.array([other.width, other.height] * 2) - boxes[:, [2, 3, 0, 1]]
    overlaps = _ious(_cut(one.boxes_xyxy - offset, area), _cut(boxes, area))
    overlaps[one.ignored] = 0
    overlaps[:, other.ignored] = 0
    pairs = []
    while overlaps.size and overlaps.max() >= MIN_IOU:
        i, j = np.unravel_index(np.argmax(overlaps), overlaps.shape)
        pairs.append((one.cells[i], other.cells[j]))
        overlaps[i] = overlaps[:, j] = 0
    return tuple(pairs)


def _cut(boxes: NDArray[np.float64], area: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([np.clip(boxes[:, i::2], area[i], area[i + 2]) for i in (0, 1)], 1)[:, [0, 2, 1, 3]]


def _ious(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = np.minimum(one[:, None, 2:], other[None, :, 2:]) - np.maximum(one[:, None, :2], other[None, :, :2])
    shared = np.prod(np.maximum(sides, 0), -1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], -1) for boxes in (one, other)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)
