"""Any value of a wrong type in annotations or predictions is named in one line; none ends in a traceback."""

import copy
import json

import pytest

from mmleuk.ensemble.files import fuse_files
from mmleuk.errors import UserError
from mmleuk.evaluation.evaluate import evaluate_files
from mmleuk.evaluation.tables import to_dict
from mmleuk.schema import AttributeSchema
from mmleuk.structures.prediction import AttributeReading, Cell, Prediction, Run, RunInfo, run_to_dict

WRONG = (None, True, -1, 1.5, float('nan'), float('inf'), 10**400, 1e308, '', 'x', '\ud800', [], [[]], [1, 2], {},
         {'a': 1})
TRUTH = dict(
    images=[dict(id=1, file_name='a.png', width=100, height=80, domain='d', factors=['blur'],
                 annotated_region=[0, 0, 100, 80])],
    annotations=[dict(id=1, image_id=1, category_id=1, bbox=[10, 10, 20, 20], area=400, iscrowd=0, ignore=0)],
    categories=[dict(id=1, name='WBC')])
RESULTS = [dict(image_id=1, category_id=1, category_name='WBC', bbox=[10, 10, 20, 20], score=0.9)]
READING = AttributeReading(value='small', value_index=0, prob=0.8)
RUN = run_to_dict(Run(RunInfo(('WBC',), AttributeSchema.from_dict({'size': ['small', 'big']})), (
    Prediction('a.png', (80, 100), (Cell((10.0, 10.0, 30.0, 30.0), 0.9, 0, 'WBC', {'size': READING}),)),)))


def paths_of(data, path=()):
    """Every key and index in nested data, the whole first."""
    yield path
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from paths_of(value, (*path, key))


def replaced(data, path, value):
    if not path:
        return value
    data = copy.deepcopy(data)
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return data


@pytest.mark.parametrize('which', ['truth', 'results', 'run'])
def test_every_value_replaced_by_every_wrong_one(tmp_path, which):
    good = dict(truth=TRUTH, results=RESULTS, run=RUN)
    files = {name: tmp_path / f'{name}.json' for name in (*good, 'other')}
    for name, data in good.items():
        files[name].write_text(json.dumps(data))
    refused = 0
    for path in paths_of(good[which]):
        for value in WRONG:
            text = json.dumps(replaced(good[which], path, value))
            files[which].write_text(text)
            files['other'].write_text(text)
            found = files['results' if which == 'truth' else which]
            try:
                json.dumps(to_dict(evaluate_files(files['truth'], found), 'now'))
                fuse_files([found, files['other']], files['truth'])
            except UserError as error:
                assert str(error) and len(str(error)) < 1000, (path, value)
                refused += 1
    assert refused > 50


@pytest.mark.parametrize('text', ['[' * 100_000, '[' * 300 + ']' * 300, '{"a":' * 100_000, '1' * 5000,
                                  '[{"image_id": ' + '[' * 400 + ']' * 400 + '}]'])
def test_deep_nesting_and_endless_numbers(tmp_path, text):
    (tmp_path / 'truth.json').write_text(json.dumps(TRUTH))
    (tmp_path / 'found.json').write_text(text)
    with pytest.raises(UserError, match=r'found\.json'):
        evaluate_files(tmp_path / 'truth.json', tmp_path / 'found.json')
