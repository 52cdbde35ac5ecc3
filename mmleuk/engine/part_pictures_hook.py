"""Pictures of predicted masks in testing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmleuk.pictures.drawing import load_image, save_picture
from mmleuk.pictures.masks import outlined
from mmleuk.registry import HOOKS


@HOOKS.register_module()
class PartPicturesHook(Hook):
    """What ``--show`` and ``--show-dir`` of ``tools/test.py`` do for masks: each image beside its predicted mask.

    Args:
        draw: whether to draw at all; the tool sets it.
        show: open a window per image.
        wait_time: how long, in seconds.
        test_out_dir: folder below the run's own for the pictures.
    """

    def __init__(self, *, draw: bool = False, show: bool = False, wait_time: float = 2.0,
                 test_out_dir: str | None = None) -> None:
        self.draw, self.show, self.wait_time, self.test_out_dir = draw, show, wait_time, test_out_dir

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                        outputs: Sequence[Any] | None = None) -> None:
        """Draw a batch."""
        if not self.draw:
            return
        palette = runner.test_dataloader.dataset.metainfo['palette']
        for sample in outputs or ():
            picture = outlined(load_image(sample.img_path), sample.pred_sem_seg.data[0].cpu().numpy(), palette)
            name = Path(sample.img_path).stem
            if self.test_out_dir is not None:
                folder = Path(runner.work_dir) / runner.timestamp / self.test_out_dir
                folder.mkdir(parents=True, exist_ok=True)
                save_picture(picture, folder / f'{name}.jpg')
            if self.show:
                runner.visualizer.show(np.asarray(picture), win_name=name, wait_time=self.wait_time)
