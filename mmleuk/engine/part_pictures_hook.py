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
        dataset = runner.test_dataloader.dataset
        for sample in outputs or ():
            picture = outlined(load_image(sample.img_path), sample.pred_sem_seg.data[0].cpu().numpy(),
                               dataset.metainfo['palette'])
            name = picture_name(sample.img_path, getattr(dataset, 'data_prefix', {}).get('img'))
            if self.test_out_dir is not None:
                target = Path(runner.work_dir) / runner.timestamp / self.test_out_dir / name
                target.parent.mkdir(parents=True, exist_ok=True)
                save_picture(picture, target)
            if self.show:
                runner.visualizer.show(np.asarray(picture), win_name=str(name), wait_time=self.wait_time)


def picture_name(img_path: str, folder: str | None) -> Path:
    """Where the picture of an image is written: sub-folders of the images' folder may hold images of one name.

    >>> picture_name('data/images/d1/001.png', 'data/images/').as_posix(), str(picture_name('data/001.png', None))
    ('d1/001.jpg', '001.jpg')
    """
    path = Path(img_path)
    inside = folder is not None and path.is_relative_to(folder)
    return (path.relative_to(folder or '') if inside else Path(path.name)).with_suffix('.jpg')
