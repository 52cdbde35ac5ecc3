"""Remains of earlier runs, and files that are none."""

import json
import os

import pytest

from mmleuk.commands.run_files import (
    RECORD,
    begin_run,
    check_inputs_stay,
    check_users_files_stay,
    end_run,
    files_of_runs,
)
from mmleuk.errors import UserError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b'')


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.name != RECORD)


def run(folder, *names):
    begin_run(folder, [name for name in names if name.startswith('pictures')])
    touch(folder, *names)
    end_run(folder, names)


def test_what_the_next_run_does_not_write_goes(tmp_path):
    run(tmp_path, 'report.html', 'predictions.csv', 'pictures/a/b/x.jpg', 'pictures/a/y.jpg', 'pictures/z.jpg')
    touch(tmp_path, 'notes.txt', 'pictures/mine.jpg', 'pictures/a/b/mine.txt')
    run(tmp_path, 'report.html', 'pictures/z.jpg')
    assert files(tmp_path) == ['notes.txt', 'pictures', 'pictures/a', 'pictures/a/b', 'pictures/a/b/mine.txt',
                               'pictures/mine.jpg', 'pictures/z.jpg', 'report.html']
    (tmp_path / 'pictures/a/b/mine.txt').unlink()
    run(tmp_path, 'pictures/a/b/x.jpg')
    run(tmp_path, 'report.html')
    assert files(tmp_path) == ['notes.txt', 'pictures', 'pictures/mine.jpg', 'report.html']
    assert files_of_runs(tmp_path) == ['report.html']


def test_a_killed_run_is_remembered_and_a_users_file_of_such_a_name_is_not_its(tmp_path):
    run(tmp_path, 'pictures/first.jpg')
    touch(tmp_path, 'pictures/mine.jpg')
    begin_run(tmp_path, ['pictures/mine.jpg', 'pictures/second.jpg', 'pictures/never.jpg'])
    touch(tmp_path, 'pictures/second.jpg')  # and killed
    run(tmp_path, 'report.html')
    assert files(tmp_path) == ['pictures', 'pictures/mine.jpg', 'report.html']


@pytest.mark.parametrize('record', [
    'no JSON', '[]', '{"format": "mmleuk.infer/1", "files": "report.html"}',
    '{"format": "other", "files": {"report.html": null}}',
    json.dumps(dict(format='mmleuk.infer/1', files=dict.fromkeys([
        '../kept.jpg', 'pictures/../../kept.jpg', '/pictures/kept.jpg', 'pictures', 'pictures.jpg', 'kept.jpg',
        'pictures/../notes.jpg', 'pictures/table.csv', 7])))])
def test_nothing_but_a_runs_own_names_is_believed(tmp_path, record):
    folder = tmp_path / 'out'
    touch(folder, 'report.html', 'kept.jpg', 'notes.jpg', 'pictures/table.csv', '../kept.jpg')
    before = files(tmp_path)
    (folder / RECORD).write_text(record)
    end_run(folder, [])
    assert files(tmp_path) == before


def test_names_that_are_no_utf8(tmp_path):
    name = os.fsdecode(b'pictures/\xff.jpg')
    run(tmp_path, name)
    assert files_of_runs(tmp_path) == [name]
    end_run(tmp_path, [])
    assert files(tmp_path) == []


def test_what_cannot_be_removed_is_named(tmp_path):
    begin_run(tmp_path, ['pictures/x.jpg'])  # and killed
    touch(tmp_path, 'pictures/x.jpg/inside')
    with pytest.raises(UserError, match='x.jpg: is from an earlier run and cannot be removed .*; remove it'):
        end_run(tmp_path, [])


def test_what_a_user_changed_since_is_the_users(tmp_path):
    run(tmp_path, 'predictions.csv', 'pictures/x.jpg', 'pictures/y.jpg')
    (tmp_path / 'predictions.csv').write_text('corrected by hand')
    (tmp_path / 'pictures/x.jpg').write_bytes(b'another picture')
    begin_run(tmp_path, ['pictures/x.jpg', 'pictures/y.jpg'])
    (tmp_path / 'pictures/y.jpg').write_bytes(b'drawn again')  # and killed
    run(tmp_path, 'report.html')
    assert files(tmp_path) == ['pictures', 'pictures/x.jpg', 'predictions.csv', 'report.html']


def test_a_folder_of_pictures_elsewhere_stays_linked(tmp_path):
    out, elsewhere = tmp_path / 'out', tmp_path / 'elsewhere'
    out.mkdir()
    elsewhere.mkdir()
    (out / 'pictures').symlink_to(elsewhere)
    run(out, 'pictures/a/x.jpg')
    run(out, 'report.html')
    assert (out / 'pictures').is_symlink() and not list(elsewhere.iterdir())


def test_no_picture_takes_its_images_place(tmp_path):
    touch(tmp_path, 'pictures/x.jpg', 'pictures/y.jpg')
    check_inputs_stay(tmp_path, ['pictures/x.jpg'], [tmp_path / 'pictures/y.jpg', tmp_path / 'x.jpg'])
    with pytest.raises(UserError, match='x.jpg: is an input, and its drawing would overwrite it'):
        check_inputs_stay(tmp_path, ['pictures/x.jpg'], [tmp_path / 'pictures/../pictures/x.jpg'])


def test_a_users_file_is_not_overwritten(tmp_path):
    names = ['report.html', 'predictions.csv', 'pictures/x.jpg']
    check_users_files_stay(tmp_path / 'none', names)
    run(tmp_path, *names)
    check_users_files_stay(tmp_path, names)
    (tmp_path / 'pictures/x.jpg').write_bytes(b'drawn over by hand')
    with pytest.raises(UserError, match=r'pictures/x\.jpg: is not from mmleuk infer, or was changed since'):
        check_users_files_stay(tmp_path, names)
    check_users_files_stay(tmp_path, names[:2])
    (tmp_path / RECORD).unlink()
    with pytest.raises(UserError, match=r'report\.html: .*; choose another folder with --out-dir, or move the file$'):
        check_users_files_stay(tmp_path, names)


def test_a_killed_runs_files_are_its_own(tmp_path):
    run(tmp_path, 'predictions.csv')
    begin_run(tmp_path, ['predictions.csv', 'report.html'])
    (tmp_path / 'predictions.csv').write_text('written again')
    touch(tmp_path, 'report.html')  # and killed
    check_users_files_stay(tmp_path, ['predictions.csv', 'report.html'])
