"""YOLO's plain texts: a line ``class x y w h`` per cell, centre and size as shares of the image.

Numbers are written with as few decimals, 6 at least, as give the box back to a millionth of a pixel. So boxes that
were given to six decimals come back to the last digit, and texts of six decimals, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from mmleuk.datasets.converters.extended_yolo import parse_number, parse_whole
from mmleuk.datasets.converters.labels import Label, LabelFile, SizeWH
from mmleuk.datasets.validation import Box
from mmleuk.errors import UserError

CLASSES_FILE = 'classes.txt'
YAML_FILE = 'data.yaml'
COLUMNS = 5
PIXEL_DECIMALS = 6
SHARE_DECIMALS = range(6, 18)


@dataclass(frozen=True)
class YoloFormat:
    """YOLO's plain texts."""

    name: str = 'yolo'
    folder: str = 'labels'
    suffix: str = '.txt'

    def make_label(self, class_name: str, box_xyxy: Box, size_wh: SizeWH, ignored: bool, truncated: bool) -> Label:
        """Centre and size as shares; the format knows neither ignored nor truncated cells.

        Example:
            >>> YoloFormat().make_label('WBC', (10.0, 20.0, 43.0, 30.0), (300, 200), False, False).numbers
            (0.088333333, 0.125, 0.11, 0.05)
        """
        x1, y1, x2, y2 = box_xyxy
        wanted = [round(value, PIXEL_DECIMALS) for value in (x1, y1, x2 - x1, y2 - y1)]
        exact = ((x1 + x2) / 2 / size_wh[0], (y1 + y2) / 2 / size_wh[1], (x2 - x1) / size_wh[0], (y2 - y1) / size_wh[1])
        label = Label(class_name, exact)
        for decimals in SHARE_DECIMALS:
            x, y, width, height = (round(value, decimals) for value in exact)
            label = Label(class_name, (x, y, width, height))
            if min(width, height) > 0 and self.box_xywh(label, size_wh) == wanted:
                break
        if min(label.numbers[2:]) <= 0:
            raise UserError(f'{class_name} {wanted}: width and height vanish in YOLO\'s decimals; remove the cell')
        return label

    def box_xywh(self, label: Label, size_wh: SizeWH) -> list[float]:
        """[x, y, width, height] in pixels, to a millionth."""
        x, y, width, height = label.numbers
        raw = ((x - width / 2) * size_wh[0], (y - height / 2) * size_wh[1], width * size_wh[0], height * size_wh[1])
        return [round(value, PIXEL_DECIMALS) + 0.0 for value in raw]

    def write(self, labels: LabelFile, class_names: Sequence[str]) -> str:
        """A line per cell; its class is the place in ``class_names``."""
        places = {name: place for place, name in enumerate(class_names)}
        return ''.join(f'{places[label.class_name]} {" ".join(map(_decimal, label.numbers))}\n'
                       for label in labels.labels)

    def read(self, path: Path, file_name: str, class_names: Sequence[str]) -> LabelFile:
        """One text.

        Raises:
            UserError: unreadable, or a line that is none, naming file and line.
        """
        try:
            text = path.read_text(encoding='utf-8')
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f'{path}: cannot be read as text ({error}); restore the file') from error
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        return LabelFile(str(path), file_name, None, tuple(
            parse_line(line, f'{path}:{number}', class_names) for number, line in lines))


def parse_line(text: str, where: str, class_names: Sequence[str]) -> Label:
    """One line.

    Raises:
        UserError: wrong number of columns, no number, a class that isn't in the list, a share outside 0 to 1.

    Example:
        >>> parse_line('1 .5 .5 .1 .2', 'a.txt:1', ('WBC', 'RBC')).class_name
        'RBC'
    """
    fields = text.split()
    if len(fields) != COLUMNS:
        raise UserError(f'{where}: has {len(fields)} columns where YOLO has {COLUMNS} (class, centre x, centre y, '
                        "width, height); LeukemiaAttri's extended texts are read without --from")
    place, *shares = (parse_number(field, where) for field in fields)
    label = parse_whole(place, where, 'class', range(len(class_names)))
    x, y, width, height = shares
    if not all(0 <= share <= 1 for share in shares) or min(width, height) <= 0:
        raise UserError(f'{where}: box {" ".join(fields[1:])} is no normalised centre and size: all lie in 0..1, width '
                        'and height above 0; correct or remove the line')
    return Label(class_names[label], (x, y, width, height), where=where)


def read_classes(path: Path) -> tuple[str, ...]:
    """Class names of a ``classes.txt``, one per line.

    Raises:
        UserError: missing or unreadable, or an empty line before the last name.
    """
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'{path}: cannot be read ({error}); YOLO texts only number their classes: put the names there, '
                        'one per line, or into data.yaml, or give --classes') from error
    names = [line.strip() for line in lines]
    while names and not names[-1]:
        names.pop()
    if '' in names:
        raise UserError(f'{path}: line {names.index("") + 1} is empty, yet lines number the classes; put the name '
                        'there, or remove the line if the texts do not count it')
    return tuple(names)


def _decimal(value: float) -> str:
    """Plain decimals, at least six of them: some readers know no exponents."""
    text = f'{value:.17f}'.rstrip('0') if abs(value) < 1e-4 else repr(float(value))
    whole, _, decimals = text.partition('.')
    return f'{whole}.{decimals.ljust(SHARE_DECIMALS[0], "0")}'


def find_classes(folder: Path) -> tuple[str, ...]:
    """Names in ``classes.txt`` or, without one, in ``data.yaml``.

    Raises:
        UserError: neither is there, or the one that is has no such names.
    """
    if not (folder / CLASSES_FILE).exists() and (folder / YAML_FILE).exists():
        return read_yaml_names(folder / YAML_FILE)
    return read_classes(folder / CLASSES_FILE)


def read_yaml_names(path: Path) -> tuple[str, ...]:
    """``names`` of a ``data.yaml``: a list, or a dict that counts from 0.

    Raises:
        UserError: unreadable, or without such names.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        what = ' '.join(str(error).split())
        raise UserError(f'{path}: cannot be read ({what}); mend it, or give --classes') from error
    names = content.get('names') if isinstance(content, Mapping) else None
    if isinstance(names, Mapping) and list(names) == list(range(len(names))):
        names = list(names.values())
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise UserError(f'{path}: names is {names!r:.80}; it has to be a list of class names, or a dict of them '
                        'that counts from 0; mend it, or give --classes')
    return tuple(names)
