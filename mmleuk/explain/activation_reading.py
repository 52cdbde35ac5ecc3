"""Grad-CAM of a trained model's cells: of crops, and of what a detector with attributes finds in films."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.explain.activation_sheet import CellRow
from mmleuk.explain.gradcam import Activations, explain_attributes
from mmleuk.explain.reading import ConceptReader, square_crop
from mmleuk.models.attributes import AttriHead
from mmleuk.pictures.drawing import load_image
from mmleuk.structures.prediction import Run
from mmleuk.utils.image_inputs import name_images

_AT_ONCE = 16  # cells with all their maps in memory


class ActivationReader:
    """Reads cells with a model and says where in their images it found each attribute's value.

    Args:
        reader: a recogniser of crops, or a detector with AttriHead.
        attributes: keys to show; default: all that the model predicts.
        layer: see :func:`mmleuk.explain.gradcam.explain_attributes`; a layer of the encoder, or of AttriHead's
            extractor.

    Raises:
        UserError: the model has neither, or no such attribute.
    """

    def __init__(self, reader: ConceptReader, attributes: Sequence[str] | None = None,
                 layer: str | None = None) -> None:
        self.reader, self.layer = reader, layer
        self.schema = reader.full_schema
        keys = list(attributes or self.schema.keys)
        self.columns = [self.schema.keys.index(self.schema[key].key) for key in keys]
        heads = [module for module in reader.model.modules() if isinstance(module, AttriHead)]
        if reader.detector is not None and not heads:
            raise UserError(f'{reader.cfg.filename}: a {type(reader.model).__name__} has no AttriHead; give an '
                            'AttributeRecognizer, or a detector with one')
        self.head = heads[0] if heads else None

    @property
    def names(self) -> list[str]:
        """Names of the shown attributes."""
        return [self.schema.attributes[column].name for column in self.columns]

    def read_crops(self, paths: Sequence[Path]) -> list[CellRow]:
        """One cell per image; for a recogniser."""
        images = [np.asarray(load_image(path))[:, :, ::-1] for path in paths]
        return self._read_arrays(name_images(paths), images)

    def read_boxes(self, run: Run, paths: Sequence[Path]) -> list[CellRow]:
        """The leukocytes that another model found, as crops; for a recogniser.

        Raises:
            UserError: an image isn't in the run.
        """
        by_path = {str(Path(str(found.path)).resolve()): found for found in run.predictions if found.path}
        names, crops = [], []
        for name, path in zip(name_images(paths), paths):
            prediction = by_path.get(str(Path(path).resolve()))
            if prediction is None:
                raise UserError(f'{path}: the predictions have no such image; run mmleuk infer on it')
            image = np.asarray(load_image(path))[:, :, ::-1]
            for number, cell in enumerate(prediction.cells, start=1):
                if run.info.leukocytes is None or cell.class_name in run.info.leukocytes:
                    names.append(f'{name}#{number}')
                    crops.append(square_crop(image, cell.box, self.reader.margin()))
        return self._read_arrays(names, crops)

    def _read_arrays(self, names: Sequence[str], images: Sequence[np.ndarray]) -> list[CellRow]:
        model, rows = self.reader.model, []
        for start in range(0, len(images), _AT_ONCE):
            for batch in self.reader.batches(images[start:start + _AT_ONCE]):
                inputs = model.data_preprocessor(batch, False)['inputs'].requires_grad_()
                found = explain_attributes(model.extractor, partial(model, inputs, mode='tensor'), model.classifier,
                                           self.layer)
                rows += self._rows(names[start:start + _AT_ONCE], _pictures(model.data_preprocessor, inputs), found)
        return rows

    def read_films(self, paths: Sequence[Path]) -> list[CellRow]:
        """The described cells that a detector finds; maps cover the boxes."""
        rows = []
        for name, path in zip(name_images(paths), paths):
            rows += list(self._read_film(name, path))
        return rows

    def _read_film(self, name: str, path: Path) -> Iterator[CellRow]:
        detector, head = self.reader.detector, self.head
        assert detector is not None and head is not None
        seen: list[Sequence[Tensor]] = []
        handle = head.extractor.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
        try:
            sample, prediction = detector.look(name, path)
        finally:
            handle.remove()
        cells = [(number, cell) for number, cell in enumerate(prediction.cells, start=1) if cell.probabilities]
        scale_xyxy = torch.tensor(sample.scale_factor).repeat(2)
        image = load_image(path)
        for start in range(0, len(cells), _AT_ONCE):
            part = cells[start:start + _AT_ONCE]
            boxes = torch.tensor([cell.box for _, cell in part]) * scale_xyxy
            rois = torch.cat([torch.zeros(len(part), 1), boxes], 1).to(seen[0][0])
            features = [feature.detach().requires_grad_() for feature in seen[0]]
            found = explain_attributes(head.extractor, partial(_logits_of_boxes, head, features, rois),
                                       head.classifier, self.layer)
            pictures = [np.asarray(image.crop(_whole_pixels(cell.box))) for _, cell in part]
            yield from self._rows([f'{name}#{number}' for number, _ in part], pictures, found)

    def _rows(self, names: Sequence[str], pictures: Sequence[np.ndarray], found: Activations) -> list[CellRow]:
        keys = self.schema.keys
        return [CellRow(name, picture, found.maps[index, self.columns], tuple(
            f'{self.schema.decode(keys[column], int(found.values[index, column]))}\n'
            f'{found.probabilities[index, column]:.2f}' for column in self.columns))
                for index, (name, picture) in enumerate(zip(names, pictures, strict=True))]


def _logits_of_boxes(head: AttriHead, features: Sequence[Tensor], rois: Tensor) -> Tensor:
    return head.classifier(head.extractor(features, rois))


def _whole_pixels(box: Sequence[float]) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = (round(value) for value in box)
    return x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)


def _pictures(preprocessor: Any, inputs: Tensor) -> list[np.ndarray]:
    """Normalised inputs (N, 3, S, S) -> what the network sees, as RGB pictures."""
    pixels = inputs.detach()
    if getattr(preprocessor, '_enable_normalize', False):
        pixels = pixels * preprocessor.std + preprocessor.mean
    pixels = pixels if getattr(preprocessor, '_channel_conversion', False) else pixels.flip(1)
    return list(pixels.clamp(0, 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
