"""mmleuk infer on large images: windows, a kill and --resume, conversions, drawings."""

import contextlib
import os
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image
from small_attri_det import write_attri_det

from mmleuk.cli import main
from mmleuk.commands.team import Team
from mmleuk.slides import readers
from mmleuk.structures.prediction_files import from_json

tifffile = pytest.importorskip('tifffile', reason='needs the extra [wsi]')


@pytest.fixture(scope='module')
def attri(tmp_path_factory):
    return write_attri_det(tmp_path_factory.mktemp('attri'))


@pytest.fixture(scope='module')
def film(tmp_path_factory):
    """300 x 420 px; the right third is empty glass."""
    noise = np.random.default_rng(0).integers(0, 255, (38, 35, 3), np.uint8)
    pixels = np.full((300, 420, 3), 235, np.uint8)
    pixels[:, :280] = cv2.resize(noise, (280, 300), interpolation=cv2.INTER_CUBIC)
    path = tmp_path_factory.mktemp('film') / 'film.tif'
    tifffile.imwrite(path, pixels[..., ::-1], tile=(64, 64), compression='zlib', bigtiff=True)
    return path, pixels


def infer(film, attri, out, *more, min_score='0.03'):
    return main(['infer', str(film), *map(str, attri), '--out-dir', str(out), '--device', 'cpu', '--min-score',
                 min_score, '--window', '96', '--overlap', '32', *more])


def test_a_large_film(attri, film, tmp_path, capsys):
    path, pixels = film
    assert infer(path, attri, tmp_path) == 0
    printed = capsys.readouterr().out
    assert 'film.tif: 35 windows (5 of empty glass)' in printed
    assert sorted(os.listdir(tmp_path)) == ['.mmleuk_infer.json', '.mmleuk_infer.lock', 'pictures', 'predictions.csv',
                                            'predictions.json', 'report.html']
    found = from_json(tmp_path / 'predictions.json').predictions[0]
    assert found.size_hw == (300, 420) and len(found.cells) > 20
    boxes = np.array([cell.box for cell in found.cells])
    assert (boxes >= 0).all() and (boxes <= [420, 300, 420, 300]).all()
    assert boxes[:, 2].max() > 200 and boxes[:, 3].max() > 250  # not those of the first window alone
    assert 'data:image/jpeg' in (tmp_path / 'report.html').read_text()
    assert Image.open(tmp_path / 'pictures' / 'film.jpg').width >= 420


def test_every_kind_of_file_gives_the_same_rows(attri, film, tmp_path, monkeypatch):
    pytest.importorskip('pyvips', reason='needs the extra [wsi]')
    monkeypatch.setattr(readers, 'WHOLE_SIDE_PX', 200)
    path, pixels = film
    cv2.imwrite(str(tmp_path / 'film.png'), pixels)
    rows = []
    for file in (path, tmp_path / 'film.png'):
        assert infer(file, attri, tmp_path / file.suffix[1:], '--no-pictures') == 0
        rows.append(from_json(tmp_path / file.suffix[1:] / 'predictions.json').predictions[0].cells)
    assert rows[0] == rows[1] and rows[0]


@pytest.mark.slow
def test_a_run_killed_at_random_goes_on(attri, film, tmp_path):
    path, _ = film
    assert infer(path, attri, tmp_path / 'whole') == 0
    whole = (tmp_path / 'whole' / 'predictions.csv').read_bytes()
    out, rng = tmp_path / 'killed', np.random.default_rng(1)
    journal = out / '.mmleuk_infer.journal'
    words = [sys.executable, '-m', 'mmleuk.cli', 'infer', str(path), *map(str, attri), '--out-dir', str(out),
             '--device', 'cpu', '--min-score', '0.03', '--window', '96', '--overlap', '32', '--resume']
    for size in (1, 20_000 + int(rng.integers(20_000))):
        process = subprocess.Popen(words)
        while not (journal.exists() and journal.stat().st_size >= size):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
                break
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL  # it had not ended
    assert subprocess.run(words).returncode == 0
    assert (out / 'predictions.csv').read_bytes() == whole
    assert not journal.exists()


def test_resume_continues_and_refuses_another_run(attri, film, tmp_path, monkeypatch, capsys):
    from mmleuk.apis import Inferencer
    path, _ = film
    assert infer(path, attri, tmp_path / 'whole') == 0
    calls = []
    ask = Inferencer.predict_arrays

    def stop(self, arrays, whole_hw):
        calls.append(len(arrays))
        if len(calls) == 7:
            raise KeyboardInterrupt
        return ask(self, arrays, whole_hw)

    monkeypatch.setattr(Inferencer, 'predict_arrays', stop)
    assert infer(path, attri, tmp_path / 'out') == 130
    capsys.readouterr()
    assert infer(path, attri, tmp_path / 'out', '--resume', min_score='0.04') == 2
    assert 'other min_score' in capsys.readouterr().err
    assert infer(path, attri, tmp_path / 'out', '--resume') == 0
    assert len(calls) == 7 + 24  # 30 windows with cells; six of them were known
    assert (tmp_path / 'out' / 'predictions.csv').read_bytes() == (tmp_path / 'whole' / 'predictions.csv').read_bytes()
    del calls[6:]
    assert infer(path, attri, tmp_path / 'more') == 130
    assert infer(path, attri, tmp_path / 'more') == 0
    assert 'it starts again (--resume continues it)' in capsys.readouterr().out


@pytest.mark.slow
def test_two_processes_give_the_rows_of_one(attri, film, tmp_path, monkeypatch):
    """A slide and fields; then the same again after one process was killed."""
    path, pixels = film
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'{number}.png'), pixels[number * 50:, :200])
    words = [str(path), *(str(tmp_path / f'{number}.png') for number in range(3)), *map(str, attri), '--device', 'cpu',
             '--min-score', '0.03', '--no-report', '--no-pictures', '--out-dir']
    assert main(['infer', *words, str(tmp_path / 'one')]) == 0
    team = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2', '-m', 'mmleuk.cli',
            'infer', *words, str(tmp_path / 'two')]
    assert subprocess.run(team, timeout=500).returncode == 0
    one, two = ((tmp_path / name / 'predictions.csv').read_bytes() for name in ('one', 'two'))
    assert one == two and not list((tmp_path / 'two').glob('.mmleuk_infer.journal*'))


def test_what_several_processes_found_is_put_together(attri, film, tmp_path, monkeypatch):
    """Rank 1 does its share; rank 0 is killed; a run of one process with --resume does the rest."""
    from mmleuk.apis import Inferencer

    def broken(*_, **__):
        raise readers.SlideError('tile 3 cannot be decoded')

    path, _ = film
    assert infer(path, attri, tmp_path / 'one') == 0
    calls, ask = [], Inferencer.predict_arrays
    monkeypatch.setattr(
        Inferencer, 'predict_arrays', lambda self, arrays, whole_hw: calls.append(len(arrays)) or ask(
            self, arrays, whole_hw))
    monkeypatch.setattr(Team, 'wait', lambda self: None)
    monkeypatch.setenv('RANK', '1')
    monkeypatch.setenv('WORLD_SIZE', '2')
    assert infer(path, attri, tmp_path / 'two') == 0
    assert sorted(os.listdir(tmp_path / 'two')) == ['.mmleuk_infer.journal.1'] and len(calls) == 15
    monkeypatch.delenv('RANK')
    monkeypatch.delenv('WORLD_SIZE')
    assert infer(path, attri, tmp_path / 'two', '--resume') == 0
    assert len(calls) == 30  # windows with cells, each once
    assert (tmp_path / 'two' / 'predictions.csv').read_bytes() == (tmp_path / 'one' / 'predictions.csv').read_bytes()
    assert not list((tmp_path / 'two').glob('.mmleuk_infer.journal*'))
    monkeypatch.setenv('RANK', '1')
    monkeypatch.setenv('WORLD_SIZE', '2')
    monkeypatch.setattr('mmleuk.commands.finding.find_steps', broken)
    assert infer(path, attri, tmp_path / 'broken') == 0  # the first process says so
    monkeypatch.setenv('RANK', 'x')
    assert infer(path, attri, tmp_path / 'three') == 2


def test_fields_resume_batch_by_batch(attri, tmp_path, monkeypatch):
    from mmleuk.apis import Inferencer
    rng = np.random.default_rng(0)
    for name in ('a/1', 'a/2', 'b/1', 'b/2', 'b/3'):
        (tmp_path / 'in' / name).parent.mkdir(parents=True, exist_ok=True)
        noise = cv2.resize(rng.integers(0, 255, (8, 8, 3), np.uint8), (80, 60), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(tmp_path / 'in' / f'{name}.png'), noise)
    words = ['infer', str(tmp_path / 'in'), *map(str, attri), '--device', 'cpu', '--min-score', '0.03', '--batch-size',
             '2', '--no-pictures', '--no-report']
    assert main([*words, '--out-dir', str(tmp_path / 'whole')]) == 0
    forward, batches = Inferencer._forward, []

    def stop(self, data):
        batches.append(len(data))
        if len(batches) == 3:
            raise KeyboardInterrupt
        return forward(self, data)

    monkeypatch.setattr(Inferencer, '_forward', stop)
    assert main([*words, '--out-dir', str(tmp_path / 'out')]) == 130
    assert main([*words, '--out-dir', str(tmp_path / 'out'), '--resume']) == 0
    assert batches == [2, 2, 1, 1]
    whole, resumed = (from_json(tmp_path / name / 'predictions.json').predictions for name in ('whole', 'out'))
    assert resumed == whole and [p.image for p in whole] == ['a/1.png', 'a/2.png', 'b/1.png', 'b/2.png', 'b/3.png']


@pytest.mark.parametrize('cut', [(), ('--window', '48', '--overlap', '16')])
def test_the_scale_stays_however_the_run_went(attri, tmp_path, monkeypatch, cut):
    """An image has the stated scale, whole or in windows; and so has one that an earlier run found."""
    from mmleuk.commands import infer as command
    noise = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    cv2.imwrite(str(tmp_path / 'field.png'), cv2.resize(noise, (80, 60), interpolation=cv2.INTER_CUBIC))
    words = ['infer', str(tmp_path / 'field.png'), *map(str, attri), '--device', 'cpu', '--min-score', '0.03',
             '--no-report', '--no-pictures', '--microns-per-pixel', '0.2,0.1', *cut, '--out-dir']
    assert main([*words, str(tmp_path / 'whole')]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(command, 'write_run', lambda *_: 1 / 0)  # killed after the last step
        with pytest.raises(ZeroDivisionError):
            main([*words, str(tmp_path / 'resumed')])
    assert main([*words, str(tmp_path / 'resumed'), '--resume']) == 0
    whole, resumed = (from_json(tmp_path / name / 'predictions.json').predictions for name in ('whole', 'resumed'))
    assert whole == resumed and whole[0].um_per_px == pytest.approx((0.2, 0.1))
    assert all(cell.diameter_um is not None for cell in whole[0].cells) and whole[0].cells


def test_resume_with_another_scale_is_refused(attri, film, tmp_path, monkeypatch, capsys):
    from mmleuk.commands import infer as command
    out, words = tmp_path / 'out', ('--no-report', '--no-pictures')
    with monkeypatch.context() as patch:
        patch.setattr(command, 'write_run', lambda *_: 1 / 0)  # killed after the last step
        with pytest.raises(ZeroDivisionError):
            infer(film[0], attri, out, *words, '--microns-per-pixel', '0.2')
    for other in (('--microns-per-pixel', '0.1'), ('--microns-per-pixel', '0.20000001'), ('--no-calibrate',)):
        assert infer(film[0], attri, out, *words, *other, '--resume') == 2
        assert 'microns_per_pixel' in capsys.readouterr().err
    assert infer(film[0], attri, out, *words, '--microns-per-pixel', '0.2', '--resume') == 0


def test_all_windows_have_the_scale_that_was_measured_before(attri, film, tmp_path, monkeypatch):
    """Not each its own: a window with few red cells would be seen at another scale than its neighbours."""
    from mmleuk.calibration import Calibration, RedCells, calibrator
    measured: list[int] = []

    def measure(images, find, diameter, n_images=None):
        measured.append(len(images))
        return Calibration(images[0].shape[:2], len(images), (RedCells(9.0 + len(measured), 10.0, 9),), len(images))

    monkeypatch.setattr(calibrator, 'calibrate', measure)
    assert infer(film[0], attri, tmp_path, '--no-pictures', '--no-report') == 0
    found = from_json(tmp_path / 'predictions.json').predictions[0]
    assert measured == [3] and found.um_per_px == (0.75, 0.75)
    assert all(cell.diameter_um is not None for cell in found.cells) and found.cells


def test_each_size_of_large_image_has_its_own_scale(attri, film, tmp_path, monkeypatch, capsys):
    """Windows of two slides, and fields, may have one size and come from three microscopes."""
    from mmleuk.calibration import Calibration, RedCells, calibrator

    def measure(images, find, diameter, n_images=None):
        side = float(max(image.max() for image in images)) / 10
        return Calibration(images[0].shape[:2], n_images or len(images), (RedCells(side, side, 9),), len(images))

    monkeypatch.setattr(calibrator, 'calibrate', measure)
    path, pixels = film
    tifffile.imwrite(tmp_path / 'other.tif', pixels[:, :400, ::-1] // 2, bigtiff=True)
    cv2.imwrite(str(tmp_path / 'field.png'), pixels[:96, :96] // 4)
    inputs = [str(path), str(tmp_path / 'other.tif'), str(tmp_path / 'field.png')]
    for order in (inputs, inputs[::-1]):
        assert main(['infer', *order, *map(str, attri), '--out-dir', str(tmp_path / 'out'), '--device', 'cpu',
                     '--no-pictures', '--no-report']) == 0
        run = from_json(tmp_path / 'out' / 'predictions.json')
        found = {os.path.basename(one.path): one.um_per_px[0] for one in run.predictions}
        assert found == pytest.approx({'film.tif': 75 / 255, 'other.tif': 75 / 127, 'field.png': 75 / 63}, rel=0.02)
        assert [scale.split(':')[0] for scale in run.info.scales] == [
            f'1 image of {size} px' for size in ('96 x 96', '400 x 300', '420 x 300')]
        assert 'a leukocyte of 20 micrometres is 68 px wide in images of 420 x 300 px, but their windows of 96 px' in (
            printed := capsys.readouterr().out) and 'give --window 288' in printed
        assert 'in 1 window' in run.info.scales[1] and 'in 1 image' in run.info.scales[0]


@pytest.mark.parametrize('cells', [True, False])
def test_a_large_image_with_empty_glass_in_its_middle(attri, tmp_path, monkeypatch, cells):
    """Its scale isn't that of the window which happens to be read first."""
    from mmleuk.calibration import Calibration, RedCells, calibrator
    from mmleuk.commands import film_scales
    measured: list[int] = []

    def measure(images, find, diameter, n_images=None):
        measured.append(len(images))
        return Calibration(images[0].shape[:2], len(images), (RedCells(10.0, 10.0, 9),), len(images))

    monkeypatch.setattr(calibrator, 'calibrate', measure)
    monkeypatch.setattr(film_scales, 'LOOKS', 4)
    pixels = np.full((400, 400, 3), 235, np.uint8)
    if cells:
        pixels[:100] = np.random.default_rng(0).integers(0, 9, (100, 400, 1), np.uint8) * 25
    tifffile.imwrite(tmp_path / 'film.tif', pixels, bigtiff=True)
    assert infer(tmp_path / 'film.tif', attri, tmp_path / 'out', '--no-pictures', '--no-report') == 0
    run = from_json(tmp_path / 'out' / 'predictions.json')
    assert len(measured) == cells and run.predictions[0].um_per_px == ((0.75, 0.75) if cells else None)
    assert ('no red cells found in 0 windows' in run.info.scales[0]) == (not cells)


def test_16_bits_are_refused_or_converted(attri, film, tmp_path, capsys):
    path, pixels = film
    twelve = tmp_path / 'twelve.png'
    cv2.imwrite(str(twelve), pixels.astype(np.uint16) * 16)
    words = ['infer', str(twelve), *map(str, attri), '--device', 'cpu', '--min-score', '0.03', '--out-dir']
    assert main([*words, str(tmp_path / 'no')]) == 2 and 'nearly black' in capsys.readouterr().err
    assert main([*words, str(tmp_path / 'yes'), '--intensity', '0:4080']) == 0
    assert 'samples from 0 to 4080 became 0 to 255' in capsys.readouterr().out
    cv2.imwrite(str(tmp_path / 'eight.png'), pixels)
    assert main(['infer', str(tmp_path / 'eight.png'), *words[2:], str(tmp_path / 'eight')]) == 0
    one, other = (from_json(tmp_path / name / 'predictions.json').predictions[0].cells for name in ('yes', 'eight'))
    assert one == other and one
    rules = [from_json(tmp_path / name / 'predictions.json').predictions[0].intensity for name in ('yes', 'eight')]
    assert rules == ['0:4080', None], 'who reads the cells of this run later has to know it'
    assert main([*words, str(tmp_path / 'x'), '--window', '96', '--overlap', '90']) == 2
    assert 'allowed are 0 to 48' in capsys.readouterr().err and not (tmp_path / 'x').exists()
    assert main(['infer', str(film[0]), *words[2:], str(tmp_path / 'x'), '--overlap', '90']) == 2
    assert 'allowed are 0 to 48' in capsys.readouterr().err and not (tmp_path / 'x').exists()
    assert main(['infer', str(film[0]), *words[2:], str(tmp_path / 'y'), '--no-pictures']) == 0  # a BigTIFF
    assert 'note: film.tif is cut into windows of 96 px' in capsys.readouterr().out
