"""The tools that measure banks and the order of cells to look at."""

import json
import sys
from pathlib import Path

import pytest
from run_fixtures import make_cell

from mmleuk.structures.prediction import Prediction, Run, RunInfo
from mmleuk.structures.prediction_files import to_json


def test_a_bank_is_measured(load_tool, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['measure_bank.py', str(tmp_path / 'b.db'), '--cells', '2000'])
    load_tool('measure_bank').main()
    out = capsys.readouterr().out
    assert out.startswith('2,000 cells in ') and out.rstrip().splitlines()[-1].split()[-1] == '2,000'


def test_the_review_page_is_measured(load_tool, tmp_path, monkeypatch, capsys):
    pytest.importorskip('playwright', reason='needs Playwright (pip install playwright)')
    if not Path('/usr/bin/chromium').exists():
        pytest.skip('needs Chromium (apt-get install chromium)')
    monkeypatch.setattr(sys, 'argv', ['measure_review.py', str(tmp_path / 'm'), '--cells', '30', '--side', '300'])
    assert load_tool('measure_review').main() == 0
    out = capsys.readouterr().out
    assert out.startswith('30 cells in a field of 300 x 300 px') and 'confirm, until the next cell is shown' in out
    assert (tmp_path / 'm/page.png').exists()


def test_errors_among_the_first(load_tool, tmp_path, monkeypatch, capsys):
    """One right, one of another class, one twice, one on nothing."""
    classes = ('WBC', 'RBC')
    cells = [('WBC', 0.9, (0., 0., 10., 10.)), ('RBC', 0.8, (20., 20., 30., 30.)), ('WBC', 0.5, (0., 0., 10., 9.)),
             ('WBC', 0.4, (50., 50., 60., 60.))]
    run = Run(RunInfo(classes), (Prediction('a.png', (99, 99), tuple(
        make_cell(name, classes=classes, score=score, box=box) for name, score, box in cells)),))
    coco = dict(images=[dict(id=1, file_name='a.png', width=99, height=99)],
                categories=[dict(id=1, name='WBC'), dict(id=2, name='RBC')],
                annotations=[dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 10, 10], area=100, iscrowd=0),
                             dict(id=2, image_id=1, category_id=1, bbox=[20, 20, 10, 10], area=100, iscrowd=0)])
    (tmp_path / 't.json').write_text(json.dumps(coco))
    path = str(to_json(run, tmp_path / 'p.json'))
    for flags, words in (([], '3 cells, 2 wrong'), (['--all'], '4 cells, 3 wrong'),
                         (['--rename', 'WBC=RBC'], '3 cells, 3 wrong')):
        monkeypatch.setattr(sys, 'argv', ['measure_first_look.py', path, str(tmp_path / 't.json'), *flags])
        assert load_tool('measure_first_look').main() == 0
        out = capsys.readouterr().out
        assert out.startswith(words) and 'first' not in out  # of 3 cells no 20 come first, and no 13.3 are wrong
    monkeypatch.setattr(sys, 'argv', ['measure_first_look.py', path, str(tmp_path / 't.json'), '--rename', 'W=RBC'])
    assert load_tool('measure_first_look').main() == 2
    assert 'OLD is one of WBC, RBC' in capsys.readouterr().err


def test_errors_at_random_are_a_share_of_the_first(load_tool, tmp_path, monkeypatch, capsys):
    """22 cells, of which the 11 with the lowest scores are wrong: 11 among the first 20, 10 at random."""
    cells = [('WBC', 0.9 - 0.01 * n, (4. * n, 0., 4. * n + 4, 4.)) for n in range(22)]
    run = Run(RunInfo(('WBC',)), (Prediction('a.png', (99, 99), tuple(
        make_cell(name, classes=('WBC',), score=score, box=box) for name, score, box in cells)),))
    coco = dict(images=[dict(id=1, file_name='a.png', width=99, height=99)], categories=[dict(id=1, name='WBC')],
                annotations=[dict(id=n + 1, image_id=1, category_id=1, bbox=[4 * n, 0, 4, 4], area=16, iscrowd=0)
                             for n in range(11)])
    (tmp_path / 't.json').write_text(json.dumps(coco))
    path = str(to_json(run, tmp_path / 'p.json'))
    monkeypatch.setattr(sys, 'argv', ['measure_first_look.py', path, str(tmp_path / 't.json')])
    assert load_tool('measure_first_look').main() == 0
    assert capsys.readouterr().out.splitlines() == ['22 cells, 11 wrong', 'first 20: 11 wrong; at random 10.0']
