"""Folders of images and extended YOLO texts -> COCO JSON with attributes and annotated regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmleuk.datasets.converters.yolo_rows import (
    COLUMNS,
    PATCH_IMAGE_SIZE,
    PATCH_TOLERANCE,
    Row,
    attribute_dict,
    check_corner_order,
    choose_corner_order,
    parse_row,
    patch_xyxy,
)
from mmleuk.datasets.validation import Defect, parse_rectangle
from mmleuk.errors import UserError
from mmleuk.schema import LEUKEMIA_ATTRIBUTES
from mmleuk.utils.image_files import SUFFIXES, decode_image, read_image_file
from mmleuk.utils.progress import progress


@dataclass(frozen=True)
class LabelledImage:
    """One image: name relative to the images' folder, size in pixels, rows of its text (none: no cell)."""

    file_name: str
    width: int
    height: int
    rows: tuple[Row, ...]


def convert_yolo(images_dir: str | Path, labels_dir: str | Path, classes: Sequence[str], *, layout: str = 'auto',
                 corners: str = 'auto', allow_unlabelled: bool = False) -> dict:
    """COCO JSON of a folder of images and a folder of texts with the same relative names.

    Args:
        images_dir: folder of the images; sub-folders are read, too.
        labels_dir: folder of the texts.
        classes: names by class index.
        layout: 'leukemia' (11 or 12 columns), 'sparse' (16) or 'auto' (as the first line says).
        corners: order of the patch's corners: 'xyxy', 'xxyy', or 'auto' (the one that every line allows).
        allow_unlabelled: take an image without a text as one without cells (of a sparse set: nothing is known of it)
            instead of raising.

    Raises:
        UserError: any defect, naming file and line.
    """
    texts = _find_texts(Path(images_dir), Path(labels_dir), allow_unlabelled)
    columns = _count_columns([text for text in texts.values() if text], layout)
    images = [_read_image(Path(images_dir), path, text, columns, len(classes))
              for path, text in progress(texts.items(), total=len(texts), desc='reading images')]
    order = _corner_order([row for image in images for row in image.rows], corners) if columns == 16 else None
    return make_coco(images, classes, order)


def _find_texts(images_dir: Path, labels_dir: Path, allow_unlabelled: bool) -> dict[Path, Path | None]:
    """Every image with its text; None where it has none."""
    for folder in (images_dir, labels_dir):
        if not folder.is_dir():
            raise UserError(f'{folder}: no such folder; give the folder of the images and that of the texts')
    images = sorted(path for path in images_dir.rglob('*') if path.suffix.lower() in SUFFIXES)
    if not images:
        raise UserError(f'{images_dir}: holds no image ({", ".join(SUFFIXES)}); give the folder of the images')
    texts = {path.relative_to(labels_dir).with_suffix(''): path for path in sorted(labels_dir.rglob('*.txt'))
             if path.name != 'classes.txt'}
    found: dict[Path, Path | None] = {}
    for image in images:
        text = texts.pop(image.relative_to(images_dir).with_suffix(''), None)
        if text is None and not allow_unlabelled:
            raise UserError(f'{image}: has no text in {labels_dir}; add it (empty for an image without cells), or give '
                            '--allow-unlabelled')
        found[image] = text
    if texts:
        raise UserError(f'{next(iter(texts.values()))}: has no image in {images_dir} ({len(texts)} such texts); add '
                        'it or remove the text')
    return found


def _count_columns(texts: Sequence[Path], layout: str) -> int:
    """Number of columns that the first line of all texts has."""
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
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'{path}: cannot be read as text ({error}); restore the file') from error
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _read_image(root: Path, image: Path, text: Path | None, columns: int, num_classes: int) -> LabelledImage:
    rows = tuple(parse_row(line, f'{text}:{number}', columns, num_classes)
                 for number, line in (_lines(text) if text else ()))
    height, width = decode_image(read_image_file(str(image)), str(image)).shape[:2]
    return LabelledImage(image.relative_to(root).as_posix(), width, height, rows)


def _corner_order(rows: Sequence[Row], corners: str) -> str:
    if corners == 'auto':
        return choose_corner_order(rows)
    check_corner_order(rows, corners)
    return corners


def make_coco(images: Sequence[LabelledImage], classes: Sequence[str], corner_order: str | None) -> dict:
    """COCO JSON of read images; ``corner_order`` None for completely annotated ones."""
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
        categories=[dict(id=place, name=name) for place, name in enumerate(classes, 1)],
        attributes={attribute.key: list(attribute.values) for attribute in LEUKEMIA_ATTRIBUTES.attributes})


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
                attributes=attribute_dict(row))


def _inside(raw: list[float], image: LabelledImage, row: Row, max_overhang_px: float = 1.0) -> list[float]:
    try:
        x1, y1, x2, y2 = parse_rectangle([round(value, 3) for value in raw], (image.width, image.height),
                                         max_overhang_px)
    except Defect as defect:
        raise UserError(f'{row.where}: {defect.what}; {defect.mend}') from defect
    return [round(value, 3) for value in (x1, y1, x2 - x1, y2 - y1)]
