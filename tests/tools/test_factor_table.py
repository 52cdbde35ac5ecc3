"""The factor table from the command line: a very small detector with random weights on copies of drawn images."""

import json
import os
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmleuk.datasets.interference import interfere
from mmleuk.testing.tiny_run import CLASSES, write_tiny_run

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('factor_table')


@pytest.fixture
def words(tmp_path):
    """Copies, a config, a checkpoint, and the words that name them."""
    config = write_tiny_run(tmp_path, [str(ROOT / 'configs/_base_/default_runtime.py')])
    factors = ('impurities', 'incomplete_cells')
    interfere(tmp_path / 'annotations.json', tmp_path / 'images', tmp_path / 'copies', factors)
    init_default_scope('mmdet')
    model = MODELS.build(Config.fromfile(config).model)
    meta = dict(dataset_meta=dict(classes=CLASSES))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), tmp_path / 'last.pth')
    return [f'{config}:{tmp_path / "last.pth"}', '--annotations', str(tmp_path / 'annotations.json'), '--images',
            str(tmp_path / 'images'), '--copies', str(tmp_path / 'copies'), '--out', str(tmp_path / 'out'),
            '--min-score', '0', '--device', 'cpu']


def test_a_row_per_factor(tool, words, tmp_path, capsys):
    assert tool.main(words) == 0
    rows = json.loads((tmp_path / 'out' / 'factor_table.json').read_text())
    assert [row['factor'] for row in rows] == ['impurities', 'incomplete_cells']
    for row in rows:
        copy = json.loads((tmp_path / 'copies' / row['factor'] / 'annotations.json').read_text())
        assert row['scores']['images'] == row['without']['images'] == len(copy['images'])
        assert row['scores']['affected'] == sum(annotation.get('affected', 0) for annotation in copy['annotations'])
        assert row['scores']['impurities'] == sum(len(image.get('impurities', [])) for image in copy['images'])
        assert row['interference']['factor'] == row['factor'] and 0 <= row['scores']['map'] <= 1
    table = (tmp_path / 'out' / 'factor_table.md').read_text()
    assert table.count('\n') == 2 + 3 + 1 + 4 and table in capsys.readouterr().out


def test_the_summary_is_a_row_per_detector(tool):
    """By hand: two detectors, two factors; None is a copy without cells."""
    def row(config, factor, with_it, without):
        return dict(config=f'configs/{config}.py', checkpoint='last.pth', factor=factor, scores=dict(map50=with_it),
                    without=dict(map50=without))
    assert tool.summary([row('a', 'defocus', 0.5, 0.75), row('a', 'impurities', 0.625, 0.5),
                         row('b', 'defocus', None, None), row('b', 'impurities', 0.25, 0.25)]) == (
        '| detector | defocus | impurities |\n| --- | --- | --- |\n'
        '| a | 0.500 (-0.250) | 0.625 (+0.125) |\n| b | – | 0.250 (+0.000) |\n')


def test_errors_are_one_line(tool, words, tmp_path, capsys):
    for changed, message in (
            ([words[0].partition(':')[0], *words[1:]], 'each is CONFIG:CHECKPOINT'),
            ([*words, '--copies', str(tmp_path / 'images')], 'make the copies with `mmleuk data interfere`'),
            ([*words, '--images', str(tmp_path / 'nowhere')], 'nowhere')):
        assert tool.main(changed) == 2
        error = capsys.readouterr().err
        assert message in error and error.count('factor_table:') == 1
    assert not (tmp_path / 'out').exists()


def test_copies_of_another_file(tool, words, tmp_path, capsys):
    path = tmp_path / 'annotations.json'
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | dict(images=data['images'][1:], annotations=[
        a for a in data['annotations'] if a['image_id'] != 0])))
    assert tool.main(words) == 2
    assert 'holds image 0, which --annotations lacks' in capsys.readouterr().err


def test_a_table_that_cannot_be_written_is_told_before_anything_is_scored(tool, words, tmp_path, capsys):
    (tmp_path / 'out' / 'factor_table.md').mkdir(parents=True)
    assert tool.main(words) == 2
    assert 'factor_table.md: is a folder, not a file; choose another path\n' in capsys.readouterr().err
    assert not (tmp_path / 'out' / 'factor_table.json').exists()


def test_a_failed_write_keeps_the_older_table(tool, words, tmp_path, monkeypatch, capsys):
    """A full disk: what is renamed last fails."""
    assert tool.main(words) == 0
    before = (tmp_path / 'out' / 'factor_table.md').read_text()
    replace = os.replace

    def full(source, target):
        if str(target).endswith('.md'):
            raise OSError(28, 'No space left on device')
        replace(source, target)
    monkeypatch.setattr(os, 'replace', full)
    assert tool.main([*words, '--min-score', '1']) == 2
    assert 'factor_table.md: cannot be written (No space left on device)' in capsys.readouterr().err
    assert (tmp_path / 'out' / 'factor_table.md').read_text() == before
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['factor_table.json', 'factor_table.md']
