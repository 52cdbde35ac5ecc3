"""Windows of files of many kinds equal the pixels that were written."""

import gc

import cv2
import numpy as np
import pytest
from PIL import Image

from mmleuk.errors import UserError
from mmleuk.slides import readers
from mmleuk.slides.intensity import Intensity, parse_intensity
from mmleuk.slides.readers import SlideError, StreamedImage, WholeImage, is_large, open_slide

tifffile = pytest.importorskip('tifffile', reason='needs the extra [wsi]')
pytest.importorskip('imagecodecs', reason='needs the extra [wsi]')
WINDOWS = [(0, 0, 96, 96), (204, 0, 96, 96), (30, 40, 96, 96), (0, 154, 96, 96), (204, 154, 96, 96), (290, 240, 10, 10)]


@pytest.fixture(autouse=True)
def small_limit(monkeypatch):
    """Files of 300 px count as large here."""
    monkeypatch.setattr(readers, 'WHOLE_SIDE_PX', 200)


@pytest.fixture(scope='module')
def rgb():
    noise = np.random.default_rng(0).integers(60, 200, (25, 30, 3), np.uint8)
    return cv2.resize(noise, (300, 250), interpolation=cv2.INTER_CUBIC)


def assert_reads(path, rgb, tolerance=0, kind=None, intensity=None):
    with open_slide(path, intensity) as slide:
        assert slide.size_hw == rgb.shape[:2] and (kind is None or type(slide).__name__ == kind)
        for x, y, width, height in WINDOWS:
            window = slide.read(x, y, width, height)
            assert window.dtype == np.uint8 and window.shape == (height, width, 3)
            off = np.abs(window[..., ::-1].astype(int) - rgb[y:y + height, x:x + width])
            assert off.max() <= tolerance, (x, y)


KINDS = {
    'deflate': dict(tile=(64, 64), compression='zlib', predictor=True),
    'lzw BigTIFF': dict(tile=(64, 96), compression='lzw', bigtiff=True),
    'strips': dict(rowsperstrip=16, compression='zlib'),
    'one strip': {},
}


@pytest.mark.parametrize('kind', KINDS)
def test_tiff(tmp_path, rgb, kind):
    tifffile.imwrite(tmp_path / 'a.tif', rgb, **KINDS[kind])
    assert_reads(tmp_path / 'a.tif', rgb, kind='TiledTiff')


def test_jpeg_tiles(tmp_path, rgb):
    tifffile.imwrite(tmp_path / 'a.tif', rgb, tile=(64, 64), compression='jpeg', compressionargs=dict(level=98))
    assert_reads(tmp_path / 'a.tif', rgb, tolerance=40, kind='TiledTiff')


def test_ome_tiff_with_a_pyramid_and_with_planes(tmp_path, rgb):
    with tifffile.TiffWriter(tmp_path / 'a.ome.tif') as writer:
        writer.write(rgb, tile=(64, 64), subifds=1, metadata=dict(axes='YXS'))
        writer.write(rgb[::2, ::2].copy(), tile=(64, 64), subfiletype=1)
    assert_reads(tmp_path / 'a.ome.tif', rgb, kind='TiledTiff')
    planes = np.ascontiguousarray(np.moveaxis(rgb, 2, 0))
    tifffile.imwrite(tmp_path / 'b.ome.tif', planes, tile=(64, 64), photometric='minisblack', metadata=dict(axes='CYX'))
    assert_reads(tmp_path / 'b.ome.tif', rgb, kind='TiledTiff')
    tifffile.imwrite(tmp_path / 'c.tif', planes, tile=(64, 64), photometric='rgb', planarconfig='separate')
    assert_reads(tmp_path / 'c.tif', rgb, kind='TiledTiff')


def test_palette_inverted_and_alpha(tmp_path, rgb):
    index = (rgb[..., 0] // 64).astype(np.uint8)
    colours = np.zeros((3, 256), np.uint16)
    colours[:, :4] = np.array([[0, 80, 160, 240], [10, 20, 30, 40], [5, 5, 5, 5]]) * 257
    tifffile.imwrite(tmp_path / 'p.tif', index, photometric='palette', colormap=colours, tile=(64, 64))
    assert_reads(tmp_path / 'p.tif', (colours >> 8).T[index].astype(np.uint8))
    tifffile.imwrite(tmp_path / 'i.tif', 255 - rgb[..., 0], photometric='miniswhite', tile=(64, 64))
    assert_reads(tmp_path / 'i.tif', np.repeat(rgb[..., :1], 3, 2))
    alpha = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
    tifffile.imwrite(tmp_path / 'a.tif', alpha, photometric='rgb', extrasamples=['unassalpha'], tile=(64, 64))
    assert_reads(tmp_path / 'a.tif', rgb)


@pytest.mark.parametrize(('suffix', 'tolerance'), [('png', 0), ('jpg', 60)])
def test_large_png_and_jpeg_are_decoded_row_by_row(tmp_path, rgb, suffix, tolerance):
    pytest.importorskip('pyvips', reason='needs the extra [wsi]')
    path = tmp_path / f'a.{suffix}'
    cv2.imwrite(str(path), rgb[..., ::-1])
    assert_reads(path, rgb, tolerance, kind='StreamedImage')
    with StreamedImage(path, None) as slide:  # back to the top
        low = slide.read(0, 100, 300, 50)
        slide.read(0, 0, 300, 50)
        np.testing.assert_array_equal(slide.read(0, 100, 300, 50), low)
    content = path.read_bytes()
    path.write_bytes(content[:len(content) // 2])
    with pytest.raises(UserError, match='cannot be decoded'), open_slide(path) as slide:
        slide.read(0, 154, 96, 96)


@pytest.mark.parametrize(('name', 'mode', 'stored'), [
    ('a.jpg', 'CMYK', 'cmyk'), ('a.tif', 'CMYK', 'SEPARATED'), ('a.tif', 'LAB', 'CIELAB'), ('a.tif', 'YCbCr', 'YCBCR')])
@pytest.mark.parametrize('largest', [100, 10 ** 9])  # one huge strip, and tiles
def test_colours_that_are_not_rgb_are_refused(tmp_path, rgb, monkeypatch, name, mode, stored, largest):
    """Read as if they were red, green and blue, an orange film is blue."""
    pytest.importorskip('pyvips', reason='needs the extra [wsi]')
    from mmleuk.slides import tiff
    monkeypatch.setattr(tiff, 'MAX_SEGMENT_BYTES', largest)
    Image.fromarray(rgb).convert(mode).save(tmp_path / name)
    with pytest.raises(SlideError, match=f'{name}: its colours are stored as {stored}, .*; save it in RGB'):
        open_slide(tmp_path / name)


@pytest.mark.parametrize('name', ['a.jpg', 'a.tif'])
def test_turned_images_are_refused(tmp_path, rgb, name):
    """Small images are turned as their EXIF orientation says; a large one would silently lie on its side."""
    pytest.importorskip('pyvips', reason='needs the extra [wsi]')
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(rgb).save(tmp_path / name, exif=exif)
    with pytest.raises(SlideError, match=f'{name}: its EXIF orientation turns it'):
        open_slide(tmp_path / name)


def test_grey_in_a_png_is_read(tmp_path, rgb):
    pytest.importorskip('pyvips', reason='needs the extra [wsi]')
    cv2.imwrite(str(tmp_path / 'g.png'), rgb[..., 0])
    assert_reads(tmp_path / 'g.png', np.repeat(rgb[..., :1], 3, 2), kind='StreamedImage')
    for samples in (rgb, rgb[..., 0]):
        cv2.imwrite(str(tmp_path / 's.png'), samples[..., ::-1].astype(np.uint16) * 257 if samples.ndim == 3
                    else samples.astype(np.uint16) * 257)
        wanted = samples if samples.ndim == 3 else np.repeat(rgb[..., :1], 3, 2)
        assert_reads(tmp_path / 's.png', wanted, kind='StreamedImage', intensity=parse_intensity('full'))


def test_tiff_of_one_huge_strip_is_streamed(tmp_path, rgb, monkeypatch):
    pytest.importorskip('pyvips', reason='needs the extra [wsi]')
    from mmleuk.slides import tiff
    monkeypatch.setattr(tiff, 'MAX_SEGMENT_BYTES', 1000)
    tifffile.imwrite(tmp_path / 'a.tif', rgb)
    assert_reads(tmp_path / 'a.tif', rgb, kind='StreamedImage')


def test_openslide(tmp_path, rgb):
    pytest.importorskip('openslide', reason='needs the extra [wsi]')
    description = 'Aperio Image Library v11.2.1\r\n300x250 [0,0 300x250] (64x64) JPEG/RGB Q=95|AppMag = 40|MPP = 0.25'
    tifffile.imwrite(tmp_path / 'a.svs', rgb, tile=(64, 64), compression='jpeg', compressionargs=dict(level=98),
                     description=description, metadata=None)
    assert_reads(tmp_path / 'a.svs', rgb, tolerance=40, kind='OpenSlideImage')
    (tmp_path / 'b.svs').write_bytes(b'nothing')
    with pytest.raises(UserError, match='OpenSlide cannot read it'):
        open_slide(tmp_path / 'b.svs')


def test_small_images_are_decoded_as_everywhere(tmp_path, rgb, monkeypatch):
    monkeypatch.setattr(readers, 'WHOLE_SIDE_PX', 300)
    cv2.imwrite(str(tmp_path / 'a.png'), rgb[..., ::-1])
    assert not is_large(tmp_path / 'a.png') and not is_large(tmp_path / 'gone.png')
    assert_reads(tmp_path / 'a.png', rgb, kind='WholeImage')


def test_16_bits_and_grey(tmp_path, rgb):
    twelve = rgb[..., 0].astype(np.uint16) * 16
    tifffile.imwrite(tmp_path / 'a.tif', twelve, tile=(64, 64))
    with pytest.raises(UserError, match='uint16 samples, not 8 bits; say how'):
        open_slide(tmp_path / 'a.tif')
    expected = np.repeat(np.rint(twelve / 4095 * 255).astype(int)[..., None], 3, 2)
    assert_reads(tmp_path / 'a.tif', expected, tolerance=1, intensity=parse_intensity('0:4095'))
    assert_reads(tmp_path / 'a.tif', expected // 16, tolerance=1, intensity=parse_intensity('full'))
    cv2.imwrite(str(tmp_path / 'a.png'), twelve)
    with WholeImage(tmp_path / 'a.png', Intensity('percentiles')) as slide:
        assert slide.limits == pytest.approx(np.percentile(twelve, (0.1, 99.9)).tolist())
        assert slide.read(0, 0, 300, 250).max() == 255
    tifffile.imwrite(tmp_path / 'grey.tif', rgb[..., 0], tile=(64, 64))
    assert_reads(tmp_path / 'grey.tif', np.repeat(rgb[..., :1], 3, 2))
    tifffile.imwrite(tmp_path / 'float.tif', rgb.astype(np.float32) / 255, tile=(64, 64), photometric='rgb')
    assert_reads(tmp_path / 'float.tif', rgb, tolerance=1, intensity=parse_intensity('0:1'))
    with pytest.raises(UserError, match='floating-point samples'):
        open_slide(tmp_path / 'float.tif', parse_intensity('full'))


@pytest.mark.parametrize('text', ['', 'auto', '5:1', '3', '0:', '1:1', 'nan:3', '-:5'])
def test_an_intensity_that_means_nothing(text):
    with pytest.raises(UserError, match='LOW:HIGH with LOW < HIGH'):
        parse_intensity(text)


def test_what_cannot_be_read(tmp_path, rgb):
    tifffile.imwrite(tmp_path / 'stack.tif', np.stack([rgb, rgb]), tile=(64, 64), photometric='rgb')
    with pytest.raises(UserError, match=r'is a stack \(.*Y 250, X 300'):
        open_slide(tmp_path / 'stack.tif')
    tifffile.imwrite(tmp_path / 'cut.tif', rgb, tile=(64, 64), compression='zlib')
    content = (tmp_path / 'cut.tif').read_bytes()
    with tifffile.TiffFile(tmp_path / 'cut.tif') as file:
        last = file.pages[0].dataoffsets[-1]
    (tmp_path / 'cut.tif').write_bytes(content[:last + 3])
    with pytest.raises(UserError, match='tile 19 cannot be decoded'), open_slide(tmp_path / 'cut.tif') as slide:
        slide.read(204, 154, 96, 96)
    (tmp_path / 'bad.tif').write_bytes(b'II+\0' + b'\xff' * 100)
    with pytest.raises(UserError, match='bad.tif'):
        open_slide(tmp_path / 'bad.tif')


@pytest.mark.filterwarnings('error::ResourceWarning')
def test_a_refused_file_is_closed(tmp_path, rgb, recwarn):
    tifffile.imwrite(tmp_path / 'a.tif', rgb.astype(np.uint16), tile=(64, 64), photometric='rgb')
    with pytest.raises(UserError):
        open_slide(tmp_path / 'a.tif')
    gc.collect()
    assert not [w for w in recwarn if issubclass(w.category, ResourceWarning)]
