"""Jitter of stains: what it measures on pixels mixed from known stains, and what it leaves alone."""

import numpy as np
import pytest

from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS
from mmleuk.transforms import StainJitter
from mmleuk.transforms.stain import (
    AZURE_EOSIN_BGR,
    change_stains,
    from_density,
    macenko_stains,
    optical_density,
    with_rest,
)


def mixed(stains, seed=0, pixels=4000):
    """Densities of pixels with random amounts of two stains, some of each alone."""
    rng = np.random.default_rng(seed)
    amounts = rng.uniform(0.2, 1.2, (pixels, 2))
    amounts[:pixels // 4, 0] = 0
    amounts[pixels // 4:pixels // 2, 1] = 0
    return (amounts @ stains).astype(np.float32)


def film(seed=0):
    return from_density(mixed(np.array(AZURE_EOSIN_BGR), seed)).reshape(50, 80, 3)


def jitter(image, **options):
    np.random.seed(3)
    return StainJitter(**dict(dict(prob=1.0), **options))(dict(img=image))['img']


def test_densities_go_there_and_back():
    grey = np.arange(256, dtype=np.uint8)
    assert (from_density(optical_density(grey)) == grey).all()
    assert optical_density(np.array([255, 127], np.uint8)).tolist() == pytest.approx([0, 0.30103], abs=1e-4)


@pytest.mark.parametrize('stains', [AZURE_EOSIN_BGR, ((0.2, 0.9, 0.4), (0.6, 0.6, 0.5))])
def test_known_stains_are_found(stains):
    stains = np.array(stains)
    stains = stains / np.linalg.norm(stains, axis=1, keepdims=True)
    found = macenko_stains(mixed(stains))
    assert found == pytest.approx(stains[np.argsort(stains[:, 0] - stains[:, 2])], abs=0.02)


@pytest.mark.parametrize('density', [
    np.zeros((100, 3), np.float32), np.outer(np.linspace(0.2, 1, 500), [0.5, 0.7, 0.5]).astype(np.float32)])
def test_white_or_one_stain_alone_is_not_measured(density):
    assert macenko_stains(density) is None


def test_the_rest_lies_across_both_stains():
    basis = with_rest(np.array(AZURE_EOSIN_BGR))
    assert np.linalg.norm(basis, axis=1) == pytest.approx([1, 1, 1])
    assert basis[2] @ basis[0] == pytest.approx(0, abs=1e-6) and basis[2] @ basis[1] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize('stains', ['macenko', 'fixed'])
def test_no_change_leaves_the_image(stains):
    image = film()
    assert np.abs(jitter(image, factor=0, offset=0, light=0, stains=stains).astype(int) - image).max() <= 1
    assert (jitter(image, prob=0.0) == image).all()


def test_a_stains_amount_changes_alone():
    """Azure and eosin mixed by hand: eosin times 1.5, and azure 0.1 more."""
    basis = with_rest(np.array(AZURE_EOSIN_BGR))
    amounts = np.array([[0.3, 0.0, 0.0], [0.0, 0.6, 0.0], [0.2, 0.4, 0.1]])
    density = (amounts @ basis).astype(np.float32)[None]
    changed = change_stains(density, basis, np.array([0, 0.5, 0]), np.array([0.1, 0, 0]))
    wanted = np.array([[0.4, 0.0, 0.0], [0.1, 0.9, 0.0], [0.3, 0.6, 0.1]])
    assert changed[0] == pytest.approx(wanted @ basis, abs=1e-5)


def test_white_stays_white_without_offset_and_light():
    image = np.full((20, 20, 3), 255, np.uint8)
    assert (jitter(image, factor=0.5, offset=0, light=0) == 255).all()


def test_the_argument_stays_and_the_seed_decides():
    image = film()
    before = image.copy()
    one, two = jitter(image), jitter(image)
    assert (one == two).all() and (image == before).all() and (one != before).any()
    assert one.dtype == np.uint8 and one.shape == image.shape


@pytest.mark.parametrize('options', [dict(factor=1.0), dict(offset=-0.1), dict(prob=2), dict(stains='hed')])
def test_bad_arguments(options):
    with pytest.raises(UserError, match='StainJitter'):
        TRANSFORMS.build(dict(type='mmleuk.StainJitter', **options))


def test_floats_are_refused():
    with pytest.raises(UserError, match='uint8'):
        StainJitter()(dict(img=np.zeros((4, 4, 3), np.float32)))
