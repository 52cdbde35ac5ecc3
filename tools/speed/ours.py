"""This package's side of a measurement; started by ``tools/measure_speed.py`` with a JSON file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # runs from a clone that is not installed
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmleuk.apis import Inferencer
from mmleuk.inference.base import BaseInferencer
from mmleuk.registry import DATASETS, MODELS
from mmleuk.utils.batch_norm import fold_batch_norms
from mmleuk.utils.checkpoint import load_checkpoint_safely
from mmleuk.utils.config_file import read_config
from mmleuk.utils.memory import keep_freed_memory
from speed.turns import LOADED, Work, serve

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / '_base_'
SCORE, OVERLAP, MOST = 0.25, 0.45, 1000
"""Thresholds of both sides: lowest score, largest IoU of two cells of a class, cells of a field."""


def main() -> None:
    """Serve."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    keep_freed_memory()  # as mmleuk train and mmleuk infer do
    init_default_scope('mmdet')
    setup = json.loads(Path(sys.argv[1]).read_text(encoding='utf-8'))
    tasks: dict[str, Callable[[], Work]] = {}
    for size in map(int, setup['sizes']):
        tasks |= {f'forward_{size}': partial(forward, setup, size), f'train_{size}': partial(train, setup, size),
                  f'load_{size}': partial(load, setup, size), f'field_{size}': partial(field, setup, size, 1),
                  f'batch8_{size}': partial(field, setup, size, 8), f'onnx_{size}': partial(exported, setup, size)}
    serve(tasks)


def model_of(setup: dict[str, Any], size: int) -> Any:
    """The config's model with the checkpoint's weights."""
    cfg = read_config(setup['config'])
    cfg.model.bbox_head.image_size = size
    model = MODELS.build(cfg.model)
    model.load_state_dict(load_checkpoint_safely(setup['checkpoint'], map_location='cpu')['state_dict'])
    return model


def forward(setup: dict[str, Any], size: int) -> Work:
    """One image through the network, up to decoded boxes and scores; the check is their sum."""
    model = model_of(setup, size).eval()
    fold_batch_norms(model)
    image = torch.from_numpy(np.load(f'{setup["folder"]}/batch_{size}.npz')['pixels'][:1]).flip(1).float() / 255

    @torch.no_grad()
    def work(turn: int) -> float:
        boxes, scores = model.bbox_head.decode(*model._forward(image))
        return float(boxes.double().mean() + scores.double().sum())
    return work


def train(setup: dict[str, Any], size: int) -> Work:
    """A step of training on one batch: loss, gradient, update, moving average; the check is the loss."""
    model = model_of(setup, size).train()
    schedule = Config.fromfile(CONFIGS / 'schedules' / 'yolov5.py')
    wrapper = build_optim_wrapper(model, schedule.optim_wrapper | dict(clip_grad=dict(max_norm=10.0)))
    average = mean_of(model, schedule.custom_hooks[1])
    batch = np.load(f'{setup["folder"]}/batch_{size}.npz')
    inputs, samples = list(torch.from_numpy(batch['pixels'])), list(samples_of(batch['targets'], size, batch['pixels']))

    def work(turn: int) -> float:
        losses = model.train_step(dict(inputs=inputs, data_samples=samples), wrapper)
        average.update_parameters(model)
        return float(losses['loss'])
    return work


def mean_of(model: Any, hook: Any) -> ExponentialMovingAverage:
    """The average that :class:`mmleuk.YOLOv5EMAHook` keeps."""
    return MODELS.build(dict(type='mmdet.ExpMomentumEMA', momentum=1 - hook['decay'], gamma=hook['tau'],
                             update_buffers=True), default_args=dict(model=model))


def samples_of(targets: np.ndarray, size: int, pixels: np.ndarray) -> Iterator[DetDataSample]:
    """A data sample for each image of a batch."""
    for index in range(len(pixels)):
        rows = torch.from_numpy(targets[targets[:, 0] == index])
        centre, half = rows[:, 2:4] * size, rows[:, 4:6] * size / 2
        sample = DetDataSample(metainfo=dict(img_shape=(size, size), batch_input_shape=(size, size),
                                             scale_factor=(1.0, 1.0)))
        sample.gt_instances = InstanceData(bboxes=torch.cat([centre - half, centre + half], 1),
                                           labels=rows[:, 1].long())
        yield sample


def load(setup: dict[str, Any], size: int) -> Work:
    """A batch of training samples, each of four images; the check is the mean number of cells."""
    cfg = Config.fromfile(CONFIGS / 'datasets' / 'leukemia_attri_640.py').train_dataloader.dataset.to_dict()
    mosaic, *others = cfg['pipeline']
    pipeline = [mosaic | dict(img_scale=(size, size)), *others]
    cells = dict(type='mmleuk.CellDataset', data_prefix=dict(img=setup['images']), annotation='complete',
                 ann_file=f'{setup["folder"]}/train.json', metainfo=dict(classes=setup['classes']),
                 pipeline=cfg['dataset']['pipeline'])
    dataset = DATASETS.build(dict(type='mmleuk.MultiImageMixDataset', dataset=cells, pipeline=pipeline))

    def work(turn: int) -> float:
        np.random.seed(turn)
        samples = [dataset[index % len(dataset)] for index in range(LOADED * turn, LOADED * (turn + 1))]
        return sum(len(sample['data_samples'].gt_instances) for sample in samples) / LOADED
    return work


def inferencer_of(setup: dict[str, Any], size: int | None, batch: int) -> Inferencer:
    """An inferencer with the thresholds of both sides."""
    cfg = read_config(setup['config'])
    cfg.model.test_cfg = dict(multi_label=False, score_thr=SCORE, nms_pre=30000, max_per_img=MOST,
                              nms=dict(type='nms', iou_threshold=OVERLAP))
    return Inferencer(cfg, setup['checkpoint'], 'cpu', SCORE, batch, 1.0, size, calibrate=False)


def field(setup: dict[str, Any], size: int, batch: int) -> Work:
    """Files to cells; the check is their number."""
    return files_to_cells(inferencer_of(setup, size, batch), setup, batch)


def exported(setup: dict[str, Any], size: int) -> Work:
    """A file to cells by the exported model; the check is their number."""
    from mmleuk.export.writing import build_graphs, write_files
    from mmleuk.inference.exported import ExportedInferencer
    out = Path(setup['folder']) / f'ours_{size}'
    out.mkdir()
    path, *_ = write_files(build_graphs(inferencer_of(setup, None, 1), inside=True), out / 'model.onnx', 'onnx')
    return files_to_cells(ExportedInferencer(path, max_overlap=1.0, image_size=size, calibrate=False), setup, 1)


def files_to_cells(inferencer: BaseInferencer, setup: dict[str, Any], batch: int) -> Work:
    """``batch`` fields at a time, others in each turn."""
    fields = [Path(name) for name in setup['fields']]

    def work(turn: int) -> int:
        chosen = [fields[(turn * batch + index) % len(fields)] for index in range(batch)]
        return sum(len(prediction.cells) for prediction in inferencer.predict(chosen))  # type: ignore[union-attr]
    return work


if __name__ == '__main__':
    main()
