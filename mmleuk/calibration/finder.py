"""The finder of red cells: that of the model in the package."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample

from mmleuk.calibration.colour import TrainingColours
from mmleuk.calibration.red_cells import MIN_SCORE, Finder
from mmleuk.shipped import get_shipped
from mmleuk.utils.checkpoint import load_checkpoint_safely
from mmleuk.utils.config_file import build_model, read_config

RED_CELL = 'RBC'


@lru_cache(maxsize=2)
def load_finder(device: torch.device) -> tuple[Finder, float]:
    """A function that finds red cells, and the diameter in pixels that they should have for it.

    Args:
        device: to run on.
    """
    shipped = get_shipped()
    cfg = read_config(shipped.config, needed=('model',))
    colours = TrainingColours(**cfg.film_colours)

    @cache
    def loaded() -> tuple[Any, int]:
        """The detector and its label of red cells. A run with a stated scale never needs them."""
        model: Any = build_model(cfg)
        model.load_state_dict(load_checkpoint_safely(shipped.weights)['state_dict'])
        model.finder.bbox_head.test_cfg['score_thr'] = MIN_SCORE  # fewer boxes to suppress
        # The finder's classes are the joined model's without its types, after the leukocyte.
        return model.finder.to(device).eval(), list(cfg.model.classes).index(RED_CELL) - model.num_types + 1

    @torch.no_grad()
    def find(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        detector, label = loaded()
        height, width = image.shape[:2]
        # Filled to whole strides by grey, as in training.
        padded = np.full((-(-height // 32) * 32, -(-width // 32) * 32, 3), 114, np.uint8)
        padded[:height, :width] = colours.change(image)
        sample = DetDataSample(metainfo=dict(
            img_shape=(height, width), ori_shape=(height, width), scale_factor=(1.0, 1.0)))
        tensor = torch.from_numpy(np.ascontiguousarray(padded.transpose(2, 0, 1)))
        found = detector.test_step(dict(inputs=[tensor], data_samples=[sample]))[0].pred_instances
        chosen = found.labels == label
        return found.bboxes[chosen].cpu().numpy(), found.scores[chosen].cpu().numpy()

    return find, float(cfg.red_cell_diameter)
