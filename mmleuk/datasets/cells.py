"""The data set of cells: the records of an annotation file for MMDetection's pipelines."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping, Sequence

from mmdet.datasets import BaseDetDataset
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.logging import print_log

from mmleuk.datasets.annotations import AnnotationReader, Annotations, read_coco_json
from mmleuk.datasets.choose_images import choose_domains, leave_out_images, listed_domains, listed_facts
from mmleuk.datasets.presets import make_metainfo
from mmleuk.datasets.relabel import relabel_classes
from mmleuk.datasets.unlabelled import content_of_folder, without_labels
from mmleuk.errors import UserError
from mmleuk.registry import DATASETS
from mmleuk.schema import AttributeSchema
from mmleuk.structures.ground_truth import ImageTruth
from mmleuk.transforms.checks import check_pipeline_moves_regions
from mmleuk.transforms.load_image import check_size
from mmleuk.utils.image_files import check_image_file, decode_image, header_size, read_image_file

ANNOTATION_KINDS = ('complete', 'sparse', 'hidden')
FILTERS = ('filter_empty_gt', 'min_size')


@DATASETS.register_module()
class CellDataset(BaseDetDataset):
    """Cells of any kind: COCO JSON with classes, and optional attributes and annotated regions.

    Args:
        ann_file: annotation file, under ``data_root`` unless absolute; with ``annotation='hidden'`` it may be missing,
            which means all images in the folder.
        data_prefix: ``dict(img=folder)`` of the images, under ``data_root`` unless absolute.
        data_root: folder of the data.
        metainfo: ``dict(preset=...)`` or ``dict(classes=..., ...)``, see
            :func:`mmleuk.datasets.presets.make_metainfo`.
        annotation: 'complete': all cells are annotated. 'sparse': only those inside each image's
            ``annotated_region``; an image without one raises an error. 'hidden': the images alone; no label of the file
            is read, and nothing is known of them. Default: that of the subset; else 'complete' if
            no region of the file is smaller than its image. If one is, ``annotation`` must be given.
        max_overhang_px: a box or region may stick out of its image by this much; it is cut at the border.
        name_pattern: regular expression for file names with the groups ``patient`` and ``diagnosis``; what it doesn't
            find is None. Default: file names have no such information.
        domains: only the images whose ``domain`` is one of these; default all. It also holds in ``test_mode``.
        leave_out: no image with one of these facts, such as ``dict(patient=['24'])``; keys are patient, diagnosis and
            domain, which the file states or ``name_pattern`` reads. Default: every image. It also holds in
            ``test_mode``.
        relabel: new class name by the file's; several may become one class, and None leaves a class out (its cells are
            background). ``metainfo`` names the new classes.
        check_images: check at the start that every image exists and, on a local disk, is complete.
        filter_cfg: used outside ``test_mode``: ``filter_empty_gt`` (default False: images without a cell teach
            background) and ``min_size`` in pixels of the shorter side. Removed images are logged.
        kwargs: see BaseDetDataset.

    Each record: img_path, img_id, height, width, instances (bbox xyxy px, bbox_label, ignore_flag, attributes),
    annotated_regions (list of xyxy px), annotation, num_attributes, domain, factors, patient, diagnosis.

    Raises:
        UserError: the files have a defect. The message names file and record.
    """

    IMAGE_NAMES = 'data_root and data_prefix'
    """The settings that decide where an image is searched, for messages."""

    def __init__(self, *, ann_file: str = '', data_prefix: Mapping[str, str] | None = None, data_root: str = '',
                 metainfo: Mapping | None = None, annotation: str | None = None, max_overhang_px: float = 1.0,
                 name_pattern: str | None = None, domains: Sequence[str] | None = None,
                 leave_out: Mapping[str, Sequence[str]] | None = None, relabel: Mapping[str, str | None] | None = None,
                 check_images: bool = True, filter_cfg: Mapping | None = None, pipeline: Sequence = (),
                 **kwargs: object) -> None:
        self.annotation = _known_annotation(annotation)
        self.max_overhang_px = max_overhang_px
        self.name_pattern = name_pattern
        self.domains = listed_domains(domains)
        self.leave_out = listed_facts(leave_out)
        self.relabel = dict(relabel or {})
        self.check_images = check_images
        if annotation == 'sparse':
            check_pipeline_moves_regions(list(pipeline))
        super().__init__(ann_file=ann_file, data_prefix=dict(data_prefix or dict(img='')), data_root=data_root,
                         metainfo=make_metainfo(metainfo), filter_cfg=_known_filters(filter_cfg),
                         pipeline=list(pipeline), **kwargs)

    @property
    def schema(self) -> AttributeSchema:
        """The data set's attributes."""
        return AttributeSchema.from_dict(self._metainfo['attributes'])

    def read_annotations(self) -> Annotations:
        """The annotation file's records and its defects, which aren't raised."""
        reader = AnnotationReader(
            self._metainfo['classes'], self.schema, require_regions=self.annotation == 'sparse',
            max_overhang_px=self.max_overhang_px, name_pattern=self.name_pattern, backend_args=self.backend_args)
        if self.annotation != 'hidden':
            return reader.parse(relabel_classes(self.read_coco(), self.relabel), self.ann_file)
        images = without_labels(self.read_coco() if self.ann_file else content_of_folder(self.data_prefix['img']))
        return reader.parse(images, self.ann_file or self.data_prefix['img'])

    def read_coco(self) -> object:
        """The annotation file's parsed content; classes for other formats override this method."""
        return read_coco_json(self.ann_file, self.backend_args)

    def load_data_list(self) -> list[dict]:
        """Records of all images, in the file's order."""
        annotations = self.read_annotations()
        annotations.raise_defects()
        annotations = self._choose_images(annotations)
        self._resolve_annotation(annotations)
        self._log_left_out(annotations)
        records = [self._make_record(image) for image in annotations.images]
        if self.check_images:
            self._check_images(records)
        return records

    def filter_data(self) -> list[dict]:
        """Records that ``filter_cfg`` keeps; removed ones are logged, and an error is raised if none is left."""
        if self.test_mode or not self.filter_cfg:
            return self.data_list
        min_size = self.filter_cfg.get('min_size', 0)
        large = [record for record in self.data_list if min(record['height'], record['width']) >= min_size]
        kept = [record for record in large if record['instances'] or not self.filter_cfg.get('filter_empty_gt')]
        if not kept:
            raise UserError(f'{self.ann_file}: no image is left after filtering with {dict(self.filter_cfg)}; relax '
                            'filter_cfg, or give another file')
        if len(kept) < len(self.data_list):
            print_log(f'{self.ann_file}: filter_cfg removes {len(self.data_list) - len(large)} images as too small '
                      f'and {len(large) - len(kept)} without a cell; {len(kept)} are left', 'current')
        return kept

    def _choose_images(self, annotations: Annotations) -> Annotations:
        if self.domains is not None:
            annotations = choose_domains(annotations, self.domains)
        if not self.leave_out:
            return annotations
        kept = leave_out_images(annotations, self.leave_out)
        print_log(f'{self.ann_file}: leave_out={self.leave_out} leaves {len(kept.images)} of '
                  f'{len(annotations.images)} images', 'current')
        return kept

    def _resolve_annotation(self, annotations: Annotations) -> None:
        partly = [image for image in annotations.images if not image.is_known_everywhere]
        if self.annotation is None and partly:
            raise UserError(f'{self.ann_file}: image {partly[0].file_name}: only a region of it is annotated, and so '
                            f"for {len(partly)} images; set annotation='sparse', or annotation='complete' to take "
                            'unlabelled cells outside as background')
        if self.annotation == 'complete' and partly:
            print_log(f"{self.ann_file}: annotation='complete' takes {len(partly)} images as annotated everywhere "
                      'although the file has regions for them', 'current')
        self.annotation = self.annotation or 'complete'

    def _log_left_out(self, annotations: Annotations) -> None:
        for key, count in annotations.left_out_attributes.items():
            print_log(f'{self.ann_file}: attribute {key!r} of {count} cells is left out, the schema lacks it',
                      'current')

    def _make_record(self, image: ImageTruth) -> dict:
        whole = [(0.0, 0.0, float(image.width), float(image.height))]
        regions = whole if self.annotation == 'complete' else image.regions_xyxy or ()
        return dict(
            img_path=osp.join(self.data_prefix['img'], image.file_name), file_name=image.file_name,
            img_id=image.image_id, height=image.height, width=image.width,
            instances=[dict(bbox=list(cell.box_xyxy), bbox_label=cell.label, ignore_flag=int(cell.ignore),
                            attributes=list(cell.attributes)) for cell in image.cells],
            annotated_regions=[list(region) for region in regions],
            annotation='complete' if self.annotation == 'complete' else 'sparse',
            num_attributes=len(self._metainfo['attributes']), domain=image.domain, factors=image.factors,
            patient=image.patient, diagnosis=image.diagnosis)

    def _check_images(self, records: Sequence[dict]) -> None:
        backend = get_file_backend(self.data_prefix['img'], backend_args=self.backend_args)
        missing = [record['img_path'] for record in records if not backend.isfile(record['img_path'])]
        if missing:
            more = f' (and {len(missing) - 1} more)' if len(missing) > 1 else ''
            raise UserError(f'{missing[0]}: image of {self.ann_file} is missing{more}; check {self.IMAGE_NAMES}, '
                            'or restore it')
        if isinstance(backend, LocalBackend):
            for record in records:
                path = record['img_path']
                check_image_file(path)
                if header_size(path) not in (None, (record['width'], record['height'])):
                    content = read_image_file(path)
                    check_size(decode_image(content, path), path, record['height'], record['width'], content)


def _known_annotation(annotation: str | None) -> str | None:
    if annotation is not None and annotation not in ANNOTATION_KINDS:
        raise UserError(f"annotation={annotation!r} is unknown; it must be 'complete', 'sparse' or 'hidden'")
    return annotation


def _known_filters(filter_cfg: Mapping | None) -> dict | None:
    unknown = sorted(set(filter_cfg or {}) - set(FILTERS))
    if unknown:
        raise UserError(f'filter_cfg has the unknown key {unknown[0]!r}; known are {", ".join(FILTERS)}')
    return dict(filter_cfg) if filter_cfg else None
