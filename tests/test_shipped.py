"""The model in the package loads without code from the file, finds cells at any scale, and names its sources."""

import json

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open

from mmleuk.apis import Inferencer
from mmleuk.calibration import RED_CELL_MICRONS
from mmleuk.calibration.finder import load_finder
from mmleuk.commands.infer import split_model
from mmleuk.commands.serve import FilmReader
from mmleuk.errors import UserError
from mmleuk.shipped import DEFAULT, SHIPPED, get_shipped
from mmleuk.utils.checkpoint import load_checkpoint_safely


@pytest.fixture(scope='module')
def inferencer():
    return Inferencer()


def film(size=(480, 480)):
    """A leukocyte among red cells, by discs."""
    image = np.full((*size, 3), (203, 228, 250), np.uint8)
    for x in range(30, size[1], 52):
        for y in range(30, size[0], 52):
            cv2.circle(image, (x, y), 20, (165, 165, 220), -1, cv2.LINE_AA)
            cv2.circle(image, (x, y), 7, (185, 195, 235), -1, cv2.LINE_AA)
    cv2.circle(image, (240, 240), 40, (190, 160, 200), -1, cv2.LINE_AA)
    cv2.circle(image, (240, 240), 28, (110, 40, 90), -1, cv2.LINE_AA)
    return cv2.GaussianBlur(image, (0, 0), 1.2)


@pytest.mark.parametrize('name', SHIPPED)
def test_files(name):
    model = get_shipped(name)
    assert model.weights.stat().st_size <= 10e6
    with safe_open(model.weights, 'pt') as file:  # no pickle
        assert set(file.keys()) == set(load_checkpoint_safely(model.weights)['state_dict'])
    text = model.card.read_text(encoding='utf-8')
    for words in ('TXL-PBC', 'WBCAtt', 'MIT', 'CC BY 4.0', 'tools/ship_model.py'):
        assert words in text
    assert '/work' not in model.config.read_text(encoding='utf-8')


def test_an_unknown_name():
    with pytest.raises(UserError, match=DEFAULT):
        get_shipped('yolo')


def test_a_broken_file_is_one_line(tmp_path):
    path = tmp_path / 'broken.safetensors'
    path.write_bytes(b'x' * 100)
    with pytest.raises(UserError, match=r'broken\.safetensors: no file of safetensors'):
        load_checkpoint_safely(path)


def test_finds_cells_at_any_scale(inferencer):
    image = film()
    for factors in ((1, 1), (2, 2), (0.5, 1)):
        scaled = cv2.resize(image, None, fx=factors[0], fy=factors[1], interpolation=cv2.INTER_AREA)
        prediction = inferencer(scaled)[0]
        red = [cell for cell in prediction.cells if cell.class_name == 'RBC']
        assert len(red) >= 30
        assert np.median([cell.diameter_um for cell in red]) == pytest.approx(RED_CELL_MICRONS, rel=0.15)
        x, y = prediction.um_per_px
        assert x / y == pytest.approx(factors[1] / factors[0], rel=0.15)


def test_another_film_is_measured_anew(inferencer, tmp_path):
    """Two microscopes may have one camera, so one image size; each call, and each film of the page, is a film."""
    image = film()
    magnified = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_AREA)[240:720, 240:720]
    assert magnified.shape == image.shape
    once, twice = (inferencer(pixels)[0].um_per_px[0] for pixels in (image, magnified))
    assert twice == pytest.approx(once / 2, rel=0.15)
    scales = []
    for name, pixels in (('a', image), ('b', magnified)):
        path = tmp_path / f'{name}.png'
        cv2.imwrite(str(path), pixels)
        FilmReader(inferencer)([path], [path.name], tmp_path, lambda number: None)
        run = json.loads((tmp_path / 'predictions.json').read_text())
        scales.append(run['images'][0]['um_per_px'][0])
        assert len(run['run']['scales']) == 1
    assert scales == pytest.approx([once, twice])


def test_the_scale_of_arrays_is_that_of_three_as_of_files(inferencer):
    glass = np.full_like(film(), 230)
    first, *_ = found = inferencer([glass, film(), film(), film()])
    assert len({one.um_per_px for one in found}) == 1 and first.um_per_px is not None
    assert inferencer.run_info().scales[0].startswith('4 images of 480 x 480 px')


def test_only_leukocytes_have_attributes(inferencer):
    for cell in inferencer(film())[0].cells:
        leukocyte = cell.class_name in inferencer.leukocytes
        assert (cell.novelty is not None) == leukocyte
        assert (cell.value_index('cell_size') >= 0) == leukocyte


def test_twice_gives_the_same(inferencer):
    assert inferencer(film()) == inferencer(film())


def test_a_stated_scale_and_none(inferencer):
    image = film()
    stated = Inferencer(microns_per_pixel=(0.2, 0.2))(image)[0]
    assert stated.um_per_px == pytest.approx((0.2, 0.2))
    off = Inferencer(calibrate=False)(image)[0]
    assert off.um_per_px is None and all(cell.diameter_um is None for cell in off.cells)
    for wrong in ((0.0, 1.0), (0.1, 100.0), (float('nan'), 0.1)):
        with pytest.raises(UserError, match='between 0.005 and 5'):
            Inferencer(microns_per_pixel=wrong)


def test_a_run_says_where_its_scale_comes_from(inferencer):
    """It named the config's size of image, which no scaled image had, and said nothing of a stated scale."""
    stated, sized = Inferencer(microns_per_pixel=(0.2, 0.12)).run_info(), Inferencer(image_size=192).run_info()
    assert stated.scales == ('all images: a pixel is 0.2 wide and 0.12 high micrometres, as stated',)
    assert (inferencer.run_info().image_size, stated.image_size, sized.image_size) == (None, None, 192)
    assert Inferencer(calibrate=False).run_info().image_size == 192


def test_training_is_refused(inferencer):
    with pytest.raises(UserError, match='their own configs'):
        inferencer.model.loss(torch.zeros(1, 3, 32, 32), [])


@pytest.mark.parametrize('words, message', [
    (['a.png', 'config.py'], 'without its checkpoint'), (['a.png', 'x.pth'], 'without their config'),
    (['config.py', 'x.pth'], 'no image is named')])
def test_half_a_model_is_refused(words, message):
    with pytest.raises(UserError, match=message):
        split_model(words)


def test_config_and_checkpoint_belong_together():
    with pytest.raises(UserError, match='belong together'):
        Inferencer(config='a.py')


def test_probabilities_of_all_classes_and_no_type_that_is_not_believed(inferencer):
    cells = inferencer([film()])[0].cells
    names = inferencer.model.reader.schema['cell_type'].values
    assert any(cell.class_name in names for cell in cells)
    for cell in cells:
        assert len(cell.class_probs) == len(names) + 2
        if cell.class_name in names and cell.attributes.get('cell_type'):
            assert cell.attributes['cell_type']['value'] in (cell.class_name, 'unknown')


def test_a_higher_score_keeps_the_same_cells(inferencer):
    every = inferencer([film()])[0].cells
    strict = Inferencer(min_score=0.9)([film()])[0].cells
    assert 0 < len(strict) and [cell.box for cell in strict] == [cell.box for cell in every if cell.score >= 0.9]


def test_images_of_several_sizes_in_a_batch(inferencer):
    """Filled to one size, the smaller ones had cells in their filling."""
    images = [film(), film((300, 420)), film((420, 330))]
    alone, together = inferencer(images), Inferencer(batch_size=3)(images)
    for one, other in zip(alone, together):
        assert [cell.class_name for cell in one.cells] == [cell.class_name for cell in other.cells] and one.cells
        boxes = np.array([[cell.box for cell in each.cells] for each in (one, other)])
        np.testing.assert_allclose(*boxes, atol=1e-2)


def test_a_field_may_show_more_cells_than_evaluations_count(inferencer):
    found, = inferencer(film((1200, 1200)))
    assert len(found.cells) > 500  # of 23 x 23; 300 were the most


def test_its_own_model_finds_the_red_cells_that_a_model_beside_it_finds(inferencer):
    beside, diameter = load_finder(torch.device('cpu'))
    own = inferencer.calibrator
    assert diameter == own.diameter
    assert own.find.model() is inferencer.model
    expected, found = beside(film()), own.find(film())
    assert len(found[1]) >= 20
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize('score', [0.05, 0.3, 0.5, 0.8, 0.99])
def test_uncalibrated_scores(inferencer, score):
    model = inferencer.model
    raw = model.uncalibrated(score)
    labels = torch.arange(len(model.score_temperatures))
    calibrated = model._calibrated(torch.full((len(labels),), raw), labels)
    assert calibrated.min() <= calibrated.max() == pytest.approx(score, abs=1e-5)
