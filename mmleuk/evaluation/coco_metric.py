"""COCO's mean average precision; classes are matched by name, and a model that finds nothing scores 0."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.datasets.api_wrappers import COCO
from mmdet.evaluation import CocoMetric as MMDetCocoMetric
from mmengine.logging import MMLogger
from numpy.typing import NDArray

from mmleuk.datasets.annotations import parse_ground_truth, read_coco_json
from mmleuk.errors import UserError
from mmleuk.evaluation.samples import as_array, field_rows, refuse_moved_cells, regions_of, sample_name
from mmleuk.registry import METRICS
from mmleuk.structures.ground_truth import in_regions
from mmleuk.utils.files import write_atomic
from mmleuk.utils.image_inputs import name_images
from mmleuk.utils.json_files import read_json, write_json

BOX_ITEMS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
PROPOSAL_ITEMS = ('AR@100', 'AR@300', 'AR@1000', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000')


def relabel_categories(dataset: dict[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """COCO data whose category ids are the indices of ``classes``, matched by name.

    MMDetection takes the order of a file's categories for the order of the model's labels. A file with another order
    silently swaps classes. pycocotools sorts its tables by id. With these ids all orders agree.

    Args:
        dataset: contents of a COCO file; not changed.
        classes: class names in label order. A class that the file lacks has no cells.

    Raises:
        UserError: the file has annotations of a class that isn't in ``classes``.

    Example:
        >>> data = dict(images=[], categories=[dict(id=7, name='RBC'), dict(id=2, name='WBC')],
        ...             annotations=[dict(id=1, image_id=1, category_id=7)])
        >>> relabel_categories(data, ('WBC', 'RBC'))['annotations'][0]['category_id']
        1
    """
    names = {category['id']: category['name'] for category in dataset['categories']}
    labels = {name: label for label, name in enumerate(classes)}
    annotations = dataset.get('annotations', [])
    unknown = Counter(name for a in annotations if (name := names.get(a['category_id'], f'id {a["category_id"]}'))
                      not in labels)
    if unknown:
        found = ', '.join(f'{name!r} ({count} annotations)' for name, count in unknown.items())
        raise UserError(f'the annotation file has classes that the data set does not know: {found}; known are '
                        f'{", ".join(classes)}. Give the data set all classes of the file')
    return {**dataset,
            'categories': [dict(id=label, name=name) for name, label in labels.items()],
            'annotations': [_annotation(a, number, labels[names[a['category_id']]])
                            for number, a in enumerate(annotations, start=1)]}


def tested_images(dataset: dict[str, Any], tested: Set[Any]) -> dict[str, Any]:
    """COCO data of the images with an id in ``tested``: a data set may leave others out (``domains``, ``indices``).

    Args:
        dataset: contents of a COCO file; not changed.
        tested: ids of images.
    """
    images = [image for image in dataset['images'] if image['id'] in tested]
    if left_out := len(dataset['images']) - len(images):
        MMLogger.get_current_instance().info(
            f'{left_out} of the {len(dataset["images"])} images in the annotation file were not tested; '
            'their cells do not count as missed.')
    return {**dataset, 'images': images,
            'annotations': [a for a in dataset.get('annotations', []) if a['image_id'] in tested]}


def _annotation(annotation: dict[str, Any], number: int, label: int) -> dict[str, Any]:
    """An annotation as pycocotools needs it: it overlooks ``ignore``, and reads a match with id 0 as no match."""
    width, height = annotation.get('bbox', (0, 0, 0, 0))[2:]
    area = annotation.get('area')
    return {**annotation, 'area': width * height if area is None else area, 'id': number, 'category_id': label,
            'iscrowd': int(bool(annotation.get('iscrowd')) or bool(annotation.get('ignore')))}


def name_classes(path: str | Path, classes: Sequence[str], file_ids: Mapping[str, int]) -> None:
    """Give saved results the category ids of their annotation file, and a ``category_name`` each.

    Args:
        path: COCO results whose ``category_id`` is the index in ``classes``; the file is replaced.
        classes: class names in label order.
        file_ids: category id by name; a class that the file lacks gets an unused id.
    """
    free = itertools.count(max((key for key in file_ids.values() if isinstance(key, int)), default=-1) + 1)
    ids = {name: file_ids[name] if name in file_ids else next(free) for name in classes}
    records: Any = read_json(path)
    for record in records:
        name = classes[record['category_id']]
        record.update(category_id=ids[name], category_name=name)
    write_json(path, records)


def sample_cells(sample: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A tested sample's cells as records: bbox (xyxy px), bbox_label, and ignore_flag 1 for ignored ones.

    Raises:
        UserError: the sample has no list of cells, or they were scaled or flipped with the image.
    """
    if 'gt_instances' not in sample:
        raise UserError(f'{sample_name(sample)}: comes without its cells, so it cannot be scored; give '
                        'mmleuk.CocoMetric an ann_file, or put mmleuk.LoadCellAnnotations into the test pipeline')
    refuse_moved_cells(sample)
    return [dict(bbox=box, bbox_label=label, ignore_flag=flag)
            for flag, part in enumerate((sample['gt_instances'], sample.get('ignored_instances', {})))
            for box, label in zip(field_rows(part, 'bboxes', 4).tolist(), field_rows(part, 'labels').tolist(),
                                  strict=True)]


class KnownTruth(COCO):
    """COCO data of images that may be only partly annotated.

    pycocotools leaves out a detection that found no cell if its area is outside the size range. So detections whose
    centre lies outside the annotated regions get an infinite area: then they are left out of every range.

    Args:
        dataset: COCO data.
        regions: (R, 4) xyxy pixels by image id; may lack images that are completely annotated.
    """

    def __init__(self, dataset: dict[str, Any], regions: Mapping[Any, NDArray | Sequence]) -> None:
        super().__init__()
        self.dataset, self.regions = dataset, regions
        self.createIndex()
        self.img_ann_map, self.cat_img_map = self.imgToAnns, self.catToImgs

    def loadRes(self, results: Any) -> Any:
        """Detections as pycocotools loads them."""
        found = super().loadRes(results)
        for detection in found.anns.values():
            if detection['image_id'] in self.regions:
                x, y, width, height = detection['bbox']
                centre = np.array([[x + width / 2, y + height / 2]])
                if not in_regions(centre, self.regions[detection['image_id']]).item():
                    detection['area'] = math.inf
        return found


@METRICS.register_module()
class CocoMetric(MMDetCocoMetric):
    """MMDetection's CocoMetric for annotated regions and ignored cells, with AP per class by default.

    - Without ``ann_file`` the truth comes from the samples. Their cells must be in original pixels: the test pipeline
      loads annotations after resizing. ``outfile_prefix`` then saves the truth as PREFIX.gt.json.
    - Ignored cells (``iscrowd`` or ``ignore``) count as neither found nor missed. Detections outside an image's
      annotated regions that found no cell are left out.
    - Classes are matched by name; their order in the annotation file doesn't matter.
    - A model that detects nothing scores 0 on every metric, so ``save_best`` finds its key.
    - The files of ``outfile_prefix`` have the category ids of the annotation file and the names of the classes.

    Args:
        ann_file: COCO JSON file of the images; None takes the truth from the samples. Its images that are not tested
            don't count.
        classwise: print and return the AP of every class.
        kwargs: see MMDetection.

    Raises:
        UserError: ``ann_file`` is missing or broken (names the record), or ``metric_items`` has an unknown name.
    """

    _coco_api: Any
    outfile_prefix: str | None

    def __init__(self, *, ann_file: str | None = None, classwise: bool = True, **kwargs: Any) -> None:
        super().__init__(classwise=classwise, **kwargs)
        unknown = [item for item in self.metric_items or () if item not in (*BOX_ITEMS, *PROPOSAL_ITEMS)]
        if unknown:
            raise UserError(f'mmleuk.CocoMetric: metric_items has {", ".join(unknown)}; known are '
                            f'{", ".join((*BOX_ITEMS, *PROPOSAL_ITEMS))}')
        self._file_data: Any = None
        self._file_regions: dict[Any, Sequence] = {}
        if ann_file is not None:
            self._file_data = read_coco_json(ann_file, self.backend_args)
            self._file_regions = {image.image_id: image.known_regions
                                  for image in parse_ground_truth(self._file_data, ann_file).images
                                  if not image.is_known_everywhere}

    def process(self, data_batch: dict, data_samples: Sequence[dict[str, Any]]) -> None:
        """Take a batch's predictions and, without an annotation file, its cells.

        Raises:
            UserError: a sample carries no cells, and there is no annotation file.
        """
        if self._file_data is not None:
            super().process(data_batch, [{**sample, 'instances': []} for sample in data_samples])
            return
        self._coco_api = None  # forget the one of an earlier evaluation
        first = len(self.results)
        super().process(data_batch, [sample if 'instances' in sample else {**sample, 'instances': sample_cells(sample)}
                                     for sample in data_samples])
        for (truth, _), sample in zip(self.results[first:], data_samples, strict=True):
            truth['img_path'] = sample.get('img_path', '')
            truth['regions'] = None if 'instances' in sample else as_array(regions_of(sample)).tolist()

    def gt_to_coco_json(self, gt_dicts: Sequence[dict], outfile_prefix: str) -> str:
        """Write the samples' truth as COCO JSON, with names and regions, and a list of cells even if there is none."""
        path = super().gt_to_coco_json(gt_dicts, outfile_prefix)
        data: Any = read_json(path)
        for image, truth, name in zip(data['images'], gt_dicts, _image_names(gt_dicts), strict=True):
            image['file_name'] = name
            if truth['regions'] is not None:
                image['annotated_region'] = [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in truth['regions']]
        write_json(path, {'annotations': [], **data})
        return path

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Scores over all images, see MMDetection; the files of ``outfile_prefix`` appear whole or not at all."""
        classes, prefix = self.dataset_meta['classes'], self.outfile_prefix
        file_ids: dict[str, Any] = {}
        with tempfile.TemporaryDirectory() as folder:
            stem = f'{folder}/results'
            if self._file_data is not None:
                file_ids = {category['name']: category['id'] for category in self._file_data['categories']}
                tested = tested_images(self._file_data, {prediction['img_id'] for _, prediction in results})
                self._coco_api = KnownTruth(relabel_categories(tested, classes), self._file_regions)
            else:
                truths = [truth for truth, _ in results]
                data: Any = read_json(self.gt_to_coco_json(truths, stem))
                self._coco_api = KnownTruth(data, {truth['img_id']: truth['regions'] for truth in truths
                                                    if truth['regions'] is not None})
            self.cat_ids = self.img_ids = None
            try:
                self.outfile_prefix = stem
                scores = super().compute_metrics(results)
            finally:
                self.outfile_prefix = prefix
            if prefix is not None:
                name_classes(f'{stem}.bbox.json', classes, file_ids)
                for file in Path(folder).glob('results.*'):
                    write_atomic(prefix + file.name.removeprefix('results'), file.read_bytes())
                MMLogger.get_current_instance().info(f'results are saved as {prefix}.*')
        if not self.format_only and not any(len(prediction['scores']) for _, prediction in results):
            MMLogger.get_current_instance().warning('Nothing was detected in any image: every score is 0.')
            return self._zero_scores()
        return scores

    def _zero_scores(self) -> dict[str, float]:
        """The keys of a full evaluation, all zero."""
        scores: dict[str, float] = {}
        for metric in self.metrics:
            if metric == 'proposal_fast':
                scores |= {f'AR@{number}': 0.0 for number in self.proposal_nums}
            elif metric == 'proposal':
                scores |= dict.fromkeys(self.metric_items or PROPOSAL_ITEMS, 0.0)
            else:
                names = self.dataset_meta['classes'] if self.classwise else ()
                scores |= {f'{name}_precision': 0.0 for name in names}
                scores |= {f'{metric}_{item}': 0.0 for item in self.metric_items or BOX_ITEMS}
        return scores


def _image_names(truths: Sequence[dict]) -> list[str]:
    """Names as ``mmleuk infer`` gives them: two folders may hold files with the same name."""
    paths = [Path(truth['img_path']) for truth in truths if truth['img_path']]
    return name_images(paths) if len(paths) == len(truths) else [Path(truth['img_path']).name for truth in truths]
