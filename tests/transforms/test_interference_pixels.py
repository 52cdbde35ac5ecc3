"""What interference makes of single pixels, by hand: optical density, saturation, blur."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmleuk.structures import CellBoxes
from mmleuk.transforms.interference import FACTORS, Scene
from mmleuk.transforms.interference.defocus import disk_kernel
from mmleuk.utils.optical_density import find_light, saturate, to_density, to_image

seeds = st.integers(0, 2 ** 31 - 1)


@given(seed=seeds)
@settings(max_examples=20)
def test_density_and_back_is_the_same_picture(seed):
    image = np.random.default_rng(seed).integers(1, 256, (20, 20, 3), dtype=np.uint8)
    light = find_light(image)
    assert np.array_equal(to_image(to_density(image, light), light), image)


def test_light_is_what_a_twentieth_exceeds():
    image = np.full((10, 10, 3), 100, np.uint8)
    image[0, :4] = 250                      # four pixels of a hundred: glare
    assert find_light(image).tolist() == [100, 100, 100]
    image[0, :6] = 250
    assert find_light(image).tolist() == [250, 250, 250]
    assert find_light(np.zeros((4, 4, 3), np.uint8)).tolist() == [1, 1, 1]


def test_pale_and_over_stained_pixels_by_hand():
    """Half the film is empty at 200; the other half has density ln 2, so 100. Half the density: 200 / sqrt 2."""
    image = np.full((10, 10, 3), 200, np.uint8)
    image[5:] = 100
    scene = Scene(image, CellBoxes(np.zeros((0, 4))), np.zeros(0, np.int64), np.zeros(0, bool))
    pale = FACTORS['pale_staining'](share=(0.5, 0.5)).interfere(scene, np.random.default_rng(0))
    assert np.unique(pale.image[:5]).tolist() == [200] and np.unique(pale.image[5:]).tolist() == [141]
    over = FACTORS['over_staining'](gain=(2, 2), veil=(0, 0)).interfere(scene, np.random.default_rng(0))
    expected = 200 * np.exp(-1.9 * (1 - np.exp(-2 * np.log(2) / 1.9)))
    assert np.unique(over.image[:5]).tolist() == [200] and np.unique(over.image[5:]).tolist() == [round(expected)]


def test_saturation_keeps_the_hue_and_small_densities():
    density = np.array([[[0.01, 0.02, 0.03], [4., 8, 12]]])
    dark = saturate(density, 2.0)
    np.testing.assert_allclose(dark[0, 0], density[0, 0], rtol=0.01)
    np.testing.assert_allclose(dark[0, 1] / dark[0, 1].mean(), [0.5, 1, 1.5])
    assert dark[0, 1].mean() < 2


@pytest.mark.parametrize('radius', [0.6, 1.0, 3.3])
def test_a_point_becomes_a_disk(radius):
    kernel = disk_kernel(radius)
    assert kernel.sum() == pytest.approx(1) and np.allclose(kernel, kernel.T) and np.allclose(kernel, kernel[::-1])
    y, x = np.indices(kernel.shape) - len(kernel) // 2
    assert kernel[np.hypot(x, y) > radius + 0.8].sum() == 0
    assert np.ptp(kernel[np.hypot(x, y) < radius - 0.8]) < 1e-7 if radius > 1 else True
