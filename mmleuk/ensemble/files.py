"""Read the saved predictions of several models, fuse them, and score the models and the ensemble in one table."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmleuk.datasets.annotations import read_ground_truth
from mmleuk.ensemble.fusion import FusionSettings
from mmleuk.ensemble.runs import check_number, check_runs, fuse_runs
from mmleuk.errors import UserError
from mmleuk.evaluation.detections import Detections, from_results, from_run, indices_by_name, read_detections
from mmleuk.evaluation.evaluate import Evaluation, Settings, evaluate
from mmleuk.evaluation.tables import group_rows, notes
from mmleuk.structures.ground_truth import GroundTruth
from mmleuk.structures.prediction import Cell, Prediction, Run, RunInfo, run_from_dict
from mmleuk.structures.prediction_files import to_json
from mmleuk.utils.files import write_atomic
from mmleuk.utils.json_files import read_json
from mmleuk.utils.tables import Row, csv_text, lines, markdown_table
from mmleuk.utils.words import plural_n

ENSEMBLE = 'ensemble'
"""Name of the fused predictions in tables."""
MEANS = ('mAP', 'mAP_50', 'mAP_75', 'mAR')


@dataclass(frozen=True)
class Member:
    """One model's predictions of the images of an annotation file.

    Args:
        name: in tables and messages.
        detections: as ``mmleuk evaluate`` reads them.
        run: the same detections as cells; images in the order of the truth.
        has_images: whether they are a run of ``mmleuk infer``, which names its images, classes and attributes.
    """

    name: str
    detections: Detections
    run: Run
    has_images: bool


@dataclass(frozen=True)
class Comparison:
    """An ensemble beside its single models.

    Args:
        settings: how the models were fused.
        fused: the fused cells.
        results: the fused cells as COCO results; None where the models are runs of ``mmleuk infer``.
        evaluations: one per model by name, in their order, then that of the ensemble.
    """

    settings: FusionSettings
    fused: Run
    results: list[dict[str, Any]] | None
    evaluations: Mapping[str, Evaluation]

    def write(self, path: str | Path) -> Path:
        """Write the fused predictions as ``mmleuk evaluate`` reads them; the file appears whole or not at all."""
        if self.results is None:
            return to_json(self.fused, path)
        return write_atomic(path, json.dumps(self.results) + '\n')


def fuse_files(predictions: Sequence[str | Path], annotations: str | Path, settings: FusionSettings | None = None,
               names: Sequence[str] | None = None) -> Comparison:
    """Read saved predictions, fuse them, and score the single models and the ensemble.

    Args:
        predictions: one file per model, each of any kind that ``mmleuk evaluate`` reads.
        annotations: COCO JSON file of their images.
        settings: see :class:`FusionSettings`.
        names: of the models; by default from the files' names.

    Raises:
        UserError: see :func:`read_members`.
    """
    settings = settings or FusionSettings()
    return compare(*read_members(predictions, annotations, settings, names), settings)


def read_members(predictions: Sequence[str | Path], annotations: str | Path, settings: FusionSettings | None = None,
                 names: Sequence[str] | None = None) -> tuple[list[Member], GroundTruth]:
    """Read and check everything that :func:`compare` needs.

    Returns:
        The models, and the truth with the classes that only the predictions have.

    Raises:
        UserError: a file is missing or broken, two are the same, or there are fewer than two; the files differ in
            their images, classes or the values of an attribute; the number of names or weights isn't that of files.
    """
    settings, paths = settings or FusionSettings(), [Path(path) for path in predictions]
    check_number(len(paths), settings, names)
    if len({path.resolve() for path in paths}) < len(paths):
        raise UserError('--predictions names a file twice; name each file once, and give weights with --weights')
    chosen = check_names(names or default_names(predictions))
    truth = read_ground_truth(annotations)
    own_classes, found = truth.classes, []
    for path in paths:
        detections, truth = read_detections(path, truth)
        found.append(detections)
    runs = [_run_of(path) for path in paths]
    _check_classes(chosen, runs, found, own_classes, truth)
    members = [Member(name, *_aligned(detections, run, truth), run is not None)
               for name, detections, run in zip(chosen, found, runs)]
    check_runs([member.run for member in members], settings, chosen)
    return members, truth


def compare(members: Sequence[Member], truth: GroundTruth, settings: FusionSettings | None = None,
            fused: Run | None = None) -> Comparison:
    """Score the models and the ensemble with the settings of ``mmleuk evaluate``; fuse unless ``fused`` is given."""
    settings = settings or FusionSettings()
    fused = fused or fuse_runs([member.run for member in members], settings, [member.name for member in members])
    results = None if any(member.has_images for member in members) else to_results(fused, truth)
    detections, truth = (from_run(fused, truth, ENSEMBLE) if results is None
                         else from_results(results, truth, ENSEMBLE))
    evaluations = {member.name: evaluate(member.detections, truth, Settings()) for member in members}
    return Comparison(settings, fused, results, evaluations | {ENSEMBLE: evaluate(detections, truth, Settings())})


def to_results(run: Run, truth: GroundTruth) -> list[dict[str, Any]]:
    """COCO results with the ids of the annotation file; a class that the file lacks gets an unused id."""
    ids = dict(zip(truth.classes, truth.category_ids))
    free = itertools.count(max((key for key in ids.values() if isinstance(key, int)), default=-1) + 1)
    ids |= {name: next(free) for name in truth.classes if name not in ids}
    return [dict(image_id=image.image_id, category_id=ids[cell.class_name], category_name=cell.class_name,
                 bbox=[cell.box[0], cell.box[1], cell.box[2] - cell.box[0], cell.box[3] - cell.box[1]],
                 score=cell.score)
            for image, prediction in zip(truth.images, run.predictions) for cell in prediction.cells]


def check_names(names: Sequence[str]) -> list[str]:
    """The names, if each is unique.

    Raises:
        UserError: a name occurs twice, is empty, or is that of the ensemble.
    """
    if len(set(names)) < len(names) or not all(names) or ENSEMBLE in names:
        raise UserError(f'the models are called {", ".join(map(repr, names))}; give each a different name with '
                        f'--names, and none the name {ENSEMBLE!r}')
    return list(names)


def default_names(paths: Sequence[str | Path]) -> list[str]:
    """File names without suffixes where they differ, else the whole paths.

    >>> default_names(['a/fcos.bbox.json', 'a/dino.json']), default_names(['a/val.bbox.json', 'b/val.bbox.json'])
    (['fcos', 'dino'], ['a/val.bbox.json', 'b/val.bbox.json'])
    """
    short = [Path(path).name.removesuffix('.json').removesuffix('.bbox') for path in paths]
    return short if len(set(short)) == len(short) and ENSEMBLE not in short else [str(path) for path in paths]


def _run_of(path: Path) -> Run | None:
    """The run in a checked file; None for COCO results."""
    data = read_json(path)
    return run_from_dict(data, str(path)) if isinstance(data, Mapping) else None


def _check_classes(names: Sequence[str], runs: Sequence[Run | None], found: Sequence[Detections],
                   own_classes: Sequence[str], truth: GroundTruth) -> None:
    """Check that every model knows the classes of the others: a model that doesn't know a class votes against it.

    A run lists its classes. COCO results know the classes of the annotation file and of their own detections.
    """
    seen = [{truth.classes[label] for label in set(detections.labels.tolist())} for detections in found]
    stated = [own if run is None else set(run.info.classes) for own, run in zip(seen, runs)]
    known = [own | set(own_classes) if run is None else own for own, run in zip(stated, runs)]
    for name, own in zip(names, known):
        for other, needed in zip(names, stated):
            if needed - own:
                raise UserError(f'{name} does not know the class {sorted(needed - own)[0]!r}, which {other} has; fuse '
                                "models of the same classes, all of them among the annotation file's categories")


def _aligned(detections: Detections, run: Run | None, truth: GroundTruth) -> tuple[Detections, Run]:
    """Detections and run with the images, the order, the names and the classes of the truth."""
    if run is None:
        cells: list[list[Cell]] = [[] for _ in truth.images]
        for index, label, (x, y, w, h), score in zip(detections.image_of.tolist(), detections.labels.tolist(),
                                                     detections.boxes_xywh.tolist(), detections.scores.tolist()):
            cells[index].append(Cell((x, y, x + w, y + h), score, label, truth.classes[label]))
        predictions = [Prediction(image.file_name, image.size_hw, tuple(own))
                       for image, own in zip(truth.images, cells)]
        return detections, Run(RunInfo(truth.classes), tuple(predictions))
    indices = indices_by_name(run, truth, detections.source)
    ordered = sorted(run.predictions, key=lambda prediction: indices[prediction.image])
    named = tuple(replace(prediction, image=image.file_name) for prediction, image in zip(ordered, truth.images))
    return detections, Run(replace(run.info, classes=truth.classes), named)


def rows(comparison: Comparison) -> list[Row]:
    """One row per model and one for the ensemble, with the scores of ``mmleuk evaluate``; None for undefined ones."""
    return [dict(model=name, detections=evaluation.n_read, **_scores(evaluation))
            for name, evaluation in comparison.evaluations.items()]


def _scores(evaluation: Evaluation) -> dict[str, float | None]:
    everything: Mapping[str, Any] = group_rows(evaluation)[0]
    return {key: everything[key] for key in (*MEANS, *(f'AP {name}' for name in evaluation.truth.classes))}


def logged_metrics(row: Mapping[str, Any]) -> dict[str, float]:
    """The defined scores of a row under the names that training logs use, for tables of trainings.

    The log's ``bbox_mAP_50`` counts 1000 detections per image and class. Here it is 100, so the third digit may differ.

    >>> logged_metrics({'model': 'ensemble', 'mAP_50': '0.5', 'mAR': 0.25, 'AP WBC': None})
    {'coco/bbox_mAP_50': 0.5, 'coco/bbox_AR@100': 0.25}
    """
    named = {'mAP': 'bbox_mAP', 'mAP_50': 'bbox_mAP_50', 'mAP_75': 'bbox_mAP_75', 'mAR': 'bbox_AR@100'}
    named |= {key: f'{key.removeprefix("AP ")}_precision' for key in row if key.startswith('AP ')}
    return {f'coco/{named[key]}': float(value) for key, value in row.items()
            if key in named and value not in (None, '')}


def to_markdown(comparison: Comparison) -> str:
    """The table, what it compares, and remarks on its limits."""
    of_ensemble = comparison.evaluations[ENSEMBLE]
    truth, settings = of_ensemble.truth, comparison.settings
    names = [name for name in comparison.evaluations if name != ENSEMBLE]
    weights = '' if settings.weights is None else ', weights ' + ', '.join(
        f'{weight:g} ({name})' for name, weight in zip(names, settings.weights))
    skipped = f', confidences below {settings.skip_box_thr:g} left out' if settings.skip_box_thr else ''
    if settings.nms_thr is not None:
        skipped += (', only the highest-scoring box kept where boxes of one model overlap by more than '
                    f'{settings.nms_thr:g}')
    said = [f'{plural_n(len(truth.images), "image")} with {int(of_ensemble.counts.cells.sum()):,} cells of '
            f'{truth.source}. Ensemble: Weighted Boxes Fusion of {len(names)} models, IoU above '
            f'{settings.iou_thr:g}{weights}{skipped}; a cell\'s confidence is the sum over its boxes divided by the '
            f'{"number" if settings.weights is None else "weights"} of all models.']
    table = rows(comparison)
    drawn = markdown_table(lines(table, list(table[0])))
    remarks = [f'- {name}: {note}' for name, evaluation in comparison.evaluations.items() for note in notes(evaluation)]
    return '\n'.join([*said, '', drawn, *(['', *remarks] if remarks else [])]) + '\n'


def write_tables(comparison: Comparison, stem: str | Path) -> list[Path]:
    """Write ``<stem>.csv`` and ``<stem>.md``; each appears whole or not at all."""
    stem = Path(stem)
    return [write_atomic(stem.with_name(f'{stem.name}.csv'), csv_text(rows(comparison))),
            write_atomic(stem.with_name(f'{stem.name}.md'), to_markdown(comparison))]
