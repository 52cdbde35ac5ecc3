"""Inferencer and the infer command with a small detector of random weights."""

import argparse
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmleuk.apis import FailedImage, Inferencer, Prediction
from mmleuk.errors import UserError
from mmleuk.report import cli
from mmleuk.report.files import from_csv, from_json

CLASSES = ('None', 'Blast', 'Neutrophil')
SCHEMA = dict(shape=['round', 'odd'], hue=['red', 'blue', 'grey'])
DETECTOR = dict(
    type='FCOS',
    data_preprocessor=dict(type='DetDataPreprocessor', mean=[0., 0., 0.], std=[255., 255., 255.], pad_size_divisor=32),
    backbone=dict(type='ResNet', depth=18, base_channels=8, out_indices=(1, 2, 3), norm_eval=False),
    neck=dict(type='FPN', in_channels=[16, 32, 64], out_channels=16, num_outs=3),
    bbox_head=dict(type='FCOSHead', num_classes=3, in_channels=16, feat_channels=16, stacked_convs=1,
                   strides=[8, 16, 32], regress_ranges=((-1, 64), (64, 128), (128, 1e8)),
                   norm_cfg=dict(type='GN', num_groups=4)),
    test_cfg=dict(nms_pre=50, min_bbox_size=0, score_thr=0.001, nms=dict(type='nms', iou_threshold=0.5),
                  max_per_img=8))
ATTRI_DET = dict(
    type='mmleuk.AttriDet', detector=DETECTOR, feature_layers=['backbone.layer1', 'backbone.layer2'],
    attri_head=dict(type='mmleuk.AttriHead', attributes=SCHEMA, conv_channels=[8], fc_channels=[16]))
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(96, 96), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]


def make_config(model, **dataset):
    data = dict(type='CocoDataset', ann_file='none.json', pipeline=PIPELINE, **dataset)
    return Config(dict(default_scope='mmdet', model=model, test_dataloader=dict(dataset=data)))


def save(folder, model, meta):
    torch.manual_seed(0)
    init_default_scope('mmdet')
    built = MODELS.build(model)
    built.init_weights()
    # Random weights all say 'unlikely': lift the bias so that cells are found.
    head = getattr(built, 'detector', built).bbox_head
    torch.nn.init.normal_(head.conv_cls.weight, std=0.5)
    torch.nn.init.zeros_(head.conv_cls.bias)
    torch.save(dict(state_dict=built.state_dict(), meta=meta), folder / 'last.pth')
    return folder / 'last.pth'


@pytest.fixture(scope='module')
def attri(tmp_path_factory):
    folder = tmp_path_factory.mktemp('attri')
    checkpoint = save(folder, ATTRI_DET, dict(dataset_meta=dict(CLASSES=CLASSES, attributes=SCHEMA)))
    # Not Config.dump, which sorts the attributes.
    data = dict(dataset=dict(type='CocoDataset', ann_file='none.json', pipeline=PIPELINE))
    (folder / 'config.py').write_text(f"default_scope = 'mmdet'\nmodel = {ATTRI_DET}\ntest_dataloader = {data}\n")
    return folder / 'config.py', checkpoint


@pytest.fixture(scope='module')
def inferencer(attri):
    return Inferencer(*attri, device='cpu', min_score=0.05, max_overlap=1)


@pytest.fixture
def films(tmp_path):
    folder = tmp_path / 'films'
    rng = np.random.default_rng(1)
    for number, name in enumerate(['b.png', 'a/c.jpg', 'a/notes.txt', '.hidden.png', 'a/x & <y>.bmp']):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith('.txt'):
            path.write_text('no image')
        else:
            cv2.imwrite(str(path), rng.integers(0, 255, (40 + 10 * number, 64, 3), np.uint8))
    return folder


def test_a_folder_gives_cells_with_attributes(inferencer, films):
    predictions = inferencer(films)
    assert [p.image for p in predictions] == ['a/c.jpg', 'a/x & <y>.bmp', 'b.png']
    assert [p.size_hw for p in predictions] == [(50, 64), (80, 64), (40, 64)]
    cells = [cell for p in predictions for cell in p.cells]
    assert cells and inferencer.classes == CLASSES
    for cell in cells:
        assert cell.score >= 0.05 and CLASSES[cell.label] == cell.class_name
        assert list(cell.attributes) == ['shape', 'hue']
        for key, reading in cell.attributes.items():
            assert reading['value'] == SCHEMA[key][reading['value_index']] and 0 < reading['prob'] <= 1
    for p in predictions:
        assert [c.score for c in p.cells] == sorted((c.score for c in p.cells), reverse=True)
    assert inferencer(films) == predictions, 'a second call says the same'


def test_numbers_are_the_models_own(inferencer, films):
    path = films / 'b.png'
    prediction = inferencer(path)[0]
    data = inferencer._from_file(dict(img_path=str(path), img_id=0))
    with torch.no_grad():
        instances = inferencer.model.test_step(
            dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))[0].pred_instances
    for cell in prediction.cells:
        i = int(np.flatnonzero(instances.scores.numpy() == np.float32(cell.score))[0])
        assert cell.box == tuple(instances.bboxes[i].tolist()) and cell.label == int(instances.labels[i])
        values = [reading['value_index'] for reading in cell.attributes.values()]
        probs = [reading['prob'] for reading in cell.attributes.values()]
        assert values == instances.attributes[i].tolist()
        assert probs == instances.attribute_probs[i].max(-1).values.tolist()


def test_arrays_equal_files_and_stay_as_they_are(inferencer, films):
    path = films / 'b.png'
    array = cv2.imread(str(path))
    before = array.copy()
    from_file, from_array = inferencer([array, path])
    assert (from_array.image, from_array.path) == ('array_0001', None)
    assert from_array.cells == from_file.cells and np.array_equal(array, before)
    assert inferencer.draw(from_array, array).size == inferencer.draw(from_file).size
    with pytest.raises(UserError, match='array_0001: came from an array'):
        inferencer.draw(from_array)


def test_globs_lists_and_batches(attri, inferencer, films):
    several = inferencer([films / 'b.png', films / 'a' / '*.jpg', films / 'b.png'])
    assert [p.image for p in several] == ['b.png', 'a/c.jpg']
    batched = Inferencer(*attri, device='cpu', min_score=0.05, batch_size=2, max_overlap=1)(films)
    assert [p.image for p in batched] == [p.image for p in inferencer(films)]


def test_min_score_only_leaves_out(attri, inferencer, films):
    cells = [c for p in inferencer(films) for c in p.cells]
    middle = sorted(c.score for c in cells)[len(cells) // 2]
    strict = Inferencer(*attri, device='cpu', min_score=middle, max_overlap=1)(films)
    assert [c for p in strict for c in p.cells] == [c for c in cells if c.score >= middle]


def test_written_files_read_back(inferencer, films, tmp_path):
    predictions = inferencer(films)
    run = from_json(inferencer.to_json(predictions, tmp_path / 'p.json'))
    assert list(run.predictions) == predictions and run.info.model == 'mmleuk.AttriDet'
    rows = from_csv(inferencer.to_csv(predictions, tmp_path / 'p.csv'), inferencer.schema)
    assert [(p.image, p.cells) for p in rows] == [(p.image, p.cells) for p in predictions if p.cells]


def test_a_plain_detector_with_names_from_the_config(tmp_path, films):
    config = make_config(DETECTOR, metainfo=dict(classes=CLASSES))
    plain = Inferencer(config, save(tmp_path, DETECTOR, {}), device='cpu', min_score=0, max_overlap=1)
    cells = plain(films / 'b.png')[0].cells
    assert plain.classes == CLASSES and cells and all(cell.attributes == {} for cell in cells)


@pytest.mark.parametrize(('argument', 'message'), [
    ('nowhere', 'nowhere: no such file or folder'), ('*.png', 'matches no image file'),
    ('empty', 'empty: no image in this folder'), ('text.png', 'text.png: .*not an image|text.png: .*no image'),
    ('cut.jpg', 'cut.jpg: .*truncated|cut.jpg: .*end of the JPEG'), ('cut.png', 'cut.png: .*truncated')])
def test_bad_files_are_named(inferencer, tmp_path, monkeypatch, argument, message):
    monkeypatch.chdir(tmp_path)
    if argument == 'empty':
        (tmp_path / 'empty').mkdir()
    if argument == 'text.png':
        (tmp_path / argument).write_text('hello')
    if argument.startswith('cut'):
        whole = cv2.imencode(argument[3:], np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))[1]
        (tmp_path / argument).write_bytes(whole.tobytes()[:-500])
    with pytest.raises(UserError, match=message):
        inferencer(argument)


@pytest.mark.parametrize(('array', 'message'), [
    (np.zeros((4, 4), np.uint8), r'shape \(4, 4\)'), (np.zeros((4, 4, 4), np.uint8), r'shape \(4, 4, 4\)'),
    (np.zeros((4, 4, 3), np.float32), 'type float32'), (np.zeros((0, 4, 3), np.uint8), r'shape \(0, 4, 3\)'),
    (3, 'input 2 is a int')])
def test_bad_arrays_are_named(inferencer, array, message):
    with pytest.raises(UserError, match=message):
        inferencer([np.zeros((40, 40, 3), np.uint8), array])
    with pytest.raises(UserError, match='no input'):
        inferencer([])


def test_a_file_that_vanishes_does_not_stop_the_others(inferencer, films):
    results = list(inferencer.predict([films / 'gone.png', films / 'b.png']))
    assert isinstance(results[0], FailedImage) and results[0].image == 'gone.png' and 'could not be read' in \
        results[0].error
    assert isinstance(results[1], Prediction) and results[1].image == 'b.png'


def test_bad_settings_checkpoints_and_configs(attri, tmp_path):
    config, checkpoint = attri
    for kwargs, message in [(dict(min_score=1.5), 'min_score is 1.5'), (dict(batch_size=0), 'batch_size is 0'),
                            (dict(device='toaster'), "device 'toaster' cannot be used")]:
        with pytest.raises(UserError, match=message):
            Inferencer(config, checkpoint, **kwargs)
    with pytest.raises(UserError, match='no.py: no such config file'):
        Inferencer(tmp_path / 'no.py', checkpoint)
    (tmp_path / 'bad.py').write_text('model = dict(')
    with pytest.raises(UserError, match='bad.py: cannot be read as a config'):
        Inferencer(tmp_path / 'bad.py', checkpoint)
    plain = save(tmp_path, DETECTOR, {})
    with pytest.raises(UserError, match="last.pth: 6 of the model's 153 tensors are not in it"):
        Inferencer(config, plain, device='cpu')
    loaded = torch.load(plain, weights_only=True)
    loaded['state_dict']['neck.extra'] = torch.zeros(1)
    torch.save(loaded, tmp_path / 'more.pth')
    with pytest.raises(UserError, match="more.pth: holds 1 tensors that the model lacks, first 'neck.extra'"):
        Inferencer(make_config(DETECTOR), tmp_path / 'more.pth', device='cpu')
    (tmp_path / 'cut.pth').write_bytes(plain.read_bytes()[:1000])
    with pytest.raises(UserError, match='cut.pth'):
        Inferencer(config, tmp_path / 'cut.pth', device='cpu')


def test_attributes_in_another_order_are_refused(attri, tmp_path):
    Config.fromfile(attri[0]).dump(tmp_path / 'dumped.py')
    with pytest.raises(UserError, match=r"was trained on .*\(\('shape'.*config has \(\('hue'.*pass the config"):
        Inferencer(tmp_path / 'dumped.py', attri[1], device='cpu')


def test_too_few_class_names(tmp_path, films):
    short = Inferencer(make_config(DETECTOR), save(tmp_path, DETECTOR, dict(dataset_meta=dict(classes=('WBC',)))),
                       device='cpu', min_score=0, max_overlap=1)
    with pytest.raises(UserError, match='only 1 class names are known'):
        short(films)


def arguments(*words):
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_the_command_writes_everything(attri, films, tmp_path, capsys):
    out = films / 'outputs'
    words = (films, *attri, '--out-dir', out, '--min-score', '0.05', '--device', 'cpu')
    assert cli.run(arguments(*words)) == 0
    written = sorted(str(path.relative_to(out)) for path in out.rglob('*') if path.is_file())
    assert written == ['pictures/a/c.jpg', 'pictures/a/x & <y>.jpg', 'pictures/b.jpg', 'predictions.csv',
                       'predictions.json', 'report.html']
    printed = capsys.readouterr().out
    assert 'leukocyte' in printed and str(out / 'report.html') in printed
    assert len(json.loads((out / 'predictions.json').read_text())['images']) == 3
    # Its own pictures lie inside the input now and must not be looked at.
    table = (out / 'predictions.csv').read_bytes()
    assert cli.run(arguments(*words)) == 0
    assert (out / 'predictions.csv').read_bytes() == table


def test_the_command_writes_only_what_is_wanted(attri, films, tmp_path):
    out = tmp_path / 'out'
    code = cli.run(arguments(films / 'b.png', films / 'a' / 'c.jpg', *attri, '--out-dir', out, '--format', 'csv',
                             '--no-pictures', '--no-report', '--device', 'cpu'))
    assert code == 0 and os.listdir(out) == ['predictions.csv']


@pytest.mark.parametrize('fault', ['truncated', 'out', 'leukocytes'])
def test_the_command_stops_before_it_writes(attri, films, tmp_path, fault):
    out, extra = tmp_path / 'out', []
    if fault == 'truncated':
        (films / 'z.png').write_bytes((films / 'b.png').read_bytes()[:300])
    if fault == 'out':
        (tmp_path / 'file').write_text('')
        out = tmp_path / 'file' / 'out'
    if fault == 'leukocytes':
        extra = ['--leukocytes', 'Blast', 'blast']
    with pytest.raises(UserError, match={'truncated': 'z.png', 'out': 'cannot write here',
                                         'leukocytes': "'blast': no class"}[fault]):
        cli.run(arguments(films, *attri, '--out-dir', out, '--device', 'cpu', *extra))
    assert not out.exists()


def test_an_image_lost_on_the_way_is_reported_and_the_rest_written(attri, films, tmp_path, monkeypatch, capsys):
    lost = films / 'b.png'

    def check_then_lose(paths):
        lost.unlink()

    monkeypatch.setattr('mmleuk.report.cli.check_images', check_then_lose)
    out = tmp_path / 'out'
    assert cli.run(arguments(films, *attri, '--out-dir', out, '--min-score', '0.05', '--device', 'cpu')) == 1
    assert 'error: b.png: could not be read' in capsys.readouterr().err
    run = from_json(out / 'predictions.json')
    assert [p.image for p in run.predictions] == ['a/c.jpg', 'a/x & <y>.bmp']
    assert [f.image for f in run.failed] == ['b.png']
    assert 'could not be read' in (out / 'report.html').read_text()


def test_the_tool_says_a_users_error_in_one_line(tmp_path):
    result = subprocess.run([sys.executable, 'tools/infer.py', str(tmp_path / 'none'), 'c.py', 'c.pth'],
                            capture_output=True, text=True, env={**os.environ, 'PYTHONPATH': os.getcwd()}, check=False)
    assert result.returncode == 2 and result.stderr.strip().endswith('none: no such file or folder')
    assert 'Traceback' not in result.stderr
