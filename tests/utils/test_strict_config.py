"""Misspelt keys are refused; what MMDetection ships is not."""

from pathlib import Path

import mmdet
import pytest
from mmengine.config import Config

from mmleuk.errors import UserError
from mmleuk.testing.tiny_run import write_tiny_run
from mmleuk.utils.strict_config import check_config_keys

BASES = Path(__file__).parents[2] / 'configs' / '_base_'
SHIPPED = Path(mmdet.__file__).parent / '.mim' / 'configs'


@pytest.fixture
def tiny(tmp_path):
    bases = [str(BASES / 'default_runtime.py'), str(BASES / 'schedules' / 'yolov5.py')]
    return Config.fromfile(write_tiny_run(tmp_path, bases))


def test_a_sound_config_passes_twice_and_is_not_changed(tiny):
    before = tiny.pretty_text
    check_config_keys(tiny)
    check_config_keys(tiny)
    assert tiny.pretty_text == before


@pytest.mark.parametrize('option, value, message', [
    ('trian_cfg', dict(max_epochs=3), "'trian_cfg'; did you mean 'train_cfg'"),
    ('model.test_cfg.score_thrr', 0.1, "'model.test_cfg.score_thrr'; did you mean 'score_thr'"),
    ('model.train_cfg.asigner', None, "did you mean 'assigner'"),
    ('model.test_cfg.nms.iou_treshold', 0.5, "did you mean 'iou_threshold'"),
    ('model.test_cfg.nms.type', 'nmss', "model.test_cfg.nms.type is 'nmss', which mmcv.ops lacks"),
    ('optim_wrapper.clip_grad', dict(max_nrom=1.0), "'optim_wrapper.clip_grad.max_nrom'; did you mean 'max_norm'"),
    ('optim_wrapper.paramwise_cfg', dict(bias_lr_mul=2), "did you mean 'bias_lr_mult'"),
    ('train_dataloader.dataset.filter_cfg.filter_empty_gts', True, "did you mean 'filter_empty_gt'"),
    ('train_dataloader.dataset.anno_file', 'x', "did you mean 'ann_file'"),  # CocoDataset takes **kwargs
    ('default_hooks.checkpoint.intervall', 1, "'default_hooks.checkpoint.intervall'; did you mean 'interval'"),
    ('default_hooks.checkpoint.save_bset', 'x', "did you mean 'save_best'"),
    ('default_hooks.chekpoint', dict(interval=2), 'default_hooks.chekpoint: has no type'),
    ('env_cfg.cudn_benchmark', True, "did you mean 'cudnn_benchmark'"),
    ('train_cfg.val_interval', 0, 'train_cfg.val_interval is 0; it must be a whole number, at least 1'),
    ('train_cfg.max_epochs', -1, 'train_cfg.max_epochs is -1'),
    ('train_cfg.max_epochs', 'ten', "train_cfg.max_epochs is 'ten'"),
    ('train_cfg.max_epochs', float('nan'), 'train_cfg.max_epochs is nan'),
    ('train_cfg.val_begin', 'two', "train_cfg.val_begin is 'two'"),
    ('train_cfg.val_interval', 2.5, 'train_cfg.val_interval is 2.5'),
    ('default_hooks.checkpoint.interval', 'one', "default_hooks.checkpoint.interval is 'one'; it must be a whole"),
    ('default_hooks.checkpoint.max_keep_ckpts', 1.5, 'default_hooks.checkpoint.max_keep_ckpts is 1.5'),
    ('lr_config', dict(policy='step'), "MMDetection 2's"),
])
def test_what_nobody_else_reports_is_named_with_its_place_and_the_right_key(tiny, option, value, message):
    tiny.merge_from_dict({option: value})
    with pytest.raises(UserError) as error:
        check_config_keys(tiny)
    assert message in str(error.value)
    assert '\n' not in str(error.value)


def test_variables_and_keys_of_heads_we_do_not_know_pass(tiny):
    tiny.my_own_number = 3
    tiny.model.test_cfg['something_of_a_new_head'] = 1
    check_config_keys(tiny)


@pytest.mark.parametrize('name', [
    'retinanet/retinanet_r50_fpn_1x_coco.py', 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'dino/dino-4scale_r50_8xb2-12e_coco.py', 'yolox/yolox_s_8xb8-300e_coco.py',
    'sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py', 'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
    'soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py',
])
def test_what_mmdetection_ships_passes(name):
    if not SHIPPED.is_dir():
        pytest.skip('this mmdet wheel ships no configs')
    check_config_keys(Config.fromfile(SHIPPED / name))
