"""The demo's own small decisions: which films to explain, and what is made again."""

import os

import pytest

from demo import films_with_cells, is_newer
from mmleuk.errors import UserError
from mmleuk.structures.prediction import Cell, Prediction, Run, RunInfo
from mmleuk.structures.prediction_files import to_json


def test_films_without_leukocytes_are_left_out(tmp_path):
    def film(name, *types):
        return Prediction(name, (9, 9), tuple(Cell((0., 0., 4., 4.), 0.9, 0, kind) for kind in types), f'/{name}')

    info = RunInfo(('Blast', 'RBC'), leukocytes=('Blast',))
    path = to_json(Run(info, (film('a', 'RBC'), film('b', 'RBC', 'Blast'), film('c'))), tmp_path / 'predictions.json')
    assert films_with_cells(path) == ['/b']
    with pytest.raises(UserError, match='no leukocyte was found'):
        films_with_cells(to_json(Run(info, (film('a', 'RBC'),)), tmp_path / 'none.json'))


def test_older_results_are_removed_and_newer_ones_stay(tmp_path):
    source, made = tmp_path / 'weights.pth', tmp_path / 'out' / 'linear.json'
    made.parent.mkdir()
    for path, seconds in ((source, 100), (made, 200)):
        path.write_text('')
        os.utime(path, (seconds, seconds))
    assert is_newer(made, source) and made.exists()
    os.utime(source, (300, 300))
    assert not is_newer(made, source) and not made.parent.exists()
    assert not is_newer(made, source)
