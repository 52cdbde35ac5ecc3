"""Colours of films outside of those in training.

Films are drawn from densities, so the colour that a dye must get is known.
"""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmleuk.calibration.colour import TrainingColours, densities_of, glass_of, nuclei_of, red_cells_of

COLOURS = TrainingColours(
    largest_red=0.85, red_cells=(0.22, 0.35, 0.16), nuclei=(0.41, 2.43, 1.35), glass=(203, 228, 255))
BLUE_GREY = 0.17, 0.43, 0.52
NUCLEI = 0.34, 1.3, 1.0


def film(cells, glass=(200, 210, 220)):
    """Cells of one colour (BGR) on glass."""
    image = np.full((200, 200, 3), glass, np.uint8)
    for x in range(20, 200, 40):
        for y in range(20, 200, 40):
            cv2.circle(image, (x, y), 15, cells, -1)
    return image


def test_density_is_the_logarithm_of_lost_light():
    image = film((100, 105, 110))
    glass = glass_of(image)
    np.testing.assert_allclose(glass, (200, 210, 220))
    assert red_cells_of(densities_of(image, glass)) == pytest.approx((np.log(2),) * 3, abs=1e-6)


def test_pink_cells_stay_as_they_are():
    image = film((160, 140, 190))
    assert COLOURS.change(image) is image


def stained(red_cells, nuclei=None, glass=(155, 163, 163)):
    """A film of 25 red cells, the middle one with a nucleus."""
    def light(density):
        return tuple(float(value) for value in glass * np.exp(-np.array(density)))

    image = film(light(red_cells), glass)
    if nuclei is not None:
        cv2.circle(image, (100, 100), 15, light(nuclei), -1)
    return image


def density_at(image, x, y):
    return -np.log(image[y, x] / np.array(COLOURS.glass))


def test_blue_grey_cells_get_the_colours_of_training():
    changed = COLOURS.change(stained(BLUE_GREY))
    np.testing.assert_array_equal(changed[0, 0], COLOURS.glass)
    np.testing.assert_allclose(density_at(changed, 20, 20), COLOURS.red_cells, atol=0.02)


def test_nuclei_get_the_hue_of_training_and_stay_as_dark():
    changed = COLOURS.change(stained(BLUE_GREY, NUCLEI))
    np.testing.assert_allclose(density_at(changed, 20, 20), COLOURS.red_cells, atol=0.02)
    np.testing.assert_allclose(density_at(changed, 100, 100), 1.3 * np.array(COLOURS.nuclei) / 2.43, atol=0.04)


def test_red_cells_on_each_other_are_no_nuclei():
    doubled = stained(BLUE_GREY, 2 * np.array(BLUE_GREY))
    densities = densities_of(doubled, glass_of(doubled))
    assert nuclei_of(densities, red_cells_of(densities)) is None
    nucleated = stained(BLUE_GREY, NUCLEI)
    densities = densities_of(nucleated, glass_of(nucleated))
    assert nuclei_of(densities, red_cells_of(densities)) == pytest.approx(NUCLEI, abs=0.05)


@settings(max_examples=50)
@given(st.floats(0.1, 0.7), st.floats(0.86, 1.5), st.floats(1.0, 2.5), st.floats(0.4, 0.8))
def test_matrix_maps_each_dye_and_can_be_undone(green, red_share, nucleus, nucleus_red):
    red_cells, nuclei = (0.4 * green, green, red_share * green), (0.25 * nucleus, nucleus, nucleus_red * nucleus)
    matrix = COLOURS.matrix(red_cells, nuclei)
    np.testing.assert_allclose(matrix @ red_cells, COLOURS.red_cells, atol=1e-9)
    np.testing.assert_allclose(matrix @ nuclei, nucleus * np.array(COLOURS.nuclei) / 2.43, atol=1e-9)
    assert np.linalg.matrix_rank(matrix) == 3


def test_a_changed_film_is_not_changed_again():
    changed = COLOURS.change(stained(BLUE_GREY, NUCLEI))
    assert COLOURS.change(changed) is changed


def test_empty_glass_stays_as_it_is():
    image = np.full((100, 100, 3), 220, np.uint8)
    assert red_cells_of(densities_of(image, glass_of(image))) is None and COLOURS.change(image) is image
