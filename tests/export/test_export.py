"""Exported files find what the torch model finds; the runtime needs no torch."""

import copy
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from export_fixtures import DETECTOR, PIPELINE, spread_outputs, write_films
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from small_attri_det import ATTRI_DET

from mmleuk.apis import Inferencer
from mmleuk.cli import main
from mmleuk.errors import UserError
from mmleuk.inference.exported import ExportedInferencer, cells_path
from mmleuk.inference.facts import Facts
from mmleuk.structures.prediction_files import from_json

onnx = pytest.importorskip('onnx', reason="needs pip install 'mmleuk[export]'")
pytest.importorskip('onnxscript', reason="needs pip install 'mmleuk[export]'")
pytest.importorskip('onnxruntime', reason="needs pip install 'mmleuk[export]'")

SCHEMA = dict(shape=['round', 'odd'], hue=['red', 'blue', 'grey'])
CLASSES = ('Blast', 'Neutrophil', 'RBC')
MODEL = dict(
    type='mmleuk.AttriDet', feature_layers=('backbone.stage1', 'backbone.stage2'), min_score=0.05,
    attri_head=dict(type='mmleuk.AttriHead', attributes=SCHEMA, roi_output_size=(8, 8), conv_channels=[8],
                    fc_channels=[16]),
    detector=DETECTOR)


@pytest.fixture(scope='module')
@torch.no_grad()
def run(tmp_path_factory):
    """Config and checkpoint of random weights that find cells, and images of three sizes."""
    folder = tmp_path_factory.mktemp('export')
    torch.manual_seed(3)
    init_default_scope('mmdet')
    model = MODELS.build(MODEL).eval()
    spread_outputs(model.detector)
    for layer in model.attri_head.classifier.layers:
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=3)
    meta = dict(dataset_meta=dict(classes=CLASSES, attributes=SCHEMA, described=CLASSES[:2]))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), folder / 'last.pth')
    data = dict(dataset=dict(type='CocoDataset', ann_file='none.json', pipeline=PIPELINE))
    (folder / 'config.py').write_text(f"default_scope = 'mmdet'\nmodel = {MODEL}\ntest_dataloader = {data}\n")
    write_films(folder / 'films', [(96, 96), (120, 90), (64, 200), (50, 40)])
    return folder


def inferencer_of(run, **options):
    return Inferencer(run / 'config.py', run / 'last.pth', 'cpu', min_score=0.3, calibrate=False, **options)


@pytest.fixture(scope='module')
def parts(run):
    """The two traced graphs: what takes long."""
    from mmleuk.export.parts import trace_cells, trace_locations
    model = inferencer_of(run).model
    return onnx.load_from_string(trace_locations(model)), onnx.load_from_string(trace_cells(model))


@pytest.fixture(scope='module')
def files(run, parts):
    """Files by where the suppression is."""
    from mmleuk.export.writing import arrange, write_files
    for nms in ('inside', 'outside'):
        write_files(arrange(inferencer_of(run), *parts, nms == 'inside'), run / f'{nms}.onnx', 'onnx')
    return run


@pytest.mark.parametrize('nms', ['inside', 'outside'])
@pytest.mark.parametrize('batch_size', [1, 3])
def test_the_file_finds_what_the_model_finds(files, nms, batch_size):
    from mmleuk.export.parity import compare
    paths = sorted((files / 'films').iterdir())
    exported = ExportedInferencer(files / f'{nms}.onnx', batch_size=batch_size)
    torch_model = inferencer_of(files, batch_size=batch_size)
    parity = compare(torch_model, exported, paths)
    assert parity.holds, parity.text
    found = list(exported.predict(paths))
    values = {cell.value_index('hue') for prediction in found for cell in prediction.cells}
    assert parity.cells >= 20 and -1 in values and len(values) > 1  # red cells have none
    info, own = exported.run_info(), torch_model.run_info()
    assert (info.classes, info.schema, info.min_score, info.image_size) == (
        own.classes, own.schema, own.min_score, own.image_size)


def test_another_image_size_is_the_configs_way_of_it(files):
    from mmleuk.export.parity import compare
    paths = sorted((files / 'films').iterdir())
    parity = compare(inferencer_of(files, image_size=150), ExportedInferencer(files / 'inside.onnx', image_size=150),
                     paths)
    assert parity.holds, parity.text


@pytest.mark.parametrize('size', [0, -32, 320.0, 40_000])
def test_a_size_that_is_none_is_refused(files, size):
    with pytest.raises(UserError, match=f'image_size is {size}; '):
        ExportedInferencer(files / 'inside.onnx', image_size=size)


def test_openvino_finds_the_same(run, parts):
    pytest.importorskip('openvino', reason="needs pip install 'mmleuk[export]'")
    from mmleuk.export.parity import compare
    from mmleuk.export.writing import arrange, write_files
    inferencer, paths = inferencer_of(run), sorted((run / 'films').iterdir())
    written = write_files(arrange(inferencer, *parts, True), run / 'vino.xml', 'openvino')
    assert [path.name for path in written] == ['vino.xml', 'vino.bin', 'vino.json']
    parity = compare(inferencer, ExportedInferencer(run / 'vino.xml'), paths)
    assert parity.holds, parity.text


def test_nothing_found_is_no_row(files):
    found = ExportedInferencer(files / 'inside.onnx', min_score=1.0)(files / 'films')
    assert [len(prediction.cells) for prediction in found] == [0, 0, 0, 0]
    with pytest.raises(UserError, match='lowest score; export it with --min-score 0.1'):
        ExportedInferencer(files / 'inside.onnx', min_score=0.1)


def test_a_file_that_finds_something_else_is_not_written(run, parts, tmp_path):
    from mmleuk.export.writing import arrange, checked_files
    inferencer, paths = inferencer_of(run), sorted((run / 'films').iterdir())
    graphs = arrange(inferencer, *parts, True)
    wrong = dataclasses.replace(graphs, facts=dataclasses.replace(graphs.facts, std=(250.0,) * 3))
    with pytest.raises(UserError, match='is not written, since the onnx file differs'), checked_files(
            wrong, tmp_path / 'a.onnx', 'onnx', inferencer, paths):
        pass
    assert list(tmp_path.iterdir()) == []
    with checked_files(graphs, tmp_path / 'a.onnx', 'onnx', inferencer, paths) as (_, parity):
        assert parity.holds
    assert [path.name for path in tmp_path.iterdir()] == ['a.onnx']


def test_facts_come_back_equal_and_foreign_files_are_refused(files, tmp_path):
    facts = ExportedInferencer(files / 'inside.onnx').facts
    assert Facts.from_texts(facts.to_texts(), 'x') == facts and facts.described == (0, 1)
    stored = onnx.load(files / 'inside.onnx')
    assert json.loads({entry.key: entry.value for entry in stored.metadata_props}['classes']) == list(CLASSES)
    del stored.metadata_props[:]
    onnx.save(stored, tmp_path / 'bare.onnx')
    with pytest.raises(UserError, match=r'bare.onnx: is no model that mmleuk export of this version wrote'):
        ExportedInferencer(tmp_path / 'bare.onnx')
    (tmp_path / 'text.onnx').write_text('no model')
    with pytest.raises(UserError, match='text.onnx: ONNX Runtime cannot read it'):
        ExportedInferencer(tmp_path / 'text.onnx')
    cells = cells_path(files / 'outside.onnx').read_bytes()
    (tmp_path / 'outside.onnx').write_bytes((files / 'outside.onnx').read_bytes())
    with pytest.raises(UserError, match=r'outside.cells.onnx: no such file'):
        ExportedInferencer(tmp_path / 'outside.onnx')
    (tmp_path / 'outside.cells.onnx').write_bytes(cells)
    ExportedInferencer(tmp_path / 'outside.onnx')


def test_infer_runs_the_file_without_torch(files, tmp_path):
    code = ('import sys; from mmleuk.cli import main; status = main(sys.argv[1:]); '
            "assert not {'torch', 'mmcv', 'mmdet'} & set(sys.modules), 'torch was imported'; sys.exit(status)")
    done = subprocess.run([sys.executable, '-c', code, 'infer', str(files / 'films'), str(files / 'inside.onnx'),
                           '--out-dir', str(tmp_path / 'out'), '--microns-per-pixel', '0.1'], capture_output=True,
                          text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    rows = from_json(tmp_path / 'out/predictions.json')
    expected = ExportedInferencer(files / 'inside.onnx')(files / 'films')
    assert [[cell.box for cell in image.cells] for image in rows.predictions] == [
        [cell.box for cell in image.cells] for image in expected]
    cell = rows.predictions[0].cells[0]
    width, height = cell.box[2] - cell.box[0], cell.box[3] - cell.box[1]
    assert cell.diameter_um == pytest.approx(0.1 * (width * height) ** 0.5)
    assert (tmp_path / 'out/report.html').is_file() and len(list((tmp_path / 'out/pictures').iterdir())) == 4


def test_the_command_refuses_before_it_works(run, capsys):
    model = [str(run / 'config.py'), str(run / 'last.pth')]
    (run / 'mine.onnx').write_text('mine')
    for argv, reason in (([*model, '--out', str(run / 'mine.onnx')], 'mine.onnx: is there already'),
                         ([*model, '--out', str(run / 'new.xml')], 'a file of the format onnx ends in .onnx'),
                         ([*model, '--format', 'onnx', 'openvino', '--out', str(run / 'new.onnx'), '--images', 'none'],
                          'new.onnx: each format adds its own suffix here; give the name without .onnx')):
        assert main(['export', *argv]) == 2
        assert reason in capsys.readouterr().err
    assert (run / 'mine.onnx').read_text() == 'mine'


def test_heads_without_locations_are_refused_by_name():
    from mmleuk.export.parts import finder_of
    init_default_scope('mmdet')
    model = MODELS.build(ATTRI_DET)
    assert type(finder_of(model)).__name__ == 'FCOS'
    model.detector.bbox_head.use_sigmoid_cls = False
    with pytest.raises(UserError, match='FCOS with FCOSHead cannot be exported; mmleuk export knows YOLOv5, FCOS'):
        finder_of(model)


@pytest.fixture(scope='module')
def fcos(tmp_path_factory, run):
    """Config, checkpoint and graphs of an FCOS with attributes that finds cells."""
    from mmleuk.export.parts import trace_cells, trace_locations
    folder = tmp_path_factory.mktemp('fcos')
    config = copy.deepcopy(ATTRI_DET)
    config['detector']['test_cfg'] |= dict(nms_pre=20, max_per_img=100)
    torch.manual_seed(1)
    init_default_scope('mmdet')
    model = MODELS.build(config)
    head = model.detector.bbox_head
    for conv, spread in ((head.conv_cls, 0.3), (head.conv_centerness, 0.3), (head.conv_reg, 0.3)):
        torch.nn.init.normal_(conv.weight, std=spread)
        torch.nn.init.zeros_(conv.bias)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(
        classes=CLASSES, attributes=SCHEMA, described=CLASSES[:2]))), folder / 'last.pth')
    data = dict(dataset=dict(type='CocoDataset', ann_file='none.json', pipeline=PIPELINE))
    (folder / 'config.py').write_text(f"default_scope = 'mmdet'\nmodel = {config}\ntest_dataloader = {data}\n")
    inferencer = inferencer_of(folder)
    parts = (onnx.load_from_string(trace_locations(inferencer.model)),
             onnx.load_from_string(trace_cells(inferencer.model)))
    return folder, inferencer, parts


@pytest.mark.parametrize('nms', ['inside', 'outside'])
def test_another_dense_head_finds_the_same(run, fcos, nms):
    from mmleuk.export.parity import compare
    from mmleuk.export.writing import arrange, write_files
    folder, inferencer, parts = fcos
    graphs = arrange(inferencer, *parts, nms == 'inside')
    assert graphs.facts.suppression.clip_first and not graphs.facts.suppression.class_probs
    write_files(graphs, folder / f'{nms}.onnx', 'onnx')
    exported = ExportedInferencer(folder / f'{nms}.onnx', batch_size=2)
    paths = sorted((run / 'films').iterdir())
    parity = compare(inferencer_of(folder, batch_size=2), exported, paths)
    assert parity.holds and parity.cells >= 20, parity.text
    cells = [cell for prediction in exported.predict(paths) for cell in prediction.cells]
    assert {cell.class_probs for cell in cells} == {None}
    assert any(cell.box[0] == 0 for cell in cells)  # cut at the border
