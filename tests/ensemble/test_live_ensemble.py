"""Two very small detectors with random weights, one with attributes, on drawn images: live and from saved files."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmleuk.apis import Inferencer
from mmleuk.calibration import RedCells
from mmleuk.ensemble.fusion import FusionSettings
from mmleuk.ensemble.live import Ensemble
from mmleuk.ensemble.runs import fuse_runs
from mmleuk.errors import UserError
from mmleuk.evaluation.evaluate import evaluate_files
from mmleuk.evaluation.tables import summary
from mmleuk.structures.prediction_files import from_json
from mmleuk.testing.tiny_run import CLASSES, write_tiny_run

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = dict(shape=['round', 'odd'])


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('ensemble')


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Folder with images and annotations, and (config, checkpoint) of two models; the second describes cells."""
    folder = tmp_path_factory.mktemp('live')
    config = write_tiny_run(folder, [str(ROOT / 'configs/_base_/default_runtime.py')], n_images=3, empty=(2,))
    attri = folder / 'attri.py'
    attri.write_text(
        f'_base_ = {str(config)!r}\nmodel = dict(_delete_=True, type="mmleuk.AttriDet", detector=_base_.model, '
        f'attri_head=dict(type="mmleuk.AttriHead", attributes={SCHEMA}, conv_channels=[8], fc_channels=[16]), '
        'feature_layers=["backbone.layer1", "backbone.layer2"])\n')
    models = []
    init_default_scope('mmdet')
    for seed, path in enumerate((config, attri)):
        torch.manual_seed(seed)
        model = MODELS.build(Config.fromfile(path).model)
        # All random scores lie near one half: spread them.
        torch.nn.init.normal_(getattr(model, 'detector', model).bbox_head.retina_cls.weight, std=0.5)
        meta = dict(dataset_meta=dict(classes=CLASSES))
        torch.save(dict(state_dict=model.state_dict(), meta=meta), folder / f'{path.stem}.pth')
        models.append((str(path), str(folder / f'{path.stem}.pth')))
    return folder, models


@pytest.fixture(scope='module')
def ensemble(trained):
    return Ensemble.load(trained[1], device='cpu', min_score=0.0, max_overlap=1.0)


def test_live_equals_saved(ensemble, trained):
    paths = sorted((trained[0] / 'images').iterdir())
    runs = ensemble.look(paths)
    fused = fuse_runs(runs)
    assert list(fused.predictions) == ensemble(trained[0] / 'images') == ensemble(path for path in paths)
    assert all(len(run.cells) for run in runs) and len(fused.cells) < sum(len(run.cells) for run in runs)
    assert ensemble.classes == CLASSES and ensemble.schema.keys == ('shape',)
    values = {cell.attributes['shape']['value'] for cell in fused.cells}
    assert 'unknown' in values and len(values) > 1  # where only the plain detector saw something, and elsewhere
    array = cv2.imread(str(paths[0]))
    assert ensemble(array)[0].cells == fused.predictions[0].cells


class ManyImages:
    """A calibrator that finds red cells only where it may look at several images of one size."""

    stated = None

    def __init__(self):
        self.calibrations, self.measured = {}, 0

    def forget(self):
        self.measured = 0

    def measure_files(self, paths, load):
        self.measured = len(paths)
        return []

    def red_cells(self, image, size_hw):
        return RedCells(10.0, 10.0, 9) if self.measured > 1 else None


def test_the_scale_is_that_of_all_images(ensemble, trained, monkeypatch):
    """As in a call and in mmleuk infer: the first image may show no red cell."""
    paths = sorted((trained[0] / 'images').iterdir())
    for inferencer in ensemble.inferencers:
        monkeypatch.setattr(inferencer, 'calibrator', ManyImages())
    assert [p.um_per_px for run in ensemble.look(paths) for p in run.predictions] == [(0.75, 0.75)] * 2 * len(paths)
    assert ensemble(paths) == list(fuse_runs(ensemble.look(paths)).predictions)


def test_faint_and_overlapping_cells_are_hidden_after_the_fusion(ensemble, trained):
    image = trained[0] / 'images' / '0.png'
    everything = ensemble(image)[0].cells
    middle = float(np.median([cell.score for cell in everything]))
    shy = Ensemble(ensemble.inferencers, min_score=middle, max_overlap=1.0)(image)[0].cells
    assert shy == tuple(cell for cell in everything if cell.score >= middle)
    assert len(Ensemble(ensemble.inferencers, min_score=0.0, max_overlap=0.1)(image)[0].cells) < len(everything)


def test_the_command_end_to_end(tool, trained, tmp_path, capsys):
    folder, models = trained
    out = tmp_path / 'out'
    words = [word for model in models for word in ('--models', *model)]
    words += ['--images', str(folder / 'images'), '--device', 'cpu', '--weights', '1', '2', '--min-score', '0.2']
    assert tool.main([*words, '--annotations', str(folder / 'annotations.json'), '--out', str(out)]) == 0
    said = capsys.readouterr().out
    assert {path.name for path in out.iterdir() if not path.name.startswith('.')} == {
        'tiny.json', 'attri.json', 'ensemble.json', 'predictions.json', 'predictions.csv', 'report.html', 'table.csv',
        'table.md'}
    assert (out / 'table.md').read_text() in said
    table = list(csv.DictReader((out / 'table.csv').open()))
    assert [row['model'] for row in table] == ['tiny', 'attri', 'ensemble']
    for row in table:
        alone = summary(evaluate_files(folder / 'annotations.json', out / f'{row["model"]}.json'))
        assert float(row['mAP']) == alone['mAP'] and float(row['mAR']) == alone['mAR']
    assert all(cell.score >= 0.2 for cell in from_json(out / 'predictions.json').cells)
    # The saved single models give the same again.
    saved = tmp_path / 'fused.json'
    assert tool.main(['--predictions', str(out / 'tiny.json'), str(out / 'attri.json'), '--weights', '1', '2',
                      '--annotations', str(folder / 'annotations.json'), '--out', str(saved)]) == 0
    assert saved.with_suffix('.csv').read_bytes() == (out / 'table.csv').read_bytes()
    assert json.loads(saved.read_text())['images'] == json.loads((out / 'ensemble.json').read_text())['images']


def test_a_run_replaces_only_what_an_earlier_one_made(tool, trained, tmp_path, capsys):
    folder, models = trained
    out = tmp_path / 'out'
    words = [word for model in models for word in ('--models', *model)]
    words += ['--images', str(folder / 'images'), '--device', 'cpu', '--out', str(out)]
    out.mkdir()
    (out / 'report.html').write_text('mine')
    assert tool.main(words) == 2 and 'report.html: is not from tools/ensemble.py' in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ['report.html'] and (out / 'report.html').read_text() == 'mine'
    (out / 'report.html').unlink()
    assert tool.main([*words, '--annotations', str(folder / 'annotations.json')]) == 0
    assert tool.main([*words, '--names', 'a', 'b']) == 0  # replaces, and nothing of the earlier models and truth stays
    assert {path.name for path in out.iterdir() if not path.name.startswith('.')} == {
        'a.json', 'b.json', 'ensemble.json', 'predictions.json', 'predictions.csv', 'report.html'}
    (out / 'b.json').write_text('corrected')
    assert tool.main([*words, '--names', 'a', 'b']) == 2
    assert 'b.json: is not from tools/ensemble.py, or was changed since' in capsys.readouterr().err
    assert (out / 'b.json').read_text() == 'corrected'
    assert tool.main([*words, '--names', '.a', 'b']) == 2 and 'without a dot' in capsys.readouterr().err


def test_without_truth_there_is_no_table(tool, trained, tmp_path):
    folder, models = trained
    words = [word for model in (models[1], models[1]) for word in ('--model', *model)]
    assert tool.main([*words, '--images', str(folder / 'images'), '--device', 'cpu', '--out', str(tmp_path / 'o')]) == 0
    names = {path.name for path in (tmp_path / 'o').iterdir()}
    assert {'1_attri.json', '2_attri.json', 'ensemble.json'} <= names and not names & {'table.csv', 'table.md'}


def test_models_that_do_not_belong_together(trained, ensemble, tool, tmp_path, capsys):
    folder, models = trained
    other = folder / 'other.pth'
    torch.save(torch.load(models[0][1]) | dict(meta=dict(dataset_meta=dict(classes=('round', 'oval')))), other)
    with pytest.raises(UserError, match=r'know different classes \(oval, square\)'):
        Ensemble([ensemble.inferencers[0], Inferencer(models[0][0], other, device='cpu')])
    with pytest.raises(UserError, match='at least two models; got 1'):
        Ensemble.load(models[:1])
    with pytest.raises(UserError, match='min_score is 2'):
        Ensemble(ensemble.inferencers, min_score=2)
    with pytest.raises(UserError, match='3 weights for 2 models'):
        Ensemble(ensemble.inferencers, FusionSettings(weights=(1, 1, 1)))
    data = json.loads((folder / 'annotations.json').read_text())
    data['images'][0]['file_name'] = 'gone.png'
    (tmp_path / 'other.json').write_text(json.dumps(data))
    words = ['--models', *models[0], '--models', *models[1], '--images', str(folder / 'images'), '--out',
             str(tmp_path / 'out'), '--annotations', str(tmp_path / 'other.json'), '--device', 'cpu']
    assert tool.main(words) == 2 and 'gone.png: cannot be read' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
    assert tool.main([*words[:3], *words[6:]]) == 2 and 'at least two models; got 1' in capsys.readouterr().err
    assert tool.main([*words, '--names', 'table', 'b']) == 2 and "called 'table'" in capsys.readouterr().err
