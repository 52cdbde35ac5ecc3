"""Do the cells to look at first hold the model's errors? ``python tools/measure_first_look.py PREDICTIONS ANNOTATIONS``

A detection is right where it has an IoU of 0.5 with a cell of its class that no detection with a higher score has; the
annotations must be complete. Prints errors among the first 20, 50 and 100 cells where there are more, and among as many
at random.
``--rename "Band neutrophil=Neutrophil"`` where the annotations have other or finer types than the model.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mmleuk.datasets.annotations import read_ground_truth
from mmleuk.errors import UserError
from mmleuk.evaluation.detections import indices_by_name
from mmleuk.report.first_look import first_look
from mmleuk.report.statistics import morphology_bank
from mmleuk.schema import leukocyte_classes
from mmleuk.structures.ground_truth import GroundTruth
from mmleuk.structures.matching import UNMATCHED, match, pairwise_iou
from mmleuk.structures.prediction import Prediction, Run
from mmleuk.structures.prediction_files import from_json
from mmleuk.utils.command_line import exit_status

FIRST = (20, 50, 100)


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('predictions', help='predictions.json of mmleuk infer')
    parser.add_argument('annotations', help='COCO JSON with the true cells')
    parser.add_argument('--rename', nargs='+', default=[], metavar='OLD=NEW', help="the model's names of the "
                        "annotations' classes")
    parser.add_argument('--all', action='store_true', help='all classes; by default leukocytes')
    return parser


def renamed(truth: GroundTruth, pairs: Sequence[str]) -> GroundTruth:
    """The annotations with other names of classes; several may get one name.

    Raises:
        UserError: a pair isn't OLD=NEW, or the annotations have no class OLD.
    """
    names = {old: new for old, equals, new in (pair.partition('=') for pair in pairs) if old and equals and new}
    if len(names) < len(pairs) or not set(names) <= set(truth.classes):
        raise UserError(f'--rename {" ".join(pairs)}: write OLD=NEW; OLD is one of {", ".join(truth.classes)}')
    return replace(truth, classes=tuple(names.get(name, name) for name in truth.classes))


def errors_of(prediction: Prediction, truth: GroundTruth, index: int) -> NDArray[np.bool_]:
    """(D,) whether each detection of an image is wrong; a detection on an ignored cell isn't."""
    image = truth.images[index]
    boxes = np.array([cell.box for cell in prediction.cells], float).reshape(-1, 4)
    names = np.array([truth.classes[label] for label in image.labels], object)
    allowed = np.array([cell.class_name for cell in prediction.cells], object)[:, None] == names[None]
    found = match(pairwise_iou(boxes, image.boxes_xyxy, image.ignored), [cell.score for cell in prediction.cells],
                  min_iou=0.5, ignored=image.ignored, allowed=allowed)
    return found == UNMATCHED


def measure(args: argparse.Namespace) -> None:
    """Count and print."""
    run: Run = from_json(args.predictions)
    truth = renamed(read_ground_truth(args.annotations), args.rename)
    indices = indices_by_name(run, truth, args.predictions)
    wrong = {p.image: errors_of(p, truth, indices[p.image]) for p in run.predictions}
    classes = None if args.all else leukocyte_classes(run.info.classes, run.info.leukocytes)
    looks = first_look(morphology_bank(run.predictions, classes), run.info.schema)
    errors = np.array([wrong[look.entry.prediction.image][look.entry.index] for look in looks], bool)
    print(f'{len(errors)} cells, {errors.sum()} wrong')
    for first in [number for number in FIRST if number < len(errors)]:
        print(f'first {first}: {errors[:first].sum()} wrong; at random {first * errors.mean():.1f}')


def main() -> int:
    """Read the flags, then measure."""
    return exit_status(measure, build_parser().parse_args())


if __name__ == '__main__':
    sys.exit(main())
