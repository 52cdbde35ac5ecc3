"""The inferencer of an exported model: the same cells as its torch model's, without torch in the process.

Legend: N detections of one image, A attributes, V values of the attribute with the most.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mmleuk.calibration import Calibrator
from mmleuk.calibration.colour import TrainingColours
from mmleuk.errors import UserError
from mmleuk.inference.base import BaseInferencer
from mmleuk.inference.facts import Facts
from mmleuk.inference.preparing import NetworkInput, prepare, stack
from mmleuk.inference.sessions import SUFFIXES, Session, open_session
from mmleuk.inference.suppression import suppress
from mmleuk.schema import IGNORE, AttributeSchema
from mmleuk.structures.detections import Detections
from mmleuk.utils.image_files import decode_image, read_image_file
from mmleuk.utils.image_size import at_image_size, at_scale, in_strides

COLUMNS = tuple(field.name for field in fields(Detections))
GREY = 114
"""What fills an image to whole strides, as in training."""

CELLS = '.cells'
"""In the name of the file with the second graph, of models whose suppression is outside: NAME.cells.onnx."""


class ExportedInferencer(BaseInferencer):
    """A model that ``mmleuk export`` wrote.

    Args:
        path: the ``.onnx`` or ``.xml`` file; what belongs to it lies beside it.
        min_score: cells with a lower score are left out; default: as the file says. Where the graph has the
            suppression inside, it can't be lower than at the export.
        batch_size, max_overlap, image_size, microns_per_pixel: as of :class:`mmleuk.apis.Inferencer`.
        calibrate: scale images by their red cells, if the model was made for that; other exported models measure none.

    Raises:
        UserError: the file or a part of it is missing or broken, its runtime isn't installed, or a number is out of its
            range.
    """

    def __init__(self, path: str | Path, min_score: float | None = None, batch_size: int = 1, max_overlap: float = 0.5,
                 image_size: int | None = None, calibrate: bool = True,
                 microns_per_pixel: tuple[float, float] | None = None) -> None:
        super().__init__(min_score, max_overlap, batch_size)
        self.path = Path(path)
        self._session = open_session(self.path)
        self.facts = facts = Facts.from_texts(self._session.texts, str(path))
        self.classes, self.leukocytes = facts.classes, facts.leukocytes
        self.schema = AttributeSchema.from_dict(facts.attributes)
        self.min_score = facts.min_score if min_score is None else min_score
        self.min_scores = dict(facts.min_scores) if min_score is None else {}
        if facts.suppression.inside and self.min_score < facts.min_score:
            raise UserError(f'{path}: has its suppression inside, with {facts.min_score:g} as the lowest score; export '
                            f'it with --min-score {self.min_score:g}, or with --nms outside')
        self._cells: Session | None = None
        if len(self.schema) and not facts.suppression.inside:
            self._cells = open_session(cells_path(self.path))
        self.image_size, self._steps = facts.image_size, facts.steps
        if image_size not in (None, facts.image_size):
            self.image_size = in_strides(image_size, facts.image_size, facts.pad_size_divisor)
            self._steps = tuple(at_image_size(facts.steps, self.image_size))
        scale = facts.red_cells
        self.scaled_to = None if scale is None or image_size is not None else scale.diameter
        self._colours = None if scale is None or scale.film_colours is None else TrainingColours(**scale.film_colours)
        self.calibrator: Calibrator | None = None
        if scale is not None and (calibrate or microns_per_pixel is not None):
            self.calibrator = Calibrator(partial(self._find_red_cells, scale.label), scale.diameter, microns_per_pixel)
        elif microns_per_pixel is not None:
            self.calibrator = Calibrator(_no_finder, 0.0, microns_per_pixel)

    def config_text(self) -> str:
        """The facts; with the digest of the weights, which OpenVINO keeps in another file."""
        return json.dumps(self.facts.to_texts(), sort_keys=True)

    def _facts(self) -> dict[str, str]:
        return dict(model=self.facts.model, config=self.facts.config, checkpoint=str(self.path),
                    device=f'cpu, {SUFFIXES[self.path.suffix]}')

    def _load(self, source: Path | np.ndarray) -> dict[str, Any]:
        if isinstance(source, np.ndarray):
            return dict(img=source)
        return dict(img=decode_image(read_image_file(str(source)), str(source)))

    def _ready(self, loaded: dict[str, Any], scale_xy: tuple[float, float] | None) -> NetworkInput:
        steps = self._steps if scale_xy is None else at_scale(self._steps, scale_xy)
        return prepare(loaded['img'], steps, self.facts.mean, self.facts.std, self.facts.bgr_to_rgb)

    def _input_shape(self, data: NetworkInput) -> tuple[int, ...]:
        return data.pixels.shape

    def _detect(self, batch: Sequence[NetworkInput]) -> list[Detections]:
        images = stack(batch, self.facts.pad_size_divisor, self.facts.pad_value)
        rows = self._inside(images, batch) if self.facts.suppression.inside else self._outside(images, batch)
        return [_in_original_pixels(found, image) for found, image in zip(rows, batch)]

    def _inside(self, images: np.ndarray, batch: Sequence[NetworkInput]) -> list[Detections]:
        sizes = np.array([image.picture_hw for image in batch], np.float32)
        found = self._session(images=images, sizes=sizes)
        everything = Detections(**{name: found[name] for name in COLUMNS if name in found})
        return [everything[found['image'] == index] for index in range(len(batch))]

    def _find_red_cells(self, label: int, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (N, 4) and scores (N,) of red cells in an image (H, W, 3) uint8 BGR, at the scale that it has."""
        facts = self.facts
        pixels = image if self._colours is None else self._colours.change(image)
        fill = dict(type='Pad', size_divisor=facts.pad_size_divisor, pad_val=GREY)
        found, = self._detect([prepare(pixels, [fill], facts.mean, facts.std, facts.bgr_to_rgb)])
        chosen = found.labels == label
        return found.boxes[chosen], found.scores[chosen]

    def _outside(self, images: np.ndarray, batch: Sequence[NetworkInput]) -> list[Detections]:
        found = self._session(images=images)
        rules = self.facts.suppression
        score_thr = max(rules.score_thr, self.min_score * (1 - 1e-6))
        per_image = [suppress(boxes, probs, image.picture_hw, rules, score_thr)
                     for boxes, probs, image in zip(found['boxes'], found['probs'], batch)]
        if self._cells is None:
            return [Detections(boxes, scores, labels, class_probs=probs if rules.class_probs else None)
                    for boxes, scores, labels, probs in per_image]
        return self._described(self._cells, found, per_image)

    def _described(self, cells: Session, maps: Mapping[str, np.ndarray],
                   per_image: Sequence[tuple[np.ndarray, ...]]) -> list[Detections]:
        """Detections with the attributes of the described ones, by the second graph."""
        kept = [np.isin(labels, self.facts.described) & (scores >= self.facts.attribute_min_score)
                for _, scores, labels, _ in per_image]
        rois = np.concatenate([np.column_stack([np.full(keep.sum(), index, np.float32), boxes[keep]])
                               for index, (keep, (boxes, *_)) in enumerate(zip(kept, per_image))])
        inputs = {name: maps[name] for name in cells.inputs if name != 'rois'}
        shape = len(self.schema), max(self.schema.cardinalities)
        read: np.ndarray = np.zeros((0, *shape), np.float32)
        if len(rois):
            read = cells(rois=rois.astype(np.float32), **inputs)['attribute_probs']
        result = []
        for keep, (boxes, scores, labels, class_probs) in zip(kept, per_image):
            probs = np.zeros((len(keep), *shape), np.float32)
            probs[keep], read = read[:keep.sum()], read[keep.sum():]
            result.append(Detections(boxes, scores, labels, _values(probs), probs,
                                     class_probs if self.facts.suppression.class_probs else None))
        return result


def cells_path(path: Path) -> Path:
    """The file of the second graph.

    >>> cells_path(Path('model.onnx')).name
    'model.cells.onnx'
    """
    return path.with_name(f'{path.stem}{CELLS}{path.suffix}')


def _no_finder(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of red cells: none, since the scale of all images is stated."""
    return np.zeros((0, 4)), np.zeros(0)


def _values(probs: np.ndarray | None) -> np.ndarray | None:
    """(N, A, V) probabilities, 0 where unknown -> the most probable values (N, A), IGNORE where unknown."""
    if probs is None:
        return None
    return np.where(probs.any(2), probs.argmax(2), IGNORE)


def _in_original_pixels(found: Detections, image: NetworkInput) -> Detections:
    scale = np.array(image.scale_xy * 2, np.float32)
    return replace(found, boxes=found.boxes / scale)
