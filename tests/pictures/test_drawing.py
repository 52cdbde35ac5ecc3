from pathlib import Path

import cv2
import numpy as np
import pytest
from growth import assert_linear
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmleuk.errors import UserError
from mmleuk.pictures.colours import class_styles
from mmleuk.pictures.crops import CROP_PX, crop_cell, crop_key, make_crops
from mmleuk.pictures.drawing import draw_prediction, load_image, save_picture
from mmleuk.pictures.layout import Rects, best_spot, card_spots, inside, overlap
from mmleuk.pictures.plan import make_plan
from mmleuk.report.statistics import morphology_bank
from mmleuk.schema import LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES, TXL_PBC_CLASSES, WBCATT_ATTRIBUTES, WBCATT_CLASSES
from mmleuk.structures.prediction import Prediction

coordinates = st.floats(-100, 700)
rects = st.tuples(coordinates, coordinates, coordinates, coordinates).map(
    lambda r: (min(r[0], r[2]), min(r[1], r[3]), max(r[0], r[2]), max(r[1], r[3])))


def test_overlap_by_hand():
    assert overlap((0, 0, 10, 10), (5, 5, 20, 20)) == 25
    assert overlap((0, 0, 10, 10), (10, 0, 20, 10)) == 0


@given(rects, st.lists(rects, max_size=4))
def test_a_card_stays_in_the_image_and_keeps_its_size(box, taken):
    spot, hidden = best_spot(card_spots(box, (120, 80), 10), (640, 640), Rects((640, 640), taken),
                             Rects((640, 640), [box]))
    assert inside(spot, (640, 640)) == spot
    assert spot[2] - spot[0] == pytest.approx(120) and spot[3] - spot[1] == pytest.approx(80)
    assert hidden >= 0


def test_a_free_card_goes_right_of_its_box_and_a_blocked_one_left():
    box = (200, 200, 300, 300)
    empty, solid = Rects((640, 640)), Rects((640, 640), [box])
    free, _ = best_spot(card_spots(box, (80, 60), 10), (640, 640), empty, solid)
    assert free == (310, 200, 390, 260)
    right = Rects((640, 640), [(305, 0, 640, 640)])
    blocked, hidden = best_spot(card_spots(box, (80, 60), 10), (640, 640), right, solid)
    assert blocked == (110, 200, 190, 260) and hidden == 0


@given(st.lists(rects, max_size=30), rects)
def test_near_misses_nothing_that_overlaps(others, box):
    near = Rects((640, 640), others).near(box)
    assert [other for other in others if overlap(other, box) > 0] == [o for o in near if overlap(o, box) > 0]


def test_no_label_looks_at_every_other(cell):
    def work(count):
        side = 1500 * (count / 4000) ** .5  # equally crowded
        cells = [cell('WBC', classes=TXL_PBC_CLASSES, box=(x, y, x + 30, y + 30))
                 for x, y in np.random.default_rng(0).uniform(0, side, (count, 2)).tolist()]
        size = (round(side) + 30, round(side) + 30)
        return lambda: make_plan(cells, 1, size, LEUKEMIA_ATTRIBUTES, ['WBC'])

    assert len(work(100)().tags) == 100
    assert_linear(work, 500)


def test_crowded_cells_go_to_the_panel_and_no_text_covers_text(cell):
    values = dict.fromkeys(LEUKEMIA_ATTRIBUTES.keys, 0)
    cells = [cell('Myeloblast', box=(60. * x, 60. * y, 60. * x + 55, 60. * y + 55), **values)
             for x in range(5) for y in range(5)]
    plan = make_plan(cells, 2, (640, 640), LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES[1:])
    assert set(plan.cards) == set(range(25))
    assert list(plan.panel.values()) == list(range(1, len(plan.panel) + 1)) and len(plan.panel) > 10
    cards = list(plan.cards.values())
    # 1% of a card's area is let pass: a tenth on the scale where a tenth is allowed.
    assert all(overlap(a, b) <= 0.011 * (a[2] - a[0]) * (a[3] - a[1]) for i, a in enumerate(cards) for b in cards[:i])
    assert plan.size_wh[0] >= max(card[2] for card in cards) and plan.size_wh[1] >= max(card[3] for card in cards)
    assert all(plan.texts[i].endswith(f' #{number}') for i, number in plan.panel.items())


def test_a_flood_of_cells_gets_a_bounded_picture(cell):
    cells = tuple(cell('Myeloblast', box=(x, 0., x + 50, 60.), nucleolus=1) for x in range(200))
    plan = make_plan(cells, 1, (640, 640), LEUKEMIA_ATTRIBUTES, ['Myeloblast'])
    assert set(plan.cards) == set(range(60)) and len(plan.tags) == 200
    picture = draw_prediction(Image.new('RGB', (320, 320)), Prediction('x', (320, 320), cells), LEUKEMIA_CLASSES,
                              LEUKEMIA_ATTRIBUTES)
    assert picture.width < 5 * 1200


def test_many_red_cells_carry_no_labels_but_the_leukocyte_does(cell):
    cells = [cell('RBC', classes=TXL_PBC_CLASSES) for _ in range(40)] + [cell('WBC', classes=TXL_PBC_CLASSES)]
    plan = make_plan(cells, 1, (640, 640), LEUKEMIA_ATTRIBUTES, ['WBC'])
    assert set(plan.tags) == {40} and plan.texts[40] == 'WBC 0.90'


def test_cards_are_for_leukocytes(cell):
    cells = [cell(name, classes=WBCATT_CLASSES, schema=WBCATT_ATTRIBUTES, cell_size=1) for name in ('RBC', 'Basophil')]
    assert set(make_plan(cells, 1, (640, 640), WBCATT_ATTRIBUTES, ['Basophil']).cards) == {1}
    assert set(make_plan(cells, 1, (640, 640), WBCATT_ATTRIBUTES, WBCATT_CLASSES).cards) == {0, 1}


def test_a_picture_shows_the_cells_and_leaves_the_image_alone(film, tmp_path):
    first, empty = film.predictions
    image = load_image(first.path)
    before = np.array(image)
    picture = draw_prediction(image, first, LEUKEMIA_CLASSES, LEUKEMIA_ATTRIBUTES)
    assert np.array_equal(np.array(image), before)
    assert np.array_equal(np.array(picture), np.array(draw_prediction(image, first, LEUKEMIA_CLASSES,
                                                                      LEUKEMIA_ATTRIBUTES)))
    blank = draw_prediction(image, empty, LEUKEMIA_CLASSES, LEUKEMIA_ATTRIBUTES)
    colour = class_styles(LEUKEMIA_CLASSES)['Myeloblast'].rgb
    assert (np.array(picture) == colour).all(-1).any() and not (np.array(blank) == colour).all(-1).any()
    assert blank.size[0] == 80 * 15 and load_image(save_picture(picture, tmp_path / 'p' / 'x.jpg')).size == picture.size


def test_an_unknown_attribute_is_drawn_under_its_key(cell):
    odd = cell('Myeloblast')
    odd.attributes['later_added'] = dict(value='yes', value_index=1, prob=1.0)
    prediction = Prediction('x', (60, 80), (odd,))
    draw_prediction(Image.new('RGB', (80, 60)), prediction, LEUKEMIA_CLASSES, LEUKEMIA_ATTRIBUTES)
    plan = make_plan([odd], 1, (640, 480), LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES)
    assert plan.rows == {0: [('later_added', 'yes 1.00')]}


def test_styles_differ_between_all_classes():
    styles = class_styles(LEUKEMIA_CLASSES)
    assert len({(style.colour, style.dashed) for style in styles.values()}) == 14 and styles['None'].dashed


def test_crops_are_square_even_at_the_edge(film, cell):
    crops, failed = make_crops(morphology_bank(film.predictions))
    assert failed == [] and set(crops) == {crop_key(entry) for entry in morphology_bank(film.predictions)}
    assert all(uri.startswith('data:image/jpeg;base64,') for uri in crops.values())
    image = Image.new('RGB', (80, 60), (255, 0, 0))
    for box in [(-50., -50., -20., -20.), (0., 0., 80., 60.), (30., 30., 30., 30.)]:
        assert crop_cell(image, cell('Basophil', box=box)).size == (CROP_PX, CROP_PX)
    # 10 px margin-free cell in the middle: all red; wholly outside: all grey.
    assert crop_cell(image, cell('Basophil', box=(35., 25., 45., 35.))).getcolors() == [(CROP_PX ** 2, (255, 0, 0))]
    assert crop_cell(image, cell('Basophil', box=(-90., -90., -70., -70.))).getcolors() == [
        (CROP_PX ** 2, (128, 128, 128))]


def test_an_unreadable_image_is_named(tmp_path):
    with pytest.raises(UserError, match='gone.png: cannot be read'):
        load_image(tmp_path / 'gone.png')


def test_crops_of_a_lost_image_are_left_out_and_it_is_named(film):
    Path(film.predictions[0].path).unlink()
    crops, failed = make_crops(morphology_bank(film.predictions))
    assert crops == {} and [failure.image for failure in failed] == [film.predictions[0].image]


def test_an_image_is_drawn_as_the_model_sees_it(tmp_path):
    """Turned by its EXIF tag, and with pixels where Pillow alone would see a bomb or nothing."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20] = 200, 30, 30
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees, clockwise
    Image.fromarray(pixels).save(tmp_path / 'turned.jpg', exif=exif, quality=95)
    image = load_image(tmp_path / 'turned.jpg')
    assert image.size == (20, 40) and image.mode == 'RGB'
    assert np.array_equal(np.asarray(image)[:, :, ::-1], cv2.imread(str(tmp_path / 'turned.jpg')))
    red, _, blue = image.getpixel((10, 5))
    assert red > 150 and blue < 80
