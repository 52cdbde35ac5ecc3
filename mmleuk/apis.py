"""The Inferencer: finds cells with classes and attributes in images.

MMDetection's ``DetInferencer`` returns only boxes, labels and scores, and reads checkpoints with pickle. So this is a
class of our own around the same test pipeline.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.registry import DATASETS
from mmdet.structures import DetDataSample
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config, ConfigDict
from PIL import Image

import mmleuk
from mmleuk.calibration import Calibrator, RedCells
from mmleuk.calibration.colour import TrainingColours
from mmleuk.calibration.finder import load_finder
from mmleuk.errors import UserError
from mmleuk.models.attributes import AttributeRecognizer, AttriHead
from mmleuk.pictures.drawing import draw_prediction, load_image
from mmleuk.schema import AttributeSchema
from mmleuk.shipped import get_shipped
from mmleuk.structures import prediction_files
from mmleuk.structures.overlaps import suppress_overlaps
from mmleuk.structures.prediction import AttributeReading, Cell, FailedImage, Prediction, Run, RunInfo
from mmleuk.structures.readings import all_probabilities, class_probabilities, readings
from mmleuk.utils.checkpoint import check_attributes, fit_checkpoint, load_checkpoint_safely, state_dict_of
from mmleuk.utils.config_file import build_model, building, read_config
from mmleuk.utils.image_inputs import check_images, list_images, name_images
from mmleuk.utils.image_size import image_size_of, usable_image_size
from mmleuk.utils.inference_pipeline import inference_loaders, inference_pipeline
from mmleuk.utils.words import plural_n

__all__ = ['AttributeReading', 'Cell', 'FailedImage', 'Inferencer', 'Prediction', 'Run', 'RunInfo']

Source = str | Path | np.ndarray


class Inferencer:
    """A trained model for prediction.

    Args:
        config: path of a config file, or the config itself; default: the model in the package, see ``mmleuk models``.
        checkpoint: weights of that config's model; read without running code from the file.
        device: such as 'cpu' or 'cuda:0'; default: the first GPU, else the CPU.
        min_score: cells with a lower score are left out, 0 to 1. The model's own test_cfg may drop more. Default: the
            config's ``min_scores`` by class, else 0.25.
        max_overlap: where boxes of any type overlap by a larger IoU, only the cell with the highest score is kept. With
            1, all that the model's own suppression returns are kept.
        batch_size: images per forward pass. Images of one batch are padded to the largest, so the last digits may
            differ between batch sizes.
        image_size: pixels of the longer side of the network's input, rounded up to a multiple of its stride; default:
            the config's. The attribute ``image_size`` has the used value, or None if it depends on the image.
        calibrate: measure the red cells of the images (:mod:`mmleuk.calibration`). Cells then have a diameter in
            micrometres, and if the config states its ``red_cell_diameter`` in pixels of the network's input, images
            are scaled to it. ``image_size`` keeps the scale. With ``film_colours``, films of other colours than in
            training are changed to those.
        microns_per_pixel: of all images, (width, height) of a pixel; then nothing is measured.

    Raises:
        UserError: a file is missing or broken, the checkpoint doesn't fit the model, or there is no such device.

    Example::

        inferencer = Inferencer('configs/sla_det/yolov5n_sla_synthetic.py', 'work_dirs/demo/last.pth')
        for prediction in inferencer('films/'):
            print(prediction.image, [(cell.class_name, cell.score) for cell in prediction.cells])
    """

    def __init__(self, config: str | Path | Config | None = None, checkpoint: str | Path | None = None,
                 device: str | None = None, min_score: float | None = None, batch_size: int = 1,
                 max_overlap: float = 0.5, image_size: int | None = None, calibrate: bool = True,
                 microns_per_pixel: tuple[float, float] | None = None) -> None:
        for name, value in (('min_score', min_score), ('max_overlap', max_overlap)):
            if value is not None and not 0 <= value <= 1:
                raise UserError(f'{name} is {value}; it must lie between 0 and 1')
        if batch_size < 1:
            raise UserError(f'batch_size is {batch_size}; it must be at least 1')
        if (config is None) != (checkpoint is None):
            raise UserError('config and checkpoint belong together; give both, or none for the model in the package')
        if config is None or checkpoint is None:
            config, checkpoint = get_shipped().config, get_shipped().weights
        self.cfg = config if isinstance(config, Config) else read_config(config, needed=('model', 'test_dataloader'))
        own_scores = dict(self.cfg.get('min_scores') or {}) if min_score is None else {}
        self.min_score = min(own_scores.values(), default=0.25) if min_score is None else min_score
        self.max_overlap = max_overlap
        self.batch_size = batch_size
        self.device = _device(device)
        self._checkpoint = str(checkpoint)
        loaded = load_checkpoint_safely(checkpoint, map_location='cpu')
        self.model: Any = build_model(self.cfg)
        if isinstance(self.model, AttributeRecognizer):
            raise UserError('the model reads the attributes of single-cell images and finds no cells in larger ones; '
                            'score it with tools/test.py, and give a detector here')
        load_weights(self.model, loaded, str(checkpoint))
        metainfo = _metainfo(loaded.get('meta') or {}, self.cfg)
        self.model.dataset_meta = metainfo  # type: ignore[assignment]
        # A model without AttriHead may predict the data's attributes with a head of another kind.
        schemas = [module.schema for module in self.model.modules() if isinstance(module, AttriHead)]
        self.schema = schemas[0] if schemas else AttributeSchema.from_dict(metainfo.get('attributes') or {})
        self.classes = tuple(metainfo['classes'])
        self.leukocytes = None if metainfo.get('leukocytes') is None else tuple(metainfo['leukocytes'])
        self.min_scores = {name: score for name, score in own_scores.items() if name in self.classes}
        raise_score_threshold(self.model, self.min_score)
        self.model.to(self.device).eval()
        with building(self.cfg):
            own = image_size_of(get_test_pipeline_cfg(self.cfg))
            self.image_size = own if image_size is None else usable_image_size(image_size, own, self.model)
            self._load_file, self._load_array = inference_loaders(self.cfg)
            # A scale is a film's: few of them are in use at a time.
            self._cached_pipeline = lru_cache(maxsize=32)(self._pipeline)
            self._cached_pipeline(None)  # refuses a config without a usable pipeline
        self._scaled_to = None if image_size is not None else self.cfg.get('red_cell_diameter')
        colours = self.cfg.get('film_colours')
        self._colours = None if colours is None else TrainingColours(**colours)
        self.calibrator = self._calibrator(calibrate, microns_per_pixel)

    def __call__(self, inputs: Source | Iterable[Source]) -> list[Prediction]:
        """Predict.

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
        self.calibrate(paths)
        results = list(self.predict(paths)) + list(self._predict_arrays(arrays))
        failed = [result for result in results if isinstance(result, FailedImage)]
        if failed:
            raise UserError(f'{failed[0].image}: {failed[0].error}')
        return [result for result in results if isinstance(result, Prediction)]

    def predict(self, paths: Sequence[Path]) -> Iterator[Prediction | FailedImage]:
        """Predict files one after the other; an unreadable file becomes a :class:`FailedImage`."""
        named = iter(zip(name_images(paths), paths))
        while batch := list(islice(named, self.batch_size)):
            loaded: list[tuple[str, Path, dict[str, Any], RedCells | None]] = []
            for name, path in batch:
                try:
                    image = self._load_file(dict(img_path=str(path), img_id=0))
                    loaded.append((name, path, *self._prepared(image)))
                # mmcv's loader asserts that the file could be decoded.
                except (OSError, AssertionError, UserError, cv2.error) as error:
                    yield FailedImage(name, f'could not be read: {error}')
            samples = self._forward([data for _, _, data, _ in loaded])
            for (name, path, _, cells), sample in zip(loaded, samples):
                yield self._prediction(sample, name, str(path), cells)

    def look(self, name: str, path: str | Path) -> tuple[DetDataSample, Prediction]:
        """The model's own output for one image, and the prediction made of it."""
        data, cells = self._prepared(self._load_file(dict(img_path=str(path), img_id=0)))
        sample, = self._forward([data])
        return sample, self._prediction(sample, name, str(path), cells)

    def calibrate(self, paths: Sequence[Path]) -> list[str]:
        """Measure the scale of images before :meth:`predict`, which else measures each size when it comes.

        Returns:
            A sentence per size of image that is new.
        """
        if self.calibrator is None:
            return []
        return [found.sentence for found in self.calibrator.measure_files(paths, self._pixels)]

    def calibrate_arrays(self, images: Sequence[np.ndarray]) -> list[str]:
        """The same for (H, W, 3) uint8 BGR images of one size, which stand for all images of that size."""
        if self.calibrator is None or self.calibrator.stated is not None:
            return []
        return [self.calibrator.measure_arrays(images).sentence]

    @property
    def scales_by_red_cells(self) -> bool:
        """Whether images are scaled by their red cells, not to ``image_size``."""
        return self.calibrator is not None and self._scaled_to is not None

    def _pixels(self, path: Path) -> np.ndarray:
        return self._load_file(dict(img_path=str(path), img_id=0))['img']

    def _calibrator(self, calibrate: bool, microns_per_pixel: tuple[float, float] | None) -> Calibrator | None:
        if microns_per_pixel is not None and not all(0 < value < math.inf for value in microns_per_pixel):
            raise UserError(f'microns_per_pixel is {microns_per_pixel}; both numbers have to be above 0')
        if not calibrate and microns_per_pixel is None:
            return None
        return Calibrator(*load_finder(self.device), microns_per_pixel)

    def _red_cells(self, image: np.ndarray) -> RedCells | None:
        return None if self.calibrator is None else self.calibrator.red_cells(image)

    def _prepared(self, loaded: dict[str, Any]) -> tuple[dict[str, Any], RedCells | None]:
        """The network's input of a loaded image, and the red cells that its scale comes from."""
        cells = self._red_cells(loaded['img'])
        scale = None if cells is None or self._scaled_to is None else cells.scale(self._scaled_to)
        if self.calibrator is not None and self._colours is not None:
            loaded['img'] = self._colours.change(loaded['img'])
        return self._cached_pipeline(scale)(loaded), cells

    def _pipeline(self, scale_xy: tuple[float, float] | None) -> Compose:
        """The test pipeline after the loader, for a scale; None: for ``image_size``."""
        with building(self.cfg):
            return inference_pipeline(self.cfg, self.image_size, scale_xy)

    def run_info(self) -> RunInfo:
        """Config, checkpoint and settings of this inferencer, with the time of the call (UTC)."""
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds')
        return RunInfo(classes=self.classes, schema=self.schema, min_score=self.min_score,
                       model=str(self.cfg.model.type), config=str(self.cfg.filename or ''),
                       checkpoint=self._checkpoint, device=str(self.device), created=now,
                       version=mmleuk.__version__, image_size=self.image_size, leukocytes=self.leukocytes,
                       scales=self._scales(), min_scores=self.min_scores)

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

    def _predict_arrays(self, arrays: Sequence[np.ndarray]) -> Iterator[Prediction]:
        numbered = iter(enumerate(arrays, start=1))
        while batch := list(islice(numbered, self.batch_size)):
            # Copy: the pipeline may write into its image, and the caller's array must not change.
            prepared = [self._prepared(self._load_array(dict(img=array.copy(), img_id=0))) for _, array in batch]
            samples = self._forward([data for data, _ in prepared])
            for (number, _), (_, cells), sample in zip(batch, prepared, samples):
                yield self._prediction(sample, f'array_{number:04d}', None, cells)

    def _forward(self, batch: Sequence[dict[str, Any]]) -> list[DetDataSample]:
        if not batch:
            return []
        data = dict(inputs=[d['inputs'] for d in batch], data_samples=[d['data_samples'] for d in batch])
        try:
            with torch.no_grad():
                return self.model.test_step(data)
        except (RuntimeError, MemoryError) as error:
            if 'memory' not in str(error):
                raise
            raise UserError(f'{self.device}: not enough memory for {plural_n(len(batch), "image")} of '
                            f'{self.image_size} px at once; choose a smaller batch size or image size') from error

    def _scales(self) -> tuple[str, ...]:
        """A sentence per measured size of image."""
        return () if self.calibrator is None else tuple(
            self.calibrator.calibrations[size].sentence for size in sorted(self.calibrator.calibrations))

    def _prediction(self, sample: DetDataSample, name: str, path: str | None, red_cells: RedCells | None) -> Prediction:
        instances = sample.pred_instances.cpu()
        lowest = torch.tensor([self.min_scores.get(class_name, self.min_score) for class_name in self.classes])
        # A label without a class name is reported below.
        confident = instances[instances.scores >= lowest[instances.labels.clamp(max=len(lowest) - 1)]]
        kept = confident[suppress_overlaps(confident.bboxes, confident.scores, self.max_overlap)]
        values = readings(kept, self.schema)
        um_per_px = None if red_cells is None else red_cells.um_per_px
        novelties = kept.novelty.tolist() if 'novelty' in kept else [math.nan] * len(kept)
        cells = []
        for box, score, label, attributes, probabilities, class_probs, novelty in zip(
                kept.bboxes.tolist(), kept.scores.tolist(), kept.labels.tolist(), values,
                all_probabilities(kept, self.schema), class_probabilities(kept), novelties):
            if label >= len(self.classes):
                raise UserError(f'{name}: the model predicts class {label}, but only {len(self.classes)} class names '
                                'are known; config and checkpoint belong to different data sets')
            cells.append(Cell(tuple(box), score, label, self.classes[label], attributes, probabilities, class_probs,
                              novelty=None if math.isnan(novelty) else novelty,
                              diameter_um=None if um_per_px is None else _diameter(box, um_per_px)))
        height, width = sample.ori_shape[:2]
        return Prediction(name, (int(height), int(width)), tuple(cells), path, um_per_px)


def _device(device: str | None) -> torch.device:
    if device is None:
        return torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen).tolist()  # the meta device has no numbers
    # Torch raises AssertionError where it was built without CUDA.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f'device {device!r} cannot be used ({reason}); try --device cpu') from error
    return chosen


def load_weights(model: torch.nn.Module, loaded: dict[str, Any], source: str) -> None:
    """Load all weights or refuse: with a few random tensors the model would predict nonsense."""
    fit_checkpoint(model, loaded, source, exact=True)
    check_attributes(model, loaded, source)
    weights = state_dict_of(loaded)
    surplus = sorted(set(weights) - set(model.state_dict()))
    if surplus:
        raise UserError(f'{source}: holds {len(surplus)} tensors that the model lacks, first {surplus[0]!r}; pass the '
                        'config it was trained with')
    model.load_state_dict(weights)


def raise_score_threshold(model: torch.nn.Module, min_score: float) -> None:
    """Raise the heads' score threshold, so that their suppression handles hundreds of boxes instead of thousands.

    The cells above ``min_score`` don't change: a box suppresses only boxes with a lower score. Heads without
    ``score_thr`` (DINO, Sparse R-CNN) are not changed.
    """
    lower = min_score * (1 - 1e-6)  # heads keep scores > threshold, the Inferencer scores >= min_score
    for module in model.modules():
        cfg = getattr(module, 'test_cfg', None)
        # PAA's box voting also uses boxes with lower scores.
        votes = getattr(module, 'with_score_voting', False)
        if cfg and not votes and 0 <= cfg.get('score_thr', -1) < lower:
            module.test_cfg = ConfigDict({**cfg, 'score_thr': lower})  # a copy: the user's config must not change


def _metainfo(meta: dict[str, Any], cfg: Config) -> dict[str, Any]:
    """The data set's metainfo from the checkpoint. The config's test data set completes it if classes agree.

    Checkpoints of earlier versions don't name the described classes.
    """
    metainfo = {key.lower(): value for key, value in (meta.get('dataset_meta') or {}).items()}
    if 'described' not in metainfo:
        configured = DATASETS.build({**cfg.test_dataloader.dataset, 'lazy_init': True}).metainfo
        if not metainfo.get('classes') or tuple(configured.get('classes') or ()) == tuple(metainfo['classes']):
            metainfo = {**configured, **{key: value for key, value in metainfo.items() if value}}
    if not metainfo.get('classes'):
        raise UserError('neither the checkpoint nor the config names the classes; '
                        "add metainfo=dict(classes=(...)) to the config's test data set")
    return metainfo


def _diameter(box_xyxy: Sequence[float], um_per_px: tuple[float, float]) -> float:
    """Micrometres: of the circle with the area of the ellipse in the box."""
    x1, y1, x2, y2 = box_xyxy
    return math.sqrt((x2 - x1) * um_per_px[0] * (y2 - y1) * um_per_px[1])


def _check_array(array: object, number: int) -> np.ndarray:
    if not isinstance(array, np.ndarray):
        raise UserError(f'input {number} is a {type(array).__name__}; expected a path, a glob or a numpy array')
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or array.size == 0:
        raise UserError(f'input {number} is an array of shape {array.shape} and type {array.dtype}; '
                        'expected (H, W, 3) uint8 in BGR order')
    return array
