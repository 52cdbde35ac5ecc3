"""The packed pixels are the image's, however it lies in memory."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmleuk.utils.channels import channels_first

STEPS = st.sampled_from([1, -1])


@given(st.sampled_from([np.uint8, np.uint16, np.float32]), st.integers(1, 9), st.integers(1, 9),
       st.sampled_from([None, 1, 3, 4]), STEPS, STEPS)
def test_values_are_those_of_a_transposed_copy(dtype, height, width, channels, down, right):
    shape = (height, width) if channels is None else (height, width, channels)
    image = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)[::down, ::right]
    expected = np.ascontiguousarray(image.reshape(height, width, -1).transpose(2, 0, 1))
    packed = channels_first(image)
    assert packed.is_contiguous() and packed.dtype == torch.from_numpy(expected).dtype
    np.testing.assert_array_equal(packed.numpy(), expected)


@pytest.mark.parametrize('part', [np.s_[2:5, 1:4], np.s_[::2, ::-2], np.s_[..., ::-1]])
def test_a_window_and_other_views(part):
    image = np.random.default_rng(0).integers(0, 255, (7, 8, 3)).astype(np.uint8)
    np.testing.assert_array_equal(channels_first(image[part]).numpy(), image[part].transpose(2, 0, 1))


def test_the_tensor_is_no_view_of_the_image():
    image = np.zeros((2, 2, 3), np.uint8)
    packed = channels_first(image)
    image[:] = 1
    assert packed.sum() == 0
