"""A large film: its pixels are those of its fields, its truth fits them."""

import json

import numpy as np
import pytest

from mmleuk.cli import main
from mmleuk.errors import UserError
from mmleuk.synthetic.mosaic import FIELD_PX, write_mosaic
from mmleuk.synthetic.writer import Settings

pytest.importorskip('imagecodecs', reason='needs the extra [wsi]')


@pytest.fixture(scope='module')
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp('film') / 'film.tif'
    words = ['--film', str(path), '--film-size', '1000', '--seed', '4', '--workers', '1']
    assert main(['data', 'synthesize', *words]) == 0
    return path, json.loads(path.with_suffix('.json').read_text())


def test_the_truth_lies_where_the_film_is_dark(film):
    import tifffile
    path, truth = film
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        assert page.is_tiled and (page.tilelength, page.tilewidth) == (FIELD_PX, FIELD_PX)
        pixels = file.asarray()
    assert pixels.shape == (1000, 1000, 3) and truth['images'] == [
        dict(id=1, file_name='film.tif', width=1000, height=1000)]
    boxes = np.array([cell['bbox'] for cell in truth['annotations']])
    assert len(boxes) > 15 and (boxes[:, :2] >= 0).all() and (boxes[:, :2] + boxes[:, 2:] <= 1000).all()
    assert {int(x) // FIELD_PX + 2 * (int(y) // FIELD_PX) for x, y in boxes[:, :2]} == {0, 1, 2, 3}  # all four fields
    green = pixels[..., 1].astype(float)
    inside = [green[y:y + h, x:x + w].mean() for x, y, w, h in boxes]
    assert np.median(inside) < green.mean() - 10


def test_a_film_of_the_same_seed_is_the_same_with_any_number_of_workers(film, tmp_path):
    path, truth = film
    assert write_mosaic(tmp_path / 'film.tif', 1000, Settings(seed=4), workers=2) == truth
    assert (tmp_path / 'film.tif').read_bytes() == path.read_bytes()


def test_refusals(film, tmp_path):
    path, _ = film
    before = path.read_bytes()
    with pytest.raises(UserError, match='exists already'):
        write_mosaic(path, 640, Settings())
    assert path.read_bytes() == before
    with pytest.raises(UserError, match='name a .tif file'):
        write_mosaic(tmp_path / 'a.png', 640, Settings())
    with pytest.raises(UserError, match='allowed: 64 to 200000'):
        write_mosaic(tmp_path / 'a.tif', 10, Settings())
    assert main(['data', 'synthesize', '--film', str(tmp_path / 'b.tif'), '--train', '3']) == 2
    assert not list(tmp_path.iterdir())
