"""Pascal VOC: one XML file per image.

VOC's corners are pixels counted from 1, both inside the box: x 0, width 10 is xmin 1, xmax 10. So boxes are rounded to
whole pixels: each edge moves by at most half a pixel. Many tools write corners from 0 instead: ``corners='edges'``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element, ParseError, SubElement, indent, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from mmleuk.datasets.converters.labels import Label, LabelFile, SizeWH
from mmleuk.datasets.validation import Box, normalise_flag
from mmleuk.errors import UserError

CORNERS = ('pixels', 'edges')
SIDES = ('xmin', 'ymin', 'xmax', 'ymax')


@dataclass(frozen=True)
class VocFormat:
    """Pascal VOC's XML.

    Args:
        corners: 'pixels' (as VOC: counted from 1, the last pixel inside) or 'edges' (corners from 0).
    """

    corners: str = 'pixels'
    name: str = 'voc'
    folder: str = 'Annotations'
    suffix: str = '.xml'

    @property
    def _first(self) -> int:
        return 1 if self.corners == 'pixels' else 0

    def make_label(self, class_name: str, box_xyxy: Box, size_wh: SizeWH, ignored: bool, truncated: bool) -> Label:
        """Nearest whole pixels, at least one and only inside the image.

        Example:
            >>> VocFormat().make_label('WBC', (0.4, 2.0, 10.0, 9.6), (20, 20), False, False).numbers
            (1, 3, 10, 10)
        """
        x1, x2 = _whole_pixels(box_xyxy[0], box_xyxy[2], size_wh[0])
        y1, y2 = _whole_pixels(box_xyxy[1], box_xyxy[3], size_wh[1])
        return Label(class_name, (x1 + self._first, y1 + self._first, x2, y2), ignored, truncated)

    def box_xywh(self, label: Label, size_wh: SizeWH) -> list[float]:
        """[x, y, width, height] in pixels."""
        x1, y1, x2, y2 = label.numbers
        left, top = x1 - self._first, y1 - self._first
        return [left, top, x2 - left, y2 - top]

    def write(self, labels: LabelFile, class_names: Sequence[str]) -> str:
        """The XML of one image."""
        path = PurePosixPath(labels.file_name)
        root = Element('annotation')
        SubElement(root, 'folder').text = '' if len(path.parts) == 1 else str(path.parent)
        SubElement(root, 'filename').text = path.name
        size = SubElement(root, 'size')
        for tag, value in zip(('width', 'height', 'depth'), (*(labels.size_wh or ()), 3), strict=True):
            SubElement(size, tag).text = str(value)
        SubElement(root, 'segmented').text = '0'
        for label in labels.labels:
            _add_object(root, label)
        indent(root, '  ')
        return tostring(root, encoding='unicode') + '\n'

    def read(self, path: Path) -> LabelFile:
        """One XML file; the image's name comes from ``<filename>``, else from the file's own name.

        Raises:
            UserError: the file is unreadable, broken or incomplete. The message names file and object.
        """
        where = str(path)
        try:
            root = parse_xml(path.read_bytes(), where)
        except OSError as error:
            raise UserError(f'{path}: cannot be read ({error.strerror}); restore the file') from error
        if root.tag != 'annotation':
            raise UserError(f"{path}: its root is <{root.tag}>, not VOC's <annotation>; point --from voc at the "
                            'folder that holds Annotations/')
        file_name = (root.findtext('filename') or '').strip() or path.stem
        return LabelFile(where, file_name, _read_size(root, where), tuple(
            _read_object(element, f'{where}: object {number}') for number, element in
            enumerate(root.findall('object'), 1)))


def parse_xml(content: bytes, where: str) -> Element:
    """Root element of an XML document from an unknown source; ``where`` names it for messages.

    Raises:
        UserError: the XML is broken, its encoding can't be read, or it has entities, which may grow to gigabytes or
            read other files; annotations don't need them.

    Example:
        >>> parse_xml(b'<a><b>1</b></a>', 'a.xml').findtext('b')
        '1'
    """
    try:
        root: Element = fromstring(content)
    except ParseError as error:
        raise UserError(f'{where}: line {error.position[0]}, column {error.position[1] + 1}: no valid XML ({error}); '
                        'fix or remove the file') from error
    except DefusedXmlException as error:
        raise UserError(f'{where}: declares entities ({error}), which can grow without end or read other files; remove '
                        'its <!DOCTYPE>') from error
    except (LookupError, ValueError) as error:  # such as GBK, which expat cannot read
        raise UserError(f'{where}: its encoding cannot be read ({error}); save the file as UTF-8') from error
    return root


def _whole_pixels(low: float, high: float, size: int) -> tuple[int, int]:
    """Edges at whole pixels; if both round to the same edge, those of the pixel in the middle."""
    first, last = math.floor(low + 0.5), math.floor(high + 0.5)
    if first >= last:
        first = min(int((low + high) / 2), size - 1)
        last = first + 1
    return first, last


def _add_object(root: Element, label: Label) -> None:
    element = SubElement(root, 'object')
    for tag, text in (('name', label.class_name), ('pose', 'Unspecified'), ('truncated', str(int(label.truncated))),
                      ('difficult', str(int(label.ignored)))):
        SubElement(element, tag).text = text
    box = SubElement(element, 'bndbox')
    for tag, number in zip(SIDES, label.numbers, strict=True):
        SubElement(box, tag).text = f'{number:d}'


def _read_size(root: Element, where: str) -> SizeWH | None:
    """Width and height in pixels; None if the file lacks them or has 0, as some tools write."""
    numbers = []
    for tag in ('width', 'height'):
        text = (root.findtext(f'size/{tag}') or '0').strip() or '0'
        value = _number(text, f'{where}: <{tag}>')
        if value != int(value) or value < 0:
            raise UserError(f'{where}: <{tag}> is {text!r}; it needs a positive whole number of pixels')
        numbers.append(int(value))
    return (numbers[0], numbers[1]) if all(numbers) else None


def _read_object(element: Element, where: str) -> Label:
    name = _text(element, 'name', where)
    box = element.find('bndbox')
    if box is None:
        raise UserError(f'{where} ({name}): has no <bndbox>; add it or remove the object')
    x1, y1, x2, y2 = (_number(_text(box, side, where), f'{where} ({name}): <{side}>') for side in SIDES)
    if x2 < x1 or y2 < y1:
        raise UserError(f'{where} ({name}): its corners are swapped (xmin {x1}, ymin {y1}, xmax {x2}, ymax {y2}); min '
                        'is the smaller one, max the larger one')
    return Label(name, (x1, y1, x2, y2), ignored=_flag(element, 'difficult', where),
                 truncated=_flag(element, 'truncated', where), where=where)


def _text(element: Element, tag: str, where: str) -> str:
    text = (element.findtext(tag) or '').strip()
    if not text:
        raise UserError(f'{where}: <{tag}> is missing or empty; add it')
    return text


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise UserError(f'{where} is {text!r}, no number; correct it') from error
    if not math.isfinite(value):
        raise UserError(f'{where} is {text!r}, no finite number; correct it')
    return int(value) if value == int(value) else value


def _flag(element: Element, tag: str, where: str) -> bool:
    text = (element.findtext(tag) or '0').strip()
    value = 0 if text.lower() == 'unspecified' else normalise_flag(text)
    if value not in (0, 1):
        raise UserError(f'{where}: <{tag}> is {text!r}; it is 0 or 1')
    return bool(value)
