"""Scanning a film with a detector that sees dots: every dot once, also after a kill."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from slide_fixtures import DotDetector, dots

from mmleuk.errors import UserError
from mmleuk.slides.glass import is_empty_glass
from mmleuk.slides.journal import Journal
from mmleuk.slides.overview import Overview
from mmleuk.slides.readers import open_slide
from mmleuk.slides.scan import scan
from mmleuk.slides.windows import plan_windows


@pytest.fixture
def film(tmp_path):
    import cv2
    rng = np.random.default_rng(3)
    grid = np.stack(np.meshgrid(np.arange(14, 400, 26), np.arange(14, 285, 26)), 2).reshape(-1, 2)
    centres = [(x, y) for x, y in grid + rng.integers(-3, 4, grid.shape) if x < 300]  # the right side is empty glass
    path = tmp_path / 'film.png'
    cv2.imwrite(str(path), dots((300, 520), centres))
    return path, centres


def run(path, journal_path, predict, *, resume=False, batch_size=3, see=None, on_step=None):
    with open_slide(path) as slide, Journal(journal_path, dict(window=96), resume) as journal:
        plan = plan_windows(slide.size_hw, 96, 32)
        return scan(slide, 'film.png', predict, plan, journal, batch_size=batch_size, see=see, on_step=on_step)


def test_every_cell_is_found_once_with_its_own_attributes(film, tmp_path):
    path, centres = film
    windows, cells = [], []
    found = run(path, tmp_path / 'j', DotDetector(), on_step=lambda w, c: (windows.append(w), cells.append(c)))
    by_centre = {(round((c.box[0] + c.box[2] - 1) / 2), round((c.box[1] + c.box[3] - 1) / 2)): c for c in found.cells}
    assert sorted(by_centre) == sorted((int(x), int(y)) for x, y in centres) and len(found.cells) == len(centres)
    for number, (x, y) in enumerate(centres):
        reading = by_centre[x, y].attributes['nuclear_chromatin']
        assert reading['value_index'] == number % 200 % 2
        assert by_centre[x, y].box == (x - 9., y - 9., x + 10., y + 10.)
    assert found.empty > 5 and found.repeated > 0 and sum(windows) == found.windows
    assert sum(cells) == len(found.cells) + found.repeated
    assert [c.score for c in found.cells] == sorted((c.score for c in found.cells), reverse=True)


class Measuring(DotDetector):
    """A detector that knows a scale per window, in the order in which it sees them; after the last one, that one."""

    def __init__(self, *scales):
        super().__init__()
        self.scales = list(scales)

    def predict(self, image):
        scale = self.scales.pop(0) if len(self.scales) > 1 else self.scales[0]
        return replace(super().predict(image), um_per_px=scale)


@pytest.mark.parametrize('scales, expected', [
    (((0.2, 0.1),), (0.2, 0.1)), ((None,), None), (((0.2, 0.1), (0.2, 0.11)), None), ((None, (0.2, 0.1)), None)])
def test_an_image_has_the_scale_that_all_its_windows_share(film, tmp_path, scales, expected):
    path, _ = film
    assert run(path, tmp_path / 'j', Measuring(*scales)).um_per_px == expected
    assert run(path, tmp_path / 'j', Measuring((9., 9.)), resume=True).um_per_px == expected  # as it was recorded


def test_empty_glass_says_nothing_of_the_scale(tmp_path):
    import cv2
    cv2.imwrite(str(tmp_path / 'glass.png'), dots((300, 520), []))
    assert run(tmp_path / 'glass.png', tmp_path / 'j', Measuring((0.2, 0.1))).um_per_px is None


class Killed(DotDetector):
    def __init__(self, after):
        super().__init__()
        self.after = after

    def __call__(self, arrays):
        if self.calls == self.after:
            raise KeyboardInterrupt
        return super().__call__(arrays)


@pytest.mark.parametrize('torn', [b'', b'{"step": ["film.png", 9'])
def test_a_killed_run_goes_on_and_finds_the_same(film, tmp_path, torn):
    path, _ = film
    whole = run(path, tmp_path / 'whole', DotDetector())
    with pytest.raises(KeyboardInterrupt):
        run(path, tmp_path / 'j', Killed(3))
    (tmp_path / 'j').write_bytes((tmp_path / 'j').read_bytes() + torn)  # killed in writing a line
    rest = DotDetector()
    assert run(path, tmp_path / 'j', rest, resume=True) == whole
    complete = DotDetector()
    assert run(path, tmp_path / 'whole', complete, resume=True) == whole and complete.calls == 0 < rest.calls
    assert (tmp_path / 'j').read_bytes() == (tmp_path / 'whole').read_bytes()


def test_a_journal_of_another_run_is_refused(film, tmp_path):
    path, _ = film
    run(path, tmp_path / 'j', DotDetector())
    before = (tmp_path / 'j').read_bytes()
    with pytest.raises(UserError, match='other min_score, window; give the same arguments'):
        Journal(tmp_path / 'j', dict(window=97, min_score=0.3), resume=True)
    assert (tmp_path / 'j').read_bytes() == before
    (tmp_path / 'j').write_bytes(before.replace(b'mmleuk.journal/3', b'mmleuk.journal/2', 1))
    with pytest.raises(UserError, match='other format; give the same arguments'):  # of an earlier version
        Journal(tmp_path / 'j', dict(window=96), resume=True)
    (tmp_path / 'j').write_bytes(before + b'nonsense\n')
    with pytest.raises(UserError, match=r'byte \d+: is no step of a run'):
        Journal(tmp_path / 'j', dict(window=96), resume=True)
    with Journal(tmp_path / 'j', dict(window=96)) as journal:  # without resume it starts again
        assert len(journal) == 0


@pytest.mark.parametrize('left', [b'', b'{"format": "mmleuk.jou'])
def test_a_journal_killed_at_its_start(tmp_path, left):
    (tmp_path / 'j').write_bytes(left)
    with Journal(tmp_path / 'j', dict(window=96), resume=True) as journal:
        assert len(journal) == 0


def test_an_overview_shows_all_windows(film, tmp_path):
    path, _ = film
    with open_slide(path) as slide:
        overview = Overview(slide.size_hw, side_px=130)
        whole = slide.read(0, 0, 520, 300)
    run(path, tmp_path / 'j', DotDetector(), see=overview.see)
    assert overview.pixels.shape == (75, 130, 3) and overview.scale == 0.25
    small = whole.reshape(75, 4, 130, 4, 3).mean((1, 3))
    assert np.abs(overview.pixels - small).mean() < 10
    again = Overview((300, 520), side_px=130)
    run(path, tmp_path / 'j', DotDetector(), resume=True, see=again.see)  # also of windows of the earlier run
    np.testing.assert_array_equal(again.pixels, overview.pixels)


def test_empty_glass():
    rng = np.random.default_rng(0)
    glass = np.clip(rng.normal(225, 6, (320, 320, 3)), 0, 255).astype(np.uint8)  # a noisy camera
    shade = (glass * np.linspace(0.97, 1, 320)[:, None, None]).astype(np.uint8)  # light falls off
    assert is_empty_glass(glass) and is_empty_glass(shade) and is_empty_glass(np.zeros((320, 320, 3), np.uint8))
    platelet = glass.copy()
    platelet[100:112, 50:62] = (200, 150, 190)
    pale = glass.copy()
    pale[100:140, 50:90, 1] -= 35  # a pale red cell
    assert not is_empty_glass(platelet) and not is_empty_glass(pale)


FULL_DISK = """
import resource, sys
from mmleuk.errors import UserError
from mmleuk.slides.journal import Journal
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
try:
    with Journal(sys.argv[1], {}) as journal:
        for step in range(1000):
            journal.add(('a.png', step), ())
except UserError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with Journal(sys.argv[1], {}, resume=True) as journal:
    print(len(journal))
"""


def test_a_full_disk_is_one_line_and_the_steps_stay(tmp_path):
    done = subprocess.run([sys.executable, '-c', FULL_DISK, str(tmp_path / 'j')], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    said, steps = done.stdout.splitlines()
    assert 'free some space, then go on with --resume' in said and int(steps) > 100
