"""The LeukemiaAttri release's two extended YOLO text formats -> COCO JSON with attributes and annotated regions.

LeukemiaAttri: ``cls x y w h [a0] a1..a6`` (12 columns, 11 without Cell Size). Sparse-LeukemiaAttri:
``cls x y w h p p p p a0..a6`` (16 columns). x y w h are centre and size divided by the image's width and height. The
p's are the corners of the annotated patch in pixels of the 640x640 image. a0 is Cell Size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmleuk.datasets.converters.folders import is_label_text, read_size
from mmleuk.datasets.converters.labels import check_shares, parse_number, parse_whole
from mmleuk.datasets.validation import Defect, parse_rectangle
from mmleuk.errors import UserError
from mmleuk.schema import DECLARATIONS, IGNORE, LEUKEMIA_CELL_SIZE, AttributeSchema, SchemaError
from mmleuk.utils.image_files import SUFFIXES, files_below
from mmleuk.utils.progress import progress
from mmleuk.utils.text_files import read_text

Corners = tuple[float, float, float, float]

RELEASE_SCHEMA = AttributeSchema((LEUKEMIA_CELL_SIZE, *DECLARATIONS['leukemia_attri'].attributes.attributes))
COLUMNS = {'leukemia': (12, 11), 'sparse': (16,)}
PATCH_IMAGE_SIZE = 640.0
PATCH_TOLERANCE = 1.0

CORNER_ORDERS = {'xyxy': (0, 1, 2, 3), 'xxyy': (0, 2, 1, 3)}
"""The order of the p's in the file -> their indices as x1, y1, x2, y2. The release's code reads the first order, its
page describes the second."""


@dataclass(frozen=True)
class Row:
    """One cell. ``where`` names file and line, ``centre_size`` is normalised, ``corners`` raw p's or None, attributes
    are IGNORE where unknown."""

    where: str
    label: int
    centre_size: tuple[float, float, float, float]
    corners: Corners | None
    attributes: dict[str, int]


def parse_row(text: str, where: str, columns: int, num_classes: int) -> Row:
    """Parse one line.

    Args:
        text: the line.
        where: file and line number, for messages.
        columns: number of columns of this file: 11, 12 or 16.
        num_classes: number of classes; their indices start at 0.

    Raises:
        UserError: the number of columns is wrong, a value isn't a number, or class, box or attribute are out of range.

    Example:
        >>> parse_row('1 .5 .5 .1 .2 0 1 0 1 0 2', 'a.txt:1', 11, 14).attributes
        {'nuclear_chromatin': 0, 'nuclear_shape': 1, 'nucleolus': 0, 'cytoplasm': 1, 'cytoplasmic_basophilia': 0, \
'cytoplasmic_vacuoles': -1}
    """
    fields = text.split()
    if len(fields) != columns:
        raise UserError(f'{where}: has {len(fields)} columns where {columns} are expected; LeukemiaAttri has 12 (or 11 '
                        'without Cell Size), its sparse subset 16, and all files of a conversion the same number')
    numbers = [parse_number(field, where) for field in fields]
    label = parse_whole(numbers[0], where, 'class', range(num_classes))
    centre_size = numbers[1:5]
    check_shares(centre_size, where, ' '.join(fields[1:5]), sizes=centre_size[2:])
    corners = _four(numbers[5:]) if columns == 16 else None
    values = numbers[9:] if columns == 16 else numbers[5:]
    try:
        attributes = {key: RELEASE_SCHEMA.encode(key, value)
                      for key, value in zip(RELEASE_SCHEMA.keys[-len(values):], values, strict=True)}
    except SchemaError as error:
        raise UserError(f'{where}: {error}') from error
    if set(values) == {2.0}:  # how the texts write a cell without attributes, where 2 is no size
        attributes = dict.fromkeys(attributes, IGNORE)
    return Row(where, label, _four(centre_size), corners, attributes)


def _four(numbers: Sequence[float]) -> Corners:
    first, second, third, fourth = numbers[:4]
    return first, second, third, fourth


def choose_corner_order(rows: Iterable[Row], orders: Sequence[str] = tuple(CORNER_ORDERS)) -> str:
    """The order of patch corners that gives every row a valid patch within the image.

    One program wrote all rows, so all have the same order. If both orders fit a row, the other rows decide.

    Args:
        rows: of all texts.
        orders: possible orders.

    Raises:
        UserError: no order fits every row, or both fit and give different patches.
    """
    fitting = dict.fromkeys(orders, True)
    differing: Row | None = None
    for row in rows:
        patches = {name: patch_xyxy(row, name) for name in orders}
        fits = {name: fitting[name] and _is_patch(patches[name]) for name in orders}
        if not any(fits.values()):
            raise UserError(f'{row.where}: patch corners {_text(row)} fit no order that the lines before it leave '
                            f'({", ".join(name for name in fitting if fitting[name])}): x1 < x2 and y1 < y2 within '
                            f'{PATCH_IMAGE_SIZE:g} px; correct the line')
        if all(fits.values()) and len(set(patches.values())) > 1:
            differing = differing or row
        fitting = fits
    if all(fitting.values()) and differing is not None:
        raise UserError(f'{differing.where}: patch corners {_text(differing)} are a patch in both orders, and no line '
                        'decides which it is; give --corners xyxy (x1 y1 x2 y2) or --corners xxyy (x1 x2 y1 y2)')
    return next(name for name in fitting if fitting[name])


def patch_xyxy(row: Row, order: str) -> Corners:
    """A sparse row's patch as xyxy in pixels of the 640x640 image."""
    corners: Sequence[float] = row.corners or ()
    x1, y1, x2, y2 = (corners[index] for index in CORNER_ORDERS[order])
    return x1, y1, x2, y2


def _is_patch(patch: Corners) -> bool:
    x1, y1, x2, y2 = patch
    inside = min(patch) >= -PATCH_TOLERANCE and max(patch) <= PATCH_IMAGE_SIZE + PATCH_TOLERANCE
    return x1 < x2 and y1 < y2 and inside


def _text(row: Row) -> str:
    return ' '.join(f'{value:g}' for value in row.corners or ())


@dataclass(frozen=True)
class LabelledImage:
    """One image: name relative to the images' folder, size in pixels, rows of its text (none: no cell)."""

    file_name: str
    width: int
    height: int
    rows: tuple[Row, ...]


def convert_yolo(images_dir: str | Path, labels_dir: str | Path, classes: Sequence[str], *, layout: str = 'auto',
                 corners: str = 'auto', allow_unlabelled: bool = False) -> dict:
    """COCO JSON from a folder of images and a folder of texts with the same relative names.

    Args:
        images_dir: folder of the images; sub-folders are read, too.
        labels_dir: folder of the texts.
        classes: names by class index.
        layout: 'leukemia' (11 or 12 columns), 'sparse' (16) or 'auto' (by the first line).
        corners: order of the patch's corners: 'xyxy', 'xxyy', or 'auto' (the order that fits every line).
        allow_unlabelled: take an image without a text as an image without cells (in a sparse set: without a region)
            instead of raising an error.

    Raises:
        UserError: there is a defect. The message names file and line.
    """
    texts = _find_texts(Path(images_dir), Path(labels_dir), allow_unlabelled)
    columns = _count_columns([text for text in texts.values() if text], layout)
    images = [_read_image(Path(images_dir), path, text, columns, len(classes))
              for path, text in progress(texts.items(), total=len(texts), desc='reading images')]
    rows = [row for image in images for row in image.rows]
    orders = tuple(CORNER_ORDERS) if corners == 'auto' else (corners,)
    return make_coco(images, classes, choose_corner_order(rows, orders) if columns == 16 else None)


def _find_texts(images_dir: Path, labels_dir: Path, allow_unlabelled: bool) -> dict[Path, Path | None]:
    """Every image with its text, or with None."""
    for folder in (images_dir, labels_dir):
        if not folder.is_dir():
            raise UserError(f'{folder}: no such folder; give the folder of the images and that of the texts')
    images = files_below(images_dir)
    if not images:
        raise UserError(f'{images_dir}: holds no image ({", ".join(SUFFIXES)}); give the folder of the images')
    texts = {path.relative_to(labels_dir).with_suffix(''): path for path in files_below(labels_dir, '.txt')}
    found: dict[Path, Path | None] = {}
    for image in images:
        text = texts.pop(image.relative_to(images_dir).with_suffix(''), None)
        if text is None and not allow_unlabelled:
            raise UserError(f'{image}: has no text in {labels_dir}; add it (empty for an image without cells), or give '
                            '--allow-unlabelled')
        found[image] = text
    left = [path for path in texts.values() if is_label_text(path)]
    if left:
        raise UserError(f'{left[0]}: has no image in {images_dir} ({len(left)} such texts); add it or remove the text')
    return found


def _count_columns(texts: Sequence[Path], layout: str) -> int:
    """Number of columns of the first line of all texts."""
    allowed = COLUMNS[layout] if layout != 'auto' else tuple(n for counts in COLUMNS.values() for n in counts)
    for path in texts:
        for number, line in _lines(path):
            columns = len(line.split())
            if columns in allowed:
                return columns
            raise UserError(f'{path}:{number}: has {columns} columns; LeukemiaAttri has 12 (or 11 without Cell Size), '
                            f'its sparse subset 16 (layout {layout!r} takes {", ".join(map(str, allowed))})')
    return allowed[0]


def _lines(path: Path) -> list[tuple[int, str]]:
    """Numbered lines that are not empty."""
    lines = enumerate(read_text(path, 'restore the file').splitlines(), 1)
    return [(number, line) for number, line in lines if line.strip()]


def _read_image(root: Path, image: Path, text: Path | None, columns: int, num_classes: int) -> LabelledImage:
    rows = tuple(parse_row(line, f'{text}:{number}', columns, num_classes)
                 for number, line in (_lines(text) if text else ()))
    width, height = read_size(image)
    return LabelledImage(image.relative_to(root).as_posix(), width, height, rows)


def make_coco(images: Sequence[LabelledImage], classes: Sequence[str], corner_order: str | None) -> dict:
    """COCO JSON from the read images; ``corner_order`` is None for completely annotated ones."""
    entries, annotations = [], []
    for image_id, image in enumerate(images, 1):
        entry = dict(id=image_id, file_name=image.file_name, width=image.width, height=image.height)
        if corner_order is not None:
            entry['annotated_region'] = _regions(image, corner_order)
        entries.append(entry)
        annotations += [_annotation(row, image, image_id) for row in image.rows]
    for annotation_id, annotation in enumerate(annotations, 1):
        annotation['id'] = annotation_id
    return dict(
        images=entries, annotations=annotations,
        categories=[dict(id=index, name=name) for index, name in enumerate(classes, 1)],
        attributes=RELEASE_SCHEMA.to_dict())


def _regions(image: LabelledImage, corner_order: str) -> list[list[float]]:
    """The image's different patches, [x, y, width, height] in its own pixels."""
    scale = (image.width / PATCH_IMAGE_SIZE, image.height / PATCH_IMAGE_SIZE)
    regions = []
    for row in image.rows:
        x1, y1, x2, y2 = patch_xyxy(row, corner_order)
        raw = [x1 * scale[0], y1 * scale[1], (x2 - x1) * scale[0], (y2 - y1) * scale[1]]
        region = _inside(raw, image, row, max_overhang_px=PATCH_TOLERANCE * max(scale))
        if region not in regions:
            regions.append(region)
    return regions


def _annotation(row: Row, image: LabelledImage, image_id: int) -> dict:
    x, y, width, height = row.centre_size
    raw = [(x - width / 2) * image.width, (y - height / 2) * image.height, width * image.width, height * image.height]
    box = _inside(raw, image, row)
    return dict(id=0, image_id=image_id, category_id=row.label + 1, bbox=box, area=box[2] * box[3], iscrowd=0,
                attributes={key: None if value == IGNORE else value for key, value in row.attributes.items()})


def _inside(raw: list[float], image: LabelledImage, row: Row, max_overhang_px: float = 1.0) -> list[float]:
    try:
        x1, y1, x2, y2 = parse_rectangle([round(value, 3) for value in raw], (image.width, image.height),
                                         max_overhang_px)
    except Defect as defect:
        raise UserError(f'{row.where}: {defect.what}; {defect.fix}') from defect
    return [round(value, 3) for value in (x1, y1, x2 - x1, y2 - y1)]
