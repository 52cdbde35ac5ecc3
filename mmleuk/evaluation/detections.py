"""Saved predictions -> arrays: COCO results as tools/test.py writes them, and the JSON of ``mmleuk infer``.

Legend: D detections, I images, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmleuk.datasets.validation import MAX_SIDE_PX, Defect, is_finite, needed, normalise_id, short
from mmleuk.errors import UserError
from mmleuk.structures.ground_truth import GroundTruth, RecordId
from mmleuk.structures.prediction import Run, run_from_dict
from mmleuk.utils.json_files import read_json

_WRITE_AGAIN = 'write the file again with tools/test.py or tools/infer.py'


@dataclass(frozen=True)
class Detections:
    """Detections ordered by image, then by descending score; equal scores keep the order of the file.

    Args:
        source: the file's path.
        image_of: (D,) int64 index of the image in the truth.
        labels: (D,) int64 index of the class in the truth.
        boxes_xywh: (D, 4) float64 pixels of the original image.
        scores: (D,) float64 in [0, 1].
        min_score: the file has no detections below it; 0 if the file doesn't state it.
    """

    source: str
    image_of: NDArray[np.int64]
    labels: NDArray[np.int64]
    boxes_xywh: NDArray[np.float64]
    scores: NDArray[np.float64]
    min_score: float = 0.0

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, chosen: NDArray) -> Detections:
        """The detections of a mask or of ascending indices."""
        return Detections(self.source, self.image_of[chosen], self.labels[chosen], self.boxes_xywh[chosen],
                          self.scores[chosen], self.min_score)


def in_order(source: str, image_of: Sequence[int], labels: Sequence[int], boxes_xywh: Any, scores: Any,
             min_score: float = 0.0) -> Detections:
    """Detections from columns in any order."""
    images, values = np.array(image_of, np.int64), np.array(scores, np.float64)
    order = np.lexsort((-values, images))
    boxes = np.array(boxes_xywh, np.float64).reshape(-1, 4)
    return Detections(source, images[order], np.array(labels, np.int64)[order], np.ascontiguousarray(boxes[order]),
                      values[order], min_score)


def read_detections(path: str | Path, truth: GroundTruth) -> tuple[Detections, GroundTruth]:
    """Read and check saved predictions of the images of ``truth``.

    Classes are matched by name. COCO results name them in ``category_name``, or by their category in the annotation
    file; runs of ``mmleuk infer`` list them.

    Returns:
        The detections, and the truth with the classes that only the predictions have.

    Raises:
        UserError: the file is missing, truncated or of another kind, or a record is wrong (unknown image or class, a
            box or a score that isn't a number, a score outside [0, 1]). The message names file and record.
    """
    if not Path(path).is_file():
        raise UserError(f'{path}: no such file; the second argument is the JSON file of predictions that tools/test.py '
                        'or tools/infer.py wrote')
    data = read_json(path)
    if isinstance(data, list):
        return from_results(data, truth, str(path))
    if isinstance(data, dict) and 'annotations' in data and 'images' in data:
        raise UserError(f'{path}: is an annotation file, not predictions; annotations come first, predictions second')
    return from_run(run_from_dict(data, str(path)), truth, str(path))


def from_results(records: Sequence[Any], truth: GroundTruth, source: str) -> tuple[Detections, GroundTruth]:
    """Detections from COCO result records; see :func:`read_detections`."""
    indices = {image.image_id: index for index, image in enumerate(truth.images)}
    names = dict(zip(truth.category_ids, truth.classes))
    records = [{**record, **{key: normalise_id(record[key]) for key in ('image_id', 'category_id') if key in record}}
               if isinstance(record, dict) else record for record in records]
    columns = _columns(records, indices, names)
    if columns is None:  # something is wrong: check record by record, to name the first wrong one
        for number, record in enumerate(records):
            try:
                _check_result(record, indices, names)
            except Defect as defect:
                raise UserError(f'{source}: record {number}: {defect.what}; {defect.fix}') from defect
        raise AssertionError('the fast check refuses what the slow check accepts')
    classes, images, boxes, scores = columns
    truth = truth.with_classes(sorted(set(classes)))
    label_of = {name: label for label, name in enumerate(truth.classes)}
    return in_order(source, images, [label_of[name] for name in classes], boxes, scores), truth


def _columns(records: Sequence[Any], indices: Mapping[RecordId, int], names: Mapping[RecordId, str]
             ) -> tuple[list[str], list[int], NDArray, NDArray] | None:
    """Class names, image indices, boxes (D, 4) and scores (D,) of all records; None if any is wrong."""
    try:
        images = [indices[record['image_id']] for record in records]
        classes = [record['category_name'] if 'category_name' in record else names[record['category_id']]
                   for record in records]
        stated = {(r['category_name'], r['category_id']) for r in records if 'category_name' in r}
        numbers = [record['bbox'] for record in records]
        values = [record['score'] for record in records]
        kinds = {type(value) for box in numbers for value in box} | {type(value) for value in values}
        boxes = np.array(numbers, np.float64) if numbers else np.zeros((0, 4))
        scores = np.array(values, np.float64)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    fine = (kinds <= {int, float} and boxes.shape == (len(records), 4) and bool((np.abs(boxes) <= MAX_SIDE_PX).all())
            and bool((boxes[:, 2:] >= 0).all()) and bool(((scores >= 0) & (scores <= 1)).all())
            and all(_name_fits(name, key, names) for name, key in stated))
    return (classes, images, boxes, scores) if fine else None


def _name_fits(name: object, category_id: RecordId, names: Mapping[RecordId, str]) -> bool:
    """Whether the file has the record's class name, or at least doesn't contradict its category.

    A test without an annotation file numbers categories by their index among the classes. Then only the name counts.
    """
    return isinstance(name, str) and bool(name) and (name in names.values() or category_id not in names)


def _check_result(record: Any, indices: Mapping[RecordId, int], names: Mapping[RecordId, str]) -> None:
    image_id = needed(record, 'image_id')
    if image_id not in indices:
        raise Defect(f'image_id {image_id!r} is no image of the annotation file',
                     'predictions and annotations are of different data sets or splits')
    category_id = needed(record, 'category_id')
    if 'category_name' in record:
        if not _name_fits(record['category_name'], category_id, names):
            raise Defect(f'category_name {short(record["category_name"])} and category_id {category_id!r} '
                         f'disagree with the annotation file ({_listed(names)})', _WRITE_AGAIN)
    elif category_id not in names:
        raise Defect(f'category_id {category_id!r} is no category of the annotation file, which has {_listed(names)}',
                     f'if these are indices in a list of classes, {_WRITE_AGAIN}')
    fault = box_fault(record.get('bbox'))
    if fault:
        raise Defect(fault, 'a box is [x, y, width, height] in pixels of the original image')
    fault = score_fault(record.get('score'))
    if fault:
        raise Defect(fault, 'a score is a number from 0 to 1')


def box_fault(box: object) -> str | None:
    """What is wrong with an [x, y, width, height]; None for four numbers of pixels without a negative size.

    >>> box_fault([1, 2, -3, 4])
    'bbox [1, 2, -3, 4] has a negative size'
    """
    if not isinstance(box, (list, tuple)) or len(box) != 4 or not all(
            is_finite(value) and abs(value) <= MAX_SIDE_PX for value in box):
        return f'bbox is {short(box)}, not four finite numbers of at most {MAX_SIDE_PX:,} px'
    return f'bbox {short(box)} has a negative size' if min(box[2:]) < 0 else None


def score_fault(score: object) -> str | None:
    """What is wrong with a score; None for a number in [0, 1].

    >>> score_fault(1.5), score_fault(0.5)
    ('score is 1.5', None)
    """
    return None if is_finite(score) and 0 <= score <= 1 else f'score is {short(score)}'


def from_run(run: Run, truth: GroundTruth, source: str) -> tuple[Detections, GroundTruth]:
    """Detections of a run of ``mmleuk infer``; images are matched by name.

    Raises:
        UserError: run and truth have different images, or a cell is wrong.
    """
    indices = indices_by_name(run, truth, source)
    truth = truth.with_classes(run.info.classes)
    label_of = {name: label for label, name in enumerate(truth.classes)}
    columns: tuple[list, list, list, list] = ([], [], [], [])
    for prediction in run.predictions:
        for number, cell in enumerate(prediction.cells, start=1):
            fault = _cell_fault(cell.box, cell.score, cell.class_name, label_of)
            if fault:
                raise UserError(f'{source}: image {prediction.image}, cell {number}: {fault}; {_WRITE_AGAIN}')
            x1, y1, x2, y2 = cell.box
            row = (indices[prediction.image], label_of[cell.class_name], (x1, y1, x2 - x1, y2 - y1), cell.score)
            for column, value in zip(columns, row):
                column.append(value)
    return in_order(source, *columns, min_score=run.info.min_score), truth


def _cell_fault(box: tuple, score: object, name: str, label_of: Mapping[str, int]) -> str | None:
    fault = box_fault(box)
    if fault is None and (box[2] < box[0] or box[3] < box[1]):
        fault = f'box {box} ends before it begins'
    if name not in label_of:
        fault = f"class {name!r} isn't among the run's classes"
    return fault or score_fault(score)


def indices_by_name(run: Run, truth: GroundTruth, source: str) -> dict[str, int]:
    """Index in the truth of each of the run's images: equal file names, or one name ends with '/' and the other.

    Raises:
        UserError: run and truth have different images, or an image has another size.
    """
    by_base: dict[str, list[int]] = {}
    for index, image in enumerate(truth.images):
        by_base.setdefault(PurePosixPath(image.file_name).name, []).append(index)
    indices: dict[str, int] = {}
    for prediction in run.predictions:
        name = prediction.image
        near = [index for index in by_base.get(PurePosixPath(name).name, ())
                if _same_file(name, truth.images[index].file_name)]
        if len(near) != 1:
            raise UserError(f'{source}: image {name} matches {len(near)} images of {truth.source}; '
                            'run tools/infer.py on the images of this file only')
        if truth.images[near[0]].size_hw != tuple(prediction.size_hw):
            raise UserError(f'{source}: image {name} has height and width {prediction.size_hw}, in {truth.source} '
                            f'{truth.images[near[0]].size_hw}; these are not the same images')
        indices[name] = near[0]
    if len(set(indices.values())) != len(run.predictions):
        raise UserError(f'{source}: two images are the same image of {truth.source}; name each image once')
    missing = sorted(set(range(len(truth.images))) - set(indices.values()))
    if missing:
        raise UserError(f'{source}: lacks {len(missing)} images of {truth.source}, first '
                        f'{truth.images[missing[0]].file_name}; run tools/infer.py on all of them')
    return indices


def _same_file(a: str, b: str) -> bool:
    return a == b or a.endswith('/' + b) or b.endswith('/' + a)


def _listed(names: Mapping[RecordId, str]) -> str:
    return ', '.join(f'{key} ({name})' for key, name in names.items())
