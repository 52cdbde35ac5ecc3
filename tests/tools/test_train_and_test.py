"""tools/train.py and tools/test.py as a user meets them."""

import json
import os
import pickle
import socket
import stat
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmleuk.cli import main
from mmleuk.engine.launch import log_for_tensorboard, test_main, train_main
from mmleuk.errors import UserError
from mmleuk.testing.tiny_run import write_tiny_run
from mmleuk.utils.config_file import read_config
from mmleuk.utils.lock import FolderLock

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
    scaled = [*names('one'), 'auto_scale_lr.enable=False', 'auto_scale_lr.base_batch_size=4']
    assert train_main([str(tiny), '--work-dir', str(work_dir), '--amp', '--auto-scale-lr', *scaled]) == 0
    checkpoint = work_dir / 'epoch_1.pth'
    assert f'last checkpoint: {checkpoint}' in capsys.readouterr().out
    out = tmp_path / 'predictions.pkl'
    assert test_main([str(tiny), str(checkpoint), '--work-dir', str(tmp_path / 'test'), '--out', str(out),
                      '--show-dir', 'pictures', *names('two')]) == 0
    assert 'coco/bbox_mAP' in capsys.readouterr().out
    assert len(pickle.loads(out.read_bytes())) == 4
    assert len(list((tmp_path / 'test').glob('*/pictures/*.png'))) == 4
    assert test_main([str(tiny), str(checkpoint), '--work-dir', str(tmp_path / 'tta'), '--tta', *names('three')]) == 0


def test_commands_are_names_for_the_tools_and_log_for_tensorboard(tiny, tmp_path, capsys):
    event_accumulator = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator',
                                            reason='needs the extra [tensorboard]')
    run = tmp_path / 'run'
    assert main(['train', str(tiny), '--work-dir', str(run), '--tensorboard', *names('board')]) == 0
    assert main(['test', str(tiny), str(run / 'epoch_1.pth'), '--work-dir', str(tmp_path / 't'), *names('t')]) == 0
    assert 'coco/bbox_mAP' in capsys.readouterr().out
    events, = run.glob('*/vis_data/events.out.tfevents.*')
    board = event_accumulator.EventAccumulator(str(events)).Reload()
    logged = [json.loads(line) for line in next(run.glob('*/vis_data/scalars.json')).read_text().splitlines()]
    losses = [line['loss'] for line in logged if 'loss' in line]
    assert [event.value for event in board.Scalars('loss')] == pytest.approx(losses) and len(losses) == 2
    assert board.Scalars('coco/bbox_mAP_50')[-1].step == 1
    assert main(['train', str(tiny), '--work-dir', str(run), '--resume', 'none.pth']) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith('mmleuk: ')


def test_tensorboard_keeps_other_loggers_and_names_its_extra(tiny, monkeypatch):
    cfg = read_config(tiny)
    for _ in range(2):
        log_for_tensorboard(cfg)
    assert [backend.type for backend in cfg.visualizer.vis_backends] == ['LocalVisBackend', 'TensorboardVisBackend']
    cfg.visualizer = None
    log_for_tensorboard(cfg)
    assert cfg.visualizer.vis_backends[1].type == 'TensorboardVisBackend'
    monkeypatch.setattr('mmleuk.engine.launch.find_spec', lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'mmleuk\[tensorboard\]'"):
        log_for_tensorboard(cfg)


def test_a_schedule_that_sums_gradients_takes_no_scaled_learning_rate(tiny, tmp_path, capsys):
    error = fails(capsys, train_main, tiny, '--work-dir', tmp_path / 'run', '--auto-scale-lr', *names('scaled'))
    assert 'needs auto_scale_lr = dict(enable=False, base_batch_size=N)' in error and 'sums gradients' in error


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


@pytest.mark.parametrize('options', [{'model.type.x': 1}, {'train_dataloader.dataset.pipeline.99.type': 'Resize'}])
def test_an_option_that_fits_nowhere_is_named(tiny, options):
    with pytest.raises(UserError, match=f'--cfg-options {next(iter(options))}=.* has no such key'):
        read_config(tiny, options)


def test_the_option_that_does_not_fit_is_named_alone(tiny):
    with pytest.raises(UserError, match='--cfg-options model.type.x=1: '):
        read_config(tiny, {'train_cfg.max_epochs': 1, 'model.type.x': 1})


@pytest.mark.parametrize('option', ['foo', '=3', 'train_cfg.max_epochs=[1,(2'])
def test_what_is_no_setting_is_a_usage_error(tiny, capsys, option):
    with pytest.raises(SystemExit) as stop:
        train_main([str(tiny), '--cfg-options', option])
    assert stop.value.code == 2 and f'error: --cfg-options {option}: ' in capsys.readouterr().err


@pytest.mark.parametrize('option, message', [
    ('train_dataloader=5', 'train_dataloader is 5; it must be a dict'),
    ('default_hooks=3', 'default_hooks is 3; it must be a dict'),
    ('model=None', 'has no model; '), ('optim_wrapper=None', 'has no optim_wrapper; ')])
def test_a_part_of_another_kind_is_named(tiny, tmp_path, capsys, option, message):
    assert message in fails(capsys, train_main, tiny, '--work-dir', tmp_path / 'x', '--cfg-options', option)


def test_a_config_that_ends_the_process_is_named(tmp_path, capsys):
    config = tmp_path / 'leaves.py'
    config.write_text('import sys\nsys.exit(3)\n')
    assert 'leaves.py: not a usable config (SystemExit: 3)' in fails(capsys, train_main, config)


def test_options_are_merged_at_once(tmp_path):
    config = tmp_path / 'config.py'
    config.write_text('part = dict(a=1, b=2)')
    assert dict(read_config(config, {'part.c': 3, 'part._delete_': True}).part) == {'c': 3}


def test_a_misspelt_option_stops_before_anything_is_written(tiny, tmp_path, capsys):
    error = fails(capsys, train_main, tiny, '--work-dir', tmp_path / 'x', '--cfg-options', 'trian_cfg.max_epochs=2')
    assert "'trian_cfg'; did you mean 'train_cfg'" in error
    assert not (tmp_path / 'x').exists()


@pytest.mark.parametrize('option, message', [
    ('train_cfg.max_epoch=3', "'train_cfg.max_epoch' for EpochBasedTrainLoop; did you mean 'max_epochs'"),
    ('model.bbox_head.loss_cls.use_sigmoids=True',
     "'model.bbox_head.loss_cls.use_sigmoids' for CrossEntropyLoss; did you mean 'use_sigmoid'"),
    ('model.backbone.norm_evall=True', "'model.backbone.norm_evall' for ResNet; did you mean 'norm_eval'"),
    ('model.bbox_hed=None', "'model.bbox_hed' for RetinaNet; did you mean 'bbox_head'"),
    ('model.backbone.depth=19', 'invalid depth 19 for resnet (KeyError)'),
    ('model.backbone.type=ResNets', 'ResNets is not in the mmdet::model registry (KeyError)'),
    ('train_dataloader.batchsize=4', 'batchsize'),
    ('train_dataloader.batch_size=0', 'batch_size should be a positive integer value'),
    ('train_dataloader.dataset.pipeline.2.probability=0.5', "pipeline[2].probability' for RandomFlip"),
    ('optim_wrapper.optimizer.momentun=0.9', "'optim_wrapper.optimizer.momentun' for SGD; did you mean 'momentum'"),
    ('optim_wrapper.clip_gard=None', "'optim_wrapper.clip_gard' for"),
    ('custom_hooks.0.warmup_epoch=3', "'custom_hooks[0].warmup_epoch' for YOLOv5WarmupHook"),
    ('randomness.sed=1', "'randomness.sed'"),
    ('val_evaluator.ann_file=nowhere.json', 'nowhere.json: cannot be read (No such file'),
    ('val_evaluator.outfile_prefix=/dev/null/x', '/dev/null/x.bbox.json: cannot be written'),
    ('default_hooks.checkpoint.save_best=bbox_mAP', "did you mean 'coco/bbox_mAP'"),
    ('default_hooks.checkpoint.save_best=coco/bbox_mAP50', "did you mean 'coco/bbox_mAP_50'"),
])
def test_what_a_constructor_refuses_is_one_line_before_training(tiny, tmp_path, capfd, option, message):
    assert train_main([str(tiny), '--work-dir', str(tmp_path / 'x'), *names(option), option]) == 2
    out, err = capfd.readouterr()
    assert err.strip().splitlines()[-1].startswith('error: ') and message in err.strip().splitlines()[-1], err
    assert 'Epoch(train)' not in out + err and not list((tmp_path / 'x').glob('*.pth'))


def test_scores_that_exist_are_taken_for_the_best(tiny, tmp_path):
    assert train_main([str(tiny), '--work-dir', str(tmp_path / 'x'), *names('best'),
                       'default_hooks.checkpoint.save_best=coco/bbox_mAP_50']) == 0


def test_resume_before_the_first_checkpoint_keeps_load_from(tiny, tmp_path, capsys):
    assert train_main([str(tiny), '--work-dir', str(tmp_path / 'x'), *names('first')]) == 0
    start, work_dir = tmp_path / 'x' / 'epoch_1.pth', tmp_path / 'y'
    capsys.readouterr()
    words = [str(tiny), '--work-dir', str(work_dir), '--resume']
    assert train_main([*words, *names('begun'), f'load_from={start}']) == 0
    out = capsys.readouterr().out
    assert f'Load checkpoint from {start}' in out and 'holds no checkpoint to resume from' in out
    assert train_main([*words, *names('resumed'), f'load_from={start}', 'train_cfg.max_epochs=2']) == 0
    out = capsys.readouterr().out
    assert 'resumed epoch: 1' in out and f'Load checkpoint from {work_dir / "epoch_1.pth"}' in out


def test_one_training_at_a_time_in_a_work_dir(tiny, tmp_path, capsys):
    with FolderLock(tmp_path / 'x', what='training'):
        error = fails(capsys, train_main, tiny, '--work-dir', tmp_path / 'x', *names('second'))
    assert f'{tmp_path / "x"}: another training (process {os.getpid()}) writes into this folder' in error
    assert [path.name for path in (tmp_path / 'x').iterdir()] == ['.mmleuk.lock']


def test_targets_of_a_test_are_tried_before_it(tiny, tmp_path, capfd):
    torch.save({'state_dict': {}}, tmp_path / 'any.pth')
    (tmp_path / 'folder.pkl').mkdir()
    (tmp_path / 'file').write_text('')
    for words, message in [
            (['--wait-time', '1'], '--wait-time is for the window of --show'),
            (['--out', str(tmp_path / 'folder.pkl')], 'folder.pkl: is a folder'),
            (['--show-dir', str(tmp_path / 'file')], 'file/picture.png: cannot be written (Not a directory)'),
            (['--cfg-options', f'test_evaluator.outfile_prefix={tmp_path}/file/x', 'visualizer.name=prefix'],
             'file/x.bbox.json: cannot be written (Not a directory)')]:
        assert test_main([str(tiny), str(tmp_path / 'any.pth'), '--work-dir', str(tmp_path / 'w'), *words]) == 2
        assert message in capfd.readouterr().err.strip().splitlines()[-1]


def test_an_unwritable_work_dir_is_named(tiny, tmp_path, capsys):
    a_file = tmp_path / 'file'
    a_file.write_text('')
    error = fails(capsys, train_main, tiny, '--work-dir', a_file)
    assert f'{a_file}: cannot write here' in error
    if os.geteuid() == 0:
        return  # root writes anywhere
    locked = tmp_path / 'locked'
    locked.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    assert 'cannot write here' in fails(capsys, train_main, tiny, '--work-dir', locked)


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
    assert 'x.pkl: cannot be written (Not a directory)' in fails(
        capsys, test_main, tiny, tmp_path / 'other.pth', '--out', tmp_path / 'other.pth' / 'x.pkl')


ATTRIBUTES = """
_base_ = {base!r}
attributes = dict(shape=['round', 'odd'], hue=['red', 'blue'])
cells = dict(type='mmleuk.CellDataset', metainfo=dict(classes=('round', 'square'), attributes=attributes))
model = dict(
    _delete_=True, type='mmleuk.AttriDet', detector={{{{_base_.model}}}},
    feature_layers=['backbone.layer1', 'backbone.layer2'],
    attri_head=dict(type='mmleuk.AttriHead', attributes=attributes, conv_channels=[4], fc_channels=[4]))
load = [dict(type='mmleuk.LoadImage'), dict(type='mmleuk.LoadCellAnnotations'), dict(type='mmleuk.PackCells')]
train_dataloader = dict(dataset=dict(**cells, pipeline=load))
val_dataloader = None
val_cfg = None
val_evaluator = None
test_dataloader = dict(dataset=dict(**cells, pipeline=load))
"""


@pytest.mark.parametrize('resume', [False, True])
def test_attributes_in_another_order_than_the_checkpoints_are_refused(tiny, tmp_path, capsys, resume):
    """mmengine leaves a copy of the config in the work dir, its dicts sorted by key."""
    config, work_dir = tmp_path / 'attributes.py', tmp_path / 'run'
    config.write_text(ATTRIBUTES.format(base=str(tiny)))
    assert train_main([str(config), '--work-dir', str(work_dir), *names(f'trained{resume}')]) == 0
    checkpoint, copied = work_dir / 'epoch_1.pth', work_dir / 'attributes.py'
    main, words = (train_main, ['--resume', checkpoint]) if resume else (test_main, [checkpoint])
    error = fails(capsys, main, copied, *words, '--work-dir', tmp_path / 'other', *names(f'copied{resume}'))
    assert f"{checkpoint}: was trained on the attributes (('shape'" in error and "the config has (('hue'" in error


def test_a_head_with_other_attributes_than_the_data_is_an_error(tiny, tmp_path, capsys):
    config = tmp_path / 'attributes.py'
    config.write_text(ATTRIBUTES.format(base=str(tiny)))
    error = fails(capsys, train_main, config, '--work-dir', tmp_path / 'x', '--cfg-options',
                  'model.attri_head.attributes=leukemia')
    assert 'model.attri_head.attributes predicts' in error and "the data have (('shape'" in error


def test_an_image_that_does_not_do_is_one_line(tiny, tmp_path, capsys):
    """From a data loader's process the error comes with a traceback around it."""
    config = tmp_path / 'attributes.py'
    config.write_text(ATTRIBUTES.format(base=str(tiny)))
    image = tmp_path / 'tiny' / 'images' / '0.png'
    cv2.imwrite(str(image), np.zeros((32, 64, 3), np.uint8))
    error = fails(capsys, train_main, config, '--work-dir', tmp_path / 'x', *names('broken'),
                  'train_dataloader.num_workers=1')
    assert error.startswith(f'error: {image}: the image is 64x32 px')


def test_resuming_from_bare_weights_says_what_to_do_instead(tiny, tmp_path, capsys):
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope
    init_default_scope('mmdet')
    model = MODELS.build(read_config(str(tiny)).model)
    torch.save(model.state_dict(), tmp_path / 'bare.pth')
    error = fails(capsys, train_main, tiny, '--work-dir', tmp_path / 'x', '--resume', tmp_path / 'bare.pth',
                  *names('bare'))
    assert 'weights but no training state' in error and 'load_from=' in error


def test_classes_in_another_order_than_the_checkpoints_are_refused(tiny, tmp_path, capsys):
    config, swapped, work_dir = tmp_path / 'right.py', tmp_path / 'swapped.py', tmp_path / 'run'
    config.write_text(ATTRIBUTES.format(base=str(tiny)))
    swapped.write_text(config.read_text().replace("('round', 'square')", "('square', 'round')"))
    assert train_main([str(config), '--work-dir', str(work_dir), *names('classes')]) == 0
    checkpoint = work_dir / 'epoch_1.pth'
    error = fails(capsys, test_main, swapped, checkpoint, '--work-dir', tmp_path / 'other', *names('swapped'))
    assert f'{checkpoint}: was trained on the classes round, square, the data has square, round' in error
