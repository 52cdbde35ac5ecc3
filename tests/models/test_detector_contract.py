"""Every detector keeps the contract of mmleuk/testing/detector_contract.py."""

from pathlib import Path

import pytest
from mmengine.registry import init_default_scope

from mmleuk.testing import detector_contract as contract

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
FAST = ('faster_rcnn', 'fcos', 'yolov5')
SLOW = ('cascade_rcnn', 'double_head', 'grid_rcnn', 'fsaf', 'dino', 'sparse_rcnn')
DETECTORS = [*FAST, *(pytest.param(folder, marks=pytest.mark.slow) for folder in SLOW)]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


def config_of(folder, kind):
    if folder == 'yolov5':
        regions = 'sla_det/yolov5n_sla_txl-pbc_lr.py'
        return CONFIGS / (regions if kind == 'sparse-regions_txl-pbc' else f'yolov5/yolov5n_{kind}.py')
    return CONFIGS / folder / f"{folder.replace('_', '-')}_r18_{kind}.py"


@pytest.mark.parametrize('check', contract.PLAIN, ids=lambda check: check.__name__)
@pytest.mark.parametrize('folder', DETECTORS)
def test_plain(folder, check):
    check(contract.build_detector(config_of(folder, 'txl-pbc')))


@pytest.mark.parametrize('check', contract.SPARSE, ids=lambda check: check.__name__)
@pytest.mark.parametrize('folder', DETECTORS)
def test_sparse(folder, check):
    check(contract.build_detector(config_of(folder, 'sparse-regions_txl-pbc')))


@pytest.mark.slow
@pytest.mark.parametrize('folder', DETECTORS)
def test_attributes(folder):
    layers = ('backbone.stage1', 'backbone.stage2') if folder == 'yolov5' else None
    contract.check_attributes_are_predicted(
        contract.build_detector(config_of(folder, 'synthetic'), attributes=True, feature_layers=layers))


@pytest.mark.parametrize('folder', DETECTORS)
def test_a_plain_detector_breaks_the_contract(folder):
    """The checks can fail: without the sampler unknown background teaches."""
    plain = contract.build_detector(config_of(folder, 'txl-pbc'))
    for check in (contract.check_unknown_images_teach_nothing, contract.check_unknown_images_are_in_no_average):
        with pytest.raises(AssertionError):
            check(plain)


@pytest.mark.parametrize('method', contract.METHODS)
@pytest.mark.parametrize('folder', FAST)
def test_methods_for_sparse_labels(folder, method):
    """One detector for all checks: building it takes longer than they do."""
    learner = contract.build_learner(method, config_of(folder, 'sparse-regions_txl-pbc'))
    for check in contract.LEARNING:
        check(learner)
