"""Run several trained models on the same images and fuse what they find."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mmleuk.apis import Inferencer, Source
from mmleuk.ensemble.fusion import FusionSettings, check_fraction
from mmleuk.ensemble.runs import check_number, check_runs, fuse_predictions, union_schema
from mmleuk.errors import UserError
from mmleuk.structures.overlaps import suppress_overlaps
from mmleuk.structures.prediction import FailedImage, Prediction, Run
from mmleuk.utils.image_inputs import check_images
from mmleuk.utils.progress import progress

Model = tuple[str | Path | Config, str | Path]
"""A config and its checkpoint."""


class Ensemble:
    """Several inferencers whose cells are fused.

    Args:
        inferencers: at least two, of the same classes. Build them with ``min_score=0`` and ``max_overlap=1``: what an
            inferencer leaves out takes no part in the fusion.
        settings: see :class:`FusionSettings`.
        names: of the models; by default their types.
        min_score: a call returns no fused cells with a lower score.
        max_overlap: where fused cells of any type overlap by a larger IoU, a call returns only the highest-scoring one.

    Raises:
        UserError: fewer than two, or the models differ in their classes or the values of an attribute.

    Example::

        ensemble = Ensemble.load([('fcos.py', 'fcos.pth'), ('dino.py', 'dino.pth')])
        for prediction in ensemble('films/'):
            print(prediction.image, [(cell.class_name, cell.score) for cell in prediction.cells])
    """

    def __init__(self, inferencers: Sequence[Inferencer], settings: FusionSettings | None = None,
                 names: Sequence[str] | None = None, min_score: float = 0.25, max_overlap: float = 0.5) -> None:
        check_fraction('min_score', min_score)
        check_fraction('max_overlap', max_overlap)
        self.inferencers = tuple(inferencers)
        self.settings = settings or FusionSettings()
        self.names = tuple(names or (str(inferencer.cfg.model.type) for inferencer in self.inferencers))
        self.min_score, self.max_overlap = min_score, max_overlap
        check_runs([Run(inferencer.run_info()) for inferencer in self.inferencers], self.settings, self.names)
        self.classes = self.inferencers[0].classes
        self.schema = union_schema([inferencer.schema for inferencer in self.inferencers], self.names)

    @classmethod
    def load(cls, models: Sequence[Model], settings: FusionSettings | None = None, names: Sequence[str] | None = None,
             device: str | None = None, batch_size: int = 1, min_score: float = 0.25, max_overlap: float = 0.5
             ) -> Ensemble:
        """Build the inferencers so that the fusion gets all their detections."""
        check_number(len(models), settings or FusionSettings(), names)  # loading the models takes minutes
        return cls([Inferencer(config, checkpoint, device, min_score=0.0, batch_size=batch_size, max_overlap=1.0)
                    for config, checkpoint in models], settings, names, min_score, max_overlap)

    def __call__(self, inputs: Source | Iterable[Source]) -> list[Prediction]:
        """Predict; see :class:`mmleuk.apis.Inferencer`."""
        several = [inputs] if isinstance(inputs, (str, Path, np.ndarray)) else list(inputs)
        found = zip(*(inferencer(several) for inferencer in self.inferencers), strict=True)
        return [shown_cells(fuse_predictions(predictions, self.classes, self.schema, self.settings), self.min_score,
                           self.max_overlap) for predictions in found]

    def look(self, paths: Sequence[Path]) -> list[Run]:
        """All detections of each model in image files: the input of :func:`mmleuk.ensemble.runs.fuse_runs`.

        Raises:
            UserError: an image cannot be read.
        """
        check_images(paths)
        for inferencer in self.inferencers:
            inferencer.forget_scales()
            inferencer.calibrate(paths)  # else the first image of a size would stand for all
        return [Run(inferencer.run_info(), tuple(_predictions(inferencer, paths, name)))
                for inferencer, name in zip(self.inferencers, self.names)]


def _predictions(inferencer: Inferencer, paths: Sequence[Path], name: str) -> list[Prediction]:
    found: list[Prediction] = []
    for result in progress(inferencer.predict(paths), total=len(paths), desc=name):
        if isinstance(result, FailedImage):
            raise UserError(f'{result.image}: {result.error}')
        found.append(result)
    return found


def shown_cells(prediction: Prediction, min_score: float, max_overlap: float) -> Prediction:
    """A prediction as people want to see it: no cells with a low score, and one of several that overlap."""
    cells = [cell for cell in prediction.cells if cell.score >= min_score]
    boxes = np.array([cell.box for cell in cells]).reshape(-1, 4)
    kept = suppress_overlaps(boxes, np.array([cell.score for cell in cells]), max_overlap)
    return replace(prediction, cells=tuple(cells[index] for index in kept.tolist()))
