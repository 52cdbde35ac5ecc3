"""Files appear whole or not at all, and two runs never share a folder."""

import os
import stat
import subprocess
import sys

import pytest

from mmleuk.errors import UserError
from mmleuk.utils.files import check_target, replacing, write_atomic
from mmleuk.utils.lock import FolderLock


def test_link_stays_a_link_and_its_file_is_replaced(tmp_path):
    (tmp_path / 'far').mkdir()
    real = tmp_path / 'far' / 'real.json'
    real.write_text('old')
    link = tmp_path / 'link.json'
    link.symlink_to(real)

    write_atomic(link, 'new')

    assert link.is_symlink()
    assert real.read_text() == 'new'
    assert [path.name for path in real.parent.iterdir()] == ['real.json']


def test_link_to_nothing_makes_the_file_it_names(tmp_path):
    link = tmp_path / 'link'
    link.symlink_to(tmp_path / 'missing')
    write_atomic(link, 'new')
    assert link.is_symlink() and (tmp_path / 'missing').read_text() == 'new'


def test_link_in_a_circle_is_refused(tmp_path):
    (tmp_path / 'a').symlink_to(tmp_path / 'b')
    (tmp_path / 'b').symlink_to(tmp_path / 'a')
    with pytest.raises(UserError, match='leads back to itself'):
        write_atomic(tmp_path / 'a', 'new')
    assert (tmp_path / 'a').is_symlink()


@pytest.mark.parametrize('write', [lambda path: write_atomic(path, 'x'), check_target])
def test_pipe_and_folder_are_refused_and_stay(tmp_path, write):
    pipe, folder = tmp_path / 'pipe', tmp_path / 'folder'
    os.mkfifo(pipe)
    folder.mkdir()
    for path, kind in ((pipe, 'a device or a pipe'), (folder, 'a folder')):
        with pytest.raises(UserError, match=f'{path}: is {kind}'):
            write(path)
    assert stat.S_ISFIFO(pipe.stat().st_mode) and not list(folder.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ['folder', 'pipe']


def test_error_while_writing_keeps_the_older_file_and_leaves_nothing(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text('half')
        raise RuntimeError
    assert path.read_text() == 'old'
    assert [found.name for found in tmp_path.iterdir()] == ['a.txt']


def test_permissions_of_an_older_file_stay(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    path.chmod(0o640)
    write_atomic(path, 'new')
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_long_name_can_be_written(tmp_path):
    path = tmp_path / ('n' * 250 + '.txt')
    assert write_atomic(path, 'x').read_text() == 'x'


def test_second_run_is_refused_and_a_killed_one_blocks_nobody(tmp_path):
    hold = ('import sys; from mmleuk.utils.lock import FolderLock; FolderLock(sys.argv[1]).acquire(); '
            'print("held", flush=True); sys.stdin.read()')
    with subprocess.Popen([sys.executable, '-c', hold, str(tmp_path)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b'held\n'
        with pytest.raises(UserError, match=f'another training .process {holder.pid}. writes into this folder'):
            FolderLock(tmp_path, what='training').acquire()
        FolderLock(tmp_path, name='.other.lock').acquire().release()
        holder.kill()
        holder.wait()
    with FolderLock(tmp_path):
        pass
    with FolderLock(tmp_path):  # and again, after a release
        pass


def test_what_killed_writes_left_goes_with_the_next_write(tmp_path):
    """Only of this target, and only of processes that are gone."""
    gone = subprocess.Popen([sys.executable, '-c', ''])
    gone.wait()
    left = tmp_path / f'.a.{gone.pid}.part.json'
    stay = [tmp_path / name for name in (f'.b.{gone.pid}.part.json', f'.a.{os.getppid()}.part.json',
                                         f'.a.{gone.pid}.part.csv', '.a.x.part.json')]
    for path in [left, *stay]:
        path.write_text('half')
    write_atomic(tmp_path / 'a.json', 'whole')
    assert not left.exists() and all(path.exists() for path in stay)
    assert (tmp_path / 'a.json').read_text() == 'whole'


def test_a_folder_as_target_is_said_once(tmp_path):
    with pytest.raises(UserError) as error:
        write_atomic(tmp_path, 'new')
    assert str(error.value) == f'{tmp_path}: is a folder, not a file; choose another path'
