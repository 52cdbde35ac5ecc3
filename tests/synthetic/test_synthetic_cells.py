"""What is labelled is what is drawn: boxes, attributes, class table."""

import cv2
import numpy as np
import pytest

from mmleuk.schema import IGNORE, LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES
from mmleuk.synthetic.classes import CELL_CLASSES, CLASS_BALANCES, REGULAR_FORMS
from mmleuk.synthetic.film import MIN_VISIBLE, draw_cell, find_place, lay, render_film
from mmleuk.synthetic.looks import sample_look
from mmleuk.synthetic.nucleus import FORMS
from mmleuk.synthetic.pen import Pen, extent
from mmleuk.synthetic.preview import contact_sheet
from mmleuk.synthetic.shapes import polar
from mmleuk.synthetic.stain import sample_style

LABELS = range(len(LEUKEMIA_CLASSES))


def drawn(label, seed):
    rng = np.random.default_rng([seed, label])
    style = sample_style(rng, 640)
    look = sample_look(label, rng)
    return look, draw_cell(look, style, rng), dict(zip(LEUKEMIA_ATTRIBUTES.keys, look.attributes, strict=True))


@pytest.fixture(scope='module')
def gallery():
    """Seven cells of each class: (look, patch, values by attribute)."""
    return [drawn(label, seed) for label in LABELS for seed in range(7)]


@pytest.fixture(scope='module')
def cells(gallery):
    return [entry for entry in gallery if not entry[0].artifact]


def test_table_is_complete_and_its_chances_are_chances():
    assert tuple(row.name for row in CELL_CLASSES) == LEUKEMIA_CLASSES
    for row in CELL_CLASSES:
        assert sum((row.artifacts or row.forms).values()) == pytest.approx(1)
        assert set(row.forms) <= set(FORMS)
    for chances in CLASS_BALANCES.values():
        assert sum(chances) == pytest.approx(1) and len(chances) == len(LEUKEMIA_CLASSES)


def test_every_pair_of_classes_differs_in_structure():
    rows = [(tuple(row.forms), row.coarse > 0.5, row.nucleolus > 0.5, row.nucleoli, row.abundant > 0.5, row.granules,
             row.vacuoles > 0.5) for row in CELL_CLASSES]
    assert len(set(rows)) == len(rows)


def test_artifacts_have_no_attributes_and_cells_have_all(gallery):
    for look, _, values in gallery:
        if LEUKEMIA_CLASSES[look.label] == 'None':
            assert look.artifact and set(values.values()) == {IGNORE}
        else:
            assert not look.artifact and set(values.values()) <= {0, 1}


def test_vacuoles_and_nucleoli_are_drawn_exactly_where_labelled(cells):
    for _, patch, values in cells:
        assert (patch.layers['vacuoles'].max() > 0.5) == (values['cytoplasmic_vacuoles'] == 1)
        assert (patch.layers['nucleoli'].max() > 0.5) == (values['nucleolus'] == 1)


def test_vacuoles_lie_in_the_cytoplasm_and_nucleoli_in_the_nucleus(cells):
    for _, patch, _ in cells:
        vacuoles, nucleoli = patch.layers['vacuoles'] > 0.5, patch.layers['nucleoli'] > 0.5
        nucleus = patch.layers['nucleus'] > 0.5
        assert (nucleoli & ~nucleus).sum() == 0
        assert (vacuoles & patch.mask).sum() >= 0.9 * vacuoles.sum()
        assert (vacuoles & nucleus).sum() <= 0.35 * vacuoles.sum()


def test_vacuoles_are_brighter_than_the_cytoplasm_around_them(cells):
    for _, patch, values in cells:
        if values['cytoplasmic_vacuoles']:
            vacuoles = patch.layers['vacuoles'] > 0.9
            around = (patch.layers['cell'] > 0.9) & (patch.layers['nucleus'] < 0.1) & (patch.layers['vacuoles'] < 0.1)
            assert patch.density[vacuoles].mean() < 0.5 * patch.density[around].mean()


def test_nuclear_share_of_the_cell_follows_cytoplasm(cells):
    for _, patch, values in cells:
        share = (patch.layers['nucleus'] > 0.5).sum() / patch.mask.sum()
        assert share < 0.5 if values['cytoplasm'] else share > 0.55


def test_irregular_nuclei_are_far_from_convex(cells):
    for look, patch, values in cells:
        nucleus = (patch.layers['nucleus'] > 0.5).astype(np.uint8)
        contours, _ = cv2.findContours(nucleus, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        hull = cv2.contourArea(cv2.convexHull(np.concatenate(contours)))
        solidity = sum(cv2.contourArea(contour) for contour in contours) / hull
        assert values['nuclear_shape'] == int(look.form not in REGULAR_FORMS)
        assert solidity < 0.955 if values['nuclear_shape'] else solidity > 0.955, (look, solidity)


def test_coarse_chromatin_varies_more_than_open(cells):
    spread = {0: [], 1: []}
    for look, patch, values in cells:
        if look.granules is None:
            inner = (cv2.erode(patch.layers['nucleus'], np.ones((7, 7))) > 0.9) & (patch.layers['nucleoli'] < 0.01)
            green = patch.density[inner][:, 1]
            spread[values['nuclear_chromatin']].append(green.std() / green.mean())
    assert np.median(spread[1]) > 2 * np.median(spread[0])


def test_moderate_basophilia_takes_up_more_of_the_basic_dye(gallery):
    for look, _, values in gallery:
        if not look.artifact:
            assert look.basophilic > 0.5 if values['cytoplasmic_basophilia'] else look.basophilic < 0.35


@pytest.mark.parametrize('label', LABELS)
def test_box_is_the_extent_of_the_mask(label):
    look, patch, _ = drawn(label, 3)
    x0, y0, x1, y1 = extent(patch.mask)
    assert patch.mask[y0:y1, x0:x1].sum() == patch.mask.sum() > 0
    assert patch.mask[y0].any() or patch.mask[y0, x0:x1].any()
    assert all(side.any() for side in (patch.mask[y0], patch.mask[y1 - 1], patch.mask[:, x0], patch.mask[:, x1 - 1]))
    # nothing that covers the film is cut off by the patch's border
    border = np.concatenate([patch.alpha[0], patch.alpha[-1], patch.alpha[:, 0], patch.alpha[:, -1]])
    assert border.max() < 0.15


def test_film_box_is_where_the_film_changes():
    """The same film with and without its cell differs in the box, and at all four of its sides."""
    label = LEUKEMIA_CLASSES.index('Lymphocyte')
    look, patch, _ = drawn(label, 1)
    empty = np.zeros((300, 300, 3), np.float32)
    film = empty.copy()
    lay(film, patch, 220, -20)
    x0, y0, x1, y1 = extent(patch.mask)
    shown = np.zeros((300, 300), bool)
    shown[0:y1 - 20, 220 + x0:300] = patch.mask[20:y1, x0:x0 + 80 - x0]
    changed = extent((film != 0).any(-1))
    assert np.abs(np.array(changed) - np.array(extent(shown))).max() <= 2


def test_pen_draws_a_disc_of_the_right_size_at_the_middle():
    pen = Pen(40, angle=0.7, squeeze_xy=(0.5, 1.0))
    mask = pen.fill([polar(np.ones(96))])
    assert mask.sum() == pytest.approx(np.pi * 40 * 20, rel=0.02)
    x0, y0, x1, y1 = extent(mask >= 0.5)
    assert ((x0 + x1 - 1) / 2, (y0 + y1 - 1) / 2) == pytest.approx(tuple(pen.centre_xy), abs=0.5)
    assert (x1 - x0, y1 - y0) == (pytest.approx(40, abs=1), pytest.approx(80, abs=1))


def test_nothing_has_no_extent():
    with pytest.raises(ValueError, match='empty'):
        extent(np.zeros((4, 5), bool))


def test_placed_cells_are_visible_and_dont_cover_each_other():
    rng = np.random.default_rng(0)
    mask = np.zeros((90, 70), bool)
    cv2.ellipse(canvas := mask.astype(np.uint8), (35, 45), (30, 40), 0, 0, 360, 1, -1)
    mask, size, taken, canvas = canvas > 0, 400, [], np.zeros((400, 400), int)
    while (corner := find_place(mask, taken, size, rng)) is not None:
        left, top = corner
        ys, xs = np.nonzero(mask)
        seen = (xs + left >= 0) & (xs + left < size) & (ys + top >= 0) & (ys + top < size)
        assert seen.mean() >= MIN_VISIBLE
        canvas[ys[seen] + top, xs[seen] + left] += 1
        taken.append((left + 5, top + 5, 61, 81))
    assert len(taken) > 8
    assert (canvas > 1).sum() < 0.05 * (canvas > 0).sum()


def test_film_without_cells_and_film_with_all_classes():
    assert render_film(np.random.default_rng(0), [], 320).cells == ()
    film = render_film(np.random.default_rng(0), LABELS, 640)
    assert film.image.shape == (640, 640, 3) and film.image.dtype == np.uint8
    for cell in film.cells:
        x, y, w, h = cell.box_xywh
        assert 0 <= x < x + w <= 640 and 0 <= y < y + h <= 640


def test_contact_sheet_has_a_row_per_class():
    sheet = contact_sheet(per_class=1, side=64)
    assert sheet.shape[0] == 64 * len(LEUKEMIA_CLASSES)
