"""tools/train.py and tools/test.py as a user meets them."""

import os
import pickle
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmleuk.engine.launch import read_config, test_main, train_main
from mmleuk.errors import UserError
from mmleuk.testing.tiny_run import write_tiny_run

ROOT = Path(__file__).parents[2]
BASES = [str(ROOT / 'configs/_base_/default_runtime.py'), str(ROOT / 'configs/_base_/schedules/yolov5.py')]


@pytest.fixture
def tiny(tmp_path):
    return write_tiny_run(tmp_path / 'tiny', BASES, n_images=4, empty=(1, 3), max_epochs=1)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def names(label):
    """Runs in one process must not share mmengine's message hub and visualizer."""
    return ['--cfg-options', f'experiment_name={label}', f'visualizer.name={label}']


def free_port():
    """A port that nobody listens on, so that test runs beside this one don't meet ours."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def fails(capsys, main, *argv):
    """Run a tool; assert status 2 and one line on stderr; return it."""
    assert main([str(part) for part in argv]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith('error: ')
    return error


def test_train_then_test_writes_scores_pictures_and_predictions(tiny, tmp_path, capsys):
    work_dir = tmp_path / 'run'
    assert train_main([str(tiny), '--work-dir', str(work_dir), '--amp', '--auto-scale-lr', *names('one')]) == 0
    checkpoint = work_dir / 'epoch_1.pth'
    assert f'last checkpoint: {checkpoint}' in capsys.readouterr().out
    out = tmp_path / 'predictions.pkl'
    assert test_main([str(tiny), str(checkpoint), '--work-dir', str(tmp_path / 'test'), '--out', str(out),
                      '--show-dir', 'pictures', *names('two')]) == 0
    assert 'coco/bbox_mAP' in capsys.readouterr().out
    assert len(pickle.loads(out.read_bytes())) == 4
    assert len(list((tmp_path / 'test').glob('*/pictures/*.png'))) == 4
    assert test_main([str(tiny), str(checkpoint), '--work-dir', str(tmp_path / 'tta'), '--tta', *names('three')]) == 0


def test_two_processes_on_cpu_train_when_one_sees_no_cell(tiny, tmp_path):
    """Images 1 and 3 of four are empty; unshuffled, they are the second process's batch."""
    command = [
        sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', '2', '--master-port', str(free_port()),
        str(ROOT / 'tools' / 'train.py'), str(tiny), '--launcher', 'pytorch', '--work-dir', str(tmp_path / 'ddp'),
        '--cfg-options', 'train_dataloader.sampler.shuffle=False', 'val_cfg=None', 'val_dataloader=None',
        'val_evaluator=None']
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path,
                          env={**os.environ, 'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stderr[-3000:]
    assert '4 images per batch, 16 batches per update' in done.stdout + done.stderr
    assert (tmp_path / 'ddp' / 'epoch_1.pth').is_file()


def test_a_missing_or_broken_config_is_named(tmp_path, capsys):
    assert 'nothing.py: no such config' in fails(capsys, train_main, tmp_path / 'nothing.py')
    broken = tmp_path / 'broken.py'
    broken.write_text('model = dict(')
    with pytest.raises(UserError, match=r'broken.py: not a usable config \(SyntaxError'):
        read_config(str(broken))


def test_a_misspelt_option_stops_before_anything_is_written(tiny, tmp_path, capsys):
    error = fails(capsys, train_main, tiny, '--work-dir', tmp_path / 'x', '--cfg-options', 'trian_cfg.max_epochs=2')
    assert "'trian_cfg'; did you mean 'train_cfg'" in error
    assert list((tmp_path / 'x').iterdir()) == []


def test_an_unwritable_work_dir_is_named(tiny, tmp_path, capsys):
    a_file = tmp_path / 'file'
    a_file.write_text('')
    assert f'{a_file}: the work dir is not writable' in fails(capsys, train_main, tiny, '--work-dir', a_file)
    if os.geteuid() == 0:
        return  # root writes anywhere
    locked = tmp_path / 'locked'
    locked.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    assert 'not writable' in fails(capsys, train_main, tiny, '--work-dir', locked)


def test_another_number_of_classes_than_the_data_is_an_error(tmp_path, capsys):
    config = write_tiny_run(tmp_path / 'five', BASES, num_classes=5)
    error = fails(capsys, train_main, config, '--work-dir', tmp_path / 'x')
    assert 'num_classes = 5' in error and '2 classes' in error


def test_checkpoints_that_do_not_do_are_refused(tiny, tmp_path, capsys):
    torch.save({'state_dict': {'other.weight': torch.ones(1)}}, tmp_path / 'other.pth')
    for checkpoint, message in [('none.pth', 'no such checkpoint'), ('other.pth', 'another architecture')]:
        error = fails(capsys, test_main, tiny, tmp_path / checkpoint, '--work-dir', tmp_path / 'x', *names(checkpoint))
        assert message in error
    assert 'name a .pkl' in fails(capsys, test_main, tiny, tmp_path / 'other.pth', '--out', 'x.json')


def test_resuming_from_bare_weights_says_what_to_do_instead(tiny, tmp_path, capsys):
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope
    init_default_scope('mmdet')
    model = MODELS.build(read_config(str(tiny)).model)
    torch.save(model.state_dict(), tmp_path / 'bare.pth')
    error = fails(capsys, train_main, tiny, '--work-dir', tmp_path / 'x', '--resume', tmp_path / 'bare.pth',
                  *names('bare'))
    assert 'weights but no training state' in error and 'load_from=' in error
