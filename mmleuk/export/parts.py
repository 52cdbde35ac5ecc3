"""The two networks of a detector with attributes, as graphs: images -> locations, and boxes -> attributes.

What lies between them, the suppression of overlaps, is no network; :mod:`mmleuk.export.suppression` adds it.
Legend: B images, P locations, C classes, M feature maps, K boxes, A attributes, V values of the one with
the most.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmdet.models.detectors import SingleStageDetector
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.export.dense import decode_locations, is_dense
from mmleuk.models.attributes import extractors
from mmleuk.models.attributes.attri_head import AttriHead
from mmleuk.models.detectors import find_and_read
from mmleuk.models.detectors.attri_det import AttriDet
from mmleuk.models.detectors.find_and_read import FindAndRead
from mmleuk.models.detectors.sparse_label_detector import SparseLabelDetector

OPSET = 18
TRACED_SIDES = 256, 320
"""Height and width of the image that is traced; both differ, and from all widths of layers."""


class Locations(nn.Module):
    """Images (B, 3, H, W) -> boxes (B, P, 4), probabilities (B, P, 1 + C) and the M feature maps of the cells' part.

    Args:
        model: as built from a config.

    Raises:
        UserError: it has no dense head, see :func:`mmleuk.export.dense.is_dense`.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.detector = model, finder_of(model)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Boxes are xyxy in pixels of the input, probabilities objectness (or another factor) and then classes."""
        maps: list[Tensor] = []
        if isinstance(self.model, AttriDet):
            with self.model.taps.open():
                outputs = self.detector._forward(images)
                maps = self.model.taps.take()
        else:
            outputs = self.detector._forward(images)
        if isinstance(self.model, FindAndRead):
            maps = [self.model.inputs_of_reader(images)]
        return (*decode_locations(self.detector.bbox_head, outputs), *maps)


class Cells(nn.Module):
    """Feature maps and boxes (K, 5), image index and xyxy in input pixels, -> probabilities (K, A, V) of attributes."""

    def __init__(self, head: AttriHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, maps: Sequence[Tensor], rois: Tensor) -> Tensor:
        """Maps as of :class:`Locations`."""
        return self.head.classifier.decode(self.head.classifier(self.head.extractor(maps, rois)))


class Reader(nn.Module):
    """Inputs of the reader, and leukocytes (K, 5), -> probabilities (K, A, V) of attributes and novelty (K, 1)."""

    def __init__(self, model: FindAndRead) -> None:
        super().__init__()
        self.model = model

    def forward(self, maps: Sequence[Tensor], rois: Tensor) -> tuple[Tensor, Tensor]:
        """Maps as of :class:`Locations`."""
        probs, novelty = self.model.read(maps[0], rois)
        return probs, novelty[:, None]


class Naming(nn.Module):
    """What finder and reader say of N cells -> scores, labels, class probabilities, attributes and novelty."""

    def __init__(self, model: FindAndRead) -> None:
        super().__init__()
        self.model = model

    def forward(self, scores: Tensor, labels: Tensor, class_probs: Tensor, attribute_probs: Tensor,
                novelty: Tensor) -> tuple[Tensor, ...]:
        """As :class:`FindAndRead` does; its docstrings have the shapes."""
        named = self.model.name(scores, labels, attribute_probs, novelty[:, 0])
        return (*named, self.model.class_probs(class_probs, labels, attribute_probs))


def finder_of(model: nn.Module) -> Any:
    """The detector that finds, inside of what adds attributes and learning from sparse labels.

    Raises:
        UserError: it has no dense head, see :func:`mmleuk.export.dense.is_dense`.
    """
    while isinstance(model, (AttriDet, SparseLabelDetector, FindAndRead)):
        model = model.finder if isinstance(model, FindAndRead) else model.detector
    if not isinstance(model, SingleStageDetector) or not is_dense(model.bbox_head):
        head = f' with {type(model.bbox_head).__name__}' if hasattr(model, 'bbox_head') else ''
        raise UserError(f'{type(model).__name__}{head} cannot be exported; mmleuk export knows YOLOv5, FCOS, FSAF, '
                        'RetinaNet and other single-stage detectors whose head predicts as its base class does, alone '
                        'or in AttriDet and the methods for sparse labels')
    return model


@torch.no_grad()
def trace_locations(model: nn.Module) -> bytes:
    """The graph of :class:`Locations` as a serialized ONNX model; batch, height and width are free."""
    part = Locations(model)
    images = torch.rand(2, 3, *TRACED_SIDES)
    with quiet():
        maps = [f'map{index}' for index in range(len(part(images)) - 2)]
    free = {0: torch.export.Dim('batch'), 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    return _traced(part, (images,), {'images': free}, ['images'], ['boxes', 'probs', *maps])


@torch.no_grad()
def trace_cells(model: AttriDet | FindAndRead) -> bytes:
    """The graph of :class:`Cells` or :class:`Reader` as a serialized ONNX model; the number of boxes and the maps'
    sizes are free.
    """
    with quiet():
        maps = list(Locations(model)(torch.rand(2, 3, *TRACED_SIDES))[2:])
    rois = torch.tensor([[0, 10, 10, 80, 90], [1, 0, 0, 30, 30], [1, 5, 5, 200, 100]], dtype=torch.float32)
    free = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    shapes: dict[str, Any] = {'maps': [free] * len(maps), 'rois': {0: torch.export.Dim.DYNAMIC}}
    reads = isinstance(model, FindAndRead)
    with onnx_roi_align():
        return _traced(Reader(model) if reads else Cells(model.attri_head), (maps, rois), shapes,
                       [*(f'map{index}' for index in range(len(maps))), 'rois'],
                       ['attribute_probs', 'novelty'] if reads else ['attribute_probs'])


@torch.no_grad()
def trace_naming(model: FindAndRead) -> bytes:
    """The graph of :class:`Naming` as a serialized ONNX model; the number of cells is free, outputs are final_NAME."""
    count, classes = 3, finder_of(model).bbox_head.num_classes
    inputs = dict(
        scores=torch.rand(count), labels=torch.tensor([0, 1, 0]), class_probs=torch.rand(count, classes),
        attribute_probs=torch.rand(count, len(model.schema), max(model.schema.cardinalities)),
        novelty=torch.rand(count, 1))
    free = {0: torch.export.Dim('cells', min=0)}
    return _traced(Naming(model), tuple(inputs.values()), dict.fromkeys(inputs, free), list(inputs),
                   [f'final_{name}' for name in ('scores', 'labels', 'attributes', 'novelty', 'class_probs')])


def _traced(part: nn.Module, arguments: tuple, shapes: dict[str, Any], inputs: list[str],
            outputs: list[str]) -> bytes:
    with quiet():
        program: Any = torch.onnx.export(part.eval(), arguments, dynamic_shapes=shapes, input_names=inputs,
                                    output_names=outputs, opset_version=OPSET, dynamo=True, verbose=False)
    return program.model_proto.SerializeToString()


@contextmanager
def quiet() -> Iterator[None]:
    """Without the exporter's remarks on packages that are not needed, and without torch's trace of itself."""
    loggers = [logging.getLogger(name) for name in ('torch.onnx', 'torch.__trace')]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


@contextmanager
def onnx_roi_align() -> Iterator[None]:
    """While a model is traced, RoIAlign is ONNX's operator of that name, which gives the same numbers.

    The project's own on a CPU loops over boxes in Python, and mmcv's is an operator that other runtimes don't have.
    """
    original = extractors.roi_align
    try:
        extractors.roi_align = find_and_read.roi_align = _onnx_roi_align
        yield
    finally:
        extractors.roi_align = find_and_read.roi_align = original


def _onnx_roi_align(feature: Tensor, rois: Tensor, output_hw: tuple[int, int], stride: float,
                    sampling_ratio: int = 0) -> Tensor:
    """As :func:`mmleuk.models.attributes.roi_align.roi_align`."""
    settings: dict[str, Any] = dict(
        mode='avg', output_height=output_hw[0], output_width=output_hw[1], sampling_ratio=sampling_ratio,
        spatial_scale=1 / stride, coordinate_transformation_mode='half_pixel')
    return torch.onnx.ops.symbolic('RoiAlign', (feature, rois[:, 1:], rois[:, 0].long()), settings,
                                   dtype=torch.float32, shape=(rois.shape[0], feature.shape[1], *output_hw), version=16)
