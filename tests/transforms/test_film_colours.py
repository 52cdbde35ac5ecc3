import numpy as np
import pytest

from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS

COLOURS = dict(red_cells=(0.22, 0.35, 0.16), nuclei=(0.41, 2.43, 1.35), glass=(203, 228, 255))


def film(red_cells, glass=(155, 163, 163)):
    """A half of red cells of one density (BGR), a half of glass."""
    image = np.empty((80, 80, 3), np.uint8)
    image[:40] = glass
    image[40:] = np.round(np.array(glass) * np.exp(-np.array(red_cells)))
    return image


def changed(image, **colours):
    return TRANSFORMS.build(dict(type='mmleuk.FilmColours', **COLOURS, **colours))(dict(img=image))['img']


def test_blue_grey_films_get_the_colours_of_training():
    found = changed(film((0.17, 0.43, 0.52)))
    np.testing.assert_array_equal(found[0, 0], COLOURS['glass'])
    red_cells = np.array(COLOURS['glass']) * np.exp(-np.array(COLOURS['red_cells']))
    np.testing.assert_allclose(found[60, 40], red_cells, atol=2)


def test_twice_is_once():
    once = changed(film((0.17, 0.43, 0.52)))
    np.testing.assert_allclose(changed(once).astype(int), once, atol=3)


def test_films_within_the_limit_stay():
    image = film((0.2, 0.4, 0.2))
    assert changed(image, largest_red=0.6) is image and changed(image, largest_red=0.4) is not image


def test_refuses_what_is_no_image():
    with pytest.raises(UserError, match='FilmColours'):
        changed(np.zeros((8, 8)))
