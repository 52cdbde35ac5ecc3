"""A calibrated teacher through the tools: what an interrupted training leaves, and what it goes on with."""

import json
from pathlib import Path

import pytest
import torch

from mmleuk.datasets.converters.coco_files import read_coco
from mmleuk.datasets.sparsify import sparsify
from mmleuk.testing.tiny_run import CLASSES, write_tiny_run
from mmleuk.utils.checkpoint import load_checkpoint_safely

ROOT = Path(__file__).parents[2]
BASES = [str(ROOT / 'configs/_base_/default_runtime.py'), str(ROOT / 'configs/_base_/schedules/yolov5.py')]
CONFIG = """
_base_ = {config!r}
films = dict(data_root='', ann_file={ann!r}, data_prefix=dict(img={images!r}),
             metainfo=dict(_delete_=True, classes={classes!r}))
# random weights give low scores: all candidates are counted, right or wrong
model = dict(detector=dict(bbox_head=dict(num_classes=2)), labeller=dict(candidate_confidence=1e-4, num_classes=2))
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(dataset=films))
train_cfg = dict(max_epochs=3)
default_hooks = dict(
    logger=dict(interval=1), checkpoint=dict(max_keep_ckpts=-1), skip_transforms=dict(first_epoch=2),
    pseudo_labels=dict(pseudo_epochs=(2, None)))
"""


@pytest.fixture
def tiny_config(tmp_path):
    folder = tmp_path / 'tiny'
    write_tiny_run(folder, BASES, n_images=4, empty=())
    sparse = sparsify(read_coco(folder / 'annotations.json'), fraction=0.5)
    (folder / 'sparse.json').write_text(json.dumps(sparse))
    config = folder / 'teacher.py'
    config.write_text(CONFIG.format(config=str(ROOT / 'configs/sla_det/yolov5n_sla-plus-teacher_txl-pbc.py'),
                                    ann=str(folder / 'sparse.json'), images=f'{folder}/images/', classes=CLASSES))
    return config


@pytest.mark.slow
def test_an_interrupted_training_ends_like_an_uninterrupted_one(run_tiny, losses_of, tmp_path):
    """Teacher, what was counted of it, and the transforms that became rarer are all there again."""
    unbroken = run_tiny('unbroken')
    assert unbroken.model.labeller.calibration.seen.sum() > 0 and unbroken.model.last_judged is not None
    broken = tmp_path / 'broken'
    broken.mkdir()
    (tmp_path / 'unbroken' / 'epoch_2.pth').rename(broken / 'epoch_2.pth')  # as if killed in the third epoch
    (broken / 'last_checkpoint').write_text(str(broken / 'epoch_2.pth'))
    resumed = run_tiny('broken', '--resume')
    assert resumed.model.teacher.module is not None
    last = losses_of(broken)
    assert last == {key: loss for key, loss in losses_of(tmp_path / 'unbroken').items() if key in last} and last
    ends = [load_checkpoint_safely(folder / 'epoch_3.pth')['state_dict'] for folder in (tmp_path / 'unbroken', broken)]
    assert ends[0].keys() == ends[1].keys() and any('calibration' in key for key in ends[0])
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())
