"""Write copies of a test set under interference: images and a matching COCO JSON per factor.

Legend: N cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np

from mmleuk.datasets.converters.coco_files import CocoFile, read_coco
from mmleuk.datasets.interference.names import ANNOTATIONS
from mmleuk.datasets.interference.preview import draw_sheet
from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS
from mmleuk.structures import CellBoxes
from mmleuk.structures.ground_truth import ImageTruth
from mmleuk.transforms.interference import FACTORS, Donor, Interference, OverlappingCells, Scene, cut_donors, make_rng
from mmleuk.transforms.load_image import check_size
from mmleuk.utils.files import check_target, write_atomic
from mmleuk.utils.image_files import SUFFIXES, decode_image, read_image_file
from mmleuk.utils.json_files import write_json
from mmleuk.utils.new_folder import new_folder
from mmleuk.utils.progress import progress

VERSION = 1
"""Raised by every change that alters a pixel or a box."""
_JPEG_QUALITY = 95
_DECIMALS = 3      # of boxes that were moved or cut, pixels
_DONOR_IMAGES = 3


@dataclass(frozen=True)
class Source:
    """A test set: its checked annotations and the folder of its images."""

    coco: CocoFile
    images: Path

    def scene(self, image: ImageTruth) -> Scene:
        """One image as a scene; a cell's only attribute is its index in ``image.cells``, to find it afterwards."""
        path = str(self.images / image.file_name)
        pixels = decode_image(read_image_file(path), path)
        check_size(pixels, path, image.height, image.width)
        regions = [(0, 0, image.width, image.height)] if image.regions_xyxy is None else image.regions_xyxy
        boxes = CellBoxes(np.array([cell.box_xyxy for cell in image.cells], float).reshape(-1, 4),
                          attributes=np.arange(len(image.cells))[:, None],
                          regions=np.array(regions, float).reshape(-1, 4))
        return Scene(pixels, boxes, np.array([cell.label for cell in image.cells], np.int64),
                     np.array([cell.ignore for cell in image.cells], bool))


def interfere(annotations: str | Path, images: str | Path, out: str | Path, factors: Sequence[str] = tuple(FACTORS), *,
              seed: int = 0, cell_classes: Sequence[str] = (), limit: int | None = None,
              sheet: str | Path | None = None) -> dict[str, int]:
    """Write ``out/<factor>/{images/, annotations.json}``; the folder ``out`` appears whole or not at all.

    An image's record gets the factor under ``factors`` and the added ``impurities`` ([x, y, width, height] each), if
    any. Cells that overlap or are cut get ``affected: 1``. Images that can't show a factor (such as those without a
    cell to cut) are left out of its copy.

    Args:
        annotations: COCO JSON of the test set.
        images: folder of its images.
        out: new folder.
        factors: names of :data:`FACTORS`.
        seed: the same seed gives the same files; they don't depend on the other factors.
        cell_classes: classes that overlap or are cut; default: all.
        limit: use only the first ``limit`` images.
        sheet: PNG to write, a contact sheet (:func:`draw_sheet`); the path is checked first.

    Returns:
        Number of images by factor.

    Raises:
        UserError: a factor or class is unknown, the annotations have a defect, an image is missing or broken, or the
            sheet can't be drawn or written. Then nothing is written.
    """
    if sheet is not None:
        _check_sheet(Path(sheet))
    source = Source(read_coco(annotations), Path(images))
    transforms = make_transforms(factors, source.coco.class_names, cell_classes)
    chosen = source.coco.images[:limit]
    _check_names(chosen)
    written = {}
    with new_folder(out) as folder:
        for factor, transform in transforms.items():
            data = _write_copy(source, chosen, transform, seed, folder / factor)
            written[factor] = len(data['images'])
            if not data['images']:
                raise UserError(f'{annotations}: no image can show {factor!r}; leave the factor out, or give other '
                                '--cell-classes')
            data['info'] = _info(source.coco.data, factor, transform, seed)
            write_json(folder / factor / ANNOTATIONS, data)
        drawn = None if sheet is None else draw_sheet(annotations, images, folder, factors)
    if sheet is not None and drawn is not None:
        write_atomic(sheet, drawn)
    return written


def _check_sheet(path: Path) -> None:
    if path.suffix.lower() != '.png':
        raise UserError(f'{path}: the contact sheet is a PNG; give it a name that ends in .png')
    check_target(path)


def make_transforms(factors: Sequence[str], class_names: Sequence[str],
                    cell_classes: Sequence[str]) -> dict[str, Interference]:
    """Transforms by factor; those that choose cells get the labels of ``cell_classes``."""
    for noun, asked, known in (('factor', factors, FACTORS), ('class', cell_classes, class_names)):
        unknown = [name for name in asked if name not in known]
        if unknown:
            raise UserError(f'unknown {noun} {unknown[0]!r}; known are {", ".join(known)}')
    if not factors or len(set(factors)) < len(factors):
        raise UserError(f'factors are {", ".join(factors) or "none"}; name each one once')
    if cell_classes and not any(FACTORS[name].needs_cells for name in factors):
        raise UserError(f'--cell-classes: no cells are chosen for {", ".join(factors)}; leave it out')
    labels = tuple(class_names.index(name) for name in cell_classes) or None
    chosen = {name: FACTORS[name] for name in factors}
    return {name: TRANSFORMS.build(dict(type=kind, labels=labels) if kind.needs_cells else dict(type=kind))
            for name, kind in chosen.items()}


def _check_names(images: Sequence[ImageTruth]) -> None:
    for image in images:
        path = PurePosixPath(image.file_name)
        if path.is_absolute() or path.suffix.lower() not in SUFFIXES:
            raise UserError(f'image {image.file_name!r}: a copy needs a name within the folder of images, with one of '
                            f'the suffixes {", ".join(SUFFIXES)}')


def _write_copy(source: Source, images: Sequence[ImageTruth], transform: Interference, seed: int,
                folder: Path) -> dict[str, Any]:
    """Write one factor's images; returns its COCO data."""
    raw_images = {image['id']: image for image in source.coco.data['images']}
    raw_cells = {annotation['id']: annotation for annotation in source.coco.data['annotations']}
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    next_id = max((i for i in raw_cells if isinstance(i, int)), default=0) + 1
    for image in progress(images, total=len(images), desc=transform.factor):
        rng = make_rng(seed, transform.factor, image.file_name.encode())
        before = source.scene(image)
        after, donors = _apply(source, images, image, before, transform, rng)
        if after is None:
            continue
        _write_image(folder / 'images' / image.file_name, after.image)
        entries.append(_image_record(raw_images[image.image_id], after, transform.factor))
        cells = list(_cell_records(image, before, after, raw_cells, donors))
        for cell in cells:
            if cell['id'] is None:
                cell['id'], next_id = next_id, next_id + 1
        annotations += cells
    return source.coco.data | dict(images=entries, annotations=annotations)


def _apply(source: Source, images: Sequence[ImageTruth], image: ImageTruth, scene: Scene, transform: Interference,
           rng: np.random.Generator) -> tuple[Scene | None, list[Any]]:
    """The scene with interference, and for each donor's number the annotation that it was cut from."""
    if not isinstance(transform, OverlappingCells):
        return transform.interfere(scene, rng), []
    pool = [other for other in images if other.domain == image.domain and other.image_id != image.image_id]
    picked = [image, *(pool[i] for i in rng.permutation(len(pool))[:_DONOR_IMAGES])]
    donors, origins = [], []
    for index, other in enumerate(picked):
        for donor in cut_donors(scene if index == 0 else source.scene(other), transform.labels):
            origins.append(other.cells[int(donor.attributes[0])].annotation_id)
            # negative numbers mark donors
            donors.append(Donor(donor.density, donor.stain, donor.label, np.array([-len(origins)])))
    return transform.interfere(scene, rng, donors), origins


def _write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded, content = cv2.imencode(path.suffix.lower(), image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not encoded:
        raise UserError(f'{path.name}: cannot be written as {path.suffix}; convert the images to PNG or JPEG first')
    path.write_bytes(content.tobytes())


def _image_record(raw: Mapping[str, Any], scene: Scene, factor: str) -> dict[str, Any]:
    height, width = scene.image_hw
    before = raw.get('factors')
    factors: Any = [*(before if isinstance(before, list) else [before] if before else []), factor]
    if isinstance(before, Mapping):  # name: strength
        factors = {**before, factor: True}
    record = dict(raw) | dict(width=width, height=height, factors=factors)
    if 'annotated_region' in raw:
        record['annotated_region'] = [_xywh(region) for region in scene.boxes.regions.tolist()]
    if len(scene.impurities):
        record['impurities'] = [_xywh(box) for box in scene.impurities.tolist()]
    return record


def _cell_records(image: ImageTruth, before: Scene, after: Scene, raw_cells: Mapping[Any, dict[str, Any]],
                  donors: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """The cells' annotations; unmoved cells keep their exact boxes, new cells have the id None."""
    for index, number in enumerate(after.boxes.attributes[:, 0].tolist()):
        box = after.boxes.tensor[index].tolist()
        if number < 0:
            origin = raw_cells[donors[-number - 1]]
            kept = {key: value for key, value in origin.items() if key not in ('segmentation', 'ignore', 'truncated')}
            record = kept | dict(id=None, image_id=image.image_id, iscrowd=0, bbox=_xywh(box))
        else:
            record = dict(raw_cells[image.cells[number].annotation_id])
            if box != before.boxes.tensor[number].tolist():
                record['bbox'] = _xywh(box)
            if after.ignored[index] and not before.ignored[number]:
                record['iscrowd'] = 1
        if number < 0 or 'area' not in record or record['bbox'] != raw_cells[image.cells[number].annotation_id]['bbox']:
            record['area'] = record['bbox'][2] * record['bbox'][3]
            record.pop('segmentation', None)
        yield record | (dict(affected=1) if after.affected[index] else {})


def _xywh(box: Sequence[float]) -> list[float]:
    x0, y0, x1, y1 = (round(value, _DECIMALS) for value in box)
    return [x0, y0, round(x1 - x0, _DECIMALS), round(y1 - y0, _DECIMALS)]


def _info(data: Mapping[str, Any], factor: str, transform: Interference, seed: int) -> dict[str, Any]:
    """The copy's ``info``: the original's, and how the copy was made; without dates, so files are reproducible."""
    before = data.get('info')
    arguments = {key: value for key, value in vars(transform).items() if key != 'seed'}
    return (before if isinstance(before, dict) else {}) | dict(
        interference=dict(factor=factor, seed=seed, version=VERSION, arguments=arguments))
