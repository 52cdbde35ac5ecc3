"""Every detector, plain, with attributes, with sparse regions and with both: a step, a prediction, an evaluation."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmleuk.synthetic.writer import synthesize
from mmleuk.testing import detector_contract as contract

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
PLAIN = {folder: f"{folder}/{folder.replace('_', '-')}_r18_synthetic.py" for folder in (
    'faster_rcnn', 'cascade_rcnn', 'double_head', 'grid_rcnn', 'fcos', 'fsaf', 'dino', 'sparse_rcnn')}
SPARSE = {folder: path.replace('_r18_synthetic', '_r18_sparse-regions_txl-pbc') for folder, path in PLAIN.items()}
PLAIN['yolov5'], SPARSE['yolov5'] = 'yolov5/yolov5n_synthetic.py', 'sla_det/yolov5n_sla_synthetic_detection_lr.py'
LAYERS = dict(yolov5=('backbone.stage1', 'backbone.stage2'))
SIZE = (128, 128)


@pytest.fixture(scope='module')
def films(tmp_path_factory):
    """MMLEUK_DATA with four rendered films to learn from, and two to be tested on."""
    folder = tmp_path_factory.mktemp('films')
    synthesize(folder / 'synthetic', train=4, test=2, size=160, cells=(5, 7), region_fraction=0.4, workers=1,
               empty_share=0)
    return folder


def read_config(detector, sparse):
    """The config of the plain detector, its films at 128 px and, on request, sparsely annotated."""
    cfg = Config.fromfile(str(CONFIGS / PLAIN[detector]))
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(num_workers=0, persistent_workers=False, batch_size=2)
        contract.set_everywhere(loader.dataset, 'scale', SIZE)
        contract.set_everywhere(loader.dataset, 'size', SIZE)
    if sparse:
        cfg.train_dataloader.dataset.dataset.update(ann_file='annotations/train_sparse.json', annotation='sparse')
    return cfg


@pytest.mark.slow
@pytest.mark.parametrize('sparse', [False, True], ids=['complete', 'sparse'])
@pytest.mark.parametrize('attributes', [False, True], ids=['plain', 'attri'])
@pytest.mark.parametrize('name', PLAIN)
def test_step_prediction_and_evaluation(films, monkeypatch, name, attributes, sparse):
    monkeypatch.setenv('MMLEUK_DATA', str(films))
    cfg = read_config(name, sparse)
    init_default_scope('mmdet')
    detector = contract.build_detector(CONFIGS / (SPARSE if sparse else PLAIN)[name], num_classes=14,
                                       attributes=attributes, feature_layers=LAYERS.get(name))
    optimizer = torch.optim.AdamW(detector.parameters(), lr=1e-4)
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader, seed=0)))
    before = contract.loss_of(detector, batch)
    before.backward()
    optimizer.step()
    assert before.isfinite() and contract.loss_of(detector, batch).isfinite()

    evaluator = Evaluator([*cfg.val_evaluator, *([dict(type='mmleuk.AttributeF1Metric')] if attributes else [])])
    loader = Runner.build_dataloader(cfg.val_dataloader, seed=0)
    evaluator.dataset_meta = loader.dataset.metainfo
    for data in loader:
        evaluator.process(data_samples=contract.predict(detector, data), data_batch=data)
    scores = evaluator.evaluate(len(loader.dataset))
    assert any('mAP' in key for key in scores)
    assert any('F1' in key or 'f1' in key for key in scores) == attributes
