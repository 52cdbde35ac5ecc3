"""Every config under configs/ is read, checked for misspelt keys, and its model is built."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmleuk.datasets.check import check_num_classes, find_unused_regions
from mmleuk.datasets.check.model import uses_ignored
from mmleuk.datasets.presets import make_metainfo
from mmleuk.datasets.subsets import get_subset
from mmleuk.engine import check_config_keys
from mmleuk.errors import UserError
from mmleuk.models.detectors import SparseLabelDetector
from mmleuk.testing import tiny_sample
from mmleuk.utils.config_file import build_model

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted(path for path in (ROOT / 'configs').glob('*/*.py') if path.parent.name != '_base_')
NOT_BOXES = ('mmleuk.CellCropDataset', 'mmleuk.CellMaskDataset', 'mmleuk.LeukemiaAttriDataset')
SMALL = ROOT / 'configs/sla_det/yolov5n_sla_synthetic.py'


def innermost(dataset):
    while 'dataset' in dataset or 'datasets' in dataset:
        dataset = dataset.dataset if 'dataset' in dataset else dataset.datasets[0]
    return dataset


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: f'{path.parent.name}/{path.stem}')
def test_config_is_whole(path):
    cfg = Config.fromfile(str(path))
    masks = cfg.model.type.startswith('mmseg.')
    if masks:
        pytest.importorskip('mmseg', reason="MMSegmentation (extra 'seg') is not installed")
    check_config_keys(cfg)
    with torch.device('cpu' if masks else 'meta'):  # MMSegmentation's Swin reads numbers from tensors
        model = MODELS.build(cfg.model)
    assert sum(parameter.numel() for parameter in model.parameters()) > 5e5 or (
        cfg.model.type == 'mmleuk.MostFrequentValues')
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        dataset = innermost(loader.dataset)
        check_num_classes(cfg, make_metainfo(dataset.metainfo)['classes'])
        if dataset.get('subset'):
            get_subset(dataset.subset)
    tested = innermost(cfg.val_dataloader.dataset)
    # Crops, subsets and chosen domains are scored on the samples, other detections on a file.
    evaluated = cfg.val_evaluator[0].get('ann_file')
    assert evaluated is None or tested.get('subset', tested.get('ann_file')) in evaluated
    chosen = 'domains' in tested or 'relabel' in tested
    assert (evaluated is None) == (chosen or tested.type in NOT_BOXES)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: f'{path.parent.name}/{path.stem}')
def test_sparse_data_goes_with_regions(path):
    """Sparse data needs a head that uses the regions, or a pipeline that blanks or crops what is unknown.

    Complete data at the papers' size have ignored cells, under which such parts learn no background, either.
    """
    cfg = Config.fromfile(str(path))
    detector = cfg.model.get('detector', cfg.model)
    dataset = innermost(cfg.train_dataloader.dataset)
    sparse, papers_size = dataset.get('annotation') == 'sparse', '_r50_leuk' in path.stem
    assert (find_unused_regions(cfg) == []) == sparse or papers_size
    assert uses_ignored(cfg.model) or not papers_size
    hooks = [hook['type'] for hook in [*cfg.custom_hooks, *cfg.default_hooks.values()]]
    assert hooks.count('mmleuk.EpochSeedHook') == 1
    assert ('mmleuk.PseudoLabelHook' in hooks) == any(
        issubclass(MODELS.get(part.type), SparseLabelDetector) for part in (cfg.model, detector))


def levels(path):
    """How many files of this repository lie on the longest way from a config to a base."""
    bases = [base for base in Config._get_base_files(str(path)) if '::' not in base]
    return 1 + max((levels(path.parent / base) for base in bases), default=0)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: f'{path.parent.name}/{path.stem}')
def test_a_config_is_composed_of_bases(path):
    """It builds on model, data set, schedule and runtime, not on another leaf, so three files tell all of one part."""
    assert levels(path) <= 3
    assert all('_base_' in base for base in Config._get_base_files(str(path)))


def test_no_two_configs_share_a_work_dir():
    """It is called after the file: a second training would write over the first one's checkpoints."""
    stems = [path.stem for path in CONFIGS]
    assert sorted(set(stems)) == sorted(stems)


def test_a_misspelt_key_is_an_error():
    cfg = Config.fromfile(str(SMALL))
    cfg.model.detector.detector.bbox_head['truht'] = 'regions'
    with pytest.raises(UserError, match=r"'model.*detector.bbox_head.truht' for YOLOv5Head; did you mean 'truth'"):
        build_model(cfg)


def test_the_first_stage_learns():
    """From random weights nothing may be frozen."""
    cfg = Config.fromfile(str(SMALL))
    model = MODELS.build(cfg.model.detector)
    model.train()
    image, sample = tiny_sample(np.random.default_rng(0))
    data = model.data_preprocessor(dict(inputs=[image], data_samples=[sample]), True)
    sum(model.loss(data['inputs'], data['data_samples']).values()).backward()
    assert model.detector.backbone.stem.conv.weight.grad.abs().sum() > 0
