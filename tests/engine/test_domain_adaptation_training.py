"""Domain adaptation through the tools: pairs, hooks, log, and checkpoints that resume and fit the plain detector."""

import itertools
import json
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config

from mmleuk.engine.launch import train, train_parser
from mmleuk.testing.tiny_run import CLASSES, write_tiny_run
from mmleuk.utils.checkpoint import fit_checkpoint, load_checkpoint_safely

ROOT = Path(__file__).parents[2]
COUNT = itertools.count()
BASES = [str(ROOT / f'configs/_base_/{name}.py') for name in ('default_runtime', 'schedules/yolov5')]
TINY = """
_base_ = './tiny.py'
films = dict(type='mmleuk.CellDataset', ann_file={ann!r}, data_prefix=_base_.image_dir, metainfo=_base_.classes,
             annotation='complete')
pack = dict(type='mmleuk.PackCells')
load = [dict(type='mmleuk.LoadImage'), dict(type='mmleuk.LoadCellAnnotations'), dict(type='RandomFlip', prob=0.5)]
model = dict(_delete_=True, type='mmleuk.{kind}', detector=_base_.model,
             labeller=dict(type='mmleuk.ScoreLabeller', min_score=0.1))
train_dataloader = dict(dataset=dict(
    _delete_=True, type='mmleuk.SourceTargetDataset', dataset=dict(films, pipeline=[*load, pack]),
    target=dict(films, annotation='hidden', ann_file={target!r}, pipeline=[*load, {views}])))
default_hooks = dict(pseudo_labels=dict(type='mmleuk.PseudoLabelHook', pseudo_epochs=(2, None)){more})
"""
VIEWS = """dict(type='MultiBranch', branch_field=['target', 'target_strong'], target=[pack],
                target_strong=[dict(type='mmleuk.StainJitter'), pack])"""


def write_config(folder, kind):
    plain = write_tiny_run(folder, BASES, max_epochs=2)
    ours = kind == 'StainTeacher'
    path = folder / f'{kind}.py'
    path.write_text(TINY.format(
        kind=kind, ann=str(folder / 'annotations.json'), target='' if ours else str(folder / 'annotations.json'),
        views=VIEWS if ours else 'pack', more=", teacher=dict(type='mmleuk.EMATeacherHook')" if ours else ''))
    return plain, path


def run(config, work_dir, *flags):
    """Without validation; runs in one process share mmengine's message hub and visualizer, which go by name."""
    label = f'{config.stem}{next(COUNT)}'
    settings = ['val_cfg=None', 'val_dataloader=None', 'val_evaluator=None', f'experiment_name={label}',
                f'visualizer.name={label}']
    return train(train_parser().parse_args([str(config), '--work-dir', str(work_dir), *flags, '--cfg-options',
                                            *settings]))


def losses(work_dir):
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'), key=lambda path: path.stat().st_mtime_ns)
    return [row for line in files[-1].read_text().splitlines() if 'loss' in (row := json.loads(line))]


@pytest.mark.parametrize('kind', [pytest.param('ConfMix', marks=pytest.mark.slow),
                                  pytest.param('DACA', marks=pytest.mark.slow), 'StainTeacher'])
def test_any_detector_trains_repeats_and_is_a_plain_one_afterwards(tmp_path, kind):
    plain, config = write_config(tmp_path / 'tiny', kind)
    run(config, tmp_path / 'one')
    rows = losses(tmp_path / 'one')
    assert len(rows) == 6 and not any('target_loss_cls' in row for row in rows[:3])
    assert all('pseudo/kept_per_image' in row for row in rows[3:])
    assert all('target_loss_cls' in row for row in rows[3:])
    saved = load_checkpoint_safely(tmp_path / 'one' / 'epoch_2.pth')
    detector = MODELS.build(Config.fromfile(str(plain)).model)
    fit_checkpoint(detector, saved, 'epoch_2.pth')
    assert set(detector.state_dict()) <= set(saved['state_dict'])
    assert all(torch.isfinite(value).all() for value in saved['state_dict'].values())
    (tmp_path / 'one' / 'last_checkpoint').write_text(str(tmp_path / 'one' / 'epoch_1.pth'))
    run(config, tmp_path / 'one', '--resume')
    assert [row['loss'] for row in losses(tmp_path / 'one')] == [row['loss'] for row in rows[3:]]


CONFIGS = sorted(path.stem for path in (ROOT / 'configs/domain_adaptation').glob('yolov5n_*_txl-pbc.py'))
WHOLE = """
_base_ = {config!r}
films = dict(data_root='', ann_file={ann!r}, data_prefix=dict(img={images!r}), metainfo=dict(
    _delete_=True, classes={classes!r}), domains=None)
model = dict(detector=dict(bbox_head=dict(num_classes=2)))
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(
    dataset=dict(dataset=films), target=dict(dataset=films)))
test_dataloader = None
test_cfg = None
test_evaluator = None
train_cfg = dict(max_epochs=2)
default_hooks = dict(logger=dict(interval=1))
"""


@pytest.mark.slow
@pytest.mark.parametrize('name', [name for name in CONFIGS if 'source-only' not in name and 'oracle' not in name])
def test_the_configs_train(tmp_path, name):
    write_tiny_run(tmp_path / 'tiny', BASES, n_images=4, empty=())
    config = tmp_path / 'tiny' / 'whole.py'
    config.write_text(WHOLE.format(
        config=str(ROOT / 'configs/domain_adaptation' / f'{name}.py'), ann=str(tmp_path / 'tiny/annotations.json'),
        images=str(tmp_path / 'tiny/images/'), classes=CLASSES))
    run(config, tmp_path / 'whole')
    rows = losses(tmp_path / 'whole')
    assert len(rows) == 4 and all(0 < row['loss'] < 100 for row in rows)
