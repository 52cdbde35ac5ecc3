"""The original YOLOv5's side of a measurement: calls the PyPI package ``yolov5`` 7.0, no part of this project.

Runs in an environment of its own, with the interpreter that ``tools/measure_speed.py --other`` names; that environment
needs ``yolov5``, ``onnxruntime`` and what they import.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
import onnxruntime
import torch
import yaml
import yolov5
from yolov5.models.yolo import DetectionModel
from yolov5.utils.dataloaders import LoadImages, LoadImagesAndLabels
from yolov5.utils.general import LOGGER, non_max_suppression, scale_boxes
from yolov5.utils.loss import ComputeLoss
from yolov5.utils.torch_utils import ModelEMA, smart_optimizer

from speed.turns import LOADED, Work, serve

HOME = Path(yolov5.__file__).parent
SCORE, OVERLAP, MOST = 0.25, 0.45, 1000
"""As of the other side."""


def main() -> None:
    """Serve; the greeting holds the names of the network's tensors."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    LOGGER.setLevel('WARNING')
    setup = json.loads(Path(sys.argv[1]).read_text(encoding='utf-8'))
    tasks: dict[str, Callable[[], Work]] = {}
    for size in map(int, setup['sizes']):
        tasks |= {f'forward_{size}': partial(forward, setup, size), f'train_{size}': partial(train, setup, size),
                  f'load_{size}': partial(load, setup, size), f'field_{size}': partial(field, setup, size),
                  f'onnx_{size}': partial(exported, setup, size)}
    serve(tasks, list(new_model(setup).state_dict()))


def new_model(setup: dict[str, Any]) -> DetectionModel:
    """YOLOv5n with random weights."""
    return DetectionModel(str(HOME / 'models' / 'yolov5n.yaml'), nc=len(setup['classes']))


def model_of(setup: dict[str, Any]) -> DetectionModel:
    """YOLOv5n with the carried weights."""
    model = new_model(setup)
    unknown = model.load_state_dict(torch.load(f'{setup["folder"]}/original.pt'), strict=False).unexpected_keys
    assert not unknown, unknown
    return model


def fused(setup: dict[str, Any]) -> DetectionModel:
    """The network as detect.py runs it."""
    return model_of(setup).fuse().eval()


def pixels_of(setup: dict[str, Any], size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch's pixels, uint8 RGB, and its targets."""
    batch = np.load(f'{setup["folder"]}/batch_{size}.npz')
    return torch.from_numpy(batch['pixels']).flip(1).contiguous(), torch.from_numpy(batch['targets'])


def forward(setup: dict[str, Any], size: int) -> Work:
    """One image through the network, up to decoded boxes and scores; the check is their sum."""
    model, image = fused(setup), pixels_of(setup, size)[0][:1].float() / 255

    @torch.no_grad()
    def work(turn: int) -> float:
        rows = model(image)[0][0].double()  # centre, width, height, objectness, classes
        return float(rows[:, :2].mean() + rows[:, 4:].sum())  # the mean of a box's corners is that of its centre
    return work


def train(setup: dict[str, Any], size: int) -> Work:
    """A step of training on one batch: loss, gradient, update, moving average; the check is the loss."""
    model = model_of(setup).train()
    hyp = yaml.safe_load((HOME / 'data' / 'hyps' / 'hyp.scratch-low.yaml').read_text())
    hyp['cls'] *= len(setup['classes']) / 80
    hyp['obj'] *= (size / 640) ** 2
    model.hyp = hyp
    optimizer = smart_optimizer(model, 'SGD', hyp['lr0'], hyp['momentum'], hyp['weight_decay'])
    criterion, average = ComputeLoss(model), ModelEMA(model)
    pixels, targets = pixels_of(setup, size)

    def work(turn: int) -> float:
        loss, _ = criterion(model(pixels.float() / 255), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=10.0)
        optimizer.step()
        optimizer.zero_grad()
        average.update(model)
        return float(loss)
    return work


def load(setup: dict[str, Any], size: int) -> Work:
    """A batch of training samples, each of four images; the check is the mean number of cells."""
    hyp = yaml.safe_load((HOME / 'data' / 'hyps' / 'hyp.scratch-low.yaml').read_text())
    dataset = LoadImagesAndLabels(f'{setup["folder"]}/yolo/images', size, augment=True, hyp=hyp)

    def work(turn: int) -> float:
        samples = [dataset[index % len(dataset)] for index in range(LOADED * turn, LOADED * (turn + 1))]
        return sum(len(sample[1]) for sample in samples) / LOADED
    return work


def field(setup: dict[str, Any], size: int) -> Work:
    """A file to cells as detect.py finds them; the check is their number."""
    model = fused(setup)

    @torch.inference_mode()
    def network(image: torch.Tensor) -> torch.Tensor:
        return model(image)[0]
    return files_to_cells(network, setup, size, auto=True)


def exported(setup: dict[str, Any], size: int) -> Work:
    """A file to cells by the exported network; the check is their number."""
    model = fused(setup)
    model.model[-1].export = True
    path = f'{setup["folder"]}/original_{size}.onnx'
    example = torch.zeros(1, 3, size, size)
    model(example)
    torch.onnx.export(model, example, path, opset_version=17, do_constant_folding=True, input_names=['images'],
                      output_names=['output0'], dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])

    def network(image: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(session.run(['output0'], {'images': image.numpy()})[0])
    return files_to_cells(network, setup, size, auto=False)


def files_to_cells(network: Callable[[torch.Tensor], torch.Tensor], setup: dict[str, Any], size: int,
                   auto: bool) -> Work:
    """Another field in each turn."""
    fields = setup['fields']

    @torch.inference_mode()
    def work(turn: int) -> int:
        cells = 0
        for _, image, original, _, _ in LoadImages(fields[turn % len(fields)], size, stride=32, auto=auto):
            pixels = torch.from_numpy(image).float()[None] / 255
            for found in non_max_suppression(network(pixels), SCORE, OVERLAP, max_det=MOST):
                found[:, :4] = scale_boxes(pixels.shape[2:], found[:, :4], original.shape).round()
                cells += len(found.tolist())
        return cells
    return work


if __name__ == '__main__':
    main()
