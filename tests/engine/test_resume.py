"""A run killed in the middle of an epoch and resumed equals the uninterrupted one, bit for bit."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmleuk.utils.checkpoint import load_checkpoint_safely

ROOT = Path(__file__).parents[2]

KILLER = """
import os, signal
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class KillHook(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 5:  # in the middle of the second epoch of 3 iterations
            os.kill(os.getpid(), signal.SIGKILL)
"""


def assert_same_state(one, other):
    """Compare weights, averages, momentum buffers to the last bit."""
    a, b = load_checkpoint_safely(one), load_checkpoint_safely(other)
    for part in ('state_dict', 'ema_state_dict'):
        assert a[part].keys() == b[part].keys()
        for key, value in a[part].items():
            assert torch.equal(value, b[part][key]), f'{part} {key}'
    for key, state in a['optimizer']['state'].items():
        assert torch.equal(state['momentum_buffer'], b['optimizer']['state'][key]['momentum_buffer']), key
    assert a['optimizer']['param_groups'] == b['optimizer']['param_groups']


@pytest.fixture
def window_of_one():
    return ['log_processor.window_size=1']  # logged losses are then not averaged


def test_killed_in_an_epoch_and_resumed_equals_uninterrupted(
        run_tiny, tiny_config, tmp_path, losses_of, window_of_one):
    run_tiny('whole', options=window_of_one)
    (tmp_path / 'killer.py').write_text(KILLER)
    mortal = tmp_path / 'mortal.py'
    mortal.write_text(f'_base_ = {str(tiny_config)!r}\n'
                      "custom_imports = dict(imports=['killer'])\n"
                      "default_hooks = dict(kill=dict(type='mmengine.KillHook'))\n")
    killed = subprocess.run(
        [sys.executable, str(ROOT / 'tools' / 'train.py'), str(mortal), '--work-dir', str(tmp_path / 'killed')],
        env={**os.environ, 'PYTHONPATH': str(tmp_path), 'OMP_NUM_THREADS': '1'}, cwd=tmp_path, capture_output=True,
        text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert (tmp_path / 'killed' / 'last_checkpoint').read_text().endswith('epoch_1.pth')

    run_tiny('killed', '--resume', options=window_of_one)
    whole, resumed = losses_of(tmp_path / 'whole'), losses_of(tmp_path / 'killed')
    assert sorted(resumed) == [4, 5, 6, 7, 8, 9]
    assert {i: whole[i] for i in resumed} == resumed
    assert_same_state(tmp_path / 'whole' / 'epoch_3.pth', tmp_path / 'killed' / 'epoch_3.pth')


def test_workers_and_their_persistence_change_nothing(run_tiny, tmp_path, losses_of, window_of_one):
    """Also when a run is resumed with another number of workers."""
    run_tiny('alone', options=window_of_one)
    reference = losses_of(tmp_path / 'alone')
    workers = ['train_dataloader.num_workers=2', 'train_dataloader.persistent_workers=True', *window_of_one]
    run_tiny('two', '--resume', str(tmp_path / 'alone' / 'epoch_2.pth'), options=workers)
    assert losses_of(tmp_path / 'two') == {i: reference[i] for i in (7, 8, 9)}
    run_tiny('fresh', options=['train_dataloader.num_workers=1', *window_of_one])
    assert losses_of(tmp_path / 'fresh') == reference


def test_epochs_and_seeds_differ(run_tiny, tmp_path, losses_of, window_of_one):
    """The first iteration has learning rate 0 for weights, so its loss depends on the draw alone."""
    run_tiny('zero', options=window_of_one)
    run_tiny('one', options=['randomness.seed=1', *window_of_one])
    assert losses_of(tmp_path / 'zero')[1] != losses_of(tmp_path / 'one')[1]
