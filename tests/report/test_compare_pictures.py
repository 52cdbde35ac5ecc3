"""Truth and detections side by side: verdicts by hand, the picture's colours, the tool from end to end."""

import io
import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

from mmleuk.datasets.annotations import Annotations
from mmleuk.errors import UserError
from mmleuk.pictures.layout import overlap
from mmleuk.report.comparison import (
    STYLES,
    Mark,
    draw_comparison,
    find_image,
    model_panel,
    place_labels,
    truth_panel,
)
from mmleuk.structures.ground_truth import ImageTruth, TrueCell
from mmleuk.structures.prediction import Cell
from mmleuk.testing.tiny_run import CLASSES, write_tiny_run

ROOT = Path(__file__).parents[2]
BASES = [str(ROOT / 'configs/_base_/default_runtime.py'), str(ROOT / 'configs/_base_/schedules/yolov5.py')]
NAMES = ('WBC', 'RBC')
A, B, FAR, CROWD = (10., 10., 40., 40.), (50., 10., 80., 40.), (10., 60., 30., 80.), (60., 60., 90., 90.)


def film(*cells, name='film.png', image_id=1):
    """Cells are (box, label) or (box, label, ignore)."""
    return ImageTruth(image_id, name, 100, 100, cells=tuple(
        TrueCell(i, c[1], c[0], (), len(c) > 2 and c[2], (*c[0][:2], c[0][2] - c[0][0], c[0][3] - c[0][1]), 1.)
        for i, c in enumerate(cells)))


def detections(*rows):
    return [Cell(box, score, NAMES.index(name), name) for box, name, score in rows]


def verdicts(panel):
    return [(mark.verdict, mark.box) for mark in panel.marks]


def test_verdicts_by_hand():
    record = film((A, 0), (B, 1), (FAR, 1), (CROWD, 1, True))
    nowhere = (0., 0., 5., 5.)
    found = detections((A, 'WBC', .9), (A, 'WBC', .8), (B, 'WBC', .7), (CROWD, 'RBC', .6), (nowhere, 'RBC', .5))
    panel = model_panel('m', found, record, NAMES)
    assert verdicts(panel) == [('right', A), ('false', A), ('false', B), ('ignored', CROWD),
                               ('false', nowhere), ('missed', B), ('missed', FAR)]
    assert panel.title == 'm\n1 right, 3 false, 2 missed'


def test_right_and_missed_are_the_true_cells():
    record = film((A, 0), (B, 1), (FAR, 1))
    for found in ([], detections((A, 'WBC', .9)), detections((B, 'RBC', .9), (B, 'WBC', .8), (A, 'RBC', .3))):
        panel = model_panel('m', found, record, NAMES)
        assert panel.count('right') + panel.count('missed') == 3
        assert panel.count('right') + panel.count('false') == len(found)


def test_an_image_without_cells():
    assert model_panel('m', [], film(), NAMES).title == 'm\n0 right, 0 false, 0 missed'
    assert model_panel('m', detections((A, 'RBC', .9)), film(), NAMES).count('false') == 1
    assert truth_panel(film(), NAMES).title == 'Truth: 0 cells\n'


def test_truth_counts_its_classes():
    panel = truth_panel(film((A, 1), (B, 1), (FAR, 0), (CROWD, 0, True)), NAMES)
    assert panel.title == 'Truth: 3 cells\n1 WBC, 2 RBC' and panel.count('ignored') == 1


def test_a_class_that_the_truth_lacks_is_refused():
    with pytest.raises(UserError, match='the class .Blast., the truth has WBC, RBC'):
        model_panel('m', [Cell(A, .9, 0, 'Blast')], film((A, 0)), NAMES)


def annotations(*records):
    return Annotations('ann.json', NAMES, {}, records, (), (), {}, ())


@pytest.mark.parametrize(('image', 'found'), [
    ('0', 1), ('1', 2), ('b/x.png', 2), ('some/where/a/x.png', 1), ('elsewhere/y.png', 3)])
def test_image_by_number_name_or_path(image, found):
    known = annotations(film(name='a/x.png', image_id=1), film(name='b/x.png', image_id=2),
                        film(name='y.png', image_id=3))
    assert find_image(known, image).image_id == found


@pytest.mark.parametrize('image', ['2', 'z.png', 'x.png'])
def test_no_such_image_or_several(image):
    with pytest.raises(UserError, match=r'ann\.json: '):
        find_image(annotations(film(name='a/x.png'), film(name='b/x.png')), image)


def near(picture, colour):
    """Number of pixels of about that colour."""
    return int((np.abs(picture.astype(float) - 255 * np.array(to_rgb(colour))).max(2) < 12).sum())


def test_each_verdict_is_drawn_in_its_colour():
    record, grey = film((A, 0), (B, 1)), Image.new('RGB', (100, 100), (200, 200, 200))
    panels = [truth_panel(record, NAMES), model_panel('m', detections((A, 'WBC', .9), (FAR, 'RBC', .5)), record, NAMES)]
    picture = np.array(Image.open(io.BytesIO(draw_comparison(grey, panels, 'Caption.'))).convert('RGB'))
    assert picture.shape[1] > 1.5 * picture.shape[0]  # side by side
    for verdict in ('right', 'false'):
        assert near(picture, STYLES[verdict].colour) > 500
    without = [panels[0], model_panel('m', [], record, NAMES)]
    picture = np.array(Image.open(io.BytesIO(draw_comparison(grey, without, 'Caption.'))).convert('RGB'))
    assert near(picture, STYLES['right'].colour) == near(picture, STYLES['false'].colour) == 0


def test_more_than_three_panels_take_two_rows():
    record, grey = film((A, 0)), Image.new('RGB', (100, 100))
    sizes = [Image.open(io.BytesIO(draw_comparison(grey, [truth_panel(record, NAMES)] * n, 'Caption.'))).size
             for n in (1, 4)]
    assert sizes[1][0] == pytest.approx(3 * sizes[0][0], abs=3) and sizes[1][1] > 1.5 * sizes[0][1]


def test_a_dollar_in_a_name_is_no_formula():
    record, names = film((A, 0), (B, 1), (FAR, 1)), ('$x^$', 'RBC')
    panels = [truth_panel(record, names), model_panel('$y_$', [Cell(FAR, .9, 0, '$x^$')], record, names)]
    assert draw_comparison(Image.new('RGB', (100, 100)), panels, '$z^$.png').startswith(b'\x89PNG')


def luminance(colour):
    return float(np.dot([0.2126, 0.7152, 0.0722], to_rgb(colour)))


def test_colours_stay_apart_without_colour():
    shades = sorted(luminance(STYLES[verdict].colour) for verdict in ('right', 'false', 'missed'))
    assert min(np.diff(shades)) > 0.2


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('compare_pictures')


@pytest.fixture
def tiny(tmp_path):
    """Config, checkpoint of random weights, and annotation file of a tiny run."""
    config = write_tiny_run(tmp_path, BASES, n_images=2, empty=(1,))
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config).model)
    checkpoint = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=CLASSES))), checkpoint)
    return config, checkpoint, tmp_path / 'annotations.json'


def test_tool_from_end_to_end(tool, tiny, tmp_path, capsys):
    config, checkpoint, truth = tiny
    figure = tmp_path / 'a' / 'figure.png'
    argv = ['0', '--truth', str(truth), '--image-root', str(tmp_path / 'images'), '--out', str(figure), '--model',
            f'first={config}:{checkpoint}', '--model', f'second={config}:{checkpoint}', '--min-score']
    assert tool.main([*argv, '0', '1']) == 0
    true = len([a for a in json.loads(truth.read_text())['annotations'] if a['image_id'] == 0])
    out = capsys.readouterr().out
    assert f'Truth: {true} cell' in out and f'second: 0 right, 0 false, {true} missed' in out
    first = out.split('first: ')[1].split(' missed')[0]
    right, false, missed = (int(part.split()[0]) for part in first.split(', '))
    assert right + missed == true and right + false > 0
    assert cv2.imread(str(figure)) is not None
    assert tool.main([*argv, '0', '1', '1']) == 2
    assert '3 values for 2 models' in capsys.readouterr().err


def test_a_sparse_truth_is_refused(tool, tiny, tmp_path, capsys):
    config, checkpoint, truth = tiny
    content = json.loads(truth.read_text())
    content['images'][0]['annotated_region'] = [0, 0, 20, 20]
    truth.write_text(json.dumps(content))
    assert tool.main(['0', '--truth', str(truth), '--image-root', str(tmp_path / 'images'), '--out',
                      str(tmp_path / 'figure.png'), '--model', f'first={config}:{checkpoint}']) == 2
    assert 'only a region of it is annotated' in capsys.readouterr().err and not (tmp_path / 'figure.png').exists()


@pytest.mark.parametrize('text', ['title', 'title=config', '=config:checkpoint', 'title=:checkpoint', 'title=config:'])
def test_a_model_needs_title_config_and_checkpoint(tool, text, capsys):
    with pytest.raises(SystemExit):
        tool.build_parser().parse_args(['0', '--truth', 't', '--out', 'o', '--model', text])
    assert 'TITLE=CONFIG:CHECKPOINT' in capsys.readouterr().err


def test_model_titles_may_hold_a_colon(tool):
    assert tool.model_of('a: b=c.py:d.pth') == ('a: b', 'c.py', 'd.pth')


def test_a_title_of_many_classes_stays_above_its_own_panel():
    """Longer than a panel is wide, it takes further lines, and the picture grows by them."""
    names = tuple(f'a cell of a long name {number}' for number in range(8))
    image = Image.new('RGB', (100, 100))
    few, many = (truth_panel(film(*((A, label) for label in range(n))), names) for n in (1, 8))
    heights = [Image.open(io.BytesIO(draw_comparison(image, [panel, few], ''))).height for panel in (few, many)]
    assert heights[1] > heights[0] + 50


def test_labels_of_boxes_on_each_other_stay_apart_and_inside():
    """A cell that was found twice, one at each corner and one in the middle of the picture."""
    boxes = [A, A, (0., 0., 20., 20.), (80., 0., 100., 20.), (0., 80., 20., 100.), (80., 80., 100., 100.)]
    labels = [(Mark('false', box, 'WBC', .5), 'WBC 0.50') for box in boxes]
    places = place_labels(labels, (100, 100))
    assert not any(overlap(one, other) for one, other in itertools.combinations(places, 2))
    for (mark, _), place in zip(labels, places):
        assert 0 <= place[0] < place[2] <= 100 and 0 <= place[1] < place[3] <= 100
        grown = mark.box[0] - 1, mark.box[1] - 1, mark.box[2] + 1, mark.box[3] + 1
        assert overlap(place, grown), 'beside its box or in it'
