"""The content of a label file, between the formats and COCO JSON. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import combinations
from pathlib import PurePosixPath
from typing import Protocol

from mmleuk.datasets.validation import Box
from mmleuk.errors import UserError

SizeWH = tuple[int, int]
SHARE_TOLERANCE = 0.01


@dataclass(frozen=True)
class Label:
    """One cell in a label file.

    Args:
        class_name: its class.
        numbers: the box in the format's numbers (VOC: xmin, ymin, xmax, ymax; YOLO: centre and size as shares).
        ignored: takes no part in training or scores (VOC: difficult; YOLO has no such flag).
        truncated: VOC's flag that the border cuts the cell.
        where: file and object or line, for messages; it is ignored when labels are compared.
        is_outline: the file has a polygon; ``numbers`` is its bounding box.
    """

    class_name: str
    numbers: Box
    ignored: bool = False
    truncated: bool = False
    where: str = field(default='', compare=False)
    is_outline: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class LabelFile:
    """One image's labels; ``where`` names the file for messages; ``size_wh`` is in pixels, or None if not stated."""

    where: str
    file_name: str
    size_wh: SizeWH | None
    labels: tuple[Label, ...]


class LabelFormat(Protocol):
    """A format with one label file per image."""

    @property
    def name(self) -> str:
        """'voc' or 'yolo'."""

    @property
    def folder(self) -> str:
        """The folder of the label files in the data set's folder."""

    @property
    def suffix(self) -> str:
        """Suffix of the label files."""

    def make_label(self, class_name: str, box_xyxy: Box, size_wh: SizeWH, ignored: bool, truncated: bool) -> Label:
        """A label from a box in pixels."""

    def box_xywh(self, label: Label, size_wh: SizeWH) -> list[float]:
        """The box of a label in pixels."""

    def write(self, labels: LabelFile, class_names: Sequence[str]) -> str:
        """Text of a label file."""


def label_path(label_format: LabelFormat, file_name: str) -> str:
    """A label file's path in the data set's folder, from its image's name.

    Raises:
        UserError: the image's name leads out of the folder, or isn't a path.
    """
    path = PurePosixPath(file_name)
    harmless = path.name and not path.is_absolute() and '..' not in path.parts and '\\' not in file_name
    if not harmless or not file_name.isprintable() or any(part != part.strip() for part in path.parts):
        raise UserError(f'image {file_name!r}: its name is no path within a folder of images; give names relative to '
                        'that folder, without .. and without spaces around them')
    return str(PurePosixPath(label_format.folder) / path.with_suffix(label_format.suffix))


def check_class_names(names: Sequence[object], where: str) -> None:
    """Refuse class names that a line of text or an XML element would change.

    Raises:
        UserError: there is one. The message names the first.
    """
    for name in names:
        if not isinstance(name, str) or not name.isprintable() or name != name.strip() or not name:
            raise UserError(f'{where}: class name {name!r} cannot be written to a label file; it needs printable text '
                            'without spaces around it')
    twice = next((name for name in names if list(names).count(name) > 1), None)
    if twice is not None:
        raise UserError(f'{where}: the class {twice!r} is listed twice; list every class once')


def check_shares(shares: Sequence[float], where: str, stated: str, sizes: Sequence[float]) -> None:
    """Refuse numbers that can't be shares of an image's width and height.

    Args:
        shares: coordinates and sizes. Rounding may put them a little outside 0..1 (1.000001); the box is checked later,
            in pixels.
        where: file and line, for messages.
        stated: the numbers as written in the file.
        sizes: those of them that must be positive.

    Raises:
        UserError: a number is wrong. The message names the line.
    """
    if all(-SHARE_TOLERANCE <= share <= 1 + SHARE_TOLERANCE for share in shares) and all(size > 0 for size in sizes):
        return
    pixels = '; they seem to be pixels: divide them by width and height' if max(shares) > 2 else ''
    raise UserError(f'{where}: box {stated} is no normalised centre and size: all lie in 0..1, width and height above '
                    f'0{pixels}; correct or remove the line')


def parse_number(field: str, where: str) -> float:
    """A finite number; else a UserError that names ``where``."""
    try:
        value = float(field)
    except ValueError as error:
        raise UserError(f'{where}: {field!r} is no number; correct or remove the line') from error
    if not math.isfinite(value):
        raise UserError(f'{where}: {field!r} is no finite number; correct or remove the line')
    return value


def parse_whole(value: float, where: str, noun: str, allowed: range) -> int:
    """A whole number of ``allowed``; else a UserError that names ``where`` and ``noun``."""
    if value not in allowed:
        raise UserError(f'{where}: {noun} {value:g} is outside {allowed[0]}..{allowed[-1]}; correct the line, or give '
                        'the classes that the file was written with')
    return int(value)


def similar_names(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of class names that may be one class: they differ in case, spaces, signs, a plural s, or by a typo.

    Example:
        >>> similar_names(['RBC', 'WBC', 'rbcs', 'Myelocyte', 'Promyelocyte', 'Neutrophil', 'Neutrophill'])
        [('RBC', 'rbcs'), ('Neutrophil', 'Neutrophill')]
    """
    def key(name: str) -> str:
        return ''.join(letter for letter in name.casefold() if letter.isalnum()).removesuffix('s')

    def is_slip(one: str, other: str) -> bool:
        digits = [[letter for letter in name if letter.isdigit()] for name in (one, other)]
        return (min(len(one), len(other)) >= 6 and one[0] == other[0] and digits[0] == digits[1]
                and SequenceMatcher(None, one, other).ratio() >= 0.9)

    return [(one, other) for one, other in combinations(names, 2)
            if (key(one) == key(other) and key(one)) or is_slip(key(one), key(other))]
