"""A deferred image is what loading at once gives, and breaks where that breaks."""

import cv2
import numpy as np
import pytest

from mmleuk.errors import UserError
from mmleuk.transforms import LoadImage
from mmleuk.utils.deferred_image import DeferredImage, decoded


@pytest.fixture
def record(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    cv2.imwrite(str(tmp_path / 'film.png'), pixels)
    return dict(img_path=str(tmp_path / 'film.png'), height=6, width=8)


def test_pixels_are_those_of_loading_at_once(record):
    before = dict(record)
    image = DeferredImage(LoadImage(), record)
    at_once = LoadImage().transform(dict(record))['img']
    assert image.shape == at_once.shape and image.dtype == at_once.dtype
    for _ in range(2):
        assert np.array_equal(np.asarray(image), at_once)
    assert np.asarray(image, np.float32).dtype == np.float32
    assert record == before


def test_a_size_that_is_not_the_records_is_refused_when_pixels_are_needed(record):
    image = DeferredImage(LoadImage(), record | dict(width=9))
    with pytest.raises(UserError, match='film.png: the image is 8x6 px, its annotation says 9x6'):
        np.asarray(image)


def test_samples_are_decoded_with_their_further_images(record):
    image = DeferredImage(LoadImage(), record)
    sample = dict(img=image, mix_results=[dict(img=image), dict(img=np.zeros(1))])
    found = decoded(sample)
    assert [type(part['img']) for part in (found, *found['mix_results'])] == [np.ndarray] * 3
    assert sample['img'] is image and sample['mix_results'][0]['img'] is image
    plain = dict(inputs=1)
    assert decoded(plain) is plain
