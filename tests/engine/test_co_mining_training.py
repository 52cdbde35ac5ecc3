"""Training with two views through the tools: hooks, log, checkpoints."""

import json
from pathlib import Path

import pytest
import torch

from mmleuk.engine.launch import train, train_parser
from mmleuk.testing.tiny_run import CLASSES, write_tiny_run
from mmleuk.utils.checkpoint import load_checkpoint_safely

ROOT = Path(__file__).parents[2]
BASES = [str(ROOT / 'configs/_base_/default_runtime.py'), str(ROOT / 'configs/_base_/schedules/yolov5.py')]

TINY = """
_base_ = './tiny.py'
model = dict(_delete_=True, type='mmleuk.{kind}', detector=_base_.model,
             labeller=dict(type='mmleuk.{labeller}', min_score=0.3))
train_dataloader = dict(dataset=dict(pipeline=[
    *_base_.train_dataloader.dataset.pipeline[:3],  # the fourth makes floats
    dict(type='MultiBranch', branch_field=['original', 'augmented'], original=[dict(type='PackDetInputs')],
         augmented=[dict(type='mmleuk.ColorJitter'), dict(type='PackDetInputs')])]))
default_hooks = dict(pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(2, None)){more})
"""

WHOLE = """
_base_ = {config!r}
films = dict(data_root='', ann_file={ann!r}, data_prefix=dict(img={images!r}), indices=4,
            metainfo=dict(_delete_=True, classes={classes!r}))
model = dict({model})
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(dataset=films))
val_dataloader = None
val_cfg = None
val_evaluator = None
test_dataloader = None
test_cfg = None
test_evaluator = None
train_cfg = dict(max_epochs=1)
default_hooks = dict(logger=dict(interval=1))
"""


@pytest.fixture
def kind(request):
    return request.param


@pytest.fixture
def tiny_config(tmp_path, kind):
    write_tiny_run(tmp_path / 'tiny', BASES, max_epochs=2)
    config = tmp_path / 'tiny' / 'two_views.py'
    more = ", teacher=dict(type='mmleuk.EMATeacherHook')" if kind == 'CoStudent' else ''
    labeller = dict(CoStudent='TeacherMergeLabeller', CoMining='OtherViewLabeller')[kind]
    config.write_text(TINY.format(kind=kind, more=more, labeller=labeller))
    return config


def scalars(work_dir):
    newest = max(Path(work_dir).glob('*/vis_data/scalars.json'), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(line) for line in newest.read_text().splitlines()]


@pytest.mark.parametrize('kind', [pytest.param('CoMining', marks=pytest.mark.slow), 'CoStudent'], indirect=True)
def test_any_detector_trains_and_repeats(run_tiny, tmp_path, kind):
    runner = run_tiny(f'{kind}-one')
    rows = [row for row in scalars(tmp_path / f'{kind}-one') if 'loss' in row]
    assert all('pseudo/kept_per_image' in row for row in rows[3:]) and len(rows) == 6
    assert not any('pseudo/kept_per_image' in row for row in rows[:3])  # from epoch 2 on
    run_tiny(f'{kind}-two')
    again = [row for row in scalars(tmp_path / f'{kind}-two') if 'loss' in row]
    assert [row['loss'] for row in rows] == [row['loss'] for row in again]
    saved = load_checkpoint_safely(tmp_path / f'{kind}-one' / 'epoch_2.pth')
    assert saved['state_dict'].keys() == runner.model.detector.state_dict(prefix='detector.').keys()
    assert all(torch.isfinite(value).all() for value in saved['state_dict'].values())


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['co_mining/yolov5n_co-mining', 'co_student/yolov5n_co-student',
                                  'soft_sampling/yolov5n_soft-sampling'], indirect=True)
def test_the_configs_train(run_whole, tmp_path, kind):
    run_whole('whole')
    rows = [row for row in scalars(tmp_path / 'whole') if 'loss' in row]
    assert len(rows) == 2 and all(0 < row['loss'] < 100 for row in rows)


@pytest.fixture
def run_whole(tmp_path, kind):
    """Train one of the repository's configs for two iterations on four drawn images."""
    write_tiny_run(tmp_path / 'tiny', BASES, n_images=4, empty=())
    config = tmp_path / 'tiny' / 'whole.py'
    head = 'bbox_head=dict(num_classes=2)'
    config.write_text(WHOLE.format(
        config=str(ROOT / 'configs' / f'{kind}_txl-pbc.py'), ann=str(tmp_path / 'tiny/annotations.json'),
        images=str(tmp_path / 'tiny/images/'), classes=CLASSES,
        model=head if 'soft' in kind else f'detector=dict({head})'))

    def run(name):
        label = Path(kind).name
        return train(train_parser().parse_args([str(config), '--work-dir', str(tmp_path / name), '--cfg-options',
                                                f'experiment_name={label}', f'visualizer.name={label}']))
    return run
