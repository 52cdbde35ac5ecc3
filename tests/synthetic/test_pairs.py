"""Cells drawn twice with one attribute changed: what differs and what doesn't."""

from dataclasses import replace

import numpy as np
import pytest

from mmleuk.errors import UserError
from mmleuk.schema import LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES
from mmleuk.synthetic.leukocytes import draw_leukocyte
from mmleuk.synthetic.looks import sample_look
from mmleuk.synthetic.pairs import SIZE, change_look, render_cell, render_pair, render_pairs
from mmleuk.synthetic.red_cells import draw_red_cells
from mmleuk.synthetic.stain import sample_style
from mmleuk.synthetic.streams import PartStreams

KEYS = LEUKEMIA_ATTRIBUTES.keys
MONOBLAST = LEUKEMIA_CLASSES.index('Monoblast')


def layers(look, seed=5):
    style = sample_style(np.random.default_rng(1), 640)
    return draw_leukocyte(look, style, PartStreams(seed)).layers


def test_only_the_changed_attribute_differs():
    for pair in render_pairs(24, seed=3):
        before, after = pair.before.look.attributes, pair.after.look.attributes
        assert [key for key, one, other in zip(KEYS, before, after) if one != other] == [pair.key]
        assert after[KEYS.index(pair.key)] == pair.value
        assert pair.before.box_xyxy == pair.after.box_xyxy


def test_pixels_outside_the_cell_are_equal():
    """But for a camera's blur and halo, a few pixels around it."""
    for pair in render_pairs(8, seed=1):
        x1, y1, x2, y2 = (int(side) for side in pair.before.box_xyxy)
        outside = np.ones((SIZE, SIZE), bool)
        outside[max(y1 - 14, 0):y2 + 14, max(x1 - 14, 0):x2 + 14] = False
        differs = (pair.before.image.astype(int) != pair.after.image).any(2)
        assert differs.any() and not differs[outside].any()


@pytest.mark.parametrize('key, layer', [('cytoplasmic_vacuoles', 'vacuoles'), ('nucleolus', 'nucleoli')])
def test_other_parts_of_the_cell_are_drawn_the_same(key, layer):
    look = sample_look(MONOBLAST, np.random.default_rng(2))
    changed = change_look(look, key, 1 - look.attributes[KEYS.index(key)], np.random.default_rng(0))
    before, after = layers(look), layers(changed)
    assert not np.array_equal(before[layer], after[layer])
    for name in {'cell', 'nucleus', 'granules', 'auer_rods', 'vacuoles', 'nucleoli'} - {layer}:
        assert np.array_equal(before[name], after[name]), name
    assert min(before[layer].sum(), after[layer].sum()) == 0  # with the value 0 there is none


def test_nucleus_share_follows_the_cytoplasm():
    look = sample_look(MONOBLAST, np.random.default_rng(2))
    shares = [float((found['nucleus'] > 0.5).sum() / (found['cell'] > 0.5).sum()) for found in (
        layers(change_look(look, 'cytoplasm', value, np.random.default_rng(0))) for value in (0, 1))]
    assert shares[0] > 0.6 > 0.5 > shares[1]


def test_the_same_seed_gives_the_same_pair_and_films_do_not_change():
    one, other = render_pair(MONOBLAST, 'nucleolus', 9), render_pair(MONOBLAST, 'nucleolus', 9)
    assert np.array_equal(one.after.image, other.after.image)
    assert np.array_equal(render_cell(one.before.look, 9).image, one.before.image)
    assert not np.array_equal(render_pair(MONOBLAST, 'nucleolus', 10).before.image, one.before.image)


def test_what_cannot_be_changed():
    neutrophil = sample_look(LEUKEMIA_CLASSES.index('Neutrophil'), np.random.default_rng(0))
    assert change_look(neutrophil, 'cytoplasm', 0, np.random.default_rng(0)) is None  # its lobes have no share
    assert render_pair(LEUKEMIA_CLASSES.index('Neutrophil'), 'cytoplasm', 0) is None
    with pytest.raises(UserError, match="unknown attribute 'colour'"):
        change_look(neutrophil, 'colour', 0, np.random.default_rng(0))
    artifact = sample_look(LEUKEMIA_CLASSES.index('None'), np.random.default_rng(0))
    with pytest.raises(UserError, match='artifact'):
        change_look(artifact, 'cytoplasm', 0, np.random.default_rng(0))


def test_red_cells_outside_of_a_narrow_film_are_left_out():
    """Their places reach beyond the film by a share of their height; squeezed ones may not show there at all."""
    for seed in range(12):
        style = replace(sample_style(np.random.default_rng(seed), SIZE, magnification=3.2), squeeze_xy=(0.55, 1.0))
        found = draw_red_cells(SIZE, style, np.random.default_rng(seed))
        assert found.amount.shape == found.covered.shape == (SIZE, SIZE)
        assert 0.05 < found.covered.mean() < 0.95
