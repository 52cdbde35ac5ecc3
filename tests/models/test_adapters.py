"""What a labeller sees of each family of detectors: boxes in float32 that have an area."""

import copy
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from test_co_mining import retina

from mmleuk.engine.optim_wrapper import run_ops_in_float32
from mmleuk.models.detectors.adapters import adapt
from mmleuk.models.labellers import Request
from mmleuk.registry import MODELS
from mmleuk.testing import detector_contract as contract

FASTER = Path(__file__).parents[2] / 'configs/faster_rcnn/faster-rcnn_r18_sparse-regions_txl-pbc.py'
LEFT = dict(bboxes=torch.tensor([[128., 40., 128., 60.], [40., 128., 60., 128.], [4., 4., 30., 30.]]),
            labels=torch.tensor([0, 0, 0]), scores=torch.tensor([0.9, 0.9, 0.9]))
"""Detections of which two were cut to nothing at the borders of an image of 128 px."""


@pytest.mark.parametrize('family', ['dense', 'two-stage'])
def test_mixed_precision_does_not_round_boxes(family):
    """bfloat16 has 8 bits: from 256 px on its numbers are even, and labels of cells would be off by up to a pixel."""
    init_default_scope('mmdet')
    run_ops_in_float32()
    torch.manual_seed(0)
    detector = MODELS.build(retina()) if family == 'dense' else contract.build_detector(FASTER)
    adapter = adapt(detector.eval())
    meta = dict(img_shape=(512, 512), scale_factor=(1.0, 1.0))
    with torch.no_grad(), torch.autocast('cpu', dtype=torch.bfloat16):
        outputs = adapter.forward(torch.rand(1, 3, 512, 512))
        assert outputs[0][0].dtype == torch.bfloat16
        found, = adapter.find(outputs, [meta], Request(1e-3))
    large = found.bboxes[found.bboxes > 256]
    assert found.bboxes.dtype == torch.float32 and len(large) and (large % 2 != 0).any()


def test_a_detection_without_area_becomes_no_label():
    """As a label it would be a proposal, too, and the loss of a width of 0 isn't a number."""
    learner = contract.build_learner('co_mining', FASTER)
    learner.adapter.predict = lambda outputs, metas, request: [InstanceData(**copy.deepcopy(LEFT)) for _ in metas]
    loss = contract.loss_of(learner, contract.as_views(learner, contract.make_batch(([], contract.LEFT_HALF))))
    assert loss.isfinite()
    assert [found.bboxes.tolist() for found in learner.last_judged] == [[[4, 4, 30, 30]]] * 2
