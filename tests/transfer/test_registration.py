"""Rendered films under known homographies are the oracle of the registration."""

import cv2
import numpy as np
import pytest

from mmleuk.synthetic.film import render_film
from mmleuk.transfer.registration import (
    Limits,
    correlation,
    find_keypoints,
    judge,
    project_points,
    refine,
    register,
    warp,
)
from mmleuk.transfer.registration import Registration as Found

SIZE = 512


@pytest.fixture(scope='module')
def film():
    return render_film(np.random.default_rng(3), [3, 4, 10], SIZE).image


@pytest.fixture(scope='module')
def other_film():
    return render_film(np.random.default_rng(4), [3, 4, 10], SIZE).image


def about_the_middle(turn_deg=0.0, scale=(1.0, 1.0), shift=(0.0, 0.0), to=SIZE):
    """(3, 3): turn and scale a film about its middle, which comes to the middle of an image of ``to`` pixels."""
    turn = np.radians(turn_deg)
    linear = np.diag(scale) @ [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = np.full(2, to / 2) + shift - linear @ np.full(2, SIZE / 2)
    return matrix


def photographed(film, homography, size_wh, light=1.0, stain=(1.0, 1.0, 1.0), blur=0.0, noise=0.0):
    """What another microscope sees: the film moved, in other light and stain, blurred, with noise, (H, W, 3) uint8."""
    scale = np.sqrt(abs(np.linalg.det(homography[:2, :2])))
    sharp = film if scale >= 1 else cv2.GaussianBlur(film, (0, 0), 0.45 / scale)
    moved = warp(sharp, homography, size_wh).astype(np.float64)
    # Stain scales optical densities, light scales intensities.
    moved = 255 * light * (np.clip(moved, 1, 255) / 255) ** np.array(stain)
    if blur:
        moved = cv2.GaussianBlur(moved, (0, 0), blur)
    moved += np.random.default_rng(0).normal(0, noise, moved.shape) if noise else 0
    return np.clip(moved, 0, 255).round().astype(np.uint8)


def worst_error(found, homography, size_wh):
    """Largest distance in pixels between both homographies' images of a grid of the film, where the target shows it."""
    grid = np.array([(x, y) for x in np.linspace(0, SIZE, 9) for y in np.linspace(0, SIZE, 9)])
    there = project_points(grid, homography)
    shown = (there >= 0).all(1) & (there <= size_wh).all(1)
    assert shown.sum() >= 8
    return np.linalg.norm(project_points(grid, found.homography) - there, axis=1)[shown].max()


PERSPECTIVE = np.array([[1.02, 0.05, -8.0], [-0.03, 0.97, 12.0], [4e-5, -3e-5, 1.0]])
CASES = {
    'shift': (about_the_middle(shift=(37.3, -21.6)), (SIZE, SIZE)),
    'turn by 33 degrees': (about_the_middle(33), (SIZE, SIZE)),
    'half a turn': (about_the_middle(180, shift=(10.5, 4.25)), (SIZE, SIZE)),
    'quarter turn': (about_the_middle(-90), (SIZE, SIZE)),
    '100x to 40x': (about_the_middle(12, (0.4, 0.4)), (SIZE, SIZE)),
    '100x to 40x, same frame': (about_the_middle(-5, (0.4, 0.4), to=256), (256, 256)),
    '40x to 100x': (about_the_middle(12, (2.5, 2.5)), (SIZE, SIZE)),
    'squeezed to 0.6': (about_the_middle(8, (0.6, 1.0)), (SIZE, SIZE)),
    'half of the field': (about_the_middle(3, shift=(250, 10)), (SIZE, SIZE)),
    'perspective': (PERSPECTIVE, (SIZE, SIZE)),
}


@pytest.mark.parametrize('case', CASES)
def test_known_homographies_are_found_to_a_pixel(film, case):
    homography, size_wh = CASES[case]
    found = register(film, photographed(film, homography, size_wh))
    assert found.refusal is None
    assert found.residual_px < 1
    assert worst_error(found, homography, size_wh) < 1
    scale, _ = found.scale_and_turn
    assert scale == pytest.approx(np.sqrt(np.linalg.det(homography[:2, :2])), rel=0.03)


@pytest.mark.parametrize('change', [
    dict(light=0.6), dict(stain=(0.7, 1.3, 1.1)), dict(blur=2.0), dict(noise=6.0),
    dict(light=0.75, stain=(1.3, 0.8, 0.9), blur=1.2, noise=4.0)])
@pytest.mark.parametrize('case', ['turn by 33 degrees', '100x to 40x', 'half a turn'])
def test_other_light_stain_blur_and_noise(film, case, change):
    homography, size_wh = CASES[case]
    found = register(film, photographed(film, homography, size_wh, **change))
    assert found.refusal is None
    assert worst_error(found, homography, size_wh) < 2


def test_overlaps_are_shares_of_either_field(film):
    """A scale of 0.4 shows the whole film on 0.16 of a frame of the same size; a shift by half of it leaves a half."""
    found = register(film, photographed(film, *CASES['100x to 40x']))
    assert (found.overlap_of_source, found.overlap_of_target) == pytest.approx((1, 0.16), abs=0.01)
    shift = about_the_middle(shift=(SIZE / 2, 0))
    found = register(film, photographed(film, shift, (SIZE, SIZE)))
    assert (found.overlap_of_source, found.overlap_of_target) == pytest.approx((0.5, 0.5), abs=0.01)
    assert found.correlation > 0.95


def test_turns_are_clockwise(film):
    """In image coordinates, with y down, the matrix [[0, -1], [1, 0]] moves right to down."""
    found = register(film, photographed(film, about_the_middle(90), (SIZE, SIZE)))
    assert found.scale_and_turn == pytest.approx((1, 90), abs=0.5)


def test_the_same_images_give_the_same_homography(film):
    target = photographed(film, *CASES['turn by 33 degrees'])
    before = film.copy()
    first, second = register(film, target), register(film, target)
    assert np.array_equal(first.homography, second.homography) and first.inliers == second.inliers
    assert np.array_equal(before, film)


def test_different_fields_are_refused(film, other_film):
    found = register(film, other_film)
    assert 'at least 20 are needed' in found.refusal


def test_a_flat_image_is_refused(film):
    flat = np.full((200, 300, 3), 230, np.uint8)
    for pair in ((film, flat), (flat, film), (flat, flat)):
        assert 'keypoints look alike' in register(*pair).refusal


def test_a_mirrored_field_is_refused(film):
    assert register(film, np.ascontiguousarray(film[:, ::-1])).refusal is not None


@pytest.mark.parametrize('limits, reason', [
    (Limits(min_inliers=10 ** 5), '100000 are needed'), (Limits(max_residual_px=1e-6), 'residual of'),
    (Limits(min_overlap=0.9), 'share 51% of the smaller one'), (Limits(min_correlation=1.0), 'correlate by')])
def test_each_limit_refuses_with_its_reason(film, limits, reason):
    found = register(film, photographed(film, about_the_middle(shift=(250, 0)), (SIZE, SIZE)), limits)
    assert reason in found.refusal


@pytest.mark.parametrize('matrix, reason', [
    (np.diag([-1.0, 1, 1]), 'mirrors'), (np.diag([4.0, 1, 1]), 'stretches the field by 4.0'),
    (np.array([[1, 0, 0], [0, 1, 0], [-0.004, 0, 1.0]]), 'folds')])
def test_impossible_homographies_are_refused_whatever_their_inliers(film, matrix, reason):
    assert reason in judge(Found(matrix, 100, 90, 0.5), film, film, Limits()).refusal


@pytest.mark.parametrize('case', ['100x to 40x', 'turn by 33 degrees', 'perspective'])
def test_grey_values_refine_a_homography_that_is_off(film, case):
    homography, size_wh = CASES[case]
    target = photographed(film, homography, size_wh, stain=(0.8, 1.2, 1.1))
    off = np.array([[1.004, 0.002, 1.5], [-0.003, 0.997, -1.2], [0, 0, 1]]) @ homography
    assert worst_error(Found(off, 0, 0), homography, size_wh) > 1.5
    assert worst_error(Found(refine(off, film, target), 0, 0), homography, size_wh) < 0.5


def test_a_refinement_that_finds_nothing_changes_nothing(film, other_film):
    start = about_the_middle(20)
    for target in (np.full((SIZE, SIZE, 3), 200, np.uint8), other_film):
        refined = refine(start, film, target)
        assert worst_error(Found(refined, 0, 0), start, (SIZE, SIZE)) <= 10


def test_keypoints_are_in_pixels_of_the_image_as_given():
    """A blob whose centre is the middle of pixel (60, 40) lies at (60.5, 40.5), whatever the size of the search."""
    y, x = np.mgrid[:100, :140]
    blob = (255 * (1 - np.exp(-((x - 60) ** 2 + (y - 40) ** 2) / 72))).round().astype(np.uint8)
    for stretch in ((1, 1), (2, 2), (5 / 3, 1)):
        found = find_keypoints(blob, stretch).points_xy
        assert np.linalg.norm(found - [60.5, 40.5], axis=1).min() < 0.3


def test_large_images_are_searched_reduced(film):
    large = cv2.resize(film, (2400, 2400), interpolation=cv2.INTER_CUBIC)
    found = register(film, large)
    assert found.refusal is None
    assert found.scale_and_turn == pytest.approx((2400 / SIZE, 0), abs=0.01)
    assert find_keypoints(large).px == pytest.approx(1.5)


def test_correlation_by_hand():
    assert correlation(np.array([0, 1, 2], np.uint8), np.array([2, 1, 0], np.uint8)) == pytest.approx(-1)
    assert correlation(np.array([5, 5], np.uint8), np.array([1, 2], np.uint8)) == 0
    assert correlation(np.zeros(0, np.uint8), np.zeros(0, np.uint8)) == 0
