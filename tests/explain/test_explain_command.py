"""mmleuk bottleneck and mmleuk explain on a recogniser with random weights, and the page's own arithmetic."""

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score
from small_attri_det import SCHEMA, write_attri_det, write_films

from mmleuk.apis import Inferencer
from mmleuk.cli import main
from mmleuk.errors import UserError
from mmleuk.explain import Bottleneck, ExplainedCell, page
from mmleuk.explain.explainer import Explainer
from mmleuk.explain.page import model_data
from mmleuk.explain.scoring import type_scores
from mmleuk.explain.stained import stained_share
from mmleuk.schema import AttributeSchema
from mmleuk.structures.prediction import Cell, Prediction, Run, RunInfo
from mmleuk.structures.prediction_files import to_json

SCRIPT = Path(__file__).parents[2] / 'mmleuk/report/templates/explain.js'


def rows_of(path):
    return list(csv.DictReader(open(path, encoding='utf-8')))


def test_bottleneck_command_writes_models_scores_and_predictions(bottlenecks):
    linear, boosted = (Bottleneck.from_json(bottlenecks / f'{kind}.json') for kind in ('linear', 'boosted'))
    assert linear.types == boosted.types == ('Disc', 'Ring')
    assert linear.schema.keys == ('granule_colour', 'size')  # the type itself is no concept
    scores = {row['model']: row for row in rows_of(bottlenecks / 'scores.csv')}
    assert list(scores) == ['linear bottleneck', 'boosted bottleneck', 'black box']
    predictions = rows_of(bottlenecks / 'predictions.csv')
    assert len(predictions) == 12 and {row['linear'] for row in predictions} <= {'Disc', 'Ring'}
    for name, column in (('linear bottleneck', 'linear'), ('black box', 'black_box')):
        truth, found = ([row[key] for row in predictions] for key in ('label', column))
        assert float(scores[name]['accuracy']) == pytest.approx(accuracy_score(truth, found))
        assert float(scores[name]['macro_F1']) == pytest.approx(f1_score(truth, found, average='macro'))


def test_bias_reads_the_predictions(bottlenecks, tmp_path):
    assert main(['bias', str(bottlenecks / 'predictions.csv'), '--prediction-column', 'black_box',
                 '--attributes', str(bottlenecks.parent / 'cells.csv'), '--out', str(tmp_path / 'bias')]) == 0


def test_macro_f1_is_scikit_learns_and_its_interval_covers_it():
    generator = np.random.default_rng(0)
    truth = generator.choice(list('abc'), 200, p=[0.6, 0.3, 0.1])
    found = np.where(generator.uniform(size=200) < 0.8, truth, generator.choice(list('abcd'), 200))
    row = type_scores('x', truth.tolist(), found.tolist())
    assert row['macro_F1'] == pytest.approx(f1_score(truth, found, labels=list('abc'), average='macro'))
    assert row['macro_F1_low'] < row['macro_F1'] < row['macro_F1_high']
    assert row == type_scores('x', truth.tolist(), found.tolist())


def test_a_sample_without_a_rare_type_does_not_score_it_0():
    """Half of all samples lack a type with one cell; with all cells right no sample has an error."""
    names = ['common'] * 30 + ['rare']
    row = type_scores('x', names, names)
    assert (row['macro_F1'], row['macro_F1_low'], row['macro_F1_high']) == (1, 1, 1)
    found = np.array(names[:-4] + ['rare'] * 4)
    drawn = np.random.default_rng(0).integers(0, 31, (200, 31))
    by_hand = [f1_score(truth, found[rows], labels=np.unique(truth), average='macro', zero_division=0)
               for rows, truth in zip(drawn, np.array(names)[drawn])]
    row = type_scores('x', names, found.tolist(), samples=200)
    assert [row['macro_F1_low'], row['macro_F1_high']] == pytest.approx(np.quantile(by_hand, [0.025, 0.975]))


def explain(lab, bottlenecks, out, *more, inputs=None, kind='linear'):
    return main(['explain', *(inputs or [lab.crops]), lab.config, lab.checkpoint, str(bottlenecks / f'{kind}.json'),
                 '--out', str(out), '--device', 'cpu', *more])


@pytest.mark.parametrize('kind', ['linear', 'boosted'])
def test_crops_are_explained(lab, bottlenecks, tmp_path, capsys, kind):
    out = tmp_path / 'out'
    assert explain(lab, bottlenecks, out, '--set', 'granule_colour=purple', kind=kind) == 0
    printed = capsys.readouterr().out
    assert 'cell_00.png: ' in printed
    data = json.loads((out / 'explanation.json').read_text())['cells']
    rows = rows_of(out / 'cells.csv')
    assert len(data) == len(rows) == 12 and {row['granule_colour'] for row in rows} == {'purple'}
    bottleneck = Bottleneck.from_json(bottlenecks / f'{kind}.json')
    for cell in data:
        concepts = np.array([*cell['attributes']['granule_colour'].values(), *cell['attributes']['size'].values()])
        assert list(cell['type_probabilities'].values()) == bottleneck.probabilities(concepts[None])[0].tolist()
        if cell['edits']:
            concepts[:3] = 0, 0, 1
            edited = cell['edited']['type_probabilities']
            assert list(edited.values()) == bottleneck.probabilities(concepts[None])[0].tolist()
    page = (out / 'explanation.html').read_text()
    assert page.count('<section class="cell"') == 12
    assert not re.search(r'(src|href)="(?!data:)', page) and 'http' not in page.replace('http://www.w3.org', '')


def test_api_edits_and_takes_back(lab, bottlenecks):
    cells = Explainer(lab.config, lab.checkpoint, bottlenecks / 'linear.json', device='cpu')(lab.crops)
    cell = cells[0]
    other = next(value for value in ('nil', 'purple') if value != cell.schema.decode(
        'granule_colour', cell.predicted['granule_colour']))
    changed = cell.edit(granule_colour=other)
    assert not np.array_equal(changed.type_probabilities, cell.type_probabilities)
    assert np.array_equal(changed.edit(cell.predicted).type_probabilities, cell.type_probabilities)


def film_with_cells(folder, paint, count=2):
    """A film of painted cells and what a detector said of it."""
    film = np.full((120, 200, 3), 225, np.uint8)
    cells = []
    for number in range(count):
        film[40:88, 20 + 90 * number:68 + 90 * number] = paint(number)[0]
        cells.append(Cell((30.0 + 90 * number, 50.0, 58.0 + 90 * number, 78.0), 0.9, 0, 'WBC'))
    cells.append(Cell((0.0, 0.0, 20.0, 20.0), 0.8, 1, 'RBC'))
    path = folder / 'film.png'
    cv2.imwrite(str(path), film)
    prediction = Prediction('film.png', (120, 200), tuple(cells), str(path))
    run = Run(RunInfo(('WBC', 'RBC'), leukocytes=('WBC',)), (prediction,))
    return path, to_json(run, folder / 'predictions.json')


def test_detections_of_a_film_are_explained(lab, bottlenecks, paint_cell, tmp_path):
    film, predictions = film_with_cells(tmp_path, paint_cell)
    out = tmp_path / 'out'
    assert explain(lab, bottlenecks, out, '--cells', str(predictions), inputs=[str(film)]) == 0
    rows = rows_of(out / 'cells.csv')
    assert [row['img_name'] for row in rows] == ['film.png#1', 'film.png#2']  # the red cell is none of them
    assert {row['found_as'] for row in rows} == {'WBC'} and rows[1]['x1'] == '120.0'


@pytest.mark.parametrize('change, message', [
    (dict(more=['--set', 'granule_color=pink']), "did you mean 'granule_colour'?"),
    (dict(more=['--set', 'granule_colour=blue']), "has the value 'blue'"),
    (dict(empty=True), 'shows no cell'),
    (dict(inputs=['nowhere.png']), 'no such file'),
    (dict(no_cells=True), 'no cell with attributes was found'),
    (dict(bottleneck='scores.csv'), 'not valid JSON')])
def test_bad_input_is_one_line_and_writes_nothing(lab, bottlenecks, paint_cell, tmp_path, capsys, change, message):
    inputs, more = change.get('inputs'), change.get('more', [])
    if change.get('empty'):
        cv2.imwrite(str(tmp_path / 'empty.png'), np.full((60, 60, 3), 225, np.uint8))
        inputs = [lab.crops, str(tmp_path / 'empty.png')]
    if change.get('no_cells'):
        film, predictions = film_with_cells(tmp_path, paint_cell, count=0)
        inputs, more = [str(film)], ['--cells', str(predictions)]
    out = tmp_path / 'out'
    arguments = ['explain', *(inputs or [lab.crops]), lab.config, lab.checkpoint,
                 str(bottlenecks / change.get('bottleneck', 'linear.json')), '--out', str(out), *more]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1 and not out.exists()


def test_another_models_bottleneck_is_refused(lab, bottlenecks, tmp_path):
    data = json.loads((bottlenecks / 'linear.json').read_text())
    data['schema']['size']['values'] = ['tiny', 'huge']
    with pytest.raises(UserError, match='fit one for this model'):
        Explainer(lab.config, lab.checkpoint, Bottleneck.from_dict(data), device='cpu')


def test_stained_share_by_hand():
    """A quarter of the image lets through half of the red light: 0.69 in density."""
    image = np.full((96, 96, 3), 200, np.uint8)
    image[:48, :48, 2] = 100
    assert stained_share(image) == 0.25
    image[:48, :48, 2] = 180  # as pale as a red cell
    assert stained_share(image) == 0.0


def test_one_cell_more_than_is_printed(lab, bottlenecks, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('mmleuk.commands.explain.MOST_PRINTED', 11)
    assert explain(lab, bottlenecks, tmp_path / 'out') == 0
    assert '... and 1 more cell\n' in capsys.readouterr().out


def test_pictures_are_of_shown_cells_and_each_image_is_read_once(tmp_path, monkeypatch):
    read, cells = [], []
    for number, path in enumerate(['b.png', 'a.png', 'b.png']):
        cv2.imwrite(str(tmp_path / path), np.full((30, 30, 3), 50 * (path == 'b.png'), np.uint8))
        cells.append(ExplainedCell(str(number), str(tmp_path / path), (2., 2., 12., 12.), np.ones(1), None))
    monkeypatch.setattr(ExplainedCell, 'type_name', 'WBC')
    monkeypatch.setattr(page, 'load_image', lambda path, load=page.load_image: read.append(path) or load(path))
    found = page.cell_pictures(cells)
    assert [picture.getpixel((56, 56)) for picture in found] == [(50,) * 3, (0,) * 3, (50,) * 3]
    assert read == [str(tmp_path / 'a.png'), str(tmp_path / 'b.png')]


def test_the_command_draws_no_cell_that_the_page_does_not_show(lab, bottlenecks, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(page, 'MOST_CELLS', 2)
    monkeypatch.setattr(page, 'picture_of', lambda cell, image, draw=page.picture_of: drawn.append(cell.name) or draw(
        cell, image))
    assert explain(lab, bottlenecks, tmp_path / 'out') == 0
    assert len(drawn) == 2 and len(rows_of(tmp_path / 'out/cells.csv')) > 2


@pytest.mark.skipif(shutil.which('node') is None, reason='needs node to run the script of the page')
@pytest.mark.parametrize('kind', ['linear', 'boosted'])
def test_the_page_computes_the_same(bottlenecks, tmp_path, kind):
    bottleneck = Bottleneck.from_json(bottlenecks / f'{kind}.json')
    generator = np.random.default_rng(0)
    concepts = np.concatenate([generator.dirichlet([1] * 3, 50), generator.dirichlet([1] * 2, 50)], 1)
    values = np.stack([generator.integers(0, 3, 50), generator.integers(0, 2, 50)], 1)
    (tmp_path / 'input.json').write_text(json.dumps(dict(
        model=model_data(bottleneck), concepts=concepts.tolist(), values=values.tolist())))
    shutil.copy(SCRIPT, tmp_path / 'explain.js')
    (tmp_path / 'run.js').write_text("""
const page = require('./explain.js'), { model, concepts, values } = require('./input.json');
const changed = concepts.map((row, index) => page.edited(model, row, values[index]));
console.log(JSON.stringify({
  changed, shares: changed.map(row => page.probabilities(model, row)),
  added: changed.map(row => page.contributions(model, row)),
  same: concepts.map(row => page.edited(model, row, page.predictedValues(model, row))) }));
""")
    result = subprocess.run(['node', 'run.js'], cwd=tmp_path, capture_output=True, text=True, check=True)
    found = json.loads(result.stdout)
    cells = [ExplainedCell('', '', None, row, bottleneck).edit(dict(zip(bottleneck.schema.keys, edit)))
             for row, edit in zip(concepts, values.tolist())]
    assert found['changed'] == [cell.edited_concepts.tolist() for cell in cells]
    np.testing.assert_allclose(found['shares'], [cell.type_probabilities for cell in cells], atol=1e-12)
    np.testing.assert_allclose(found['added'], bottleneck.contributions(np.array(found['changed'])), atol=1e-12)
    assert found['same'] == concepts.tolist()


def test_cells_that_a_detector_with_attributes_finds_are_explained(tmp_path):
    config, checkpoint = write_attri_det(tmp_path)
    write_films(tmp_path / 'films')
    schema = AttributeSchema.from_dict(SCHEMA)
    weights = np.random.default_rng(0).normal(size=(3, sum(schema.cardinalities)))
    bottleneck = Bottleneck('linear', ('None', 'Blast', 'Neutrophil'), schema, np.zeros(3), weights)
    explainer = Explainer(config, checkpoint, bottleneck, device='cpu', min_score=0.01)
    cells = explainer(tmp_path / 'films')
    found = Inferencer(config, checkpoint, 'cpu', min_score=0.01)(tmp_path / 'films')
    expected = [(f'{prediction.image}#{number}', cell) for prediction in found
                for number, cell in enumerate(prediction.cells, start=1)]
    assert len(cells) == len(expected) > 3
    for cell, (name, detection) in zip(cells, expected):
        assert (cell.name, cell.box_xyxy, cell.other_type) == (name, detection.box, detection.class_name)
        assert cell.values == {key: reading['value_index'] for key, reading in detection.attributes.items()}
        assert cell.concepts.max() == pytest.approx(max(r['prob'] for r in detection.attributes.values()))
        assert [cell.concepts[span].sum() for span in bottleneck.spans] == pytest.approx([1, 1])
    with pytest.raises(UserError, match='no cell with attributes was found'):
        Explainer(config, checkpoint, bottleneck, device='cpu', min_score=1.0)(tmp_path / 'films')
