"""Areas, ratio, lobes and roundness of masks: worked by hand, and on rendered cells."""

import math

import cv2
import numpy as np
import pytest

from mmleuk.structures.cell_measures import count_lobes, measure_cell, roundness
from mmleuk.structures.cell_parts import PARTS

OTHER, CYTOPLASM, NUCLEUS, PLATELET, RBC, VACUOLE = range(6)


def disc(size, radius, centre=None):
    centre = centre or (size / 2 - 0.5, size / 2 - 0.5)
    y, x = np.mgrid[:size, :size]
    return np.hypot(x - centre[0], y - centre[1]) <= radius


def test_a_cell_by_hand():
    mask = np.zeros((20, 20), np.uint8)
    mask[2:12, 2:12] = CYTOPLASM     # 100 px
    mask[4:8, 4:9] = NUCLEUS         # 20 of them
    mask[9:11, 4:6] = VACUOLE        # 4
    mask[9, 8] = VACUOLE             # one pixel is no vacuole
    mask[15:19, 15:19] = RBC
    cell = measure_cell(mask)
    assert (cell.cell_area, cell.nucleus_area, cell.cytoplasm_area, cell.vacuole_area) == (100, 20, 80, 5)
    assert cell.nc_ratio == 0.25 and cell.nucleus_share == 0.2 and cell.vacuoles == 1 and cell.lobes == 1
    assert cell.cell_roundness == pytest.approx(2 / math.pi) and not cell.touches_border
    assert cell.nucleus_roundness == pytest.approx(4 * 20 / (math.pi * (16 + 25)))
    micrometres = cell.scaled(0.1)
    assert micrometres.cell_area == pytest.approx(1.0) and micrometres.nc_ratio == 0.25 and micrometres.lobes == 1


def test_no_cell():
    mask = np.zeros((8, 8), np.uint8)
    mask[2:4, 2:4], mask[5:7, 5:7] = RBC, PLATELET
    assert measure_cell(mask) is None and measure_cell(np.full((4, 4), 255, np.uint8)) is None


def test_a_cell_without_nucleus_or_without_cytoplasm_has_no_ratio():
    for part in (CYTOPLASM, NUCLEUS):
        mask = np.zeros((8, 8), np.uint8)
        mask[2:6, 2:6] = part
        cell = measure_cell(mask)
        assert cell.nc_ratio is None and cell.nucleus_share is None and cell.cell_area == 16
        assert (cell.lobes, cell.nucleus_roundness is None) == ((0, True) if part == CYTOPLASM else (1, False))


def test_of_several_cells_the_one_with_the_largest_nucleus_counts():
    mask = np.zeros((30, 30), np.uint8)
    mask[:20, :9] = CYTOPLASM
    mask[1:3, 1:3] = NUCLEUS
    mask[12:24, 12:24] = CYTOPLASM
    mask[14:20, 14:20] = NUCLEUS
    cell = measure_cell(mask)
    assert (cell.cell_area, cell.nucleus_area) == (144, 36) and not cell.touches_border
    mask[12:24, 12:24] = OTHER
    assert measure_cell(mask).touches_border


def test_roundness():
    assert roundness(disc(101, 45)) == pytest.approx(1, abs=0.04)
    assert roundness(np.ones((1, 1), bool)) == pytest.approx(2 / math.pi)
    y, x = np.mgrid[:101, :101] - 50
    assert roundness((x / 40) ** 2 + (y / 20) ** 2 <= 1) == pytest.approx(0.5, abs=0.02)


def test_roundness_does_not_depend_on_place_or_orientation():
    shape = np.zeros((40, 40), bool)
    shape[3:20, 5:12] = True
    assert roundness(shape) == roundness(np.rot90(shape)) == roundness(np.roll(shape, (9, 13), (0, 1)))


def lobed(number, radius, gap, bridge, size=160):
    """``number`` discs on a line, ``gap`` px apart, joined by a bar of ``bridge`` px."""
    image = np.zeros((size, size), np.uint8)
    step = 2 * radius + gap
    centres = [(int(size / 2 + (index - (number - 1) / 2) * step), size // 2) for index in range(number)]
    for centre in centres:
        cv2.circle(image, centre, radius, 1, -1)
    if bridge:
        cv2.line(image, centres[0], centres[-1], 1, bridge)
    return image.astype(bool)


@pytest.mark.parametrize('number', [1, 2, 3, 4])
@pytest.mark.parametrize('bridge', [0, 1, 3])
def test_lobes_on_a_thread(number, bridge):
    shape = lobed(number, 14, 6, bridge)
    assert count_lobes(shape) == number == count_lobes(np.rot90(shape))


def test_a_wide_bridge_makes_no_lobe():
    """At 28 px width the limit is 9 px."""
    assert count_lobes(lobed(2, 14, 10, 7)) == 2
    assert count_lobes(lobed(2, 14, 10, 13)) == 1


def test_shapes_with_one_lobe():
    band = np.zeros((100, 100), np.uint8)
    cv2.ellipse(band, (50, 50), (35, 35), 0, 20, 250, 1, 12)
    assert count_lobes(band.astype(bool)) == 1  # a horseshoe
    assert count_lobes(disc(60, 25)) == 1 and count_lobes(np.ones((1, 1), bool)) == 1
    assert count_lobes(np.zeros((5, 5), bool)) == 0
    rng = np.random.default_rng(0)
    rough = disc(80, 30) ^ (disc(80, 32) & ~disc(80, 28) & (rng.uniform(size=(80, 80)) < 0.3))
    assert count_lobes(rough) == 1


def test_inputs_stay_and_repeats_agree():
    shape = lobed(3, 10, 5, 2)
    before = shape.copy()
    assert count_lobes(shape) == count_lobes(shape) and (shape == before).all()


def test_lobes_and_ratios_of_rendered_cells():
    """Rendered round nuclei have one lobe, segmented ones several, bilobed ones two."""
    from mmleuk.schema import LEUKEMIA_CLASSES
    from mmleuk.synthetic.film import render_film
    found = {'round': [], 'bilobed': [], 'segmented': []}
    names = ('Lymphocyte', 'Eosinophil', 'Neutrophil', 'Basophil', 'Lymphoblast')
    for index in range(40):
        label = LEUKEMIA_CLASSES.index(names[index % len(names)])
        film = render_film(np.random.default_rng([11, index]), [label], 320, magnification=2.0, centred=True)
        cell, look = measure_cell(film.parts), film.cells[0].look
        assert 0 < cell.nucleus_share < 1
        if look.form in found:
            found[look.form].append(cell.lobes)
    assert set(found['round']) == {1} and np.median(found['bilobed']) == 2
    assert np.median(found['segmented']) >= 3


def test_parts_are_in_the_order_that_the_tests_use():
    assert PARTS == ('other', 'cytoplasm', 'nucleus', 'platelet', 'RBC', 'vacuole')
