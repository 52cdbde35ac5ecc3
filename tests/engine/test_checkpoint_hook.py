"""A checkpoint is whole or not there, and the last good one outlives a full disk."""

import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import DataLoader

from benchmarking.running import resume_point
from mmleuk.engine import CheckpointHook, Runner
from mmleuk.errors import UserError
from mmleuk.utils.checkpoint import load_checkpoint_safely


class Toy(BaseModel):
    def __init__(self, width):
        super().__init__()
        self.layer = nn.Linear(1, width)

    def forward(self, inputs, mode):
        loss = self.layer(torch.ones(1, 1)).sum()
        return dict(loss=loss) if mode == 'loss' else []


class ScoreMetric(BaseMetric):
    score_names = ['score']

    def process(self, data_batch, data_samples):
        """Nothing to collect."""

    def compute_metrics(self, results):
        return dict(score=0.0)


def toy_runner(work_dir, width=1000, epochs=3, name='toy', **hook):
    loader = DataLoader([dict(inputs=0)] * 2, collate_fn=lambda batch: dict(inputs=batch))
    val = dict(val_dataloader=loader, val_cfg=dict(), val_evaluator=[ScoreMetric()]) if 'save_best' in hook else {}
    return Runner(
        model=Toy(width), work_dir=str(work_dir), train_dataloader=loader, **val,
        train_cfg=dict(by_epoch=True, max_epochs=epochs, val_begin=99),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)), experiment_name=f'{name}_{work_dir}',
        default_scope='mmdet', default_hooks=dict(checkpoint=dict(type='mmleuk.CheckpointHook', **hook)),
        visualizer=dict(type='Visualizer', name=f'{name}_{work_dir}'))


def files(folder):
    return sorted(path.name for path in Path(folder).iterdir() if path.is_file() and path.suffix != '.py')


def test_old_ones_go_only_after_the_new_one_is_there(tmp_path):
    toy_runner(tmp_path, interval=1, max_keep_ckpts=2).train()
    assert files(tmp_path) == ['epoch_2.pth', 'epoch_3.pth', 'last_checkpoint']
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_3.pth')
    info = load_checkpoint_safely(tmp_path / 'epoch_3.pth')['message_hub']['runtime_info']
    # with the one that was still to be deleted: killed in between, the next run deletes it
    assert info['keep_ckpt_ids'] == [1, 2, 3]


def test_a_resumed_run_clears_away_what_a_kill_left(tmp_path):
    toy_runner(tmp_path, interval=1, max_keep_ckpts=2, epochs=2).train()
    (tmp_path / '.epoch_3.123.part.pth').write_bytes(b'half')
    runner = toy_runner(tmp_path, interval=1, max_keep_ckpts=2, epochs=4, name='again')
    runner._resume = True
    runner.train()
    assert files(tmp_path) == ['epoch_3.pth', 'epoch_4.pth', 'last_checkpoint']


def test_the_best_one_is_kept_and_its_record_resumed(tmp_path):
    runner = toy_runner(tmp_path, interval=1, max_keep_ckpts=1, save_best='score', rule='greater', epochs=1)
    runner.train()
    hook = next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    hook.after_val_epoch(runner, {'score': 0.1})
    assert 'best_score_epoch_1.pth' in files(tmp_path)
    runner.train_loop._epoch = 2
    hook.after_val_epoch(runner, {'score': 0.3})
    hook.after_val_epoch(runner, {'score': 0.2})
    assert [name for name in files(tmp_path) if name.startswith('best')] == ['best_score_epoch_2.pth']
    last = load_checkpoint_safely((tmp_path / 'last_checkpoint').read_text())
    assert last['message_hub']['runtime_info']['best_score'] == 0.3
    with pytest.raises(UserError, match="save_best names 'score'.*'other'"):
        hook.after_val_epoch(runner, {'other': 1.0})


def test_a_best_score_that_does_not_exist_stops_before_training(tmp_path):
    with pytest.raises(UserError, match="save_best is 'scores'.*did you mean 'score'"):
        toy_runner(tmp_path, interval=1, save_best='scores', rule='greater', epochs=1, name='wrong').train()
    unvalidated = toy_runner(tmp_path, interval=1, save_best='score', rule='greater', epochs=1, name='none')
    unvalidated._val_loop = unvalidated._val_dataloader = unvalidated._val_evaluator = None
    with pytest.raises(UserError, match='save_best needs a validation'):
        unvalidated.train()
    assert not list(tmp_path.glob('*.pth'))


def test_more_is_better_of_every_score_of_this_package(tmp_path):
    """mmengine asks for ``rule`` where a name doesn't tell it whether more is better."""
    keys = ['coco/bbox_mAP_50', 'coco/WBC_precision', 'attribute/macro_f1', 'attribute_gt_boxes/NC']
    runner = toy_runner(tmp_path, interval=1, save_best=keys, epochs=1)
    hook = next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    assert hook.rules == ['greater'] * 4


class Killed(BaseException):
    """Nobody handles it, so that the disk stays as a kill would leave it."""


def kill_at(patch, folder, moment):
    """Die at a moment of writing the second epoch's checkpoint."""
    save, rename, remove = Runner.save_checkpoint, os.replace, Path.unlink

    def save_half(runner, out_dir, filename, *args, **kwargs):
        if moment == 'half written' and 'epoch_2' in filename:
            Path(out_dir, filename).write_bytes(b'half')
            raise Killed
        save(runner, out_dir, filename, *args, **kwargs)

    def replace(source, target):
        name = os.path.basename(target)
        if (moment, name) == ('before its name', 'epoch_2.pth') or (
                (moment, name) == ('before the pointer', 'last_checkpoint') and (folder / 'epoch_2.pth').exists()):
            raise Killed
        rename(source, target)

    def unlink(path, missing_ok=False):
        if moment == 'before the old one goes' and path.name == 'epoch_1.pth':
            raise Killed
        remove(path, missing_ok=missing_ok)
    patch.setattr(Runner, 'save_checkpoint', save_half)
    patch.setattr(os, 'replace', replace)
    patch.setattr(Path, 'unlink', unlink)


@pytest.mark.parametrize(('moment', 'epoch'), [
    ('half written', 1), ('before its name', 1), ('before the pointer', 1), ('before the old one goes', 2)])
def test_killed_while_the_only_one_kept_is_replaced(tmp_path, monkeypatch, moment, epoch):
    with monkeypatch.context() as patch:
        kill_at(patch, tmp_path, moment)
        with pytest.raises(Killed):
            toy_runner(tmp_path, interval=1, max_keep_ckpts=1, name=moment).train()
    point = resume_point(tmp_path, max_epochs=3, val_interval=3)
    assert point == tmp_path / f'epoch_{epoch}.pth' and load_checkpoint_safely(point)['meta']['epoch'] == epoch
    resumed = toy_runner(tmp_path, interval=1, max_keep_ckpts=1, name=f'{moment}, again')
    resumed._resume = True
    resumed.train()
    assert files(tmp_path) == ['epoch_3.pth', 'last_checkpoint']


def fail_in_the_last_epoch(work_dir, make_it_fail):
    """Train; before the last epoch's checkpoint call ``make_it_fail``; return the error."""
    runner = toy_runner(work_dir, interval=1, max_keep_ckpts=1, epochs=2)
    hook = next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    save = hook.after_train_epoch

    def limited(runner):
        if runner.epoch == 1:
            make_it_fail()
        save(runner)
    hook.after_train_epoch = limited
    with pytest.raises(UserError) as error:
        runner.train()
    return str(error.value)


def assert_first_epoch_survives(work_dir, message):
    assert 'epoch_2.pth: cannot be written' in message
    assert f'the last good checkpoint is {work_dir / "epoch_1.pth"}' in message
    assert [name for name in files(work_dir) if name != 'last_checkpoint'] == ['epoch_1.pth']
    assert load_checkpoint_safely((work_dir / 'last_checkpoint').read_text())['meta']['epoch'] == 1


def test_a_limit_on_file_size_leaves_the_last_good_one(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write then fails with EFBIG
    try:
        message = fail_in_the_last_epoch(
            tmp_path, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1])))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert_first_epoch_survives(tmp_path, message)
    assert 'File too large' in message


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    mount = tmp_path / 'disk'
    mount.mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', str(mount)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip('mounting a small file system needs root and the right to mount')
    yield mount
    subprocess.run(['umount', '-l', str(mount)], check=True)  # lazily: the run's log file is still open


def test_a_full_disk_leaves_the_last_good_one(small_disk):
    def fill():
        with open(small_disk / 'filler', 'wb') as file:
            file.write(b'0' * (2 << 20))

    def fill_up():
        with pytest.raises(OSError, match='No space left'):
            fill()
    message = fail_in_the_last_epoch(small_disk, fill_up)
    (small_disk / 'filler').unlink()
    assert_first_epoch_survives(small_disk, message)
    assert 'No space left on device' in message
