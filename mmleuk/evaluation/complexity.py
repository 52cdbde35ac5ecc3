"""Parameters, operations and images per second of a config's model."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.model import revert_sync_batchnorm
from torch.utils.flop_counter import FlopCounterMode

from mmleuk.apis import load_weights
from mmleuk.errors import UserError
from mmleuk.evaluation.evaluate import Complexity
from mmleuk.utils.checkpoint import load_checkpoint_safely
from mmleuk.utils.config_file import build_model, building, read_config
from mmleuk.utils.inference_pipeline import inference_loaders, inference_pipeline

ROUNDS = 3


def measure_complexity(config: str | Path, checkpoint: str | Path | None, device: str, pictures: Sequence[np.ndarray],
                       described: str) -> Complexity:
    """Build the model, count its operations and time it.

    Args:
        config: config file.
        checkpoint: its weights; None leaves them random.
        device: such as 'cpu' or 'cuda:0'.
        pictures: (H, W, 3) uint8 BGR, at least one. Operations are counted on the first; all are timed.
        described: a description of ``pictures``.

    Raises:
        UserError: config, checkpoint or device can't be used.
    """
    cfg = read_config(config, needed=('model', 'test_dataloader'))
    model = build_model(cfg)
    if checkpoint is not None:
        load_weights(model, load_checkpoint_safely(checkpoint, map_location='cpu'), str(checkpoint))
    try:
        model = revert_sync_batchnorm(model).to(device).eval()
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without CUDA
        raise UserError(f'device {device!r} cannot be used ({str(error).splitlines()[0]}); try --device cpu') from error
    with building(cfg):
        pipeline = Compose([inference_loaders(cfg)[1], inference_pipeline(cfg)])
    parameters = sum(parameter.numel() for parameter in model.parameters())
    seconds = [_seconds(model, pipeline, picture) for _ in range(1 + ROUNDS) for picture in pictures][len(pictures):]
    operations, input_hw = _count(model, _batch(pipeline, pictures[0]))
    return Complexity(str(config), '' if checkpoint is None else str(checkpoint), parameters, operations, input_hw,
                      1 / statistics.median(seconds), len(seconds), _device_name(device), described)


def _batch(pipeline: Any, picture: np.ndarray) -> dict[str, list]:
    data = pipeline(dict(img=picture.copy(), img_id=0))
    return dict(inputs=[data['inputs']], data_samples=[data['data_samples']])


@torch.no_grad()
def _seconds(model: Any, pipeline: Any, picture: np.ndarray) -> float:
    start = time.perf_counter()
    model.test_step(_batch(pipeline, picture))
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


@torch.no_grad()
def _count(model: Any, batch: dict[str, list]) -> tuple[float, tuple[int, int]]:
    """Multiply-adds of convolutions and matrix products in one prediction, and the input's size.

    Counts while the model predicts. mmdet's ``tensor`` mode leaves out heads that work on detections (AttriHead), and
    it fails for Sparse R-CNN.
    """
    height, width = model.data_preprocessor(batch)['inputs'].shape[-2:]
    with FlopCounterMode(display=False) as counter:
        model.test_step(batch)
    return counter.get_total_flops() / 2, (int(height), int(width))


def _device_name(device: str) -> str:
    if torch.device(device).type == 'cuda':
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f'CPU ({platform.machine()}), {threads} thread{"s" if threads > 1 else ""}'
