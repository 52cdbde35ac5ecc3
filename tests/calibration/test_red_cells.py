"""Scale and aspect of a film, measured on discs that a finder of our own sees exactly."""

import cv2
import numpy as np
import pytest

from mmleuk.calibration import RED_CELL_MICRONS, Calibrator, RedCells, calibrate, measure_red_cells
from mmleuk.calibration.groups import evenly_spaced

TARGET = 39.0


def film(width, height, size=(640, 640), seed=0):
    """Discs on glass, ellipses of width x height pixels."""
    generator = np.random.default_rng(seed)
    image = np.full((size[1], size[0], 3), 230, np.uint8)
    for x in np.arange(width, size[0] - width, 1.3 * width):
        for y in np.arange(height, size[1] - height, 1.3 * height):
            centre = (x + generator.uniform(-2, 2), y + generator.uniform(-2, 2))
            cv2.ellipse(image, (centre, (width, height), 0), (120, 120, 200), -1)
    return image


def find(image):
    """Discs that are about 39 pixels wide; others have lower scores, as with a trained network."""
    mask = (image[..., 1] < 175).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h, _ in stats[1:]], float).reshape(-1, 4)
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    size, aspect = np.log(np.sqrt(sides.prod(1)) / TARGET), np.log(sides[:, 0] / sides[:, 1])
    return boxes, np.exp(-size ** 2 - aspect ** 2)


@pytest.mark.parametrize('diameter', [20, 30, 78, 140])
@pytest.mark.parametrize('aspect', [0.5, 0.6, 1.0, 2.0])
def test_measures_width_and_height(diameter, aspect):
    width, height = diameter * aspect ** 0.5, diameter / aspect ** 0.5
    found = measure_red_cells(film(width, height, (1200, 1200)), find, TARGET)
    assert found.width == pytest.approx(width, rel=0.08)
    assert found.height == pytest.approx(height, rel=0.08)
    assert found.scale(TARGET) == pytest.approx((TARGET / found.width, TARGET / found.height))


def test_nothing_on_empty_glass():
    assert measure_red_cells(np.full((300, 400, 3), 230, np.uint8), find, TARGET) is None


def test_twice_gives_the_same():
    image = film(50, 70)
    assert measure_red_cells(image, find, TARGET) == measure_red_cells(image, find, TARGET)


def test_a_group_is_the_median_of_its_fields():
    found = calibrate([film(50, 70, seed=seed) for seed in range(3)], find, TARGET, n_images=20)
    assert found.agrees and len(found.fields) == 3
    assert found.red_cells.width == pytest.approx(50, rel=0.05)
    assert found.red_cells.um_per_px == pytest.approx((RED_CELL_MICRONS / found.red_cells.width,
                                                     RED_CELL_MICRONS / found.red_cells.height))
    assert '20 images of 640 x 640 px' in found.sentence and 'warning' not in found.sentence


def test_fields_of_two_microscopes_are_measured_one_by_one():
    calibrator = Calibrator(find, TARGET)
    found = calibrator.measure_arrays([film(30, 30), film(60, 60)])
    assert not found.agrees and found.red_cells is None and 'not from one microscope' in found.sentence
    assert calibrator.red_cells(film(60, 60)).width == pytest.approx(60, rel=0.05)
    assert calibrator.red_cells(film(30, 30)).width == pytest.approx(30, rel=0.05)


@pytest.mark.parametrize('other', [film(60, 60), np.full((640, 640, 3), 230, np.uint8)])
def test_where_two_of_three_agree_nothing_is_searched_in_the_third(other):
    looks = []

    def counted(image):
        looks.append(image)
        return find(image)

    calibrate([film(30, 30), film(30, 30, seed=1)], counted, TARGET)
    for_two = len(looks)
    found = calibrate([film(30, 30), film(30, 30, seed=1), other], counted, TARGET)
    assert len(looks) == 2 * for_two + 1
    assert found.red_cells.width == pytest.approx(30, rel=0.05) and len(found.fields) == 2 and found.n_looked_at == 3


def test_the_first_image_can_be_the_one_that_differs():
    found = calibrate([film(60, 60), film(30, 30), film(30, 30, seed=1)], find, TARGET)
    assert found.agrees and found.left_out == 1 and found.red_cells.width == pytest.approx(30, rel=0.05)


def test_without_red_cells_it_says_what_to_do():
    found = calibrate([np.full((200, 200, 3), 230, np.uint8)], find, TARGET)
    assert found.red_cells is None and '--microns-per-pixel' in found.sentence


def test_the_order_of_files_changes_nothing(tmp_path):
    paths = [tmp_path / f'{number}.png' for number in range(7)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), film(48 + number, 48 + number, seed=number))
    one, other = Calibrator(find, TARGET), Calibrator(find, TARGET)
    assert one.measure_files(paths, lambda path: cv2.imread(str(path))) == other.measure_files(
        [paths[index] for index in (6, 0, 1, 3, 2, 5, 4)], lambda path: cv2.imread(str(path)))


def test_windows_have_the_scale_of_the_images_size():
    calibrator = Calibrator(find, TARGET)
    calibrator.measure_windows([film(50, 50), film(50, 50, seed=1)], (5000, 6000), 4)
    calibrator.measure_arrays([film(30, 30)])
    assert calibrator.red_cells(film(50, 50), (5000, 6000)).width == pytest.approx(50, rel=0.05)
    assert calibrator.red_cells(film(30, 30)).width == pytest.approx(30, rel=0.05)
    assert '4 images of 6000 x 5000 px' in calibrator.calibrations[5000, 6000].sentence
    assert 'in 2 windows' in calibrator.calibrations[5000, 6000].sentence
    assert calibrator.red_cells(film(80, 80), (5000, 7000)).width == pytest.approx(80, rel=0.05)
    assert set(calibrator.calibrations) == {(5000, 6000), (5000, 7000), (640, 640)}


def test_a_stated_scale_is_not_measured():
    def refuse(image):
        raise AssertionError('measured')
    calibrator = Calibrator(refuse, TARGET, (0.1, 0.2))
    assert calibrator.red_cells(film(50, 70)) == RedCells(RED_CELL_MICRONS / 0.1, RED_CELL_MICRONS / 0.2, 0)
    assert calibrator.measure_files([], lambda path: None) == []


def test_measured_files_are_spread_over_the_run():
    assert evenly_spaced(0) == [] and evenly_spaced(1) == [0]
    assert all(0 <= index < 20 for index in evenly_spaced(20)) and len(set(evenly_spaced(20))) == 3
