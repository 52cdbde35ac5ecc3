"""What a run of inference found: plain data without tensors, the input of reports, pictures and scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, TypeVar

from mmleuk.errors import UserError
from mmleuk.schema import IGNORE, AttributeSchema

FORMAT = 'mmleuk.predictions/1'
NumberT = TypeVar('NumberT', int, float)


class AttributeReading(TypedDict):
    """One predicted attribute of one cell."""

    value: str
    """Name of the value in the schema; 'unknown' where nothing was predicted."""
    value_index: int
    """Index of the value in the schema; -1 (IGNORE) where unknown."""
    prob: float
    """Probability of this value, 0 to 1."""


@dataclass(frozen=True)
class Cell:
    """One detected cell.

    Args:
        box: x1, y1, x2, y2 in pixels of the original image.
        score: confidence of the detection, 0 to 1.
        label: index of the class in the run's classes.
        class_name: name of the class.
        attributes: reading by attribute key, in the schema's order; empty for models without AttriHead.
        probabilities: of all values by attribute key; empty where nothing was predicted. Files don't have them.
        class_probs: probability of every class by label, 0 to 1; None for models that give only the highest.
        novelty: out-of-distribution score, larger is less like the training cells; None where the model gives none.
        embedding: feature vector of the cell, for similarity; None where the model gives none.
        diameter_um: micrometres, of the circle with the area of the ellipse in the box; None where the scale of the
            image isn't known.
    """

    box: tuple[float, float, float, float]
    score: float
    label: int
    class_name: str
    attributes: Mapping[str, AttributeReading] = field(default_factory=dict)
    probabilities: Mapping[str, tuple[float, ...]] = field(default_factory=dict, compare=False, repr=False)
    class_probs: tuple[float, ...] | None = None
    novelty: float | None = None
    embedding: tuple[float, ...] | None = None
    diameter_um: float | None = None

    def value_index(self, key: str) -> int:
        """Predicted value of an attribute; IGNORE where the cell doesn't have it."""
        reading = self.attributes.get(key)
        return IGNORE if reading is None else reading['value_index']


def box_diameter(box_xyxy: Sequence[float], um_per_px: tuple[float, float]) -> float:
    """Micrometres: of the circle with the area of the ellipse in the box.

    >>> round(box_diameter((0, 0, 40, 80), (0.2, 0.1)), 3)
    8.0
    """
    x1, y1, x2, y2 = box_xyxy
    return math.sqrt((x2 - x1) * um_per_px[0] * (y2 - y1) * um_per_px[1])


@dataclass(frozen=True)
class Prediction:
    """The cells of one image, highest score first.

    Args:
        image: name, unique in a run: the path below the inputs' common folder with '/', or 'array_0001' for an array.
        size_hw: height and width of the original image in pixels.
        cells: what was found; may be empty.
        path: where the image was read from; None for an array.
        um_per_px: micrometres that a pixel is wide and high; None where that isn't known.
        intensity: how the file's samples became 8 bits, as ``infer --intensity`` takes it; None where they have 8.
    """

    image: str
    size_hw: tuple[int, int]
    cells: tuple[Cell, ...] = ()
    path: str | None = None
    um_per_px: tuple[float, float] | None = None
    intensity: str | None = None


@dataclass(frozen=True)
class FailedImage:
    """An image that could not be read when its turn came, although the check before the run could."""

    image: str
    error: str


@dataclass(frozen=True)
class RunInfo:
    """Where a run's numbers come from: stated on the page and in the JSON.

    Args:
        classes: class names by label.
        schema: the attributes that the model predicts; empty for a plain detector.
        min_score: cells below it were left out.
        model: type of the model, such as 'mmleuk.SLADet'.
        config, checkpoint, device, created, version: as text; created is an ISO 8601 time.
        image_size: pixels of the longer side of every image that the model saw; None where it depends on the image.
        leukocytes: classes that count as leukocytes, as the data set declares; None where it doesn't.
        scales: what was measured on red cells, a sentence per image size; see :mod:`mmleuk.calibration`.
        min_scores: lowest score by class where it isn't ``min_score``.
    """

    classes: tuple[str, ...]
    schema: AttributeSchema = field(default_factory=AttributeSchema)
    min_score: float = 0.0
    model: str = ''
    config: str = ''
    checkpoint: str = ''
    device: str = ''
    created: str = ''
    version: str = ''
    image_size: int | None = None
    leukocytes: tuple[str, ...] | None = None
    scales: tuple[str, ...] = ()
    min_scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """Everything one run of inference says."""

    info: RunInfo
    predictions: tuple[Prediction, ...] = ()
    failed: tuple[FailedImage, ...] = ()

    @property
    def cells(self) -> list[Cell]:
        """All cells of all images, in order."""
        return [cell for prediction in self.predictions for cell in prediction.cells]


def run_to_dict(run: Run) -> dict[str, Any]:
    """Plain data for JSON; :func:`run_from_dict` reads it back to an equal run."""
    info = {**vars(run.info), 'classes': list(run.info.classes), 'schema': run.info.schema.to_dict(),
            'scales': list(run.info.scales), 'min_scores': dict(run.info.min_scores)}
    return dict(format=FORMAT, run=info, images=[image_to_dict(prediction) for prediction in run.predictions],
                failed=[dict(vars(f)) for f in run.failed])


def run_from_dict(data: object, source: str = 'predictions') -> Run:
    """The run that :func:`run_to_dict` wrote.

    Raises:
        UserError: another format, or a key is missing; the message names ``source``.
    """
    if not isinstance(data, Mapping) or data.get('format') != FORMAT:
        raise UserError(f'{source}: not a predictions file of this version (expected "format": "{FORMAT}")')
    where = 'run'
    try:
        info = dict(data['run'])
        info.update(classes=tuple(info['classes']), schema=AttributeSchema.from_dict(info['schema']))
        if info.get('leukocytes') is not None:
            info['leukocytes'] = tuple(info['leukocytes'])
        info['scales'] = tuple(info.get('scales') or ())
        run_info, predictions = RunInfo(**info), []
        texts = (*run_info.classes, *(run_info.leukocytes or ()), *run_info.scales, run_info.model, run_info.config,
                 run_info.checkpoint, run_info.device, run_info.created, run_info.version)
        if not all(isinstance(text, str) for text in texts):
            raise TypeError('classes, leukocytes, model, config, checkpoint, device, created and version are texts')
        _number(run_info.min_score, float, 0, 1)
        for number, image in enumerate(data['images']):
            where = f'image {number}'
            size_hw = (_number(image['height'], int, 1), _number(image['width'], int, 1))
            cells = []
            for index, cell in enumerate(image['cells']):
                where = f'image {number}, cell {index}'
                cells.append(cell_from_dict(cell))
            um_per_px = _numbers(image.get('um_per_px'), 0)
            if um_per_px is not None and (len(um_per_px) != 2 or min(um_per_px) <= 0):
                raise ValueError('um_per_px is two numbers above 0')
            predictions.append(Prediction(str(image['image']), size_hw, tuple(cells), image['path'],
                                          um_per_px and (um_per_px[0], um_per_px[1]), image.get('intensity')))
        where = 'failed'
        return Run(run_info, tuple(predictions), tuple(FailedImage(**f) for f in data['failed']))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(f'{source}: {where}: broken predictions file ({error!r}); write it again with mmleuk infer'
                        ) from error


def image_to_dict(prediction: Prediction) -> dict[str, Any]:
    """Plain data for JSON of one image and its cells."""
    known = {} if prediction.um_per_px is None else dict[str, Any](um_per_px=list(prediction.um_per_px))
    if prediction.intensity is not None:
        known['intensity'] = prediction.intensity
    return dict(image=prediction.image, path=prediction.path, height=prediction.size_hw[0],
                width=prediction.size_hw[1], **known, cells=[cell_to_dict(cell) for cell in prediction.cells])


def cell_to_dict(cell: Cell) -> dict[str, Any]:
    """Plain data for JSON; :func:`cell_from_dict` reads it back to an equal cell."""
    given = {name: value for name, value in (('class_probs', cell.class_probs), ('novelty', cell.novelty),
                                             ('embedding', cell.embedding), ('diameter_um', cell.diameter_um))
             if value is not None}
    return dict(box=list(cell.box), score=cell.score, label=cell.label, class_name=cell.class_name,
                attributes={key: dict(reading) for key, reading in cell.attributes.items()}, **given)


def cell_from_dict(data: Mapping[str, Any]) -> Cell:
    """The cell that :func:`cell_to_dict` wrote; raises KeyError, TypeError, ValueError for other data."""
    x1, y1, x2, y2 = (_number(value, float) for value in data['box'])
    attributes = {key: AttributeReading(value=str(reading['value']), prob=_number(reading['prob'], float, 0, 1),
                                        value_index=_number(reading['value_index'], int, -1))
                  for key, reading in data['attributes'].items()}
    return Cell((x1, y1, x2, y2), _number(data['score'], float, 0, 1), _number(data['label'], int, 0),
                str(data['class_name']), attributes, class_probs=_numbers(data.get('class_probs'), 0, 1),
                novelty=None if data.get('novelty') is None else _number(data['novelty'], float),
                embedding=_numbers(data.get('embedding')),
                diameter_um=None if data.get('diameter_um') is None else _number(data['diameter_um'], float, 0))


def _numbers(values: Any, low: float = -math.inf, high: float = math.inf) -> tuple[float, ...] | None:
    return None if values is None else tuple(_number(value, float, low, high) for value in values)


def _number(value: Any, kind: type[NumberT], low: float = -math.inf, high: float = math.inf) -> NumberT:
    """The value as ``kind``, if it is a finite number of that kind from low to high."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or (
            not low <= value <= high) or kind(value) != value:
        raise ValueError(f'{value!r} is no {kind.__name__} from {low} to {high}')
    return kind(value)


@dataclass(frozen=True)
class BankEntry:
    """One cell of the morphology bank and where its picture is: cell ``index`` (from 0) of ``prediction``."""

    prediction: Prediction
    index: int

    @property
    def cell(self) -> Cell:
        """The cell itself."""
        return self.prediction.cells[self.index]
