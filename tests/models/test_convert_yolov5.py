import copy
import os
import re
import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn
from yolov5_replica import (
    C3,
    SPPF,
    Bottleneck,
    Conv,
    Detect,
    Model,
    original_module_names,
    randomized,
    save_like_the_original,
)

from convert_yolov5 import (
    FACTORS,
    convert,
    expected_shapes,
    known_misfit,
    main,
    our_name,
    save_converted,
)
from inert_pickle import Placeholder
from mmleuk.errors import UserError
from yolov5_source import Source, module_tensors, read_source

CONFIGS = Path(__file__).parents[2] / 'configs' / '_base_' / 'models'


def original(size='n', num_classes=3, names=None):
    return randomized(Model(*FACTORS[size], num_classes, names))


@cache
def original_state():
    return original().state_dict()


def ours(size, num_classes):
    config = Config.fromfile(CONFIGS / f'yolov5{size}.py').model
    config.bbox_head.num_classes = num_classes
    init_default_scope('mmdet')
    return MODELS.build(config).eval()


@pytest.mark.parametrize('size', ['n', pytest.param('x', marks=pytest.mark.slow)])
def test_raw_outputs_equal_the_originals(tmp_path, size):
    theirs = original(size, 3, ['WBC', 'RBC', 'Platelets']).half()
    save_like_the_original(theirs, tmp_path / 'best.pt')
    assert 'models' not in sys.modules and 'models.yolo' not in sys.modules
    converted = convert(read_source(tmp_path / 'best.pt'))
    save_converted(converted, tmp_path / 'new_folder' / 'best.pth')
    checkpoint = torch.load(tmp_path / 'new_folder' / 'best.pth', weights_only=True)
    model = ours(size, 3)
    model.load_state_dict(checkpoint['state_dict'], strict=True)
    image = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, actual = theirs.float()(image), model.bbox_head(model.extract_feat(image))[0]
    for theirs_level, our_level in zip(expected, actual):
        assert our_level.shape == theirs_level.shape
        assert our_level.std() > 1e-3
        assert (our_level - theirs_level).abs().max() < 1e-4
    assert checkpoint['meta']['dataset_meta']['classes'] == ('WBC', 'RBC', 'Platelets')
    assert converted.size == size and converted.anchors is None
    assert [path.name for path in (tmp_path / 'new_folder').iterdir()] == ['best.pth']


def test_average_is_preferred_and_training_state_ignored(tmp_path):
    model, average = original(), original()
    average.model[0].conv.weight.data.fill_(0.25)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with original_module_names():
        torch.save(dict(epoch=3, model=model.half(), ema=average.half(), updates=7, optimizer=optimizer.state_dict(),
                        opt=Path('runs')), tmp_path / 'last.pt')
    converted = convert(read_source(tmp_path / 'last.pt'))
    assert (converted.state_dict['backbone.stem.conv.weight'] == 0.25).all()
    assert converted.state_dict['backbone.stem.conv.weight'].dtype == torch.float32
    assert converted.state_dict['backbone.stem.bn.num_batches_tracked'].dtype == torch.int64


@pytest.mark.parametrize('prefix', ['', 'module.', 'model.model.'])
def test_plain_state_dict(tmp_path, prefix):
    state = {prefix + name: value for name, value in original().state_dict().items()}
    torch.save(state, tmp_path / 'state.pt')
    converted = convert(read_source(tmp_path / 'state.pt'))
    assert converted.class_names is None
    ours('n', 3).load_state_dict(converted.state_dict, strict=True)


def test_bare_module_wrapped_for_distribution(tmp_path):
    wrapper = nn.Sequential()
    wrapper.add_module('module', original(names={0: 'a', 1: 'b', 2: 'c'}))
    with original_module_names():
        torch.save(wrapper, tmp_path / 'bare.pt')
    converted = convert(read_source(tmp_path / 'bare.pt'))
    assert converted.class_names == ('a', 'b', 'c')


def test_names_that_are_no_plain_strings_are_left_out(tmp_path):
    save_like_the_original(original(names=[1, 2, 3]), tmp_path / 'best.pt')
    assert read_source(tmp_path / 'best.pt').class_names is None


def test_number_of_names_must_be_that_of_the_head():
    with pytest.raises(UserError, match='best.pt: names 2 classes, its head has 3'):
        convert(Source(original().state_dict(), ('a', 'b')), 'best.pt')


def test_other_anchors_reach_meta_and_hint(tmp_path):
    model = original()
    model.model[24].anchors[0, 0] = torch.tensor([2.5, 3.0])
    save_like_the_original(model.half(), tmp_path / 'best.pt')
    converted = convert(read_source(tmp_path / 'best.pt'))
    assert converted.anchors[0][0] == (20.0, 24.0)
    assert converted.anchors[2][2] == (373.0, 326.0)
    assert 'anchors=(((20.0, 24.0)' in converted.config_hint()
    save_converted(converted, tmp_path / 'out.pth')
    meta = torch.load(tmp_path / 'out.pth', weights_only=True)['meta']
    assert meta['yolov5']['anchors'] == converted.anchors and meta['yolov5']['size'] == 'n'
    config = {}
    exec(converted.config_hint(), config)  # the hint is a config
    assert config['model']['bbox_head'] == dict(num_classes=3, anchors=converted.anchors)


def test_hint_without_other_anchors_names_the_size():
    assert convert(Source(original('n', 5).state_dict())).config_hint().splitlines() == [
        "_base_ = 'configs/_base_/models/yolov5n.py'", 'model = dict(bbox_head=dict(num_classes=5))']


@pytest.mark.parametrize('size', 'nsmlx')
def test_every_tensor_of_every_size_has_its_place(size):
    with torch.device('meta'):
        tensors = Model(*FACTORS[size], 80).state_dict()
    tensors = {name: value for name, value in tensors.items() if name != 'model.24.anchors'}
    wanted = expected_shapes(size, 80)
    assert {our_name(name): tuple(value.shape) for name, value in tensors.items()} == wanted
    assert len(tensors) == len(wanted)


@pytest.mark.parametrize(('name', 'expected'), [
    ('model.0.conv.weight', 'backbone.stem.conv.weight'),
    ('model.9.cv2.bn.running_var', 'backbone.stage4.2.conv2.bn.running_var'),
    ('model.17.cv3.conv.weight', 'neck.top_down_blocks.1.final_conv.conv.weight'),
    ('model.21.bn.bias', 'neck.downsamples.1.bn.bias'),
    ('model.11.weight', None),
    ('optimizer.weight', None),
])
def test_our_name(name, expected):
    assert our_name(name) == expected


# ------------------------------------------------------------------ what doesn't fit


def changed(**edits):
    state = dict(original_state())
    for name, value in edits.items():
        name = name.replace('__', '.')
        if value is None:
            del state[name]
        else:
            state[name] = value
    return Source(state)


@pytest.mark.parametrize(('edits', 'message'), [
    (dict(model__0__conv__conv__weight=torch.zeros(1)), 'before release 6'),
    (dict(model__24__proto__cv1__conv__weight=torch.zeros(1)), 'segmentation'),
    (dict(model__33__m__0__weight=torch.zeros(1)), 'P6'),
    (dict(model__22__dfl__conv__weight=torch.zeros(1)), 'YOLOv8'),
    (dict(model__24__cv2__0__0__conv__weight=torch.zeros(1)), 'YOLOv8'),
    (dict(model__9__linear__weight=torch.zeros(1)), 'classification'),
    (dict(model__0__conv__bias=torch.zeros(16)), 'fused'),
])
def test_known_misfits_are_named(edits, message):
    with pytest.raises(UserError, match=f'file.pt: .*{message}'):
        convert(changed(**edits), 'file.pt')


@pytest.mark.parametrize(('edits', 'message'), [
    (dict(model__25__conv__weight=torch.zeros(1)), r"tensor 'model.25.conv.weight' is not part of YOLOv5n"),
    (dict(model__2__m__0__cv3__bn__bias=torch.zeros(1)), 'is not part of'),
    (dict(model__13__cv1__conv__weight=None), r"1 of the \d+ .* first 'neck.top_down_blocks.0.main_conv.conv.weight'"),
    (dict(model__3__conv__weight=torch.zeros(64, 32, 5, 5)), r'has the shape \(64, 32, 5, 5\), .* \(64, 32, 3, 3\)'),
    (dict(model__0__conv__weight=torch.zeros(24, 3, 6, 6)), 'stem of 24 channels and 1 blocks'),
    (dict(model__0__conv__weight=None), "no tensor 'model.0.conv.weight'"),
    (dict(model__24__m__0__weight=None), "no tensor 'model.24.m.0.weight'"),
    (dict(model__24__m__0__weight=torch.zeros(25, 64, 1, 1)), '25 outputs per location'),
    (dict(model__24__anchors=torch.zeros(4, 3, 2)), 'anchors have the shape'),
])
def test_unexpected_tensors_are_named(edits, message):
    with pytest.raises(UserError, match=message):
        convert(changed(**edits))


def test_right_model_is_no_misfit():
    assert known_misfit(original().state_dict()) is None


@pytest.mark.parametrize(('edit', 'message'), [
    (lambda model: setattr(model.model[2].cv1, 'act', nn.Hardswish()), 'activation Hardswish'),
    (lambda model: setattr(model.model[7].bn, 'eps', 1e-5), 'eps 1e-05'),
])
def test_what_tensors_do_not_show(tmp_path, edit, message):
    model = original()
    edit(model)
    save_like_the_original(model, tmp_path / 'odd.pt')
    with pytest.raises(UserError, match=message):
        read_source(tmp_path / 'odd.pt')


# ------------------------------------------------------------------ files


def test_nothing_useful_inside(tmp_path):
    torch.save(dict(model=None, note='x'), tmp_path / 'a.pt')
    with pytest.raises(UserError, match='holds no weights'):
        read_source(tmp_path / 'a.pt')
    torch.save([1, 2], tmp_path / 'b.pt')
    with pytest.raises(UserError, match='holds no weights'):
        read_source(tmp_path / 'b.pt')


def test_a_target_below_a_file_is_named(tmp_path):
    (tmp_path / 'file').write_text('kept')
    with pytest.raises(UserError, match='below.pth: cannot be written'):
        save_converted(convert(Source(original().state_dict())), tmp_path / 'file' / 'below.pth')
    assert (tmp_path / 'file').read_text() == 'kept'


def test_unwritable_target_leaves_nothing_and_keeps_the_old_file(tmp_path, monkeypatch):
    converted = convert(Source(original().state_dict()))
    (tmp_path / 'out.pth').write_bytes(b'old')

    def full_disk(fd):
        raise OSError(28, 'No space left on device')
    monkeypatch.setattr(os, 'fsync', full_disk)
    with pytest.raises(UserError, match='No space left'):
        save_converted(converted, tmp_path / 'out.pth')
    assert (tmp_path / 'out.pth').read_bytes() == b'old' and len(list(tmp_path.iterdir())) == 1


def test_modules_that_hold_themselves(tmp_path):
    module = Placeholder()
    module.state = dict(_modules=dict(me=module))
    with pytest.raises(UserError, match='nested'):
        module_tensors(module)


def test_non_persistent_buffers_are_left_out(tmp_path):
    model = original()
    model.model[24].register_buffer('grid', torch.zeros(3), persistent=False)
    save_like_the_original(model, tmp_path / 'a.pt')
    assert 'model.24.grid' not in read_source(tmp_path / 'a.pt').tensors


def test_reading_leaves_input_alone_and_repeats(tmp_path):
    source = Source(original().half().state_dict())
    before = copy.deepcopy(source.tensors)
    first, second = convert(source), convert(source)
    assert all(torch.equal(first.state_dict[name], second.state_dict[name]) for name in first.state_dict)
    assert all(torch.equal(before[name], source.tensors[name]) for name in before)


def test_command(tmp_path, capsys):
    save_like_the_original(original(names=['a', 'b', 'c']), tmp_path / 'best.pt')
    assert main([str(tmp_path / 'best.pt'), str(tmp_path / 'out.pth')]) == 0
    assert re.search(r'YOLOv5n, 3 classes', capsys.readouterr().out)
    before = (tmp_path / 'best.pt').read_bytes()
    assert main([str(tmp_path / 'best.pt'), str(tmp_path / 'x/../best.pt')]) == 2
    assert 'is the source' in capsys.readouterr().err and (tmp_path / 'best.pt').read_bytes() == before
    assert main([str(tmp_path / 'none.pt'), str(tmp_path / 'out.pth')]) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and error.count('\n') == 1


def test_replica_counts_as_published():
    """The oracle itself: parameters of YOLOv5n with 80 classes."""
    assert sum(p.numel() for p in Model(*FACTORS['n'], 80).parameters()) == 1872157
    assert {Conv, Bottleneck, C3, SPPF, Detect}
