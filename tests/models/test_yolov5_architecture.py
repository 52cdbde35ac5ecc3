from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmleuk.models.backbones.yolov5 import YOLOv5Backbone

CONFIGS = Path(__file__).parents[2] / 'configs' / '_base_' / 'models'


def build(size):
    init_default_scope('mmdet')
    return MODELS.build(Config.fromfile(CONFIGS / f'yolov5{size}.py').model)


@pytest.mark.parametrize(('size', 'count'), dict(
    n=1872157, s=7235389, m=21190557, l=46563709, x=86749405).items())
def test_parameters_at_80_classes(size, count):
    with torch.device('meta'):
        model = build(size)
    assert sum(p.numel() for p in model.parameters()) == count


def test_shapes_and_gradients_from_the_stem_on():
    model = build('n')
    feats = model.extract_feat(torch.rand(1, 3, 64, 96))
    assert [tuple(f.shape) for f in feats] == [(1, 64, 8, 12), (1, 128, 4, 6), (1, 256, 2, 3)]
    outputs = model.bbox_head(feats)[0]
    assert [tuple(o.shape) for o in outputs] == [(1, 255, 8, 12), (1, 255, 4, 6), (1, 255, 2, 3)]
    sum(o.sum() for o in outputs).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    assert model.backbone.stem.conv.weight.grad.abs().sum() > 0


def test_batch_norm_as_published():
    norms = [m for m in build('n').modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms and all(m.eps == 1e-3 and m.momentum == 0.03 for m in norms)


def test_frozen_stages_and_norm_eval():
    backbone = YOLOv5Backbone(deepen_factor=0.33, widen_factor=0.25, frozen_stages=1, norm_eval=True).train()
    assert not any(p.requires_grad for p in [*backbone.stem.parameters(), *backbone.stage1.parameters()])
    assert all(p.requires_grad for p in backbone.stage2.parameters())
    assert not any(m.training for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm2d))


def test_initial_biases_expect_8_objects_per_image():
    model = build('n')
    model.init_weights()
    bias = model.bbox_head.convs[0].bias.view(3, 85)
    assert torch.sigmoid(bias[:, 4]).tolist() == pytest.approx([8 / 6400] * 3, rel=2e-3)
    assert torch.exp(bias[:, 5:]).flatten().tolist() == pytest.approx([0.6 / 79.00001] * 240)
