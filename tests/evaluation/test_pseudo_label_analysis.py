"""Pseudo-labels of checkpoints against the truth that training did not see: the tool, and how it finds who chooses."""

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

from mmleuk.evaluation.pseudo_label_analysis import (
    analyse,
    default_weights,
    find_checkpoints,
    load_epoch,
    settings_of,
    with_labeller,
)
from mmleuk.models.detectors import SparseLabelDetector
from mmleuk.registry import TASK_UTILS

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'sla_det' / 'yolov5n_sla_txl-pbc.py'
SIZE = 640  # twice the training size: boxes of candidates have to be scaled back


def write_data(folder, complete, sparse, region=(0, 0, 320, 320)):
    """One image in TXL-PBC's layout; cells are (class, box xywh)."""
    (folder / 'txl_pbc' / 'annotations').mkdir(parents=True)
    (folder / 'txl_pbc' / 'images').mkdir()
    cv2.imwrite(str(folder / 'txl_pbc' / 'images' / 'film.png'), np.full((SIZE, SIZE, 3), 200, np.uint8))
    categories = [dict(id=i, name=name) for i, name in enumerate(('WBC', 'RBC', 'Platelets'))]
    for name, cells in (('train', complete), ('train_sparse', sparse)):
        image = dict(id=1, file_name='film.png', width=SIZE, height=SIZE)
        if name == 'train_sparse':
            image['annotated_region'] = list(region)
        rows = [dict(id=i, image_id=1, category_id=label, bbox=list(box), area=box[2] * box[3], iscrowd=0)
                for i, (label, box) in enumerate(cells)]
        (folder / 'txl_pbc' / 'annotations' / f'{name}.json').write_text(
            json.dumps(dict(images=[image], annotations=rows, categories=categories)))


def replace_labelled(folder, cell):
    """Another labelled cell, (class, box xywh), for the image of :func:`write_data`."""
    path = folder / 'txl_pbc' / 'annotations' / 'train_sparse.json'
    data = json.loads(path.read_text())
    data['annotations'][0].update(category_id=cell[0], bbox=list(cell[1]), area=cell[1][2] * cell[1][3])
    path.write_text(json.dumps(data))


def predict_everywhere(model, label):
    """At stride 8 the first anchor finds a cell of 10 x 13 input pixels with class ``label`` at every place."""
    with torch.no_grad():
        head = model.detector.bbox_head
        for conv in head.convs:
            conv.weight.zero_()
            conv.bias.fill_(-9.)
        bias = head.convs[0].bias.view(3, -1)
        bias[0, :4], bias[0, 4], bias[0, 5 + label] = 0., 9., 9.


def at(column, row):
    """The box that is predicted there, xywh in pixels of the image."""
    return (2 * (8 * column + 4 - 5), 2 * (8 * row + 4 - 6.5), 20, 26)


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A work dir whose epoch 2 has an average that says RBC and a student that says WBC; and the data."""
    labelled = (1, (40, 40, 16, 20))
    write_data(tmp_path, [labelled, (0, at(30, 30)), (0, at(35, 5)), (1, at(5, 35))], [labelled])
    monkeypatch.setenv('MMLEUK_DATA', str(tmp_path))
    init_default_scope('mmdet')
    model = MODELS.build(Config.fromfile(CONFIG).model)
    states = []
    for label in (1, 0):
        predict_everywhere(model, label)
        states.append({key: value.clone() for key, value in model.state_dict().items()})
    average, student = states
    work_dir = tmp_path / 'run'
    work_dir.mkdir()
    meta = dict(meta=dict(dataset_meta=dict(classes=('WBC', 'RBC', 'Platelets'))))
    torch.save(dict(meta, state_dict=student), work_dir / 'epoch_10.pth')
    torch.save(dict(meta, state_dict=average, ema_state_dict={
        'steps': torch.tensor(7), **{f'module.{key}': value for key, value in student.items()}}),
        work_dir / 'epoch_2.pth')
    (work_dir / 'epoch_3.pth.unfinished').write_text('half')
    return work_dir


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('analyse_pseudo_labels')


TAKE_EVERYTHING = {'nms_iou': 0.3, 'max_per_image': 2000}
TAKE_ALL = ['--labeller', *(f'{key}={value}' for key, value in TAKE_EVERYTHING.items())]


def test_tool_on_known_predictions(tool, trained, capsys):
    assert tool.main([str(CONFIG), str(trained), *TAKE_ALL]) == 0
    report = json.loads((trained / 'pseudo_labels' / 'pseudo_labels.json').read_text())
    assert [entry['epoch'] for entry in report['epochs']] == [2, 10]
    assert report['weights'] == 'student' and report['hidden'] == {'WBC': 2, 'RBC': 1, 'Platelets': 0}
    assert report['min_cell_area'] == pytest.approx(16 * 20 / 4)
    assert (report['labeller']['type'], report['labeller']['nms_iou']) == ('ThresholdLabeller', 0.3)
    for entry in report['epochs']:
        kept = entry['criteria']['kept']
        # 40 x 40 places, of which 20 x 20 lie in the region
        assert (kept['taken'], kept['right'], kept['wrong_class'], kept['wrong_place']) == (1200, 2, 1, 1197)
        assert kept['recall'] == pytest.approx(2 / 3) and kept['mean_iou'] == pytest.approx(1, abs=1e-4)
        assert kept['per_class']['WBC']['recall'] == 1 and kept['per_class']['RBC']['recall'] == 0
        assert all(entry['criteria'][name]['taken'] == 0 for name in ('confidence', 'area', 'unsure', 'entropy'))
        assert entry['criteria']['all'] == kept
    rows = list(csv.DictReader((trained / 'pseudo_labels' / 'pseudo_labels.csv').open()))
    assert len(rows) == 2 * 6 * 4  # epochs, criteria, three classes and all of them
    assert [row['right'] for row in rows if row['criterion'] == 'kept' and row['class'] == 'WBC'] == ['2', '2']
    assert cv2.imread(str(trained / 'pseudo_labels' / 'pseudo_labels.png')) is not None
    assert not list((trained / 'pseudo_labels').glob('.*'))
    assert '1 images, 3 hidden cells, student weights' in capsys.readouterr().out


def kept_of(config, work_dir, options=(), labeller=(), **arguments):
    """Criteria of the last epoch, without files and figures."""
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(dict(options))
    labeller = dict(TAKE_EVERYTHING, **dict(labeller))
    return analyse(cfg, work_dir, 'annotations/train.json', labeller=labeller, **arguments)['epochs'][-1]['criteria']


def test_the_average_may_choose_too(trained):
    (trained / 'epoch_10.pth').unlink()
    kept = kept_of(CONFIG, trained, weights='average')['kept']
    assert (kept['right'], kept['wrong_class'], kept['per_class']['RBC']['recall']) == (1, 2, 1)


def test_thresholds_are_those_that_the_student_counted(tmp_path):
    init_default_scope('mmdet')
    model = MODELS.build(Config.fromfile(ROOT / 'configs' / 'sla_det' / 'yolov5n_sla-plus-teacher_txl-pbc.py').model)
    student = {key: torch.full_like(value, 2) for key, value in model.state_dict().items()}
    average = {key: torch.ones_like(value) for key, value in student.items()}
    torch.save(dict(state_dict=average, ema_state_dict={f'module.{key}': value for key, value in student.items()}),
               tmp_path / 'epoch_1.pth')
    load_epoch(model, tmp_path / 'epoch_1.pth', 'average', ('WBC', 'RBC', 'Platelets'))
    counted = {key for key, value in model.state_dict().items() if value.flatten()[0] == 2}
    assert counted and all(key.startswith('labeller.calibration.') for key in counted)
    assert counted == {key for key in student if key.startswith('labeller.calibration.')}


def test_a_labeller_may_measure_anew(trained):
    """The checkpoint is of a training without this labeller. One of the 400 predictions in the region is right."""
    (trained / 'epoch_10.pth').unlink()
    x, y, width, height = at(10, 10)
    replace_labelled(trained.parent, (1, (x, y, width - 2, height - 2)))
    cfg = Config.fromfile(ROOT / 'configs' / 'sla_det' / 'yolov5n_sla-plus-teacher_txl-pbc.py')
    options = {**TAKE_EVERYTHING, 'calibration.min_evidence': 1}
    kept = {}
    for precision in (0.001, 0.01):
        options['calibration.precisions'] = (precision, precision)
        report = analyse(cfg, trained, 'annotations/train.json', labeller=options, measured=True)
        assert report['measured'] and report['weights'] == 'average'
        kept[precision] = report['epochs'][0]['criteria']['kept']['taken']
    assert kept == {0.001: 1200, 0.01: 0}


def test_settings_of_a_labeller_inside_of_another():
    inner = dict(type='mmleuk.OtherViewLabeller', min_score=0.4)
    check = TASK_UTILS.build(dict(type='mmleuk.AttributeCheckLabeller', num_classes=3, attributes='leukemia',
                                  labeller=inner))
    settings = settings_of(check)
    assert settings['type'] == 'AttributeCheckLabeller' and settings['min_probability'] == 0.05
    assert settings['labeller'] == dict(type='OtherViewLabeller', min_score=0.4, nms_iou=0.5, labelled_iou=0.4)
    json.dumps(settings)


def test_thresholds_of_the_options_decide(trained):
    criteria = kept_of(CONFIG, trained, labeller=dict(sure_confidence=0.9999), limit=5)
    assert criteria['kept']['taken'] == 0 and criteria['kept']['precision'] is None
    assert criteria['unsure']['right'] == criteria['all']['right'] == 2


def test_a_plain_detector_is_judged_by_sla_dets_thresholds(trained):
    plain = ROOT / 'configs' / 'yolov5' / 'yolov5n_txl-pbc_sparse-as-complete.py'
    options = {'train_dataloader.dataset.dataset.annotation': 'sparse'}
    assert kept_of(plain, trained, options)['kept']['right'] == 2


@pytest.mark.parametrize(('method', 'found'), [('co_mining/yolov5n_co-mining', (2, 1)),
                                               ('co_student/yolov5n_co-student', (1, 2))])
def test_other_methods_are_judged_by_their_own_labeller(trained, method, found):
    """The student says WBC everywhere; the average, Co-Student's teacher, says RBC at the same places."""
    (trained / 'epoch_10.pth').unlink()
    cfg = Config.fromfile(ROOT / 'configs' / f'{method}_txl-pbc.py')
    cfg.merge_from_dict({'train_dataloader.dataset.dataset.annotation': 'sparse',
                         'model.detector.test_cfg.max_per_img': 5000})
    criteria = analyse(cfg, trained, 'annotations/train.json', labeller=dict(nms_iou=0.3))['epochs'][0]['criteria']
    assert set(criteria) == {'labelled', 'kept', 'all'}
    assert (criteria['kept']['right'], criteria['kept']['wrong_class']) == found


def fails(tool, capsys, *argv):
    assert tool.main([str(part) for part in argv]) == 2
    return capsys.readouterr().err


def test_what_does_not_fit_is_said_in_one_line(tool, trained, tmp_path, capsys):
    plain = ROOT / 'configs' / 'yolov5' / 'yolov5n_txl-pbc_sparse-as-complete.py'
    assert 'holds no epoch_N.pth' in fails(tool, capsys, CONFIG, tmp_path / 'empty')
    assert 'hides no cells' in fails(tool, capsys, plain, trained)
    assert 'only a region of it' in fails(tool, capsys, CONFIG, trained, '--truth', 'annotations/train_sparse.json')
    assert 'has no moving average' in fails(tool, capsys, CONFIG, trained, '--weights', 'average', *TAKE_ALL)
    assert 'at least one image' in fails(tool, capsys, CONFIG, trained, '--images', 0)
    assert '--min-iou' in fails(tool, capsys, CONFIG, trained, '--min-iou', 0)
    assert 'no such config' in fails(tool, capsys, 'nowhere.py', trained)
    truth = tmp_path / 'txl_pbc' / 'annotations' / 'train.json'
    truth.write_text(truth.read_text().replace('film.png', 'other.png'))
    assert 'lacks the training image' in fails(tool, capsys, CONFIG, trained)


def test_checkpoints_come_in_the_order_of_epochs(trained):
    assert list(find_checkpoints(trained)) == [2, 10]


# -------------------------------------------------------------------- the seam

def test_every_method_and_any_detector_can_be_judged():
    """A labeller gets other settings, a detector without one SLA-Det's; wrappers stay, the config isn't touched."""
    sla = dict(type='mmleuk.SLADet', detector=dict(type='FCOS'), labeller=dict(type='mmleuk.ThresholdLabeller'))
    attri = dict(type='mmleuk.AttriDet', detector=sla)
    assert with_labeller(attri, dict(nms_iou=0.3))['detector']['labeller']['nms_iou'] == 0.3
    assert 'nms_iou' not in sla['labeller'] and with_labeller(attri, {}) == attri
    other = dict(type='mmleuk.OtherViewLabeller', min_score=0.4)
    assert with_labeller(dict(sla, labeller=dict(sla['labeller'], max_entropy=0.3)), other)['labeller'] == other
    around = dict(sla, labeller=dict(type='mmleuk.AttributeCheckLabeller', num_classes=3, labeller=other))
    changed = with_labeller(around, {'labeller.min_score': 0.5, 'min_probability': 0.2})['labeller']
    assert changed == dict(around['labeller'], min_probability=0.2, labeller=dict(other, min_score=0.5))
    plain = with_labeller(dict(type='mmleuk.AttriDet', detector=dict(type='FCOS')), {})
    assert plain['detector'] == dict(type='FCOS') and plain['labeller']['type'] == 'mmleuk.ThresholdLabeller'


def test_the_weights_that_are_asked_in_training_choose():
    init_default_scope('mmdet')
    chosen = {}
    for name in ('sla_det/yolov5n_sla_txl-pbc', 'sla_det/yolov5n_sla_txl-pbc_lr-pl-calibrated',
                 'co_student/yolov5n_co-student_txl-pbc'):
        model = MODELS.build(Config.fromfile(ROOT / 'configs' / f'{name}.py').model)
        assert isinstance(model, SparseLabelDetector)
        chosen[model.asks] = default_weights(model)
    assert chosen == dict(student='student', teacher='average', both='student')
