"""Do the cells to look at first hold the model's errors? ``python tools/measure_first_look.py PREDICTIONS ANNOTATIONS``

A detection is right where it has an IoU of 0.5 with a cell of its class that no detection with a higher score has; the
annotations must be complete. Prints errors among the first cells of the list, and among as many at random.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from mmleuk.datasets.annotations import read_ground_truth
from mmleuk.evaluation.detections import indices_by_name
from mmleuk.report.first_look import first_look
from mmleuk.report.statistics import morphology_bank
from mmleuk.schema import leukocyte_classes
from mmleuk.structures.ground_truth import GroundTruth
from mmleuk.structures.matching import UNMATCHED, match, pairwise_iou
from mmleuk.structures.prediction import Prediction, Run
from mmleuk.structures.prediction_files import from_json

FIRST = (20, 50, 100)


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('predictions', help='predictions.json of mmleuk infer')
    parser.add_argument('annotations', help='COCO JSON with the true cells')
    parser.add_argument('--all', action='store_true', help='all classes; by default leukocytes')
    return parser


def errors_of(prediction: Prediction, truth: GroundTruth, index: int) -> NDArray[np.bool_]:
    """(D,) whether each detection of an image is wrong; a detection on an ignored cell isn't."""
    image = truth.images[index]
    boxes = np.array([cell.box for cell in prediction.cells], float).reshape(-1, 4)
    names = np.array([truth.classes[label] for label in image.labels], object)
    allowed = np.array([cell.class_name for cell in prediction.cells], object)[:, None] == names[None]
    found = match(pairwise_iou(boxes, image.boxes_xyxy, image.ignored), [cell.score for cell in prediction.cells],
                  min_iou=0.5, ignored=image.ignored, allowed=allowed)
    return found == UNMATCHED


def main() -> None:
    """Count and print."""
    args = build_parser().parse_args()
    run: Run = from_json(args.predictions)
    truth = read_ground_truth(args.annotations)
    indices = indices_by_name(run, truth, args.predictions)
    wrong = {p.image: errors_of(p, truth, indices[p.image]) for p in run.predictions}
    classes = None if args.all else leukocyte_classes(run.info.classes, run.info.leukocytes)
    looks = first_look(morphology_bank(run.predictions, classes), run.info.schema)
    errors = np.array([wrong[look.entry.prediction.image][look.entry.index] for look in looks], bool)
    print(f'{len(errors)} cells, {errors.sum()} wrong')
    for first in FIRST:
        print(f'first {first}: {errors[:first].sum()} wrong; at random {first * errors.mean():.1f}')


if __name__ == '__main__':
    main()
