"""mmleuk attributes: scores of one and of several trainings, in files and in words."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from mmleuk.cli import main
from mmleuk.evaluation.intervals import t_half_width
from mmleuk.evaluation.reliability import reliability
from mmleuk.report.reliability_plot import reliability_plot
from mmleuk.utils.tables import read_csv


@pytest.fixture(scope='module')
def seeds(lab):
    """Three trainings' weights."""
    saved = torch.load(lab.checkpoint, weights_only=False)
    paths = [lab.checkpoint]
    for seed in (1, 2):
        torch.manual_seed(seed)
        weight = 0.5 * torch.randn_like(saved['state_dict']['classifier.layers.0.weight'])
        paths.append(str(lab.root / f'seed_{seed}.pth'))
        torch.save(saved | dict(state_dict=saved['state_dict'] | {'classifier.layers.0.weight': weight}), paths[-1])
    return paths


def test_one_training(lab, tmp_path, capsys):
    out = tmp_path / 'scores'
    assert main(['attributes', lab.config, lab.checkpoint, '--out', str(out), '--device', 'cpu']) == 0
    said = capsys.readouterr().out
    assert '12 cells, 1 training: macro F1 ' in said and 'type accuracy ' in said and ' over images)' in said
    assert sorted(path.name for path in out.iterdir()) == [
        'attributes.csv', 'reliability.png', 'summary.json', 'values.csv']
    rows = read_csv(out / 'attributes.csv', ('attribute', 'cells', 'accuracy', 'precision', 'recall', 'f1'))
    summary = json.loads((out / 'summary.json').read_text())
    assert [row['attribute'] for row in rows] == ['Cell Type', 'Granule Colour', 'Size']
    assert summary['mean']['type_accuracy'] == pytest.approx(float(rows[0]['accuracy']))
    assert summary['mean']['macro_f1'] == pytest.approx(np.mean([float(row['f1']) for row in rows[1:]]))
    assert len(read_csv(out / 'values.csv', ('value', 'f1'))) == 2 + 3 + 2


def test_several_trainings_have_the_t_interval(lab, seeds, tmp_path, capsys):
    out = tmp_path / 'scores'
    assert main(['attributes', lab.config, *seeds, '--out', str(out), '--device', 'cpu']) == 0
    assert '12 cells, 3 trainings: macro F1 ' in capsys.readouterr().out
    summary = json.loads((out / 'summary.json').read_text())
    scores = [each['macro_f1'] for each in summary['checkpoints']]
    assert len(set(scores)) > 1
    assert summary['mean']['macro_f1'] == pytest.approx(np.mean(scores))
    assert summary['mean']['macro_f1_half_width'] == pytest.approx(t_half_width(scores))


def test_nothing_is_written_over(lab, tmp_path, capsys):
    (tmp_path / 'mine').write_text('mine')
    assert main(['attributes', lab.config, lab.checkpoint, '--out', str(tmp_path)]) == 2
    assert 'exists already' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['mine']


def test_the_plot_has_a_panel_per_attribute_and_takes_empty_ones():
    empty = reliability(np.zeros(0), np.zeros(0, bool))
    found = reliability(np.linspace(0.5, 1, 40), np.arange(40) % 3 > 0)
    one, six = (Image.open(io.BytesIO(reliability_plot(panels))) for panels in (
        {'all': found}, {str(number): empty for number in range(6)}))
    assert six.height > one.height and six.width > one.width
