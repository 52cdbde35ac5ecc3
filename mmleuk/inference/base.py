"""What every inferencer does, whatever runs its model: read images, measure their scale, make cells of detections.

Nothing here imports torch, so that a process that runs an exported model doesn't need it.
"""

from __future__ import annotations

import datetime
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

import mmleuk
from mmleuk.calibration import Calibrator, RedCells
from mmleuk.calibration.colour import TrainingColours
from mmleuk.calibration.groups import evenly_spaced
from mmleuk.errors import UserError
from mmleuk.pictures.drawing import draw_prediction, load_image
from mmleuk.schema import AttributeSchema
from mmleuk.structures import prediction_files
from mmleuk.structures.detections import Detections
from mmleuk.structures.overlaps import suppress_overlaps
from mmleuk.structures.prediction import Cell, FailedImage, Prediction, Run, RunInfo, box_diameter
from mmleuk.structures.readings import all_probabilities, class_probabilities, readings
from mmleuk.utils.image_inputs import check_images, list_images, name_images

Source = str | Path | np.ndarray


@dataclass(frozen=True)
class Prepared:
    """One image as a network gets it.

    Args:
        data: the network's input.
        size_hw: of the original image, pixels.
        red_cells: those that the image's scale comes from; None where it isn't known.
    """

    data: Any
    size_hw: tuple[int, int]
    red_cells: RedCells | None


class BaseInferencer(ABC):
    """A model for prediction.

    A subclass sets the attributes below, and says how an image is loaded, prepared and looked at.

    Args:
        min_score: cells with a lower score are left out, 0 to 1.
        max_overlap: where boxes of any type overlap by a larger IoU, only the cell with the highest score is kept.
        batch_size: images per step; those whose inputs have one shape go through the network at once.

    Raises:
        UserError: a number is out of its range.
    """

    classes: tuple[str, ...]
    schema: AttributeSchema
    leukocytes: tuple[str, ...] | None
    min_scores: Mapping[str, float]
    """Lowest score by class where it isn't ``min_score``."""
    image_size: int | None
    """Pixels of the longer side of the network's input where no red cells give the scale; None: by the image."""
    calibrator: Calibrator | None
    scaled_to: float | None
    """Pixels of a red cell in the network's input; None: images are scaled to ``image_size``."""
    _colours: TrainingColours | None
    """Those that calibrated images get; None: images keep theirs."""

    def __init__(self, min_score: float | None, max_overlap: float, batch_size: int) -> None:
        for name, value in (('min_score', min_score), ('max_overlap', max_overlap)):
            if value is not None and not 0 <= value <= 1:
                raise UserError(f'{name} is {value}; it must lie between 0 and 1')
        if batch_size < 1:
            raise UserError(f'batch_size is {batch_size}; it must be at least 1')
        self.min_score = 0.25 if min_score is None else min_score
        self.max_overlap, self.batch_size = max_overlap, batch_size

    @abstractmethod
    def _load(self, source: Path | np.ndarray) -> dict[str, Any]:
        """A loaded image: ``img`` (H, W, 3) uint8 BGR, and what :meth:`_ready` needs beside it.

        Raises:
            OSError, AssertionError, UserError, cv2.error: it can't be read.
        """

    @abstractmethod
    def _ready(self, loaded: dict[str, Any], scale_xy: tuple[float, float] | None) -> Any:
        """The network's input of a loaded image, scaled by ``scale_xy``; None: to ``image_size``."""

    @abstractmethod
    def _input_shape(self, data: Any) -> tuple[int, ...]:
        """Shape of a network's input."""

    @abstractmethod
    def _detect(self, batch: Sequence[Any]) -> list[Detections]:
        """The detections of several inputs of one shape, in pixels of the original images."""

    @abstractmethod
    def config_text(self) -> str:
        """All that decides what the model finds, beside its weights: a run that is resumed has to have the same."""

    @abstractmethod
    def _facts(self) -> dict[str, str]:
        """``model``, ``config``, ``checkpoint`` and ``device`` of :class:`RunInfo`."""

    def __call__(self, inputs: Source | Iterable[Source]) -> list[Prediction]:
        """Predict. Images of one size in one call count as those of one microscope.

        Args:
            inputs: an image file, a folder (searched recursively, sorted), a glob, a (H, W, 3) uint8 array in BGR
                order (as cv2 reads), or a list of these. A file named twice is read once.

        Returns:
            One prediction per image, arrays last and named 'array_0001' and so on.

        Raises:
            UserError: an input doesn't exist, an image is unreadable, or an array has another shape or type.
        """
        several = [inputs] if isinstance(inputs, (str, Path, np.ndarray)) else list(inputs)
        arrays = [_check_array(item, number) for number, item in enumerate(several, start=1)
                  if not isinstance(item, (str, Path))]
        names = [item for item in several if isinstance(item, (str, Path))]
        paths = list_images(names) if names or not arrays else []
        check_images(paths)
        self.forget_scales()
        self.calibrate(paths)
        self._calibrate_arrays(arrays)
        results = list(self.predict(paths)) + list(self._predict_arrays(arrays))
        failed = [result for result in results if isinstance(result, FailedImage)]
        if failed:
            raise UserError(f'{failed[0].image}: {failed[0].error}')
        return [result for result in results if isinstance(result, Prediction)]

    def predict(self, paths: Sequence[Path]) -> Iterator[Prediction | FailedImage]:
        """Predict files one after the other; an unreadable file becomes a :class:`FailedImage`."""
        named = iter(zip(name_images(paths), paths))
        while batch := list(islice(named, self.batch_size)):
            loaded: list[tuple[str, Path, Prepared]] = []
            for name, path in batch:
                try:
                    loaded.append((name, path, self._prepared(self._load(path))))
                # mmcv's loader asserts that the file could be decoded.
                except (OSError, AssertionError, UserError, cv2.error) as error:
                    yield FailedImage(name, f'could not be read: {error}')
            found = self._detect_each([prepared.data for _, _, prepared in loaded])
            for (name, path, prepared), detections in zip(loaded, found):
                yield self._prediction(detections, prepared, name, str(path))

    def predict_arrays(self, arrays: Sequence[np.ndarray],
                       whole_hw: tuple[int, int] | None = None) -> list[Prediction]:
        """Predict arrays of one film, such as windows of a large image; unlike in a call, its known scale stays.

        Args:
            arrays: (H, W, 3) uint8 BGR.
            whole_hw: size of the image that they are windows of: they have its scale; None: they are images.

        Raises:
            UserError: an array has another shape or type.
        """
        checked = [_check_array(array, number) for number, array in enumerate(arrays, start=1)]
        return list(self._predict_arrays(checked, whole_hw))

    def forget_scales(self) -> None:
        """Begin another film: images of a size that was measured before may come from another microscope."""
        if self.calibrator is not None:
            self.calibrator.forget()

    def calibrate(self, paths: Sequence[Path]) -> list[str]:
        """Measure the scale of images before :meth:`predict`, which else measures each size when it comes.

        Returns:
            A sentence per size of image that is new.
        """
        if self.calibrator is None:
            return []
        return [found.sentence for found in self.calibrator.measure_files(paths, self._pixels)]

    def calibrate_windows(self, windows: Sequence[np.ndarray], whole_hw: tuple[int, int],
                          n_images: int = 1) -> list[str]:
        """The same for large images of one size, by some windows of them, (H, W, 3) uint8 BGR.

        Args:
            windows: may be none: then the scale is the config's.
            whole_hw: size of the images.
            n_images: how many they are.
        """
        if self.calibrator is None or not self.measures or whole_hw in self.calibrator.calibrations:
            return []
        return [self.calibrator.measure_windows(windows, whole_hw, n_images).sentence]

    def _calibrate_arrays(self, arrays: Sequence[np.ndarray]) -> None:
        """Measure the sizes of a call's arrays that its files don't have."""
        groups: dict[tuple[int, ...], list[np.ndarray]] = {}
        for array in arrays if self.measures else ():
            groups.setdefault(array.shape[:2], []).append(array)
        for size, group in groups.items():
            if self.calibrator is not None and size not in self.calibrator.calibrations:
                self.calibrator.measure_arrays([group[index] for index in evenly_spaced(len(group))], len(group))

    @property
    def measures(self) -> bool:
        """Whether scales are measured on red cells, not stated or left alone."""
        return self.calibrator is not None and self.calibrator.stated is None

    @property
    def scales_by_red_cells(self) -> bool:
        """Whether images are scaled by their red cells, not to ``image_size``."""
        return self.calibrator is not None and self.scaled_to is not None

    def _pixels(self, path: Path) -> np.ndarray:
        return self._load(path)['img']

    def _prepared(self, loaded: dict[str, Any], whole_hw: tuple[int, int] | None = None) -> Prepared:
        """The network's input of a loaded image, and the red cells that its scale comes from.

        Args:
            loaded: of :meth:`_load`.
            whole_hw: size of the image that it is a window of.
        """
        size_hw = loaded['img'].shape[:2]
        cells = None if self.calibrator is None else self.calibrator.red_cells(loaded['img'], whole_hw)
        scale = None if cells is None or self.scaled_to is None else cells.scale(self.scaled_to)
        if self.calibrator is not None and self._colours is not None:
            loaded['img'] = self._colours.change(loaded['img'])
        return Prepared(self._ready(loaded, scale), size_hw, cells)

    def run_info(self) -> RunInfo:
        """Config, checkpoint and settings of this inferencer, with the time of the call (UTC)."""
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds')
        return RunInfo(classes=self.classes, schema=self.schema, min_score=self.min_score, created=now,
                       version=mmleuk.__version__, leukocytes=self.leukocytes,
                       image_size=None if self.scales_by_red_cells else self.image_size,
                       scales=self._scales(), min_scores=self.min_scores, **self._facts())

    def to_json(self, predictions: Sequence[Prediction], path: str | Path) -> Path:
        """Write predictions as JSON; the file appears whole or not at all. Fields: docs/report.md."""
        return prediction_files.to_json(Run(self.run_info(), tuple(predictions)), path)

    def to_csv(self, predictions: Sequence[Prediction], path: str | Path) -> Path:
        """Write one row per cell; the file appears whole or not at all. Columns: docs/report.md."""
        return prediction_files.to_csv(predictions, self.schema, path)

    def draw(self, prediction: Prediction, image: np.ndarray | None = None) -> Image.Image:
        """Drawing with boxes and attribute cards.

        Args:
            prediction: the cells to draw.
            image: (H, W, 3) uint8 BGR; needed if the prediction comes from an array.
        """
        if image is None:
            if prediction.path is None:
                raise UserError(f'{prediction.image}: came from an array; pass it as draw(prediction, image)')
            pixels = load_image(prediction.path)
        else:
            pixels = Image.fromarray(np.ascontiguousarray(_check_array(image, 1)[:, :, ::-1]))
        return draw_prediction(pixels, prediction, self.classes, self.schema, self.leukocytes)

    def _predict_arrays(self, arrays: Sequence[np.ndarray],
                        whole_hw: tuple[int, int] | None = None) -> Iterator[Prediction]:
        numbered = iter(enumerate(arrays, start=1))
        while batch := list(islice(numbered, self.batch_size)):
            # Copy: the pipeline may write into its image, and the caller's array must not change.
            prepared = [self._prepared(self._load(array.copy()), whole_hw) for _, array in batch]
            found = self._detect_each([each.data for each in prepared])
            for (number, _), image, detections in zip(batch, prepared, found):
                yield self._prediction(detections, image, f'array_{number:04d}', None)

    def _detect_each(self, batch: Sequence[Any]) -> list[Detections]:
        """The detections of several inputs, those of one shape at once: a model would see the padding of others."""
        found: dict[int, Detections] = {}
        shapes = [self._input_shape(data) for data in batch]
        for shape in dict.fromkeys(shapes):
            indices = [index for index, own in enumerate(shapes) if own == shape]
            found.update(zip(indices, self._detect([batch[index] for index in indices])))
        return [found[index] for index in range(len(batch))]

    def _scales(self) -> tuple[str, ...]:
        """A sentence per measured size of image, or the stated scale."""
        if self.calibrator is None:
            return ()
        if self.calibrator.stated is not None:
            x, y = self.calibrator.stated.um_per_px
            return f'all images: a pixel is {x:.4g} wide and {y:.4g} high micrometres, as stated',
        return tuple(self.calibrator.calibrations[size].sentence for size in sorted(self.calibrator.calibrations))

    def _prediction(self, found: Detections, image: Prepared, name: str, path: str | None) -> Prediction:
        """The cells that count, of all detections of one image.

        Raises:
            UserError: a label has no class name.
        """
        lowest = np.array([self.min_scores.get(class_name, self.min_score) for class_name in self.classes], np.float32)
        # A label without a class name is reported below. A box without an area lies beside the image.
        confident = found[(found.scores >= lowest[np.minimum(found.labels, len(lowest) - 1)])
                          & (found.boxes[:, 2:] > found.boxes[:, :2]).all(1)]
        kept = confident[suppress_overlaps(confident.boxes, confident.scores, self.max_overlap)]
        unnamed = kept.labels[kept.labels >= len(self.classes)]
        if len(unnamed):
            raise UserError(f'{name}: the model predicts class {unnamed[0]}, but only {len(self.classes)} class names '
                            'are known; config and checkpoint belong to different data sets')
        um_per_px = None if image.red_cells is None else image.red_cells.um_per_px
        novelties = [math.nan] * len(kept) if kept.novelty is None else kept.novelty.tolist()
        cells = [Cell(tuple(box), score, label, self.classes[label], attributes, probabilities, class_probs,
                      novelty=None if math.isnan(novelty) else novelty,
                      diameter_um=None if um_per_px is None else box_diameter(box, um_per_px))
                 for box, score, label, attributes, probabilities, class_probs, novelty in zip(
                     kept.boxes.tolist(), kept.scores.tolist(), kept.labels.tolist(), readings(kept, self.schema),
                     all_probabilities(kept, self.schema), class_probabilities(kept), novelties)]
        return Prediction(name, image.size_hw, tuple(cells), path, um_per_px)


def _check_array(array: object, number: int) -> np.ndarray:
    if not isinstance(array, np.ndarray):
        raise UserError(f'input {number} is a {type(array).__name__}; expected a path, a glob or a numpy array')
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or array.size == 0:
        raise UserError(f'input {number} is an array of shape {array.shape} and type {array.dtype}; '
                        'expected (H, W, 3) uint8 in BGR order')
    return array
