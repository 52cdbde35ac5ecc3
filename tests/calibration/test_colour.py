"""Colours of films outside of those in training."""

import cv2
import numpy as np
import pytest

from mmleuk.calibration.colour import TrainingColours, density_of, glass_of

COLOURS = TrainingColours(largest_red=0.85, density=(0.22, 0.35, 0.16), glass=(203, 228, 255))


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
    assert density_of(image, glass) == pytest.approx((np.log(2),) * 3, abs=1e-6)


def test_pink_cells_stay_as_they_are():
    image = film((160, 140, 190))
    assert COLOURS.change(image) is image


def test_blue_cells_get_the_colours_of_training():
    changed = COLOURS.change(film((180, 150, 110)))
    np.testing.assert_array_equal(changed[0, 0], COLOURS.glass)
    np.testing.assert_allclose(-np.log(changed[20, 20] / np.array(COLOURS.glass)), (0.21, 0.35, 0.208), atol=0.02)


def test_darker_stays_darker():
    table = COLOURS.table((0.2, 0.4, 0.6), np.array([200.0, 210.0, 220.0]))
    assert table.shape == (1, 256, 3) and (np.diff(table[0].astype(int), axis=0) >= 0).all()


def test_empty_glass_stays_as_it_is():
    image = np.full((100, 100, 3), 220, np.uint8)
    assert density_of(image, glass_of(image)) is None and COLOURS.change(image) is image
