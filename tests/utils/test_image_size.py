"""Pictures at another size than the config's: what the network sees, and what is said about it."""

import argparse
from copy import deepcopy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.datasets.transforms import Pad
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmleuk.apis import Inferencer
from mmleuk.commands import infer as cli
from mmleuk.errors import UserError
from mmleuk.structures.prediction_files import from_json
from mmleuk.utils.image_size import at_image_size, image_size_of, usable_image_size

YOLO = Config.fromfile(str(Path(__file__).parents[2] / 'configs/_base_/models/yolov5n.py')).model.to_dict()
YOLO['bbox_head'].update(num_classes=2)
YOLO['test_cfg'].update(score_thr=0.0, max_per_img=5)
GREY = dict(img=(114, 114, 114))


def config_of(size, **model):
    """A config at ``size`` px, one thing changed in its model."""
    pipeline = [dict(type='mmleuk.LoadImage'), dict(type='Resize', scale=(size, size), keep_ratio=True),
                dict(type='mmleuk.Pad', size=(size, size), pad_val=GREY), dict(type='mmleuk.LoadCellAnnotations'),
                dict(type='mmleuk.PackCells')]
    data = dict(type='CocoDataset', ann_file='none.json', metainfo=dict(classes=('WBC', 'RBC')), pipeline=pipeline)
    return Config(dict(default_scope='mmdet', model={**deepcopy(YOLO), **model},
                       test_dataloader=dict(dataset=data)))


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    torch.manual_seed(0)
    init_default_scope('mmdet')
    path = tmp_path_factory.mktemp('weights') / 'last.pth'
    torch.save(dict(state_dict=MODELS.build(deepcopy(YOLO)).state_dict()), path)
    return path


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / 'film.png'
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (40, 64, 3), np.uint8))
    return path


def inferencer_of(config, weights, **kwargs):
    """With the sizes of all inputs that its network gets from now on."""
    inferencer, seen = Inferencer(config, weights, 'cpu', min_score=0.0, max_overlap=1, **kwargs), []
    inferencer.model.backbone.register_forward_pre_hook(lambda module, args: seen.append(tuple(args[0].shape[2:])))
    return inferencer, seen


@pytest.mark.parametrize(('step', 'own', 'changed'), [
    (dict(type='Resize', scale=(320, 320), keep_ratio=True), 320, dict(scale=(640, 640))),
    (dict(type='mmdet.Resize', scale=320), 320, dict(scale=(640, 640))),
    (dict(type='Resize', scale=(320, 160)), 320, dict(scale=(640, 320))),
    # The shorter side of a square picture would be the limit here: how long the longer one is depends on the picture.
    (dict(type='Resize', scale=(1333, 800), keep_ratio=True), None, dict(scale=(640, 640)))])
def test_resize_worked_by_hand(step, own, changed):
    before = deepcopy(step)
    assert image_size_of([step]) == own
    assert at_image_size([step], 640) == [before | changed] and step == before


def test_the_frame_grows_with_the_picture():
    steps = [dict(type='Resize', scale=(300, 300), keep_ratio=True), dict(type=Pad, size=(320, 160)),
             dict(type='Pad', size_divisor=32), dict(type='RandomFlip', prob=0.0)]
    assert at_image_size(steps, 600)[1:] == [dict(type=Pad, size=(640, 320)), *steps[2:]]


@pytest.mark.parametrize('steps', [
    [], [dict(type='Resize', scale_factor=2.0)], [dict(type='RandomResize', scale=(320, 320))],
    [dict(type='Resize', scale=320), dict(type='Resize', scale=160)]])
def test_a_pipeline_without_one_size_is_refused(steps):
    assert image_size_of(steps) is None
    with pytest.raises(UserError, match='has [02] Resize steps with a scale; give it one'):
        at_image_size(steps, 640)


def test_the_network_sees_what_it_sees_with_such_a_config(weights, picture):
    """Padded to a square as the config's; boxes come back in the picture's own pixels."""
    other, seen = inferencer_of(config_of(64), weights, image_size=128)
    expected, _ = inferencer_of(config_of(128), weights)
    usual, _ = inferencer_of(config_of(64), weights)
    cells = other(picture)[0].cells
    assert seen == [(128, 128)] and len(cells) == 4, 'the fifth box lies in the padding and has no area'
    assert cells == expected(picture)[0].cells != usual(picture)[0].cells
    assert all(0 <= low < high <= limit for cell in cells
               for low, high, limit in zip(cell.box[:2], cell.box[2:], (64, 40)))
    assert other(cv2.imread(str(picture)))[0].cells == cells
    assert [i.run_info().image_size for i in (other, expected, usual)] == [128, 128, 64]


@pytest.mark.parametrize(('size', 'tiles'), [(None, 1), (128, 9), (32, 1)])
def test_tiles_stay_and_the_picture_grows(weights, picture, size, tiles):
    """Tiles of 64 px that share 32: at 0, 32 and 64 in each direction of 128 px."""
    inferencer, seen = inferencer_of(config_of(64, type='mmleuk.TiledDetector', tile_size=64, overlap=32), weights,
                                     image_size=size)
    inferencer(picture)
    assert seen == [(min(size or 64, 64),) * 2] * tiles


def test_sizes_are_rounded_up_to_the_stride_but_for_the_configs_own(weights):
    model = inferencer_of(config_of(64), weights)[0].model
    assert [usable_image_size(size, 600, model) for size in (1, 32, 33, 599, 600, 601)] == [32, 32, 64, 608, 600, 608]
    two_views = torch.nn.Module()
    two_views.data_preprocessor = torch.nn.Module()
    two_views.data_preprocessor.data_preprocessor = model.data_preprocessor
    assert usable_image_size(33, None, two_views) == 64
    assert usable_image_size(33, None, torch.nn.Module()) == 33, 'a model that pads nothing'


@pytest.mark.parametrize('size', [0, -32, 320.0, True, '320'])
def test_a_size_that_is_none_is_refused(weights, size):
    with pytest.raises(UserError, match='image_size is .*; it is a whole number of pixels, at least 1'):
        Inferencer(config_of(64), weights, 'cpu', image_size=size)


def test_the_command_says_which_size_it_takes(weights, picture, tmp_path, capsys):
    config_of(64).dump(tmp_path / 'config.py')
    parser, out = argparse.ArgumentParser(), tmp_path / 'out'
    cli.add_arguments(parser)
    words = [str(word) for word in (picture, tmp_path / 'config.py', weights, '--out-dir', out, '--device', 'cpu')]
    assert cli.run(parser.parse_args([*words, '--image-size', '100'])) == 0
    assert "--image-size 100 is no multiple of the network's stride; it becomes 128" in capsys.readouterr().out
    assert from_json(out / 'predictions.json').info.image_size == 128
    assert '128 px on the longer side' in (out / 'report.html').read_text()
    assert cli.run(parser.parse_args([*words, '--image-size', '128'])) == 0
    assert 'becomes' not in capsys.readouterr().out
    assert cli.run(parser.parse_args(words)) == 0
    assert from_json(out / 'predictions.json').info.image_size == 64
