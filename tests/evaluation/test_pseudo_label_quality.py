"""Pseudo-labels against the truth that training did not see: by hand, by brute force, and through the tool."""

import csv
import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmleuk.errors import UserError
from mmleuk.evaluation.matching import DISREGARDED, UNMATCHED
from mmleuk.evaluation.pseudo_label_analysis import (
    analyse,
    default_weights,
    find_checkpoints,
    groups_of,
    selecting_detector,
)
from mmleuk.evaluation.pseudo_label_quality import (
    HiddenCells,
    Tally,
    count_hidden,
    hide,
    judge,
    match_place_and_class,
    scores,
    summarise,
)
from mmleuk.models.detectors.sla_det import SLADet
from mmleuk.models.task_modules.pseudo_labels import Candidates, Selection

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'sla_det' / 'yolov5n_sla_txl-pbc.py'
A, B, FAR = [0., 0., 10., 10.], [100., 0., 110., 10.], [300., 300., 310., 310.]


def hidden(*cells):
    """Rows of box, label and, where it matters, whether to ignore."""
    return HiddenCells(np.array([c[0] for c in cells], float).reshape(-1, 4), np.array([c[1] for c in cells], int),
                       np.array([len(c) > 2 and c[2] for c in cells], bool))


def tally(candidates, cells, num_classes=3):
    """Candidates are rows of box, label, confidence."""
    return judge(np.array([c[0] for c in candidates], float).reshape(-1, 4), np.array([c[1] for c in candidates], int),
                 np.array([c[2] for c in candidates], float), hidden(*cells), num_classes)


def numbers(found):
    return found.taken.tolist(), found.placed.tolist(), found.right.tolist()


# ------------------------------------------------------------------ by hand

def test_two_of_three_are_right_and_two_of_four_are_found():
    found = tally([(A, 0, .9), (B, 1, .8), (FAR, 1, .7)], [(A, 0), (B, 1), ([50., 50., 60., 60.], 1), (FAR[::-1], 2)])
    assert numbers(found) == ([1, 2, 0], [1, 1, 0], [1, 1, 0])
    assert found.iou.tolist() == [1, 1, 0]


def test_a_cell_counts_once():
    found = tally([(A, 0, .9), (A, 0, .8), ([0., 0., 10., 9.], 0, .95)], [(A, 0)])
    assert numbers(found) == ([3, 0, 0], [1, 0, 0], [1, 0, 0])
    assert found.iou.tolist() == pytest.approx([0.9, 0, 0])  # of the surest, not of the best


def test_another_class_is_placed_and_not_right():
    assert numbers(tally([(A, 2, .9)], [(A, 0)])) == ([0, 0, 1], [0, 0, 1], [0, 0, 0])


def test_the_wrong_class_does_not_push_out_the_right_one():
    found = tally([(A, 2, .9), (A, 0, .6)], [(A, 0)])
    assert numbers(found) == ([1, 0, 1], [1, 0, 0], [1, 0, 0])


def test_wrong_class_may_take_what_is_left():
    found = tally([(A, 2, .9), (A, 0, .6)], [(A, 0), ([0., 0., 10., 8.], 1)])
    assert numbers(found) == ([1, 0, 1], [1, 0, 1], [1, 0, 0])


@pytest.mark.parametrize(('height', 'right'), [(5.0, 1), (4.9, 0)])
def test_half_is_enough(height, right):
    assert tally([([0., 0., 10., height], 0, .9)], [(A, 0)]).right.sum() == right


def test_ignored_cells_are_neither_right_nor_wrong_nor_hidden():
    cells = [(A, 0, True), (B, 1)]
    found = tally([(A, 0, .9), (A, 2, .9), (B, 1, .5), (FAR, 1, .5)], cells)
    assert numbers(found) == ([0, 2, 0], [0, 1, 0], [0, 1, 0])
    assert count_hidden(hidden(*cells), 3).tolist() == [0, 1, 0]


def test_nothing_taken_and_nothing_hidden():
    assert numbers(tally([], [(A, 0)])) == numbers(tally([], [])) == ([0] * 3,) * 3
    assert numbers(tally([(A, 1, .9)], [])) == ([0, 1, 0], [0] * 3, [0] * 3)
    cell, iou = match_place_and_class(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0), hidden())
    assert cell.shape == iou.shape == (0,)


def test_inputs_stay_as_they_are_and_twice_is_the_same():
    boxes, labels, confidence, cells = np.array([A, B, A]), np.array([0, 1, 2]), np.array([.2, .3, .9]), hidden((A, 0))
    copies = boxes.copy(), labels.copy(), confidence.copy()
    first = judge(boxes, labels, confidence, cells, 3)
    assert numbers(first) == numbers(judge(boxes, labels, confidence, cells, 3))
    assert all((a == b).all() for a, b in zip((boxes, labels, confidence), copies))


def test_a_label_that_is_no_class_is_refused():
    with pytest.raises(UserError, match='class 3 among 3'):
        tally([(A, 3, .9)], [(A, 0)])


@pytest.mark.parametrize(('box', 'is_hidden'), [
    ([40., 0., 60., 10.], False),     # half outside, centre on the border: known
    ([41., 0., 61., 10.], True),      # half inside, centre outside: nobody labelled it
    ([0., 0., 10., 10.], False),
    ([80., 80., 90., 90.], True)])
def test_hidden_goes_by_the_centre(box, is_hidden):
    found = hide(np.array([box]), np.array([1]), np.array([False]), np.array([[0., 0., 50., 50.]]))
    assert (found.labels.tolist() == [1]) is is_hidden


def test_without_region_all_is_hidden_and_a_whole_one_hides_nothing():
    boxes, labels, ignored = np.array([A, B]), np.array([0, 1]), np.array([False, True])
    assert hide(boxes, labels, ignored, np.zeros((0, 4))).ignored.tolist() == [False, True]
    assert not len(hide(boxes, labels, ignored, np.array([[0., 0., 400., 400.]])).labels)
    assert not len(hide(np.zeros((0, 4)), np.zeros(0), np.zeros(0), np.zeros((0, 4))).labels)


def test_scores_by_hand():
    found = scores(taken=5, placed=4, right=3, iou=2.4, hidden=12)
    assert found == dict(taken=5, right=3, wrong_class=1, wrong_place=1, hidden=12, precision=.6, recall=.25,
                         precision_any_class=.8, mean_iou=pytest.approx(.8))
    assert scores(0, 0, 0, 0., 0) == dict(taken=0, right=0, wrong_class=0, wrong_place=0, hidden=0, precision=None,
                                          recall=None, precision_any_class=None, mean_iou=None)


def test_summary_adds_up_over_images_and_classes():
    images = [([(A, 0, .9), (B, 1, .8)], [(A, 0)]), ([(A, 1, .7)], [(A, 0), (B, 1)]), ([], [(FAR, 2)])]
    total = sum((tally(*image) for image in images), Tally.empty(3))
    hidden_cells = np.sum([count_hidden(hidden(*cells), 3) for _, cells in images], 0)
    found = summarise(total, hidden_cells, ['a', 'b', 'c'])
    assert (found['taken'], found['right'], found['wrong_class'], found['wrong_place']) == (3, 1, 1, 1)
    assert found['recall'] == 0.25 and found['per_class']['a']['recall'] == 0.5
    assert found['per_class']['b']['precision'] == 0 and found['per_class']['c']['precision'] is None
    for key in ('taken', 'right', 'wrong_class', 'wrong_place', 'hidden'):
        assert found[key] == sum(numbers_[key] for numbers_ in found['per_class'].values())


# --------------------------------------------------------------- brute force

def brute_iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0) * max(height, 0)
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)


def brute_match(boxes, labels, confidence, cells):
    """Two rounds of plain loops; ignored cells take whatever covers them by half."""
    result, taken = [UNMATCHED] * len(boxes), set()
    for any_class in (False, True):
        for i in sorted(range(len(boxes)), key=lambda i: -confidence[i]):
            options = [(brute_iou(boxes[i], box), -j) for j, (box, label, ignored) in enumerate(cells)
                       if not ignored and j not in taken and (any_class or label == labels[i])]
            if result[i] == UNMATCHED and options and max(options)[0] >= 0.5:
                result[i] = -max(options)[1]
                taken.add(result[i])
    for i, box in enumerate(boxes):
        for other, _, ignored in cells:
            width, height = min(box[2], other[2]) - max(box[0], other[0]), min(box[3], other[3]) - max(box[1], other[1])
            share = max(width, 0) * max(height, 0) / ((box[2] - box[0]) * (box[3] - box[1]))
            if result[i] == UNMATCHED and ignored and share >= 0.5:
                result[i] = DISREGARDED
    return result


def a_box():
    corner, side = st.integers(0, 8), st.integers(3, 9)
    return st.tuples(corner, corner, side, side).map(lambda b: [float(b[0]), float(b[1]), b[0] + b[2], b[1] + b[3]])


@given(st.lists(st.tuples(a_box(), st.integers(0, 2)), max_size=8),
       st.lists(st.tuples(a_box(), st.integers(0, 2), st.sampled_from([False, False, True])), max_size=6),
       st.randoms(use_true_random=False))
def test_matching_equals_brute_force(candidates, cells, random):
    confidence = [i / 10 for i in range(len(candidates))]
    random.shuffle(confidence)
    boxes, labels = [c[0] for c in candidates], [c[1] for c in candidates]
    cell, iou = match_place_and_class(np.array(boxes).reshape(-1, 4), np.array(labels, int), np.array(confidence),
                                      hidden(*cells))
    assert cell.tolist() == brute_match(boxes, labels, confidence, cells)
    expected = [brute_iou(box, cells[j][0]) if j >= 0 else 0 for box, j in zip(boxes, cell)]
    assert iou.tolist() == pytest.approx(expected)
    found = tally([(*c, v) for c, v in zip(candidates, confidence)], cells)
    assert (found.right <= found.placed).all() and (found.placed <= found.taken).all()
    assert found.right.sum() <= count_hidden(hidden(*cells), 3).sum()


# ------------------------------------------------------------------ the tool

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


def predict_everywhere(model, label):
    """At stride 8 the first anchor finds a cell of 10 x 13 input pixels with class ``label`` at every place."""
    with torch.no_grad():
        for conv in model.bbox_head.convs:
            conv.weight.zero_()
            conv.bias.fill_(-9.)
        bias = model.bbox_head.convs[0].bias.view(3, -1)
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
def tool():
    spec = importlib.util.spec_from_file_location('analyse_pseudo_labels', ROOT / 'tools' / 'analyse_pseudo_labels.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TAKE_EVERYTHING = {'model.selector.nms_iou': 0.3, 'model.selector.max_per_image': 2000}
TAKE_ALL = ['--cfg-options', *(f'{key}={value}' for key, value in TAKE_EVERYTHING.items())]


def test_tool_on_known_predictions(tool, trained, capsys):
    assert tool.main([str(CONFIG), str(trained), *TAKE_ALL]) == 0
    report = json.loads((trained / 'pseudo_labels' / 'pseudo_labels.json').read_text())
    assert [entry['epoch'] for entry in report['epochs']] == [2, 10]
    assert report['weights'] == 'student' and report['hidden'] == {'WBC': 2, 'RBC': 1, 'Platelets': 0}
    assert report['min_cell_area'] == pytest.approx(16 * 20 / 4) and report['selector']['nms_iou'] == 0.3
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


def kept_of(config, work_dir, options=(), **arguments):
    """Criteria of the last epoch, without files and figures."""
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(dict(TAKE_EVERYTHING, **dict(options)))
    return analyse(cfg, work_dir, 'annotations/train.json', **arguments)['epochs'][-1]['criteria']


def test_the_average_may_choose_too(trained):
    (trained / 'epoch_10.pth').unlink()
    kept = kept_of(CONFIG, trained, weights='average')['kept']
    assert (kept['right'], kept['wrong_class'], kept['per_class']['RBC']['recall']) == (1, 2, 1)


def test_thresholds_of_the_options_decide(trained):
    criteria = kept_of(CONFIG, trained, {'model.selector.sure_confidence': 0.9999}, limit=5)
    assert criteria['kept']['taken'] == 0 and criteria['kept']['precision'] is None
    assert criteria['unsure']['right'] == criteria['all']['right'] == 2


@pytest.mark.slow
def test_a_plain_detector_with_a_selector_on_top(trained):
    plain = ROOT / 'configs' / 'yolov5' / 'yolov5n_txl-pbc_sparse-as-complete.py'
    options = {'model.type': 'mmleuk.SLADet', 'model.selector.type': 'mmleuk.PseudoLabelSelector',
               'train_dataloader.dataset.dataset.annotation': 'sparse'}
    assert kept_of(plain, trained, options)['kept']['right'] == 2


def fails(tool, capsys, *argv):
    assert tool.main([str(part) for part in argv]) == 2
    return capsys.readouterr().err


def test_what_does_not_fit_is_said_in_one_line(tool, trained, tmp_path, capsys):
    plain = ROOT / 'configs' / 'yolov5' / 'yolov5n_txl-pbc_sparse-as-complete.py'
    sparse = '--cfg-options', 'train_dataloader.dataset.dataset.annotation=sparse'
    assert 'holds no epoch_N.pth' in fails(tool, capsys, CONFIG, tmp_path / 'empty')
    assert 'hides nothing' in fails(tool, capsys, plain, trained)
    assert 'without a selector' in fails(tool, capsys, plain, trained, *sparse)
    assert 'only a region of it' in fails(tool, capsys, CONFIG, trained, '--truth', 'annotations/train_sparse.json')
    assert 'without a moving average' in fails(tool, capsys, CONFIG, trained, '--weights', 'average', *TAKE_ALL)
    assert 'at least one image' in fails(tool, capsys, CONFIG, trained, '--images', 0)
    assert '--min-iou' in fails(tool, capsys, CONFIG, trained, '--min-iou', 0)
    assert 'no such config' in fails(tool, capsys, 'nowhere.py', trained)
    truth = tmp_path / 'txl_pbc' / 'annotations' / 'train.json'
    truth.write_text(truth.read_text().replace('film.png', 'other.png'))
    assert 'lacks the training image' in fails(tool, capsys, CONFIG, trained)


def test_checkpoints_come_in_the_order_of_epochs(trained):
    assert list(find_checkpoints(trained)) == [2, 10]


# -------------------------------------------------------------------- the seam

def candidates(count):
    return Candidates(image=torch.zeros(count, dtype=torch.long), boxes=torch.tensor([A] * count).view(-1, 4),
                      probabilities=torch.ones(count, 3), confidence=torch.ones(count))


def test_groups_of_a_selection_that_tells_only_what_it_took():
    found = groups_of(Selection(candidates(2), candidates(1), counts={}, entropy=torch.zeros(2)))
    assert {name: len(group.image) for name, group in found.items()} == dict(unsure=1, kept=2)


def test_groups_of_a_selection_that_tells_all():
    fates = dict(confidence=candidates(3), kept=candidates(2))
    found = groups_of(Selection(fates['kept'], candidates(0), {}, torch.zeros(2), by_criterion=fates))
    assert {name: len(group.image) for name, group in found.items()} == dict(confidence=3, kept=2, all=5)


def test_the_detector_within_a_wrapper_is_found():
    init_default_scope('mmdet')
    model = MODELS.build(Config.fromfile(ROOT / 'configs' / 'sla_det' / 'yolov5n_sla_synthetic.py').model)
    assert selecting_detector(model) is model.detector
    assert default_weights(model.detector) == 'student'
    model.detector.set_teacher = lambda teacher: None
    assert default_weights(model.detector) == 'average'


class Picky(SLADet):
    """Chooses without a selector."""

    def select(self, logits, cells, regions):
        return Selection(candidates(1), candidates(0), counts={}, entropy=torch.zeros(1))


def test_a_detector_that_chooses_by_itself_needs_no_selector():
    init_default_scope('mmdet')
    settings = Config.fromfile(ROOT / 'configs' / 'yolov5' / 'yolov5n_txl-pbc.py').model
    settings.pop('type')
    assert selecting_detector(Picky(**settings)).selector is None
    with pytest.raises(UserError, match='a SLADet without a selector'):
        selecting_detector(SLADet(**settings))
