"""Reading annotations and predictions: by name, strict, and with errors that name file and record."""

import copy
import json

import numpy as np
import pytest

from mmleuk.datasets.annotations import read_ground_truth
from mmleuk.errors import UserError
from mmleuk.evaluation.coco_metric import name_classes
from mmleuk.evaluation.detections import read_detections
from mmleuk.evaluation.evaluate import Settings, evaluate_files
from mmleuk.evaluation.groups import groups_of
from mmleuk.evaluation.tables import notes
from mmleuk.structures.ground_truth import ImageTruth
from mmleuk.structures.prediction import Cell, Prediction, Run, RunInfo, run_to_dict

TRUTH = dict(
    images=[dict(id=7, file_name='val/a.png', width=100, height=80),
            dict(id=2, file_name='val/b.png', width=100, height=80)],
    annotations=[dict(id=1, image_id=7, category_id=5, bbox=[10, 10, 20, 20]),
                 dict(id=2, image_id=2, category_id=3, bbox=[40, 10, 20, 20])],
    categories=[dict(id=5, name='WBC'), dict(id=3, name='RBC')])
RESULTS = [dict(image_id=7, category_id=5, bbox=[10, 10, 20, 20], score=0.9),
           dict(image_id=2, category_id=3, bbox=[40, 10, 20, 20], score=0.8)]


def write(folder, truth=TRUTH, results=RESULTS):
    paths = folder / 'truth.json', folder / 'results.json'
    for path, data in zip(paths, (truth, results)):
        path.write_text(data if isinstance(data, str) else json.dumps(data))
    return paths


def changed(data, table, index, **values):
    data = copy.deepcopy(data)
    (data[table] if table else data)[index].update(values)
    return data


def run_of(**changes):
    """What mmleuk infer saves of the two images."""
    cell = Cell((10.0, 10.0, 30.0, 30.0), 0.9, 0, 'WBC')
    predictions = (Prediction('a.png', (80, 100), (cell,)), Prediction('b.png', (80, 100), ()))
    return Run(RunInfo(**{'classes': ('WBC', 'RBC', 'Blast'), 'min_score': 0.25, **changes}), predictions)


def test_images_and_classes_by_id_whatever_the_order(tmp_path):
    truth = read_ground_truth(write(tmp_path)[0])
    assert truth.classes == ('RBC', 'WBC') and [image.image_id for image in truth.images] == [2, 7]
    detections, _ = read_detections(tmp_path / 'results.json', truth)
    assert detections.image_of.tolist() == [0, 1] and detections.labels.tolist() == [0, 1]
    assert truth.areas.tolist() == [400, 400] and not truth.ignored.any()


@pytest.mark.parametrize('table, place, values, message', [
    ('images', 0, dict(width=0), r'image val/a.png: width is 0'),
    ('images', 1, dict(id=7), r'image val/b.png: its id 7 occurs twice'),
    ('images', 0, dict(file_name=None), r"image 0 of the list: the key 'file_name' is missing"),
    ('annotations', 1, dict(image_id=9), r'annotation 2: image_id 9 is no image'),
    ('annotations', 1, dict(category_id=9), r'annotation 2 of image val/b.png: category_id 9 is no category'),
    ('annotations', 0, dict(bbox=[1, 2, float('nan'), 4]), r'annotation 1 of image val/a.png: bbox .*holds NaN'),
    ('annotations', 0, dict(bbox=[1, 2, 0, 4]), r'annotation 1 of image val/a.png: bbox .* has zero or negative width'),
    ('annotations', 0, dict(area='big'), r"annotation 1 of image val/a.png: area is 'big'"),
    ('categories', 1, dict(name='WBC'), r"category 1: .*'WBC' occurs twice")])
def test_bad_annotations(tmp_path, table, place, values, message):
    path, _ = write(tmp_path, changed(TRUTH, table, place, **values))
    with pytest.raises(UserError, match=rf'truth\.json: {message}'):
        read_ground_truth(path)


@pytest.mark.parametrize('values, message', [
    (dict(image_id=8), 'image_id 8 is no image of the annotation file'),
    (dict(category_id=0), r'category_id 0 is no category of the annotation file, which has 3 \(RBC\), 5 \(WBC\)'),
    (dict(category_name='Blast', category_id=5), "category_name 'Blast' and category_id 5 disagree"),
    (dict(bbox=[1, float('nan'), 3, 4]), 'bbox .* not four finite numbers'),
    (dict(bbox=[1, 2, -3, 4]), 'bbox .* has a negative size'),
    (dict(bbox=[1, 2, 3]), 'not four finite numbers'),
    (dict(bbox=['1', 2, 3, 4]), 'not four finite numbers'),
    (dict(bbox=None), 'bbox is None'),
    (dict(score=1.5), 'score is 1.5; a score is a number from 0 to 1'),
    (dict(score=-0.1), 'score is -0.1'),
    (dict(score=float('nan')), 'score is nan'),
    (dict(score='0.5'), "score is '0.5'"),
    (dict(score=True), 'score is True'),
    (dict(score=10**400), 'score is 1000'),
    (dict(bbox=[1, 2, 3, 10**400]), 'not four finite numbers'),
    (dict(image_id=[7]), r'image_id is \[7\]'),
    (dict(category_id=None), "'category_id' is missing"),
    (dict(category_name=['RBC']), 'disagree')])
def test_bad_results(tmp_path, values, message):
    paths = write(tmp_path, results=changed(RESULTS, None, 1, **values))
    with pytest.raises(UserError, match=rf'results\.json: record 1: .*{message}'):
        evaluate_files(*paths)


@pytest.mark.parametrize('text', ['{"images": [', '[{"image_id": 7, "bbox": [1, 2', '', '\x00'])
def test_truncated_files(tmp_path, text):
    for truth, results in ((text, RESULTS), (TRUTH, text)):
        with pytest.raises(UserError, match=r'(truth|results)\.json: line 1, column \d+: not valid JSON'):
            evaluate_files(*write(tmp_path, truth, results))


def test_ids_in_another_spelling(tmp_path):
    results = [dict(result, image_id=str(result['image_id']), category_id=float(result['category_id']))
               for result in RESULTS]
    assert evaluate_files(*write(tmp_path, results=results)).scores.ap() == pytest.approx(1)


def test_files_of_another_kind(tmp_path):
    truth, results = write(tmp_path)
    with pytest.raises(UserError, match=r'results\.json: holds a list, .*is it a file of predictions'):
        evaluate_files(results, truth)
    with pytest.raises(UserError, match='is an annotation file, not predictions'):
        evaluate_files(truth, truth)
    with pytest.raises(UserError, match=r'no\.json: no such file'):
        evaluate_files(truth, tmp_path / 'no.json')
    with pytest.raises(UserError, match='not a predictions file of this version'):
        evaluate_files(*write(tmp_path, results={'format': 'other'}))
    with pytest.raises(UserError, match='broken predictions file'):
        evaluate_files(*write(tmp_path, results=changed(run_to_dict(run_of()), 'images', 0, cells=[
            dict(box=[1, 2, 3], score=1, label=0, class_name='WBC', attributes={})])))
    with pytest.raises(UserError, match=r'truth\.json: categories is empty'):
        evaluate_files(*write(tmp_path, {**TRUTH, 'categories': []}))
    with pytest.raises(UserError, match=r"truth\.json: the key 'categories' is missing"):
        evaluate_files(*write(tmp_path, {'images': [], 'annotations': []}))


@pytest.mark.parametrize('options', [dict(min_score=1.5), dict(min_iou=0.1), dict(max_detections=0)])
def test_bad_settings(options):
    with pytest.raises(UserError, match='--m'):
        Settings(**options)


def test_a_class_name_counts_and_not_its_number(tmp_path):
    """A test without an annotation file numbers classes by their place, here 0 and 1 for 3 and 5."""
    names = {3: 'RBC', 5: 'WBC'}
    places = [dict(result, category_name=names[result['category_id']], category_id=int(result['category_id'] == 3))
              for result in RESULTS]
    by_name, by_number = (evaluate_files(*write(tmp_path, results=results)) for results in (places, RESULTS))
    assert by_name.scores.ap() == by_number.scores.ap()
    assert (by_name.confusion.counts == by_number.confusion.counts).all()
    assert {result['category_id'] for result in places} == {0, 1}


def test_a_class_that_only_the_predictions_have(tmp_path):
    results = [*RESULTS, dict(image_id=7, category_id=6, category_name='Blast', bbox=[1, 1, 5, 5], score=0.7)]
    found = evaluate_files(*write(tmp_path, results=results))
    assert found.truth.classes == ('RBC', 'WBC', 'Blast')
    assert found.scores.ap() == pytest.approx(1) and np.isnan(found.scores.ap(label=2))
    assert found.confusion.counts[-1].tolist() == [0, 0, 1, 0]


def test_a_run_of_infer(tmp_path):
    paths = write(tmp_path, results=run_to_dict(run_of()))
    found = evaluate_files(*paths)
    assert found.truth.classes == ('RBC', 'WBC', 'Blast') and found.detections.min_score == 0.25
    assert found.detections.boxes_xywh.tolist() == [[10, 10, 20, 20]] and found.detections.labels.tolist() == [1]
    assert found.scores.ap() == pytest.approx(0.5)  # the RBC was not found


@pytest.mark.parametrize('place, values, message', [
    (0, dict(image='c.png'), 'image c.png matches 0 images'),
    (0, dict(image='b.png'), 'two images are the same image'),
    (0, dict(height=81), r'image a.png has height and width \(81, 100\)'),
    (0, dict(cells=[dict(box=[9, 9, 1, 1], score=0.5, label=0, class_name='WBC', attributes={})]),
     'image a.png, cell 1: box .* ends before it begins'),
    (0, dict(cells=[dict(box=[1, 1, 9, 9], score=2, label=0, class_name='WBC', attributes={})]),
     '2 is no float from 0 to 1'),
    (0, dict(cells=[dict(box=[1, 1, 9, 9], score=1, label=0, class_name='X', attributes={})]), "class 'X' isn't")])
def test_bad_runs(tmp_path, place, values, message):
    data = changed(run_to_dict(run_of()), 'images', place, **values)
    with pytest.raises(UserError, match=rf'results\.json: .*{message}'):
        evaluate_files(*write(tmp_path, results=data))


def test_a_run_of_fewer_images(tmp_path):
    data = run_to_dict(run_of())
    del data['images'][1]
    with pytest.raises(UserError, match=r'lacks 1 images of .*first val/b\.png'):
        evaluate_files(*write(tmp_path, results=data))


def test_saved_results_get_the_files_ids_and_names(tmp_path):
    path = tmp_path / 'r.bbox.json'
    path.write_text(json.dumps([dict(category_id=0), dict(category_id=1), dict(category_id=2)]))
    name_classes(path, ('WBC', 'Blast', 'RBC'), {'RBC': 3, 'WBC': 5})
    assert json.loads(path.read_text()) == [dict(category_id=5, category_name='WBC'),
                                            dict(category_id=6, category_name='Blast'),
                                            dict(category_id=3, category_name='RBC')]


def test_groups_of_images():
    def image(domain=None, factors=None):
        return ImageTruth(0, 'a.png', 1, 1, domain=domain, factors=factors)

    groups = groups_of([image('x', ['blur']), image(None, {'dust': 0.5, 'blur': True}), image('y', []), image()], 'f')
    assert [(g.kind, g.name, g.images.tolist()) for g in groups] == [
        ('domain', 'x', [True, False, False, False]), ('domain', 'y', [False, False, True, False]),
        ('domain', '(not stated)', [False, True, False, True]),
        ('factor', 'blur', [True, True, False, False]), ('factor', 'dust = 0.5', [False, True, False, False]),
        ('factor', '(none)', [False, False, True, False]), ('factor', '(not stated)', [False, False, False, True])]
    assert groups_of([image(), image()], 'f') == []
    with pytest.raises(UserError, match=r'f: image a\.png: factors is 3'):
        groups_of([image(factors=3)], 'f')


def test_corners_and_shares_in_predictions_are_noted(tmp_path):
    """They read as boxes of other cells: without a note the scores are 0 and nobody knows why."""
    def said(*boxes):
        results = [dict(image_id=7, category_id=5, bbox=box, score=0.9) for box in boxes]
        return ' '.join(notes(evaluate_files(*write(tmp_path, results=results), Settings())))
    assert 'holds the corners x1, y1, x2, y2' in said([10, 10, 30, 30], [60, 50, 80, 70], [70, 60, 90, 79])
    assert 'holds shares of the image' in said([0.1, 0.1, 0.2, 0.2], [0.5, 0.5, 0.2, 0.2], [0.7, 0.6, 0.2, 0.2])
    assert 'The detections: ' not in said([10, 10, 20, 20], [60, 50, 20, 20], [70, 60, 20, 19])
