"""One cell per sample: single-cell images, or the cells of larger images.

A crop is an image whose one box covers it, so the transforms, the packing and the metrics of detection work on it.
"""

from __future__ import annotations

import csv
import os.path as osp
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdet.datasets import BaseDetDataset

from mmleuk.datasets.annotations import read_annotations, read_ground_truth
from mmleuk.datasets.group_split import GroupSplit
from mmleuk.datasets.presets import make_metainfo
from mmleuk.errors import UserError
from mmleuk.registry import DATASETS
from mmleuk.schema import IGNORE, AttributeSchema, SchemaError
from mmleuk.structures.mask_files import check_mask_file, mask_path
from mmleuk.utils.image_files import check_image_file, files_below, header_size


@DATASETS.register_module()
class CellCropDataset(BaseDetDataset):
    """Images of single cells with their class and attributes.

    ``ann_file`` selects one of three sources:

    - a CSV file like WBCAtt's: a row per image, with a column for the name, one for the class, and one per attribute
      under its key or an alias; an empty field is unknown;
    - a COCO JSON file: every box of a described class that isn't ignored. The samples are whole images with this one
      box: put :class:`mmleuk.CropCell` into the pipeline;
    - '': images in a folder per class, or with the class in their names, under ``data_prefix['img']``.

    If the schema has the attribute ``cell_type``, its value is the class, so that one classifier predicts both; it is
    unknown for a class that isn't described.

    Args:
        ann_file: CSV or JSON file under ``data_root``, or ''.
        data_root: folder of the data.
        data_prefix: ``dict(img=folder)`` of the images.
        metainfo: see :class:`mmleuk.CellDataset`.
        name_column, class_column: of the CSV.
        type_attribute: key of the attribute that is the class.
        only_types: of a COCO file read the types alone, of the cells whose class is one here: its attributes and
            further classes are another data set's.
        class_names: by folder, or by what ``class_pattern`` finds, the class of the images; others are not read. By
            default that is the name of the class.
        class_pattern: regular expression with one group, searched in the name of every image at any depth: the class,
            such as ``r'_([01])\\.'`` for ALL-IDB2's Im001_1.tif. None: the image's folder is the class.
        mask_suffix: what replaces an image's suffix in the name of its mask, under ``data_prefix['mask']`` (by default
            the images' folder). Records then have ``seg_map_path``; images whose name ends so are masks. For a CSV
            file and folders.
        split: arguments of :class:`GroupSplit`, to read one part of the images and keep those of a patient together.
        kwargs: see BaseDetDataset.

    Records are those of :class:`mmleuk.CellDataset`, with one instance each.

    Raises:
        UserError: a file or column is missing, or a value isn't in the schema. The message names file and row.
    """

    def __init__(self, *, ann_file: str = '', data_root: str = '', data_prefix: Mapping[str, str] | None = None,
                 metainfo: Mapping | None = None, name_column: str = 'img_name', class_column: str = 'label',
                 type_attribute: str = 'cell_type', only_types: bool = False,
                 class_names: Mapping[str, str] | None = None, class_pattern: str | None = None,
                 mask_suffix: str | None = None, split: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        self.class_names, self.class_pattern, self.mask_suffix = class_names, class_pattern, mask_suffix
        self.split = None if split is None else GroupSplit(**split)
        self.name_column, self.class_column, self.type_attribute = name_column, class_column, type_attribute
        self.only_types = only_types
        super().__init__(ann_file=ann_file, data_root=data_root, data_prefix=dict(data_prefix or dict(img='')),
                         metainfo=make_metainfo(metainfo), **kwargs)

    @property
    def schema(self) -> AttributeSchema:
        """The data set's attributes."""
        return AttributeSchema.from_dict(self._metainfo['attributes'])

    def load_data_list(self) -> list[dict]:
        """Records of all cells, in the order of the file or of the names."""
        if self.ann_file.lower().endswith('.json'):
            records = self._from_coco()
        elif self.ann_file:
            records = self._from_csv()
        else:
            records = self._from_folders() if self.class_pattern is None else self._from_names(self.class_pattern)
        if not records:
            raise UserError(f'{self.ann_file or self.data_prefix["img"]}: no image of a cell; nothing to train or '
                            'test on')
        return records if self.split is None else self.split.keep(records)

    def _from_csv(self) -> list[dict]:
        columns = {key: [key, *self.schema[key].aliases] for key in self.schema.keys if key != self.type_attribute}
        with open_csv(self.ann_file) as stream:
            reader = csv.DictReader(stream)
            header = reader.fieldnames or []
            for names in ([self.name_column], [self.class_column], *columns.values()):
                if not set(names) & set(header):
                    raise UserError(f'{self.ann_file}: the column {names[0]!r} is missing; its columns are '
                                    f'{", ".join(header) or "none"}')
            column_of = {key: next(name for name in names if name in header) for key, names in columns.items()}
            records: dict[str, dict] = {}
            for number, row in enumerate(reader, start=2):
                record = self._record_of_row(row, column_of, f'{self.ann_file}, row {number}')
                if record['file_name'] in records:
                    raise UserError(f'{self.ann_file}, row {number}: {record["file_name"]} has a row already; keep one '
                                    'of them')
                records[record['file_name']] = record
            return list(records.values())

    def _record_of_row(self, row: Mapping[str, str], column_of: Mapping[str, str], where: str) -> dict:
        if None in row or None in row.values():
            raise UserError(f'{where}: has another number of fields than the header')
        try:
            values = {key: self.schema.encode(key, row[column].strip()) for key, column in column_of.items()}
        except SchemaError as error:
            raise UserError(f'{where}: {error}') from error
        return self.whole_image(row[self.name_column].strip(), row[self.class_column].strip(), values, where)

    def _from_folders(self) -> list[dict]:
        root = self._image_root()
        found = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith('.'))
        class_of = {name: name for name in found} if self.class_names is None else dict(self.class_names)
        if missing := sorted(set(class_of) - set(found)):
            raise UserError(f'{root}: has no folder {missing[0]!r}, which class_names names; its folders are '
                            f'{", ".join(found) or "none"}')
        return [self.whole_image(f'{folder}/{path.relative_to(root / folder).as_posix()}', class_of[folder], {},
                                 str(path)) for folder in class_of for path in self._images_below(root / folder)]

    def _from_names(self, class_pattern: str) -> list[dict]:
        root, records = self._image_root(), []
        try:
            pattern = re.compile(class_pattern)
        except re.error as error:
            raise UserError(f'class_pattern {class_pattern!r} is no regular expression ({error})') from error
        if pattern.groups != 1:
            raise UserError(f'class_pattern {class_pattern!r} has {pattern.groups} groups; put brackets around the '
                            'class, and around nothing else')
        for path in self._images_below(root):
            name = path.relative_to(root).as_posix()
            found = pattern.search(name)
            if found is None:
                raise UserError(f'{path}: class_pattern {class_pattern!r} finds no class in the name; correct it, or '
                                'take the file out of the folder')
            if self.class_names is None or found[1] in self.class_names:
                records.append(self.whole_image(name, (self.class_names or {}).get(found[1], found[1]), {}, str(path)))
        return records

    def _images_below(self, folder: Path) -> list[Path]:
        found = files_below(folder)
        return found if not self.mask_suffix else [path for path in found if not path.name.endswith(self.mask_suffix)]

    def _image_root(self) -> Path:
        root = Path(self.data_prefix['img'])
        if not root.is_dir():
            raise UserError(f'{root}: no such folder; data_root and data_prefix name the folder of the images')
        return root

    def _from_coco(self) -> list[dict]:
        classes, unknown = self._metainfo['classes'], (IGNORE,) * len(self.schema)
        found = read_ground_truth(self.ann_file) if self.only_types else read_annotations(
            self.ann_file, classes, self.schema)
        described = set(self._metainfo['described'] or classes)
        for image in found.images:
            check_image_file(osp.join(self.data_prefix['img'], image.file_name))
        return [self._record(image.file_name, (image.width, image.height), cell.box_xyxy,
                             classes.index(found.classes[cell.label]), unknown if self.only_types else cell.attributes)
                for image in found.images for cell in image.cells
                if not cell.ignore and found.classes[cell.label] in described]

    def whole_image(self, name: str, class_name: str, values: Mapping[str, int], where: str) -> dict:
        """The record of a single-cell image; your own data set can make its records with it.

        Args:
            name: of the image under ``data_prefix['img']``.
            class_name: one of the classes.
            values: by attribute key; missing attributes are unknown.
            where: for error messages.

        Raises:
            UserError: the class is unknown, or the image doesn't exist.
        """
        classes = self._metainfo['classes']
        if class_name not in classes:
            raise UserError(f'{where}: unknown class {class_name!r}; known are {", ".join(classes)}')
        path = osp.join(self.data_prefix['img'], name)
        if not osp.isfile(path):
            raise UserError(f'{where}: there is no image {path}; check data_root and data_prefix')
        size = header_size(path)
        if size is None:
            raise UserError(f'{where}: {path} is no image that can be read; restore the file, or take its row out')
        width, height = size
        attributes = [values.get(key, IGNORE) for key in self.schema.keys]
        record = self._record(name, (width, height), (0.0, 0.0, float(width), float(height)),
                              classes.index(class_name), attributes)
        return record if self.mask_suffix is None else record | dict(seg_map_path=self._mask_of(name, path))

    def _mask_of(self, name: str, path: str) -> str:
        mask = mask_path(name, self.data_prefix.get('mask', self.data_prefix['img']), str(self.mask_suffix))
        check_mask_file(mask, path)
        return mask

    def _record(self, name: str, image_wh: tuple[int, int], box_xyxy: Sequence[float], label: int,
                attributes: Sequence[int]) -> dict:
        attributes = list(attributes)
        index = self.schema.position(self.type_attribute)
        if index is not None:
            name_of_class, described = self._metainfo['classes'][label], self._metainfo['described']
            if not described or name_of_class in described:  # 'None' and the like are no type
                attributes[index] = self.schema.encode(self.type_attribute, name_of_class)
        width, height = image_wh
        return dict(
            img_path=osp.join(self.data_prefix['img'], name), file_name=name, img_id=name, height=height, width=width,
            instances=[dict(bbox=list(box_xyxy), bbox_label=label, ignore_flag=0, attributes=attributes)],
            annotated_regions=[[0.0, 0.0, float(width), float(height)]], annotation='complete',
            num_attributes=len(self.schema))


def open_csv(path: str) -> Any:
    """Open a CSV file, with or without a byte order mark.

    Raises:
        UserError: the file doesn't exist.
    """
    if not Path(path).is_file():
        raise UserError(f'{path}: no such file; ann_file is a CSV or COCO JSON file under data_root, or left out for a '
                        'folder per class')
    return open(path, encoding='utf-8-sig', newline='')
