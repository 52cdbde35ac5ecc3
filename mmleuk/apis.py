"""The Inferencer: finds cells with classes and attributes in images.

MMDetection's ``DetInferencer`` returns only boxes, labels and scores, and reads checkpoints with pickle. So this is a
class of our own around the same test pipeline.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.registry import DATASETS
from mmdet.structures import DetDataSample
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config, ConfigDict

from mmleuk.calibration import Calibrator
from mmleuk.calibration.colour import TrainingColours
from mmleuk.calibration.finder import RedCellFinder, load_finder
from mmleuk.errors import UserError
from mmleuk.inference.base import BaseInferencer, Source
from mmleuk.models.attributes import AttributeRecognizer, AttriHead
from mmleuk.schema import AttributeSchema
from mmleuk.shipped import get_shipped
from mmleuk.structures.detections import Detections
from mmleuk.structures.prediction import AttributeReading, Cell, FailedImage, Prediction, Run, RunInfo
from mmleuk.utils.batch_norm import fold_batch_norms
from mmleuk.utils.checkpoint import check_attributes, fit_checkpoint, load_checkpoint_safely, state_dict_of
from mmleuk.utils.config_file import build_model, building, read_config
from mmleuk.utils.image_size import image_size_of, usable_image_size
from mmleuk.utils.inference_pipeline import inference_loaders, inference_pipeline
from mmleuk.utils.words import plural_n

ALL_CELLS_FROM = 0.05
"""Lowest score from which inference returns all cells; below it most boxes are none, and evaluations limit them."""
EVALUATED, MOST_CELLS = 100, 100_000
"""Cells of an image: the least that evaluations look at, and the most that inference returns."""

__all__ = ['AttributeReading', 'Cell', 'FailedImage', 'Inferencer', 'Prediction', 'Run', 'RunInfo', 'Source']


class Inferencer(BaseInferencer):
    """A trained model for prediction.

    Args:
        config: path of a config file, or the config itself; default: the model in the package, see ``mmleuk models``.
        checkpoint: weights of that config's model; read without running code from the file.
        device: such as 'cpu' or 'cuda:0'; default: the first GPU, else the CPU.
        min_score: cells with a lower score are left out, 0 to 1. The model's own test_cfg may drop more, but its
            ``max_per_img`` counts only below 100, or with a score below 0.05. Default: the config's ``min_scores`` by
            class, else 0.25.
        max_overlap: where boxes of any type overlap by a larger IoU, only the cell with the highest score is kept. With
            1, all that the model's own suppression returns are kept.
        batch_size: images per step. Those whose inputs have one shape go through the network at once, so the last
            digits may differ between batch sizes.
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
        super().__init__(min_score, max_overlap, batch_size)
        if (config is None) != (checkpoint is None):
            raise UserError('config and checkpoint belong together; give both, or none for the model in the package')
        self._is_shipped = config is None
        if config is None or checkpoint is None:
            config, checkpoint = get_shipped().config, get_shipped().weights
        self.cfg = config if isinstance(config, Config) else read_config(config, needed=('model', 'test_dataloader'))
        own_scores = dict(self.cfg.get('min_scores') or {}) if min_score is None else {}
        self.min_score = min(own_scores.values(), default=self.min_score)
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
        if self.min_score >= ALL_CELLS_FROM:
            lift_cell_limit(self.model)
        fold_batch_norms(self.model.to(self.device).eval())
        with building(self.cfg):
            own = image_size_of(get_test_pipeline_cfg(self.cfg))
            self.image_size = own if image_size is None else usable_image_size(image_size, own, self.model)
            self._load_file, self._load_array = inference_loaders(self.cfg)
            # A scale is a film's: few of them are in use at a time.
            self._cached_pipeline = lru_cache(maxsize=32)(self._pipeline)
            self._cached_pipeline(None)  # refuses a config without a usable pipeline
        self.scaled_to = None if image_size is not None else self.cfg.get('red_cell_diameter')
        colours = self.cfg.get('film_colours')
        self._colours = None if colours is None else TrainingColours(**colours)
        self.calibrator = self._calibrator(calibrate, microns_per_pixel)

    def look(self, name: str, path: str | Path) -> tuple[DetDataSample, Prediction]:
        """The model's own output for one image, and the prediction made of it."""
        image = self._prepared(self._load(Path(path)))
        sample, = self._forward([image.data])
        return sample, self._prediction(detections_of(sample), image, name, str(path))

    def _calibrator(self, calibrate: bool, microns_per_pixel: tuple[float, float] | None) -> Calibrator | None:
        if not calibrate and microns_per_pixel is None:
            return None
        if not self._is_shipped:
            return Calibrator(*load_finder(self.device), microns_per_pixel)
        model = self.model  # it finds red cells, too
        return Calibrator(RedCellFinder(lambda: model, self.cfg), float(self.cfg.red_cell_diameter), microns_per_pixel)

    def _load(self, source: Path | np.ndarray) -> dict[str, Any]:
        if isinstance(source, np.ndarray):
            return self._load_array(dict(img=source, img_id=0))
        return self._load_file(dict(img_path=str(source), img_id=0))

    def _ready(self, loaded: dict[str, Any], scale_xy: tuple[float, float] | None) -> dict[str, Any]:
        return self._cached_pipeline(scale_xy)(loaded)

    def _input_shape(self, data: dict[str, Any]) -> tuple[int, ...]:
        return tuple(data['inputs'].shape)

    def _detect(self, batch: Sequence[dict[str, Any]]) -> list[Detections]:
        return [detections_of(sample) for sample in self._forward(batch)]

    def config_text(self) -> str:
        """The resolved config."""
        return json.dumps(self.cfg.to_dict(), sort_keys=True, default=lambda value: type(value).__name__)

    def _facts(self) -> dict[str, str]:
        return dict(model=str(self.cfg.model.type), config=str(self.cfg.filename or ''), checkpoint=self._checkpoint,
                    device=str(self.device))

    def _pipeline(self, scale_xy: tuple[float, float] | None) -> Compose:
        """The test pipeline after the loader, for a scale; None: for ``image_size``."""
        with building(self.cfg):
            return inference_pipeline(self.cfg, self.image_size, scale_xy)

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


def detections_of(sample: DetDataSample) -> Detections:
    """A data sample's predictions as arrays."""
    found = sample.pred_instances.cpu()
    optional = {name: found[name].numpy() for name in ('attributes', 'attribute_probs', 'class_probs', 'novelty')
                if name in found}
    return Detections(found.bboxes.numpy(), found.scores.numpy(), found.labels.numpy(), **optional)


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
    ``score_thr`` (DINO, Sparse R-CNN) are not changed. A model that calibrates its heads' scores says by
    ``uncalibrated`` which they are before.
    """
    uncalibrated = getattr(model, 'uncalibrated', float)
    lower = uncalibrated(min_score) * (1 - 1e-6)  # heads keep scores > threshold, the Inferencer scores >= min_score
    for module in model.modules():
        cfg = getattr(module, 'test_cfg', None)
        # PAA's box voting also uses boxes with lower scores.
        votes = getattr(module, 'with_score_voting', False)
        if cfg and not votes and 0 <= cfg.get('score_thr', -1) < lower:
            module.test_cfg = ConfigDict({**cfg, 'score_thr': lower})  # a copy: the user's config must not change


def lift_cell_limit(model: torch.nn.Module) -> None:
    """Let heads return all cells of an image: their ``max_per_img`` is the limit of an evaluation, 100 of COCO's.

    A field of 2,000 px can show more cells, and nothing would say that some are missing. A smaller number of the user's
    stays. So do those of proposals and of queries, which have no lowest score or no suppression.
    """
    for module in model.modules():
        cfg = getattr(module, 'test_cfg', None)
        if cfg and 'score_thr' in cfg and 'nms' in cfg and EVALUATED <= cfg.get('max_per_img', 0) < MOST_CELLS:
            module.test_cfg = ConfigDict({**cfg, 'max_per_img': MOST_CELLS})


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
