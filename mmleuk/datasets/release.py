"""LeukemiaAttri as it is released: where its files lie, and what its annotation files mean.

The release's JSON repeats an image entry once per box, has boxes twice, boxes of two classes and boxes of a few pixels,
and writes 4 where an attribute is not available. :func:`apply_rules` makes one reading of it; docs/data.md states the
rules. Training, scores and ``mmleuk data check`` read the same content.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmleuk.datasets.file_names import magnification
from mmleuk.datasets.subsets import Subset
from mmleuk.datasets.validation import is_finite, normalise_coco
from mmleuk.schema import LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES, normalise_class_name

ROOT = 'LeukemiaAttri_Dataset'
"""The release's own top folder."""
LAYOUTS = (('json_labels', 'images'), ('annotations', 'images'))
"""Folders of JSON files and of images within a subset: as released, and as earlier versions of this package had it."""
REPEATED, DOUBLE, TWO_CLASSES, SMALL, UNAVAILABLE = KINDS = (
    'repeated image entry', 'double box', 'box of two classes', 'box under 8 px', 'attribute value 4')
"""What :func:`apply_rules` counts."""
MIN_SIDE_PX, MIN_SIDE_10X_PX = 8.0, 2.0
"""Narrower boxes frame no cell; at 10x cells themselves are hardly wider than 8 px."""
SAME_BOX_IOU = 0.9
"""Two boxes that overlap more frame the same cell."""

Record = dict[str, Any]
_MISSPELT = 'nuclear_chromatio'
_CLASSES = {normalise_class_name(name): name for name in LEUKEMIA_CLASSES}
_KEYS = frozenset(('cell_size', *LEUKEMIA_ATTRIBUTES.keys, _MISSPELT))


def find_files(data_root: str | Path, subset: Subset, split: str) -> tuple[str, str]:
    """The JSON file and the folder of images of one split.

    Looks in ``data_root`` and in ``LeukemiaAttri_Dataset`` within and beside it, for the subset by either name, in the
    release's layout and then in the older one; capitals in names don't matter.

    Returns:
        Two paths as text. Where nothing is found: where the release would have them under ``data_root``.
    """
    root = Path(data_root)
    beside = [folder for name in (root.name, ROOT) for folder in _matches(root.parent, (name,))]
    for folder in dict.fromkeys((root, *_matches(root, (ROOT,)), *beside)):
        for labels, images in LAYOUTS:
            for name in (subset.release_name, subset.name):
                found = next(_matches(folder, (name, labels, f'{split}.json')), None)
                if found is not None:
                    base = found.parents[1]
                    below = next(_matches(base, (images, split)), None) or base / 'Images' / split
                    return str(found), f'{below}/'
    return str(root / subset.ann_file(split)), f'{root / subset.img_prefix(split)}/'


def _matches(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Paths below ``folder`` whose parts are ``names`` in any case; ``folder`` itself is taken as it is."""
    if not names:
        yield folder
    elif folder.is_dir():
        wanted = names[0].casefold()
        for path in sorted(folder.iterdir()):
            if path.name.casefold() == wanted:
                yield from _matches(path, names[1:])


def normalise_annotations(content: Any) -> Any:
    """As :func:`normalise_coco`, and with the rules of :func:`apply_rules` where the file is the release's."""
    content = normalise_coco(content)
    return apply_rules(content)[0] if is_release(content) else content


def is_release(content: Any) -> bool:
    """Whether a COCO JSON is LeukemiaAttri's own: by its classes and by its spelling ``nuclear_chromatio``."""
    if not isinstance(content, dict) or not isinstance(content.get('categories'), list):
        return False
    names = [entry.get('name') for entry in content['categories'] if isinstance(entry, dict)]
    annotations = content.get('annotations')
    return all(isinstance(name, str) and normalise_class_name(name) in _CLASSES for name in names) and isinstance(
        annotations, list) and any(isinstance(entry, dict) and _MISSPELT in entry for entry in annotations)


def apply_rules(content: Any) -> tuple[Any, dict[str, Counter[str]]]:
    """One field per image, one box per cell, null for what is not available; the input stays as it is.

    1. Classes get their declared names ("abnormal promyelocyte" is "Abnormal promyelocyte").
    2. Image entries that differ in their id alone are one field with all cells; the lowest id stays.
    3. Boxes of one field with an IoU over 0.9 are one cell. An attribute that they state differently is unknown.
    4. Where such boxes have two classes, None yields to the other; of two types nobody knows which is right, and the
       cell is ignored (``ignore: 1``).
    5. A box with a side under 8 px (2 px in a 10x field) is ignored.
    6. An attribute's value 4 is unknown.
    7. Fields are in the order of their names, cells in the order of their boxes.

    Records that cannot be read stay, for the reader to name.

    Args:
        content: as :func:`normalise_coco` leaves it.

    Returns:
        The content, and how many records each kind of :data:`KINDS` concerns, by file name. Applying the rules again
        changes nothing.
    """
    found: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    if not isinstance(content, dict) or not all(
            isinstance(content.get(key), list) for key in ('images', 'annotations', 'categories')):
        return content, found
    categories = [_declared(entry) for entry in content['categories']]
    none_ids = [entry['id'] for entry in categories if isinstance(entry, dict) and entry.get('name') == 'None'
                and 'id' in entry]
    images, new_ids = _merge_entries(content['images'], found[REPEATED])
    names = {image['id']: image['file_name'] for image in images if _is_entry(image)}
    cells: dict[Any, list[Record]] = {key: [] for key in names}
    others = []
    for annotation in content['annotations']:
        if not _is_cell(annotation, new_ids):
            others.append(annotation)
            continue
        image_id = new_ids[annotation['image_id']]
        known, replaced = _without_fours(annotation)
        found[UNAVAILABLE][names[image_id]] += replaced
        cells[image_id].append({**known, 'image_id': image_id})
    annotations = [cell for key, of_image in cells.items() for cell in _unite(of_image, names[key], none_ids, found)]
    return {**content, 'images': images, 'annotations': [*annotations, *others], 'categories': categories}, {
        kind: Counter({name: count for name, count in counts.items() if count}) for kind, counts in found.items()}


def _declared(category: Any) -> Any:
    if not isinstance(category, dict) or not isinstance(category.get('name'), str):
        return category
    return {**category, 'name': _CLASSES.get(normalise_class_name(category['name']), category['name'])}


def _order(value: Any) -> tuple[bool, Any]:
    return isinstance(value, str), value


def _is_id(value: Any) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _is_entry(image: Any) -> bool:
    return isinstance(image, dict) and _is_id(image.get('id')) and isinstance(image.get('file_name'), str)


def _is_cell(annotation: Any, image_ids: Mapping[Any, Any]) -> bool:
    if not isinstance(annotation, dict) or not all(
            _is_id(annotation.get(key)) for key in ('id', 'image_id', 'category_id')):
        return False
    box = annotation.get('bbox')
    return annotation['image_id'] in image_ids and isinstance(box, (list, tuple)) and len(box) == 4 and all(
        map(is_finite, box))


def _merge_entries(raw: Sequence, repeated: Counter[str]) -> tuple[list, dict[Any, Any]]:
    """Image entries, those that differ in their id alone once, by name; and the new id of every old one."""
    by_name: dict[str, list[Record]] = {}
    others = [image for image in raw if not _is_entry(image)]
    for image in filter(_is_entry, raw):
        by_name.setdefault(image['file_name'], []).append(image)
    images: list[Any] = []
    new_ids: dict[Any, Any] = {}
    for name, entries in sorted(by_name.items()):
        entries = sorted(entries, key=lambda image: _order(image['id']))
        first = entries[0]
        if any({**entry, 'id': first['id']} != first for entry in entries):  # contradict each other: the reader refuses
            images += entries
            new_ids |= {entry['id']: entry['id'] for entry in entries}
            continue
        repeated[name] += len(entries) if len(entries) > 1 else 0
        images.append(first)
        new_ids |= {entry['id']: first['id'] for entry in entries}
    return [*images, *others], new_ids


def _without_fours(annotation: Record) -> tuple[Record, bool]:
    """The annotation with null for each attribute's value 4, and whether it had one."""
    def of(record: Mapping[str, Any]) -> Record:
        return {key: None if key in _KEYS and value in (4, '4') else value for key, value in record.items()}
    known = of(annotation)
    if isinstance(annotation.get('attributes'), Mapping):
        known['attributes'] = of(annotation['attributes'])
    return known, known != annotation


def _unite(cells: Sequence[Record], file_name: str, none_ids: Sequence, found: Mapping[str, Counter[str]],
           ) -> Iterator[Record]:
    """The cells of one field, each once, in the order of their boxes."""
    least = MIN_SIDE_10X_PX if magnification(file_name) == 10 else MIN_SIDE_PX
    ordered = sorted(cells, key=lambda cell: (*map(float, cell['bbox']), _order(cell['id'])))
    for group in _same_boxes(ordered):
        classes = list(dict.fromkeys(cell['category_id'] for cell in group))
        named = [key for key in classes if key not in none_ids]
        kept = [cell for cell in group if cell['category_id'] in named] or group
        cell = _agreed(sorted(kept, key=lambda cell: _order(cell['category_id']))) if len(group) > 1 else group[0]
        found[TWO_CLASSES][file_name] += len(classes) > 1
        found[DOUBLE][file_name] += len(group) > len(classes)
        is_small = 0 < min(cell['bbox'][2:]) < least
        found[SMALL][file_name] += is_small
        yield {**cell, 'ignore': 1} if is_small or len(named) > 1 else cell


def _same_boxes(cells: Sequence[Record]) -> list[list[Record]]:
    """Groups of cells whose boxes overlap more than SAME_BOX_IOU; crowds stay alone."""
    groups: list[list[Record]] = []
    for cell in cells:
        alike = [group for group in groups if not cell.get('iscrowd') and any(
            not other.get('iscrowd') and _iou(cell['bbox'], other['bbox']) > SAME_BOX_IOU for other in group)]
        if alike:
            alike[0].append(cell)
            for other in alike[1:]:
                alike[0].extend(other)
                groups.remove(other)
        else:
            groups.append([cell])
    return groups


def _iou(one: Sequence[float], other: Sequence[float]) -> float:
    sides = [min(one[i] + one[i + 2], other[i] + other[i + 2]) - max(one[i], other[i]) for i in (0, 1)]
    shared = math.prod(sides) if min(sides) > 0 else 0.0
    union = one[2] * one[3] + other[2] * other[3] - shared
    return shared / union if union > 0 else 0.0


def _agreed(cells: Sequence[Record]) -> Record:
    """The first of the cells, with the attributes that those which know them agree on."""
    first = dict(cells[0])
    inner = [cell['attributes'] for cell in cells if isinstance(cell.get('attributes'), Mapping)]
    first |= _agreed_values(cells, lambda key: key in _KEYS)
    return first | (dict(attributes=_agreed_values(inner, lambda key: True)) if inner else {})


def _agreed_values(records: Sequence[Mapping[str, Any]], is_attribute: Callable[[str], bool]) -> Record:
    agreed: Record = {}
    for key in dict.fromkeys(key for record in records for key in record if is_attribute(key)):
        unknown = (None, '', -1) if key == 'cell_size' else (None, '', -1, 2)
        values = [record[key] for record in records if record.get(key) not in unknown]
        agreed[key] = values[0] if values and all(value == values[0] for value in values) else None
    return agreed
