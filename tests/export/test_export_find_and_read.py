"""The exported file of a model that finds and reads gives the torch model's rows, scale, types and novelty included."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from export_fixtures import DETECTOR, PIPELINE, spread_outputs, write_films
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from mmleuk.apis import Inferencer
from mmleuk.cli import main
from mmleuk.errors import UserError
from mmleuk.inference.exported import ExportedInferencer
from mmleuk.inference.facts import Facts
from mmleuk.structures.prediction_files import from_json

pytest.importorskip('onnx', reason="needs pip install 'mmleuk[export]'")
pytest.importorskip('onnxscript', reason="needs pip install 'mmleuk[export]'")
pytest.importorskip('onnxruntime', reason="needs pip install 'mmleuk[export]'")

TYPES = ('Blast', 'Neutrophil', 'Other')
SCHEMA = dict(shape=['round', 'odd'], cell_type=list(TYPES))
CLASSES = (*TYPES, 'RBC', 'Platelets')
MODEL = dict(
    type='mmleuk.FindAndRead', classes=CLASSES, leukocyte=0, window=32, unsure='Other', min_type_prob=0.5,
    max_novelty=3.7, score_temperatures=[0.4, 0.5, 0.6], type_temperature=0.8,
    finder=dict(DETECTOR, data_preprocessor=dict(DETECTOR['data_preprocessor'], pad_value=0)),
    reader=dict(
        type='mmleuk.AttributeRecognizer', attributes=SCHEMA, crop_size=32,
        encoder=dict(type='mmdet.ResNet', depth=18, base_channels=8, num_stages=2, strides=(1, 2), dilations=(1, 1),
                     out_indices=(1,), norm_eval=False, norm_cfg=dict(type='GN', num_groups=4)),
        data_preprocessor=dict(type='DetDataPreprocessor', mean=[114.0] * 3, std=[64.0] * 3, bgr_to_rgb=True)))
COLOURS = dict(glass=(203, 228, 255), largest_red=0.85, nuclei=(0.41, 2.43, 1.35), red_cells=(0.22, 0.35, 0.16))


@pytest.fixture(scope='module')
@torch.no_grad()
def run(tmp_path_factory):
    """Config and checkpoint of random weights that find cells of all types, and images of three sizes."""
    folder = tmp_path_factory.mktemp('find_and_read')
    torch.manual_seed(4)
    init_default_scope('mmdet')
    model = MODELS.build(MODEL).eval()
    spread_outputs(model.finder)
    crops = torch.nn.functional.interpolate(torch.rand(64, 3, 4, 4), (32, 32), mode='bilinear') * 4 - 2
    features, layer = model.reader.extract_feat(crops), model.reader.classifier.layers[0]
    torch.nn.init.normal_(layer.weight)
    layer.weight.data /= (features @ layer.weight.T).std(0)[:, None] / 2
    layer.bias.data = -(features @ layer.weight.T).mean(0)
    model.novelty.means.normal_()
    model.novelty.whitening += torch.randn_like(model.novelty.whitening) / 10
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(
        classes=CLASSES, attributes=SCHEMA, described=TYPES, leukocytes=TYPES))), folder / 'last.pth')
    data = dict(dataset=dict(type='CocoDataset', ann_file='none.json', pipeline=PIPELINE))
    scores = {name: 0.4 + index / 20 for index, name in enumerate(CLASSES)}
    (folder / 'config.py').write_text(
        f"default_scope = 'mmdet'\nmodel = {MODEL}\ntest_dataloader = {data}\nred_cell_diameter = 20\n"
        f'film_colours = {COLOURS}\nmin_scores = dict({scores})\n')
    write_films(folder / 'films', [(96, 96), (120, 90), (64, 200)])
    return folder


@pytest.fixture(scope='module')
def exported(run):
    """The path of the model's file."""
    from mmleuk.export.writing import build_graphs, write_files
    file, = write_files(build_graphs(Inferencer(run / 'config.py', run / 'last.pth', 'cpu'), True), run / 'x.onnx',
                        'onnx')
    return file


@pytest.mark.parametrize('batch_size, um_per_px', [(3, None), (1, (0.3, 0.4))])
def test_the_file_gives_the_models_rows(run, exported, batch_size, um_per_px):
    from mmleuk.export.parity import compare
    paths = sorted((run / 'films').iterdir())
    options = dict(batch_size=batch_size, calibrate=False, microns_per_pixel=um_per_px)
    torch_model = Inferencer(run / 'config.py', run / 'last.pth', 'cpu', **options)
    file = ExportedInferencer(exported, **options)
    parity = compare(torch_model, file, paths)
    assert parity.holds and parity.cells > 20, parity.text
    cells = [cell for prediction in file.predict(paths) for cell in prediction.cells]
    assert {'Blast', 'Other', 'RBC'} <= {cell.class_name for cell in cells}
    assert {cell.novelty is None for cell in cells if cell.class_name in TYPES} == {False}
    assert {cell.novelty is None for cell in cells if cell.class_name not in TYPES} == {True}
    pairs = zip(torch_model.predict(paths), file.predict(paths))
    for one, other in ((a, b) for first, second in pairs for a, b in zip(first.cells, second.cells)):
        assert {key: value['value'] for key, value in one.attributes.items()} == {
            key: value['value'] for key, value in other.attributes.items()}
        assert (one.diameter_um is None) == (other.diameter_um is None) == (um_per_px is None)
        assert one.diameter_um is None or one.diameter_um == pytest.approx(other.diameter_um, rel=1e-4, abs=1e-3)
    assert file.run_info().min_scores == torch_model.run_info().min_scores


def test_the_size_of_a_batch_changes_no_row(run, exported):
    paths = sorted((run / 'films').iterdir())
    rows = [[(cell.class_name, *np.round(cell.box, 2)) for found in ExportedInferencer(
        exported, batch_size=size, calibrate=False, microns_per_pixel=(0.3, 0.4)).predict(paths)
        for cell in found.cells] for size in (1, 3)]
    assert rows[0] == rows[1] and len(rows[0]) > 20


def test_the_facts_say_how_the_scale_is_found(exported):
    file = ExportedInferencer(exported)
    facts = file.facts
    assert (facts.red_cells.label, facts.red_cells.diameter) == (3, 20.0) and facts.described == (0,)
    assert facts.suppression.score_thr < 0.5  # red cells of the calibration
    again = Facts.from_texts(facts.to_texts(), 'x')
    assert (again.red_cells.label, again.suppression) == (3, facts.suppression)
    assert file.scales_by_red_cells and not ExportedInferencer(exported, image_size=96).scales_by_red_cells
    assert ExportedInferencer(exported, calibrate=False).calibrator is None


def test_what_cannot_be_exported_is_one_line(run):
    from mmleuk.export.facts import facts_of
    inferencer = Inferencer(run / 'config.py', run / 'last.pth', 'cpu')
    with pytest.raises(UserError, match='both have to be inside'):
        facts_of(inferencer, inside=False)
    inferencer.cfg.model.classes = ['Blast']
    with pytest.raises(UserError, match='its model has no class RBC'):
        facts_of(inferencer, inside=True)


def test_config_and_checkpoint_belong_together(run, capsys):
    assert main(['export', str(run / 'config.py')]) == 2
    assert 'config and checkpoint belong together' in capsys.readouterr().err


@pytest.mark.slow
def test_the_model_in_the_package(tmp_path):
    """``mmleuk export`` without a model, then ``mmleuk infer`` without torch and ``mmleuk infer`` with it."""
    from mmleuk.synthetic.writer import synthesize
    synthesize(tmp_path / 'films', train=0, test=3, workers=1)
    films, file = tmp_path / 'films' / 'images', tmp_path / 'any.onnx'
    assert main(['export', '--out', str(file), '--images', str(films), '--no-measure']) == 0
    code = ('import sys; from mmleuk.cli import main; status = main(sys.argv[1:]); '
            "assert not {'torch', 'mmcv', 'mmdet'} & set(sys.modules), 'torch was imported'; sys.exit(status)")
    done = subprocess.run([sys.executable, '-c', code, 'infer', str(films), str(file), '--out-dir',
                           str(tmp_path / 'file')], capture_output=True, text=True, check=False,
                          cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert main(['infer', str(films), '--device', 'cpu', '--out-dir', str(tmp_path / 'torch')]) == 0
    one, other = (from_json(tmp_path / name / 'predictions.json') for name in ('torch', 'file'))
    assert one.info.scales == other.info.scales and 'by' in one.info.scales[0]
    assert [[(cell.class_name, round(cell.score, 3)) for cell in image.cells] for image in one.predictions] == [
        [(cell.class_name, round(cell.score, 3)) for cell in image.cells] for image in other.predictions]
    boxes = [np.array([cell.box for image in run.predictions for cell in image.cells]) for run in (one, other)]
    assert len(boxes[0]) >= 50 and np.abs(boxes[0] - boxes[1]).max() < 0.01
    assert_the_example_runs(tmp_path, next(image for image in one.predictions if image.cells))
    assert json.loads((tmp_path / 'file/predictions.json').read_text())['run']['device'] == 'cpu, onnx'


def assert_the_example_runs(folder, image):
    """The page's program for other people's software finds what ``infer`` finds, at the scale that was measured."""
    page = (Path(__file__).parents[2] / 'docs/export.md').read_text(encoding='utf-8')
    code = page.split('```python\n')[1].split('```')[0]
    assert image.um_per_px[0] == pytest.approx(image.um_per_px[1], rel=0.2)
    code = code.replace("'any_microscope.onnx'", "'any.onnx'").replace("'film.png'", repr(image.path)).replace(
        ', 0.11', f', {sum(image.um_per_px) / 2}')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    found = [line.split('[')[0].split() for line in done.stdout.splitlines()]
    assert abs(len(found) - len(image.cells)) <= 0.1 * len(image.cells) > 0
