"""Pictures that OpenCV reads without an error, and not as they are."""

import os
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from mmleuk.errors import UserError
from mmleuk.utils.image_files import check_image_file, decode_image, header_size
from mmleuk.utils.image_inputs import check_images, list_images


def encoded(pixels: np.ndarray, suffix: str) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
@pytest.mark.parametrize('channels', [(), (3,)])
def test_twelve_bits_in_sixteen_are_refused(tmp_path, suffix, channels):
    pixels = np.full((40, 50, *channels), 4095, np.uint16)
    path = tmp_path / f'film{suffix}'
    path.write_bytes(encoded(pixels, suffix))
    for read in (lambda: decode_image(path.read_bytes(), 'film'), lambda: check_image_file(str(path))):
        with pytest.raises(UserError, match='16-bit samples go no further than 4095.*nearly black; restore or convert'):
            read()


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
@pytest.mark.parametrize('dtype, brightest, read', [(np.uint16, 65535, 255), (np.uint16, 0, 0), (np.uint8, 63, 63)])
def test_other_depths_are_read(suffix, dtype, brightest, read):
    image = decode_image(encoded(np.full((40, 50, 3), brightest, dtype), suffix), 'film')
    assert image.shape == (40, 50, 3) and image.dtype == np.uint8 and (image == read).all()


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'tif', 'webp'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_the_header_says_the_size_of_the_decoded_image(tmp_path, suffix, orientation):
    """5 to 8 turn an image by a quarter; OpenCV doesn't turn WebP."""
    path, exif = tmp_path / f'film.{suffix}', Image.Exif()
    exif[0x112] = orientation
    Image.new('RGB', (50, 40)).save(path, exif=exif)
    decoded = decode_image(path.read_bytes(), 'film')
    assert decoded.shape[:2] == ((50, 40) if orientation > 4 and suffix != 'webp' else (40, 50))
    assert header_size(path) == decoded.shape[1::-1]


def test_a_large_file_with_complete_ends_is_examined(tmp_path):
    """In a file of 4 kB and more, complete ends don't show damage between them."""
    noise = np.random.default_rng(0).integers(0, 4096, (100, 100, 3), dtype=np.uint16)
    path = tmp_path / 'film.png'
    path.write_bytes(encoded(noise, '.png'))
    assert path.stat().st_size > 8192
    with pytest.raises(UserError, match='nearly black'):
        check_image_file(str(path))


def tiff(*sizes: tuple[int, int]) -> bytes:
    pages = [Image.fromarray(np.full((height, width, 3), 100 + index, np.uint8))
             for index, (height, width) in enumerate(sizes)]
    content = BytesIO()
    pages[0].save(content, 'TIFF', save_all=True, append_images=pages[1:])
    return content.getvalue()


def test_a_stack_is_refused_and_a_pyramid_read(tmp_path):
    """OpenCV gives the first page of either."""
    path = tmp_path / 'film.tif'
    path.write_bytes(tiff((40, 50), (40, 50), (40, 50)))
    with pytest.raises(UserError, match='film.tif: it is a stack of 3 pages, of which the first alone would be read'):
        check_image_file(str(path))
    with pytest.raises(UserError, match='film.tif: it is a stack of 3 pages'):
        check_images([path])
    for whole in (tiff((40, 50)), tiff((40, 50), (20, 25), (10, 12))):
        path.write_bytes(whole)
        check_images([path])
        assert (decode_image(whole, 'film') == 100).all()


def test_a_pipe_is_no_image(tmp_path):
    """Reading it would wait for ever."""
    os.mkfifo(tmp_path / 'film.png')
    with pytest.raises(UserError, match='film.png: is a device or a pipe'):
        list_images(tmp_path / 'film.png')
