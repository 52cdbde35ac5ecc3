"""What a run of inference found: plain data without tensors, the input of reports, pictures and scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from mmleuk.errors import UserError
from mmleuk.schema import IGNORE, AttributeSchema

FORMAT = 'mmleuk.predictions/1'


class AttributeReading(TypedDict):
    """One predicted attribute of one cell."""

    value: str
    """Name of the value in the schema; 'unknown' where nothing was predicted."""
    value_index: int
    """Position of the value in the schema; -1 (IGNORE) where unknown."""
    prob: float
    """Probability of this value, 0 to 1."""


@dataclass(frozen=True)
class Cell:
    """One detected cell.

    Args:
        box: x1, y1, x2, y2 in pixels of the original image.
        score: confidence of the detection, 0 to 1.
        label: position of the class in the run's classes.
        class_name: name of the class.
        attributes: reading by attribute key, in the schema's order; empty for models without AttriHead.
    """

    box: tuple[float, float, float, float]
    score: float
    label: int
    class_name: str
    attributes: Mapping[str, AttributeReading] = field(default_factory=dict)

    def value_index(self, key: str) -> int:
        """Predicted value of an attribute; IGNORE where the cell doesn't have it."""
        reading = self.attributes.get(key)
        return IGNORE if reading is None else reading['value_index']


@dataclass(frozen=True)
class Prediction:
    """The cells of one image, highest score first.

    Args:
        image: name, unique in a run: the path below the inputs' common folder with '/', or 'array_0001' for an array.
        size_hw: height and width of the original image in pixels.
        cells: what was found; may be empty.
        path: where the image was read from; None for an array.
    """

    image: str
    size_hw: tuple[int, int]
    cells: tuple[Cell, ...] = ()
    path: str | None = None


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
        image_size: pixels of the longer side of every picture that the model saw; None where it depends on the picture.
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
    info = {**vars(run.info), 'classes': list(run.info.classes), 'schema': run.info.schema.to_dict()}
    images = [dict(image=p.image, path=p.path, height=p.size_hw[0], width=p.size_hw[1],
                   cells=[_cell_to_dict(cell) for cell in p.cells]) for p in run.predictions]
    return dict(format=FORMAT, run=info, images=images, failed=[dict(vars(f)) for f in run.failed])


def run_from_dict(data: Mapping[str, Any], source: str = 'predictions') -> Run:
    """The run that :func:`run_to_dict` wrote.

    Raises:
        UserError: another format, or a key is missing; the message names ``source``.
    """
    if not isinstance(data, Mapping) or data.get('format') != FORMAT:
        raise UserError(f'{source}: not a predictions file of this version (expected "format": "{FORMAT}")')
    try:
        info = dict(data['run'])
        info.update(classes=tuple(info['classes']), schema=AttributeSchema.from_dict(info['schema']))
        predictions = tuple(
            Prediction(image=i['image'], size_hw=(i['height'], i['width']), path=i['path'],
                       cells=tuple(_cell_from_dict(cell) for cell in i['cells'])) for i in data['images'])
        return Run(RunInfo(**info), predictions, tuple(FailedImage(**f) for f in data['failed']))
    except (KeyError, TypeError) as error:
        raise UserError(f'{source}: broken predictions file ({error!r}); write it again with tools/infer.py') from error


def _cell_to_dict(cell: Cell) -> dict[str, Any]:
    return dict(box=list(cell.box), score=cell.score, label=cell.label, class_name=cell.class_name,
                attributes={key: dict(reading) for key, reading in cell.attributes.items()})


def _cell_from_dict(data: Mapping[str, Any]) -> Cell:
    x1, y1, x2, y2 = data['box']
    return Cell(box=(x1, y1, x2, y2), score=data['score'], label=data['label'], class_name=data['class_name'],
                attributes=dict(data['attributes']))


@dataclass(frozen=True)
class BankEntry:
    """One cell of the morphology bank and where its picture is: cell ``index`` (from 0) of ``prediction``."""

    prediction: Prediction
    index: int

    @property
    def cell(self) -> Cell:
        """The cell itself."""
        return self.prediction.cells[self.index]
