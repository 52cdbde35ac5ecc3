"""The finder of red cells: that of the model in the package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict

from mmleuk.calibration.colour import TrainingColours
from mmleuk.calibration.red_cells import MIN_SCORE, Finder
from mmleuk.shipped import get_shipped
from mmleuk.utils.batch_norm import fold_batch_norms
from mmleuk.utils.channels import channels_first
from mmleuk.utils.checkpoint import load_checkpoint_safely
from mmleuk.utils.config_file import build_model, read_config

RED_CELL = 'RBC'


@dataclass(frozen=True)
class RedCellFinder:
    """Finds red cells that are about as wide as in training.

    Args:
        model: gives the package's model, on the device to run on; asked for at the first image, as a run with a stated
            scale never needs it.
        cfg: its config.
    """

    model: Callable[[], Any]
    cfg: Config

    @cached_property
    def _colours(self) -> TrainingColours:
        return TrainingColours(**self.cfg.film_colours)

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boxes and scores, as :data:`mmleuk.calibration.red_cells.Finder`."""
        model = self.model()
        height, width = image.shape[:2]
        # Filled to whole strides by grey, as in training.
        padded = np.full((-(-height // 32) * 32, -(-width // 32) * 32, 3), 114, np.uint8)
        padded[:height, :width] = self._colours.change(image)
        meta = dict(img_shape=(height, width), ori_shape=(height, width), scale_factor=(1.0, 1.0))
        tensor = channels_first(padded)
        data = model.finder.data_preprocessor(dict(inputs=[tensor], data_samples=[DetDataSample(metainfo=meta)]))
        head = model.finder.bbox_head
        # Fewer boxes to suppress than where cells are looked for.
        cfg = ConfigDict({**head.test_cfg, 'score_thr': MIN_SCORE})
        found, = head.predict_by_feat(*head(model.finder.extract_feat(data['inputs'])), batch_img_metas=[meta], cfg=cfg)
        # The finder's classes are the joined model's without its types, after the leukocyte.
        chosen = found.labels == list(self.cfg.model.classes).index(RED_CELL) - model.num_types + 1
        return found.bboxes[chosen].cpu().numpy(), found.scores[chosen].cpu().numpy()


@lru_cache(maxsize=2)
def load_finder(device: torch.device) -> tuple[Finder, float]:
    """A finder of red cells with a model of its own, and the diameter in pixels that they should have for it.

    Args:
        device: to run on.
    """
    shipped = get_shipped()
    cfg = read_config(shipped.config, needed=('model',))

    @cache
    def loaded() -> Any:
        model: Any = build_model(cfg)
        model.load_state_dict(load_checkpoint_safely(shipped.weights)['state_dict'])
        fold_batch_norms(model.to(device).eval())
        return model

    return RedCellFinder(loaded, cfg), float(cfg.red_cell_diameter)
