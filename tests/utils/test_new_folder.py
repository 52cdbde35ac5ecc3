"""Folders appear whole or not at all, and what killed runs leave is removed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmleuk.errors import UserError
from mmleuk.utils.new_folder import new_folder, write_text

KILLED = """
import os, sys
from mmleuk.utils.new_folder import new_folder
with new_folder(sys.argv[1]) as folder:
    (folder / 'a.txt').write_text('half')
    os.kill(os.getpid(), 9)
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_next_run_removes_what_a_killed_one_left(tmp_path):
    done = subprocess.run([sys.executable, '-c', KILLED, str(tmp_path / 'out')], cwd=Path(__file__).parents[2])
    assert done.returncode == -9 and [name.startswith('.out.unfinished-') for name in names(tmp_path)] == [True]
    other = tmp_path / '.output.unfinished-1'
    other.mkdir()
    with new_folder(tmp_path / 'out') as folder:
        (folder / 'b.txt').write_text('whole')
    assert names(tmp_path) == ['.output.unfinished-1', 'out'] and names(tmp_path / 'out') == ['b.txt']


def test_the_folder_of_a_run_that_is_alive_stays(tmp_path):
    with pytest.raises(UserError, match='out: cannot be written .*not empty'), new_folder(tmp_path / 'out') as first:
        living = first.rename(tmp_path / '.out.unfinished-1')   # as another process calls its own
        with new_folder(tmp_path / 'out') as second:
            (second / 'a.txt').write_text('second')
        assert living.is_dir()
        living.rename(first)
    assert (tmp_path / 'out/a.txt').read_text() == 'second' and names(tmp_path) == ['out']


def test_text_with_a_name_that_is_none(tmp_path):
    """os.listdir gives a byte that isn't UTF-8 as half a sign, which no file can hold."""
    write_text(tmp_path / 'a/b.txt', os.fsdecode(b'zelle_\xe4 ') + 'ä\n')
    assert (tmp_path / 'a/b.txt').read_bytes() == b'zelle_? \xc3\xa4\n'


def test_errors_leave_nothing_and_the_folder_before(tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/a.txt').write_text('before')
    with pytest.raises(UserError, match='out: exists already'), new_folder(tmp_path / 'out'):
        pass
    with pytest.raises(KeyError), new_folder(tmp_path / 'out', replace=True) as folder:
        (folder / 'a.txt').write_text('half')
        raise KeyError
    assert names(tmp_path) == ['out'] and (tmp_path / 'out/a.txt').read_text() == 'before'
    with new_folder(tmp_path / 'out', replace=True) as folder:
        (folder / 'b.txt').write_text('after')
    assert names(tmp_path) == ['out'] and names(tmp_path / 'out') == ['b.txt']
    with pytest.raises(UserError, match='exists already and is a file'), new_folder(tmp_path / 'out/b.txt'):
        pass
    with pytest.raises(UserError, match='cannot be written'), new_folder(tmp_path / 'out/b.txt/c'):
        pass


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'out').symlink_to('disk')
    with new_folder(tmp_path / 'out') as folder:
        (folder / 'a.txt').write_text('whole')
    assert os.readlink(tmp_path / 'out') == 'disk' and names(tmp_path / 'disk') == ['a.txt']


def test_the_temporary_name_says_what_is_going_on_and_leftovers_of_that_name_are_removed(tmp_path):
    (tmp_path / '.out.rendering-1').mkdir()  # of a killed run
    with new_folder(tmp_path / 'out', doing='rendering') as folder:
        assert names(tmp_path) == [f'.out.rendering-{os.getpid()}'] == [folder.name]
    assert names(tmp_path) == ['out']
