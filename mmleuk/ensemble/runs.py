"""Fuse the cells that several models found in the same images.

Legend: N cells of one model, A attributes, V values of the attribute with most.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor

import mmleuk
from mmleuk.calibration.red_cells import SAME
from mmleuk.ensemble.fusion import Detected, FusionSettings, fuse
from mmleuk.errors import UserError
from mmleuk.schema import IGNORE, Attribute, AttributeSchema
from mmleuk.structures.prediction import AttributeReading, Cell, Prediction, Run, RunInfo, box_diameter
from mmleuk.utils.progress import progress


def fuse_runs(runs: Sequence[Run], settings: FusionSettings | None = None, names: Sequence[str] | None = None) -> Run:
    """Fuse several runs into one, image by image.

    Args:
        runs: one per model; of the same images, in any order.
        settings: see :class:`FusionSettings`.
        names: of the models, for messages and for the name of the ensemble; by default their types.

    Returns:
        The images in the first run's order, with its classes and all attributes that any model knows.

    Raises:
        UserError: fewer than two runs, or they differ in their classes, images or the values of an attribute.
    """
    settings = settings or FusionSettings()
    names = names or [run.info.model or f'model {number}' for number, run in enumerate(runs, start=1)]
    weights = check_runs(runs, settings, names)
    schema = union_schema([run.info.schema for run in runs], names)
    classes = runs[0].info.classes
    by_name = [{prediction.image: prediction for prediction in run.predictions} for run in runs]
    fused = tuple(fuse_predictions([of[first.image] for of in by_name], classes, schema, settings)
                  for first in progress(runs[0].predictions, total=len(runs[0].predictions), desc='Fusing'))
    # A cell that all models left out is in no cluster. A cell of one model gets its score times the weight's share.
    shares = weights / weights.sum()
    faintest = min(float(share) * run.info.min_score for share, run in zip(shares, runs))
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds')
    info = RunInfo(classes, schema, faintest, model=f'ensemble of {", ".join(names)}',
                   config=_joined([run.info.config for run in runs]),
                   checkpoint=_joined([run.info.checkpoint for run in runs]),
                   device=_joined(sorted({run.info.device for run in runs})), created=now, version=mmleuk.__version__,
                   leukocytes=runs[0].info.leukocytes)
    return Run(info, fused)


def check_runs(runs: Sequence[Run], settings: FusionSettings, names: Sequence[str]) -> torch.Tensor:
    """Check that runs can be fused; returns the weights of the models.

    Raises:
        UserError: as :func:`fuse_runs` says.
    """
    weights = check_number(len(runs), settings, names)
    first = runs[0]
    for name, run in zip(names[1:], runs[1:]):
        other = set(run.info.classes) ^ set(first.info.classes)
        if other:
            raise UserError(f'{name} and {names[0]} know different classes ({", ".join(sorted(other))}); fuse models '
                            'of the same classes')
        _check_images(first, run, names[0], name)
    union_schema([run.info.schema for run in runs], names)
    return weights


def check_number(n_models: int, settings: FusionSettings, names: Sequence[str] | None = None) -> torch.Tensor:
    """Check that there are at least two models, with a weight and a name for each; returns their weights."""
    if n_models < 2:
        raise UserError(f'an ensemble needs at least two models; got {n_models}')
    if names is not None and len(names) != n_models:
        raise UserError(f'{len(names)} names for {n_models} models; give one for each, in their order')
    return torch.from_numpy(settings.weights_of(n_models))


def _check_images(first: Run, run: Run, first_name: str, name: str) -> None:
    sizes, own = ({p.image: tuple(p.size_hw) for p in some.predictions} for some in (first, run))
    if len(own) != len(run.predictions) or len(sizes) != len(first.predictions):
        raise UserError(f'{name} or {first_name}: an image occurs twice; predict each image once')
    other = sorted(set(own) ^ set(sizes))
    if other:
        raise UserError(f'{name} and {first_name} have different images: {len(other)} are in only one of them, first '
                        f'{other[0]}; run all models on the same images')
    for image, size in own.items():
        if size != sizes[image]:
            raise UserError(f'{image} has height and width {size} in {name}, {sizes[image]} in {first_name}; these are '
                            'not the same images')


def union_schema(schemas: Sequence[AttributeSchema], names: Sequence[str]) -> AttributeSchema:
    """All attributes that any model knows, in order of appearance.

    Raises:
        UserError: two models give an attribute different values.
    """
    found: dict[str, Attribute] = {}
    for name, schema in zip(names, schemas):
        for attribute in schema.attributes:
            known = found.setdefault(attribute.key, attribute)
            if known.values != attribute.values:
                raise UserError(f'{name}: attribute {attribute.key!r} has the values {", ".join(attribute.values)}, in '
                                f'a model before it {", ".join(known.values)}; fuse models of one schema')
    return AttributeSchema(tuple(found.values()))


def fuse_predictions(predictions: Sequence[Prediction], classes: Sequence[str], schema: AttributeSchema,
                     settings: FusionSettings | None = None) -> Prediction:
    """Fuse the predictions of several models for one image.

    A run keeps the likeliest value of each attribute and its probability. The other values share the rest of the
    probability evenly: this is exact where there are two values.

    Args:
        predictions: one per model, also of models that found nothing; classes are matched by name.
        classes: names by label of the result.
        schema: attributes of the result; a cell's other attributes are dropped.
        settings: see :class:`FusionSettings`.

    Returns:
        The fused cells. Scores above 1 (:class:`Fused`) are cut to 1; an attribute that no member knew is unknown.
        Scale and diameters are known if the models that know a scale agree on it.

    Raises:
        UserError: a class or an attribute's value that ``classes`` or ``schema`` lacks.
    """
    found = fuse([_detected(prediction, classes, schema) for prediction in predictions], settings)
    rows = [None] * len(found.scores) if found.attribute_probs is None else list(found.attribute_probs)
    um_per_px = _common_scale([p.um_per_px for p in predictions if p.um_per_px is not None])
    cells = [Cell(tuple(box), min(score, 1.0), label, classes[label], {} if probs is None else _readings(probs, schema),
                  diameter_um=None if um_per_px is None else box_diameter(box, um_per_px))
             for box, score, label, probs in zip(found.boxes_xyxy.tolist(), found.scores.tolist(),
                                                 found.labels.tolist(), rows)]
    return replace(predictions[0], cells=tuple(cells), um_per_px=um_per_px)


def _common_scale(known: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """The median of the models' scales; None where no model knows one, or where they differ: then one is wrong."""
    sides = list(zip(*known))
    if not sides or any(max(side) > SAME * min(side) for side in sides):
        return None
    return median(sides[0]), median(sides[1])


def _detected(prediction: Prediction, classes: Sequence[str], schema: AttributeSchema) -> Detected:
    """Cells as tensors."""
    label_of = {name: label for label, name in enumerate(classes)}
    unknown = {cell.class_name for cell in prediction.cells} - set(classes)
    if unknown:
        raise UserError(f'{prediction.image}: has a cell of class {sorted(unknown)[0]!r}; known are '
                        f'{", ".join(classes)}')
    cells = prediction.cells
    probs = None
    if len(schema):
        probs = torch.zeros(len(cells), len(schema), max(schema.cardinalities), dtype=torch.float64)
        for row, cell in zip(probs, cells):
            _fill(row, cell, schema, prediction.image)
    try:
        return Detected(torch.tensor([cell.box for cell in cells], dtype=torch.float64).reshape(-1, 4),
                        torch.tensor([cell.score for cell in cells], dtype=torch.float64),
                        torch.tensor([label_of[cell.class_name] for cell in cells], dtype=torch.int64), probs)
    except UserError as error:
        raise UserError(f'{prediction.image}: {error}') from error


def _fill(row: Tensor, cell: Cell, schema: AttributeSchema, image: str) -> None:
    """Write a cell's known attributes into (A, V); the other values share the rest of each probability evenly."""
    for number, attribute in enumerate(schema.attributes):
        reading = cell.attributes.get(attribute.key)
        if reading is None or reading['value_index'] == IGNORE:
            continue
        index, prob, n_values = reading['value_index'], reading['prob'], len(attribute.values)
        if not (0 <= index < n_values and 0 <= prob <= 1):
            raise UserError(f'{image}: a cell has {attribute.key} {index} with the probability {prob}; expected '
                            f'0 to {n_values - 1}, or {IGNORE} for unknown, with a probability from 0 to 1')
        row[number, :n_values] = (1 - prob) / (n_values - 1)
        row[number, index] = prob


def _readings(probs: Tensor, schema: AttributeSchema) -> dict[str, AttributeReading]:
    """Likeliest values of one cell, from (A, V)."""
    values = torch.where(probs.sum(1) > 0, probs.argmax(1), IGNORE).tolist()
    return {key: AttributeReading(value=schema.decode(key, value), value_index=value,
                                  prob=0.0 if value == IGNORE else float(probs[index, value]))
            for index, (key, value) in enumerate(zip(schema.keys, values))}


def _joined(texts: Sequence[str]) -> str:
    return ', '.join(text for text in texts if text)
