"""Saved predictions: fused, scored beside the single models, and refused when they don't belong together."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from mmleuk import cli
from mmleuk.ensemble.files import fuse_files, logged_metrics, rows
from mmleuk.ensemble.fusion import FusionSettings
from mmleuk.ensemble.runs import fuse_runs
from mmleuk.errors import UserError
from mmleuk.evaluation.evaluate import evaluate_files
from mmleuk.evaluation.tables import class_rows, summary
from mmleuk.schema import AttributeSchema
from mmleuk.structures.prediction import Cell, Prediction, Run, RunInfo
from mmleuk.structures.prediction_files import from_json, to_json

IMAGES = [dict(id=7, file_name='a.png', width=100, height=80), dict(id=3, file_name='b.png', width=100, height=80)]
CATEGORIES = [dict(id=5, name='WBC'), dict(id=2, name='RBC')]
IDS = {'WBC': 5, 'RBC': 2}
SCHEMA = AttributeSchema.from_dict({'shape': ['round', 'odd'], 'hue': ['red', 'blue', 'grey']})


def truth():
    cells = [(7, 'WBC', [0, 0, 10, 10]), (7, 'RBC', [50, 50, 20, 20]), (3, 'RBC', [10, 10, 20, 20])]
    return dict(images=IMAGES, categories=CATEGORIES, annotations=[
        dict(id=n, image_id=image, category_id=IDS[name], bbox=box, area=box[2] * box[3], iscrowd=0)
        for n, (image, name, box) in enumerate(cells, start=1)])


def result(image, name, box, score, **other):
    return dict(image_id=image, category_id=IDS.get(name, 99), bbox=box, score=score) | other


RESULTS = dict(
    a=[result(7, 'WBC', [0, 0, 10, 10], 0.6), result(3, 'RBC', [10, 10, 20, 20], 0.9),
       result(3, 'RBC', [70, 0, 9, 9], 0.5)],
    b=[result(7, 'WBC', [0, 0, 12, 10], 0.3), result(7, 'RBC', [50, 50, 20, 20], 0.9)],
    c=[])


@pytest.fixture
def files(tmp_path):
    """Paths of the annotations and of three models' COCO results."""
    written = dict(val=truth()) | {f'{name}.bbox': found for name, found in RESULTS.items()}
    for name, content in written.items():
        (tmp_path / f'{name}.json').write_text(json.dumps(content))
    return tmp_path / 'val.json', [tmp_path / f'{name}.bbox.json' for name in 'abc']


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('ensemble')


def reading(key, value, prob):
    index = SCHEMA.encode(key, value)
    return {key: dict(value=value, value_index=index, prob=prob)}


def make_run(*cells, images=('a.png', 'b.png'), classes=('WBC', 'RBC'), schema=SCHEMA, min_score=0.0):
    """A run with these cells (name, box, score, attributes) on its first image."""
    cells = tuple(Cell(box, score, classes.index(name), name, attributes) for name, box, score, attributes in cells)
    return Run(RunInfo(classes, schema, min_score, model='M'), tuple(
        Prediction(name, (80, 100), cells if name == images[0] else ()) for name in images))


def test_fused_by_hand(files):
    comparison = fuse_files(files[1], files[0])
    found = {(r['image_id'], r['category_name']): r for r in comparison.results if r['bbox'][0] != 70}
    # Three models, one of them blind: 0.9 / 3 each, and 0.6 * 10 + 0.3 * 12 over 0.9.
    assert found[7, 'WBC']['bbox'] == pytest.approx([0, 0, 32 / 3, 10]) and found[7, 'WBC']['category_id'] == 5
    assert [r['score'] for r in found.values()] == pytest.approx([0.3, 0.3, 0.3])
    table = rows(comparison)
    assert [(row['model'], row['detections']) for row in table] == [('a', 3), ('b', 2), ('c', 0), ('ensemble', 4)]
    # IoU of 10 / 10.67 for the fused WBC: right up to 0.9, as both RBCs are up to 0.95.
    assert table[-1]['AP WBC'] == pytest.approx(0.9) and table[-1]['AP RBC'] == pytest.approx(1)
    assert table[-1]['mAP_50'] == pytest.approx(1) and table[2]['mAP'] == 0
    assert table[0]['AP RBC'] == pytest.approx(51 / 101)  # one of two found


def test_every_row_is_what_evaluate_says(files, tmp_path):
    comparison = fuse_files(files[1], files[0], FusionSettings(weights=(1, 2, 1)))
    paths = [*files[1], comparison.write(tmp_path / 'fused.json')]
    for path, row in zip(paths, rows(comparison), strict=True):
        alone = evaluate_files(files[0], path)
        assert all(row[key] == value for key, value in summary(alone).items() if key in row)
        assert all(row[f'AP {of_class["class"]}'] == of_class['AP'] for of_class in class_rows(alone))


def test_metrics_under_the_names_of_a_log(files):
    metrics = logged_metrics(rows(fuse_files(files[1], files[0]))[-1])
    assert metrics['coco/bbox_mAP'] == pytest.approx(0.95) and metrics['coco/bbox_mAP_50'] == pytest.approx(1)
    assert metrics['coco/WBC_precision'] == pytest.approx(0.9) and metrics['coco/bbox_AR@100'] == pytest.approx(0.95)


def test_the_command(files, tool, tmp_path, capsys):
    out = tmp_path / 'new' / 'fused.json'
    words = ['--predictions', *map(str, files[1]), '--annotations', str(files[0]), '--out', str(out)]
    assert tool.main([*words, '--names', 'one', 'two|2', 'three', '--weights', '1', '1', '1', '--iou-thr', '0.5',
                      '--nms-thr', '0.6']) == 0
    said = capsys.readouterr().out
    assert {path.name for path in out.parent.iterdir()} == {'fused.json', 'fused.csv', 'fused.md'}
    page = out.with_suffix('.md').read_text()
    assert page in said and '| ensemble | 4 | 0.950 | 1.000 |' in page and 'IoU above 0.5, weights 1 (one)' in page
    assert 'only the highest-scoring box kept where boxes of one model overlap by more than 0.6; a cell' in page
    assert '- three: Nothing was detected in any image.' in page and r'two\|2' in page
    table = list(csv.DictReader(out.with_suffix('.csv').open()))
    assert [row['model'] for row in table] == ['one', 'two|2', 'three', 'ensemble']
    assert cli.main(['evaluate', str(files[0]), str(out), '--out', str(tmp_path / 'e'), '--no-plots']) == 0
    assert json.loads((tmp_path / 'e/evaluation.json').read_text())['coco']['mAP'] == float(table[-1]['mAP'])
    before = out.read_bytes()
    assert tool.main(words) == 0 and out.read_bytes() == before  # the same again, over the old files


def test_no_truth_and_no_detections(tmp_path, files):
    files[0].write_text(json.dumps(truth() | dict(annotations=[])))
    for path in files[1]:
        path.write_text('[]')
    assert [row['mAP'] for row in rows(fuse_files(files[1], files[0]))] == [None] * 4


def test_attributes_are_fused_and_unknown_ones_do_not_vote():
    # Values of two attributes: exact for two values; of three, what is left of the probability is spread evenly.
    box = (0.0, 0.0, 10.0, 10.0)
    unknown = dict(value='unknown', value_index=-1, prob=0.0)
    one = make_run(('WBC', box, 0.6, reading('shape', 'odd', 0.9) | reading('hue', 'blue', 0.8)))
    two = make_run(('WBC', box, 0.2, reading('shape', 'round', 0.7) | dict(hue=unknown)))
    plain = make_run(('WBC', box, 0.8, {}), schema=AttributeSchema())
    fused = fuse_runs([plain, one, two])
    cell, = fused.cells
    assert fused.info.schema == SCHEMA and cell.score == pytest.approx(1.6 / 3)
    odd = (0.6 * 0.9 + 0.2 * 0.3) / 0.8
    assert cell.attributes['shape'] == dict(value='odd', value_index=1, prob=pytest.approx(odd))
    assert cell.attributes['hue'] == dict(value='blue', value_index=1, prob=pytest.approx(0.8))
    alone, = fuse_runs([two, two]).cells
    assert alone.attributes['hue'] == unknown
    three = fuse_runs([make_run(('WBC', box, 0.5, reading('hue', 'red', 0.4))),
                       make_run(('WBC', box, 0.5, reading('hue', 'blue', 0.7)))]).cells[0]
    assert three.attributes['hue']['value'] == 'blue'
    assert three.attributes['hue']['prob'] == pytest.approx((0.3 + 0.7) / 2)


def test_runs_and_results_together(files, tmp_path):
    """Attributes of the one that has them stay; the file holds a run."""
    box = (0.0, 0.0, 10.0, 10.0)
    run = make_run(('WBC', box, 0.5, reading('shape', 'odd', 0.9)), images=('x/b.png', 'x/a.png'), min_score=0.25)
    path = to_json(run, tmp_path / 'run.json')
    comparison = fuse_files([files[1][0], path], files[0])
    assert comparison.results is None
    saved = from_json(comparison.write(tmp_path / 'fused.json'))
    assert [p.image for p in saved.predictions] == ['b.png', 'a.png'] and saved.info.min_score == 0
    assert saved.cells[-1].attributes['shape']['value'] == 'unknown'  # the run's cell is on b.png, this one on a.png
    assert {cell.attributes['shape']['value'] for cell in saved.predictions[0].cells} == {'odd', 'unknown'}
    again = evaluate_files(files[0], tmp_path / 'fused.json')
    assert summary(again)['mAP'] == rows(comparison)[-1]['mAP']
    both = fuse_runs([run, run])
    assert both.info.min_score == pytest.approx(0.125)  # a cell that one of two models saw at 0.25


@pytest.mark.parametrize('scales, expected, diameter', [
    # The fused box is 10.5 x 10 pixels: 0.75 of a width of 10, and 0.25 of one of 12.
    (((0.2, 0.1), (0.2, 0.1)), (0.2, 0.1), (2.1 * 1.0) ** 0.5),
    (((0.2, 0.1), None), (0.2, 0.1), (2.1 * 1.0) ** 0.5),  # who doesn't know it says nothing about it
    (((0.2, 0.1), (0.21, 0.1)), (0.205, 0.1), (2.1525 * 1.0) ** 0.5),  # two measurements
    (((0.2, 0.1), (0.2, 0.12)), None, None),  # two scales: one is wrong
    ((None, None), None, None)])
def test_the_scale_stays_where_the_models_agree(scales, expected, diameter):
    def of_scale(width, score, scale):
        run = make_run(('WBC', (0.0, 0.0, width, 10.0), score, {}))
        return replace(run, predictions=tuple(replace(p, um_per_px=scale) for p in run.predictions))

    fused = fuse_runs([of_scale(10.0, 0.9, scales[0]), of_scale(12.0, 0.3, scales[1])])
    assert [p.um_per_px for p in fused.predictions] == [expected and pytest.approx(expected)] * 2
    cell, = fused.cells
    assert cell.diameter_um == (diameter and pytest.approx(diameter))


def test_confidences_above_one_are_cut():
    cells = [('WBC', (0.0, 0.0, 10.0, 10.0), 1.0, {}), ('WBC', (0.0, 0.0, 10.0, 9.0), 0.9, {})]
    assert [cell.score for cell in fuse_runs([make_run(*cells), make_run(*cells)]).cells] == [1.0]


def other_image(path):
    path.write_text(json.dumps([result(12345, 'WBC', [0, 0, 1, 1], 0.5)]))


def other_class(path):
    path.write_text(json.dumps([result(7, 'Blast', [0, 0, 1, 1], 0.5, category_name='Blast')]))


@pytest.mark.parametrize('spoil, message', [
    (other_image, 'b.bbox.json: record 0: image_id 12345 is no image'),
    (other_class, "a does not know the class 'Blast', which b has"),
    (lambda path: path.unlink(), 'b.bbox.json: no such file'),
    (lambda path: path.write_text('[{'), 'b.bbox.json: line 1'),
    (lambda path: to_json(make_run(images=('a.png',)), path), 'lacks 1 images of'),
    (lambda path: to_json(make_run(images=('a.png', 'b.png', 'c.png')), path), 'image c.png matches 0 images of'),
    (lambda path: to_json(make_run(classes=('WBC', 'Blast')), path), "a does not know the class 'Blast'"),
    (lambda path: to_json(make_run(classes=('WBC',)), path), "b does not know the class 'RBC', which a has"),
    (lambda path: to_json(make_run(('WBC', (0.0, 0.0, 9.0, 9.0), 0.5, dict(shape=dict(
        value='odd', value_index=4, prob=0.5)))), path), 'a cell has shape 4'),
])
def test_files_that_do_not_belong_together(files, tool, tmp_path, capsys, spoil, message):
    spoil(files[1][1])
    out = tmp_path / 'new' / 'fused.json'
    assert tool.main(['--predictions', *map(str, files[1]), '--annotations', str(files[0]), '--out', str(out)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1 and not out.exists()


@pytest.mark.parametrize('words, message', [
    (['--predictions', 'A'], 'at least two models; got 1'), (['--predictions', 'A', 'A'], 'names a file twice'),
    (['--predictions', 'A', 'B', '--weights', '1'], '1 weights for 2 models'),
    (['--predictions', 'A', 'B', '--weights', '1', '0'], 'each must be above 0'),
    (['--predictions', 'A', 'B', '--names', 'x'], '1 names for 2 models'),
    (['--predictions', 'A', 'B', '--names', 'x', 'x'], 'a different name'),
    (['--predictions', 'A', 'B', '--names', 'x', 'ensemble'], "none the name 'ensemble'"),
    (['--predictions', 'A', 'B', '--out', 'A'], 'which is also read'),
    (['--predictions', 'A', 'B', '--out', 'folder'], 'JSON file to write'),
    (['--predictions', 'A', 'B', '--images', 'x'], 'leave --images out'),
    (['--models', 'x.py', 'x.pth'], '--models needs --images'),
    (['--models', 'x.py', 'x.pth', '--images', 'nowhere'], 'at least two models; got 1'),
    (['--models', 'x.py', 'x.pth', '--models', 'y.py', 'y.pth', '--images', 'nowhere'], 'No such file')])
def test_bad_flags(files, tool, tmp_path, capsys, words, message):
    paths = dict(A=str(files[1][0]), B=str(files[1][1]))
    start = ['--annotations', str(files[0]), '--out', str(tmp_path / 'new' / 'fused.json')]
    assert tool.main([*start, *(paths.get(word, word) for word in words)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1 and not (tmp_path / 'new').exists()


@pytest.mark.parametrize('flag', ['--iou-thr', '--skip-box-thr', '--nms-thr', '--min-score', '--max-overlap'])
@pytest.mark.parametrize('value', ['2', 'nan', '-0.1'])
def test_shares_lie_between_0_and_1(files, tool, tmp_path, capsys, flag, value):
    with pytest.raises(SystemExit, match='2'):
        tool.main(['--predictions', *map(str, files[1]), '--annotations', str(files[0]), f'{flag}={value}',
                   '--out', str(tmp_path / 'f.json')])
    assert f"{flag}: '{value}' is no number from 0 to 1" in capsys.readouterr().err


def test_settings_are_checked_outside_the_command_too():
    for bad in (dict(iou_thr=2.0), dict(skip_box_thr=float('nan')), dict(nms_thr=-1.0), dict(weights=(1.0, -1.0))):
        with pytest.raises(UserError, match='must'):
            FusionSettings(**bad)


def test_runs_that_cannot_be_fused():
    good = make_run()
    shapes = AttributeSchema.from_dict({'shape': ['round', 'odd', 'long']})
    for runs, message in (([good], 'at least two models'), ([good, make_run(classes=('WBC',))], 'different classes'),
                          ([good, make_run(images=('a.png',))], 'different images: 1 are in only one of them'),
                          ([good, make_run(images=('a.png', 'a.png', 'b.png'))], 'an image occurs twice'),
                          ([good, make_run(schema=shapes)], "attribute 'shape' has the values round, odd, long")):
        with pytest.raises(UserError, match=message):
            fuse_runs(runs)


def test_boxes_survive_the_file(files, tmp_path):
    comparison = fuse_files(files[1], files[0])
    saved = json.loads(comparison.write(tmp_path / 'fused.json').read_text())
    assert saved == comparison.results
    corners = np.array([cell.box for cell in comparison.fused.cells])
    boxes = np.array([record['bbox'] for record in saved])
    assert boxes[:, :2] + boxes[:, 2:] == pytest.approx(corners[:, 2:])
