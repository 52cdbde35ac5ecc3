"""YOLO's plain texts: a line ``class x y w h`` per cell, centre and size as shares of the image.

Numbers have at least 6 decimals, and as many as are needed to restore the box to a millionth of a pixel. So boxes and
texts with six decimals are restored exactly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from mmleuk.datasets.converters.labels import Label, LabelFile, SizeWH, check_shares, parse_number, parse_whole
from mmleuk.datasets.validation import Box
from mmleuk.errors import UserError
from mmleuk.utils.text_files import read_text

CLASSES_FILE = 'classes.txt'
CLASS_LISTS = (CLASSES_FILE, 'obj.names', 'data.yaml', 'dataset.yaml')
COLUMNS = 5
PIXEL_DECIMALS = 6
SHARE_DECIMALS = range(6, 18)
_EXTENDED = "LeukemiaAttri's extended texts are read without --from"
_COLUMN_HINTS = {6: 'a sixth column is a score: these are predictions, no labels; or remove the column', 11: _EXTENDED,
                 12: _EXTENDED, 16: _EXTENDED}


@dataclass(frozen=True)
class YoloFormat:
    """YOLO's plain texts."""

    name: str = 'yolo'
    folder: str = 'labels'
    suffix: str = '.txt'

    def make_label(self, class_name: str, box_xyxy: Box, size_wh: SizeWH, ignored: bool, truncated: bool) -> Label:
        """Centre and size as shares; the format has no ignored or truncated cells.

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
        """A line per cell; its class is the index in ``class_names``."""
        indices = {name: index for index, name in enumerate(class_names)}
        return ''.join(f'{indices[label.class_name]} {" ".join(map(_decimal, label.numbers))}\n'
                       for label in labels.labels)

    def read(self, path: Path, file_name: str, class_names: Sequence[str]) -> LabelFile:
        """One text.

        Raises:
            UserError: the file is unreadable, or a line is wrong. The message names file and line.
        """
        lines = enumerate(read_text(path, 'restore the file').splitlines(), 1)
        return LabelFile(str(path), file_name, None, tuple(
            parse_line(line, f'{path}:{number}', class_names) for number, line in lines if line.strip()))


def parse_line(text: str, where: str, class_names: Sequence[str]) -> Label:
    """One line: a box, or a polygon (``class x1 y1 x2 y2 x3 y3 ...``), which becomes its bounding box.

    Raises:
        UserError: the number of columns is wrong, a value isn't a number, a class isn't in the list, or a share is
            outside 0 to 1.

    Example:
        >>> parse_line('1 .5 .5 .1 .2', 'a.txt:1', ('WBC', 'RBC')).class_name
        'RBC'
        >>> parse_line('0 .25 .25 .75 .25 .5 .5', 'a.txt:1', ('WBC',)).numbers
        (0.5, 0.375, 0.5, 0.25)
    """
    fields = text.split()
    if len(fields) != COLUMNS and not _is_polygon(fields):
        hint = _COLUMN_HINTS.get(len(fields), 'a polygon has at least three points, so 7 columns, 9, 11, ...')
        raise UserError(f'{where}: has {len(fields)} columns where YOLO has {COLUMNS} (class, centre x, centre y, '
                        f'width, height); {hint}')
    index, *shares = (parse_number(field, where) for field in fields)
    label = parse_whole(index, where, 'class', range(len(class_names)))
    outline = len(fields) != COLUMNS
    check_shares(shares, where, ' '.join(fields[1:]), sizes=[] if outline else shares[2:])
    if outline:
        low, high = (min(shares[0::2]), min(shares[1::2])), (max(shares[0::2]), max(shares[1::2]))
        shares = [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, high[0] - low[0], high[1] - low[1]]
        check_shares(shares, where, ' '.join(fields[1:]), sizes=shares[2:])
    x, y, width, height = shares
    return Label(class_names[label], (x, y, width, height), where=where, is_outline=outline)


def _is_polygon(fields: Sequence[str]) -> bool:
    """Whether a row is a polygon: a class and at least three points, and not a row of the release's 11 columns.

    Those rows end with six whole numbers, the attributes; a polygon's points are between 0 and 1.
    """
    if len(fields) < 7 or len(fields) % 2 == 0:
        return False
    return len(fields) != 11 or not all(field in ('0', '1', '2') for field in fields[5:])


def find_classes(folder: Path) -> tuple[tuple[str, ...], Path]:
    """Names of the classes, which YOLO's texts only number, and the file that lists them.

    ``classes.txt`` and ``obj.names`` have one name per line, ``data.yaml`` and ``dataset.yaml`` a table ``names``. They
    are searched in the folder, in its ``labels``, then in the two above it: exports have one list for all their splits.

    Raises:
        UserError: there is no list, it has no class names, or two lists in the same folder differ.
    """
    folder = folder.absolute()
    for above in (folder, folder / 'labels', *folder.parents[:2]):
        others = [path for pattern in ('*.names', '*.yaml', '*.yml') for path in sorted(above.glob(pattern))]
        usual = [path for path in (above / name for name in CLASS_LISTS) if path.is_file()]
        lists = {path: _names(path) for path in usual or (others[:1] if above == folder else [])}
        if len(set(lists.values())) > 1:
            raise UserError(f'{above}: {" and ".join(path.name for path in lists)} name other classes; remove the '
                            'wrong one, or give --classes')
        if lists:
            path = next(iter(lists))
            return lists[path], path
    raise UserError(f'{folder}: YOLO texts only number their classes, and there is no list of their names '
                    f'({", ".join(CLASS_LISTS)}); put them into {CLASSES_FILE}, one per line, or give --classes')


def _names(path: Path) -> tuple[str, ...]:
    names = _yaml_names(path) if path.suffix in ('.yaml', '.yml') else _listed_names(path)
    if not names:
        raise UserError(f'{path}: names no class; put one name on each line, or give --classes')
    return names


def _listed_names(path: Path) -> tuple[str, ...]:
    """A name per line, without the line's number where each has one; lines that start with # are comments."""
    lines = [line.strip() for line in read_text(path, 'restore the file, or give --classes').splitlines()]
    names = [line for line in lines if not line.startswith('#')]
    while names and not names[-1]:
        names.pop()
    counted = [re.fullmatch(rf'{index}[\s:,]+(.+)', name) for index, name in enumerate(names)]
    if all(counted):
        names = [match[1] for match in counted if match]
    if len(names) == 1 and ',' in names[0]:
        raise UserError(f'{path}: {names[0]!r:.80} is one line; put each class name on its own line')
    if '' in names:
        raise UserError(f'{path}: line {names.index("") + 1} is empty, yet lines number the classes; put the name '
                        'there, or remove the line if the texts do not count it')
    return tuple(names)


def _yaml_names(path: Path) -> tuple[str, ...]:
    """``names`` of a YAML file: a list, or a dict with the numbers from 0 as keys, in any order."""
    try:
        content = yaml.safe_load(read_text(path, 'restore the file, or give --classes'))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f'{path}: cannot be read ({" ".join(str(error).split())}); fix it, or give '
                        '--classes') from error
    names = content.get('names') if isinstance(content, Mapping) else None
    if isinstance(names, Mapping):
        by_index = {str(key): name for key, name in names.items()}
        names = [by_index[str(index)] for index in range(len(names)) if str(index) in by_index]
        names = names if len(names) == len(content['names']) else content['names']
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise UserError(f'{path}: names is {names!r:.80}; it must be a list of class names, or a dict of them '
                        'with the keys 0, 1, 2, ...; fix it, or give --classes')
    if content.get('nc', len(names)) != len(names):
        raise UserError(f'{path}: nc is {content["nc"]!r}, yet there are {len(names)} names; correct it, or give '
                        '--classes')
    return tuple(name.strip() for name in names)


def _decimal(value: float) -> str:
    """A number with at least six decimals and without an exponent, which some readers don't know."""
    text = f'{value:.17f}'.rstrip('0') if abs(value) < 1e-4 else repr(float(value))
    whole, _, decimals = text.partition('.')
    return f'{whole}.{decimals.ljust(SHARE_DECIMALS[0], "0")}'
