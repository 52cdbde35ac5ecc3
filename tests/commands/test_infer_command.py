"""The infer command with a small detector of random weights."""

import argparse
import json
import os
import subprocess
import sys

import pytest
from small_attri_det import write_attri_det, write_films

from mmleuk.commands import infer as cli
from mmleuk.errors import UserError
from mmleuk.pictures.drawing import load_image
from mmleuk.structures.prediction_files import from_json
from mmleuk.utils.lock import FolderLock


@pytest.fixture(scope='module')
def attri(tmp_path_factory):
    return write_attri_det(tmp_path_factory.mktemp('attri'))


@pytest.fixture
def films(tmp_path):
    return write_films(tmp_path / 'films')


def arguments(*words):
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_the_command_writes_everything(attri, films, tmp_path, capsys):
    out = films / 'outputs'
    words = (films, *attri, '--out-dir', out, '--min-score', '0.05', '--device', 'cpu')
    assert cli.run(arguments(*words)) == 0
    written = sorted(str(path.relative_to(out)) for path in out.rglob('*') if path.is_file())
    assert written == ['.mmleuk_infer.json', '.mmleuk_infer.lock', 'pictures/a/c.jpg', 'pictures/a/x & <y>.jpg',
                       'pictures/b.jpg', 'predictions.csv', 'predictions.json', 'report.html']
    printed = capsys.readouterr().out
    assert 'leukocyte' in printed and str(out / 'report.html') in printed
    assert len(json.loads((out / 'predictions.json').read_text())['images']) == 3
    # Its own pictures lie inside the input now and must not be looked at.
    table = (out / 'predictions.csv').read_bytes()
    assert cli.run(arguments(*words)) == 0
    assert (out / 'predictions.csv').read_bytes() == table


def test_the_command_writes_only_what_is_wanted(attri, films, tmp_path):
    out = tmp_path / 'out'
    code = cli.run(arguments(films / 'b.png', films / 'a' / 'c.jpg', *attri, '--out-dir', out, '--format', 'csv',
                             '--no-pictures', '--no-report', '--device', 'cpu'))
    assert code == 0 and sorted(os.listdir(out)) == ['.mmleuk_infer.json', '.mmleuk_infer.lock', 'predictions.csv']


@pytest.mark.parametrize(('images', 'drawn'), [
    (['b.png', 'b.png.jpg'], ['b.jpg', 'b.png.jpg']),  # nothing to tell apart
    (['b.png', 'b.tif', 'b.png.jpg'], ['b.png.jpg', 'b.tif.jpg', 'b.png.jpg.jpg']),
    (['b', 'b.png', 'b.jpg.x'], ['b.jpg', 'b.png.jpg', 'b.jpg.jpg']),
    (['a.png', 'a.tif', 'a.png.x', 'a.png.x.y'], ['a.png.jpg', 'a.tif.jpg', 'a.png.x.jpg', 'a.png.x.y.jpg']),
    (['c/b.png', 'd/b.png'], ['c/b.jpg', 'd/b.jpg']), ([], [])])
def test_every_image_has_a_drawing_of_its_own(images, drawn):
    assert cli.picture_paths(images) == {name: f'pictures/{own}' for name, own in zip(images, drawn, strict=True)}
    assert cli.picture_paths(images[::-1]) == cli.picture_paths(images)


def test_an_earlier_runs_remains_go_and_a_users_own_files_stay(attri, films, tmp_path):
    out = tmp_path / 'out'
    words = (*attri, '--out-dir', out, '--device', 'cpu')
    cli.run(arguments(films, *words))
    (out / 'pictures' / 'mine.jpg').write_text('mine')
    cli.run(arguments(films / 'b.png', *words, '--format', 'csv', '--no-report'))
    assert sorted(str(path.relative_to(out)) for path in out.rglob('*')) == [
        '.mmleuk_infer.json', '.mmleuk_infer.lock', 'pictures', 'pictures/b.jpg', 'pictures/mine.jpg',
        'predictions.csv']


@pytest.mark.parametrize(('name', 'first'), [
    ('report.html', False), ('predictions.json', False), ('predictions.csv', True), ('pictures/b.jpg', True)])
def test_a_users_file_stops_the_run_before_the_model(attri, films, tmp_path, monkeypatch, name, first):
    """Of the user alone, or written by a first run and corrected by hand."""
    out = tmp_path / 'out'
    words = (films, *attri, '--out-dir', out, '--device', 'cpu')
    if first:
        cli.run(arguments(*words))
    out.mkdir(exist_ok=True)
    (out / name).write_text('by hand')
    monkeypatch.setattr(cli, '_inferencer', lambda *_: pytest.fail('the model is loaded'))
    with pytest.raises(UserError, match=f'{name}: .*--out-dir'):
        cli.run(arguments(*words))
    assert (out / name).read_text() == 'by hand'


def test_a_users_file_that_the_run_does_not_write_does_not_stop_it(attri, films, tmp_path):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'report.html').write_text('by hand')
    assert cli.run(arguments(films, *attri, '--out-dir', out, '--device', 'cpu', '--no-report')) == 0
    assert (out / 'report.html').read_text() == 'by hand'


def test_a_run_killed_between_its_files_goes_on(attri, films, tmp_path, monkeypatch):
    words = (films, *attri, '--out-dir', tmp_path / 'out', '--device', 'cpu')
    with monkeypatch.context() as patch:
        patch.setattr(cli, 'render_page', lambda *_: 1 / 0)  # the other files are written by now
        with pytest.raises(ZeroDivisionError):
            cli.run(arguments(*words))
    assert (tmp_path / 'out/predictions.json').exists()
    assert cli.run(arguments(*words, '--resume')) == 0


def test_images_in_a_folder_called_pictures_are_not_drawn_over(attri, films, tmp_path):
    """As after ``cd films; mmleuk infer pictures/*.jpg ... --out-dir .``."""
    image = tmp_path / 'pictures' / 'film.jpg'
    image.parent.mkdir()
    image.write_bytes((films / 'b.png').read_bytes())
    before = image.read_bytes()
    with pytest.raises(UserError, match='film.jpg: is an input'):
        cli.run(arguments(image, *attri, '--out-dir', tmp_path, '--device', 'cpu'))
    assert image.read_bytes() == before and not (tmp_path / '.mmleuk_infer.json').exists()


@pytest.mark.parametrize('fault', ['truncated', 'out', 'leukocytes'])
def test_the_command_stops_before_it_writes(attri, films, tmp_path, fault):
    out, extra = tmp_path / 'out', []
    if fault == 'truncated':
        (films / 'z.png').write_bytes((films / 'b.png').read_bytes()[:300])
    if fault == 'out':
        (tmp_path / 'file').write_text('')
        out = tmp_path / 'file' / 'out'
    if fault == 'leukocytes':
        extra = ['--leukocytes', 'Blast', 'blast']
    with pytest.raises(UserError, match={'truncated': 'z.png', 'out': 'cannot write here',
                                         'leukocytes': "'blast': not a class"}[fault]):
        cli.run(arguments(films, *attri, '--out-dir', out, '--device', 'cpu', *extra))
    assert not out.exists()


def test_an_image_lost_on_the_way_is_reported_and_the_rest_written(attri, films, tmp_path, monkeypatch, capsys):
    lost = films / 'b.png'

    def check_then_lose(paths):
        lost.unlink()

    monkeypatch.setattr('mmleuk.commands.infer.check_images', check_then_lose)
    out = tmp_path / 'out'
    assert cli.run(arguments(films, *attri, '--out-dir', out, '--min-score', '0.05', '--device', 'cpu')) == 1
    assert 'error: b.png: could not be read' in capsys.readouterr().err
    run = from_json(out / 'predictions.json')
    assert [p.image for p in run.predictions] == ['a/c.jpg', 'a/x & <y>.bmp']
    assert [f.image for f in run.failed] == ['b.png']
    assert 'could not be read' in (out / 'report.html').read_text()


@pytest.mark.parametrize('reader', ['mmleuk.commands.infer.load_image', 'mmleuk.pictures.crops.load_image'])
def test_an_image_lost_before_it_is_drawn_does_not_stop_the_rest(attri, films, tmp_path, monkeypatch, capsys, reader):
    def lose(path):
        if path.endswith('b.png'):
            (films / 'b.png').unlink()
        return load_image(path)

    monkeypatch.setattr(reader, lose)
    out = tmp_path / 'out'
    assert cli.run(arguments(films, *attri, '--out-dir', out, '--min-score', '0.05', '--device', 'cpu')) == 1
    assert 'error: b.png: ' in capsys.readouterr().err
    run = from_json(out / 'predictions.json')
    drawn = reader.startswith('mmleuk.pictures')  # the picture was drawn, so the cells are known
    assert ('b.png' in [p.image for p in run.predictions]) == drawn == (out / 'pictures' / 'b.jpg').exists()
    assert [f.image for f in run.failed] == ([] if drawn else ['b.png']) and (out / 'report.html').exists()


def test_a_second_run_into_the_folder_is_refused(attri, films, tmp_path):
    out = tmp_path / 'out'
    with FolderLock(out, cli.LOCK), pytest.raises(UserError, match='another mmleuk infer .* writes into this folder'):
        cli.run(arguments(films, *attri, '--out-dir', out, '--device', 'cpu'))
    assert os.listdir(out) == ['.mmleuk_infer.lock']
    assert cli.run(arguments(films, *attri, '--out-dir', out, '--device', 'cpu')) == 0


def test_the_tool_says_a_users_error_in_one_line(tmp_path):
    result = subprocess.run([sys.executable, 'tools/infer.py', str(tmp_path / 'none'), 'c.py', 'c.pth'],
                            capture_output=True, text=True, env={**os.environ, 'PYTHONPATH': os.getcwd()}, check=False)
    assert result.returncode == 2 and result.stderr.strip().endswith('none: no such file or folder')
    assert 'Traceback' not in result.stderr
