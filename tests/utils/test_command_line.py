"""How commands end."""

import subprocess
import sys
from argparse import ArgumentTypeError, Namespace
from pathlib import Path

import pytest

from mmleuk.errors import UserError
from mmleuk.utils.command_line import exit_status, fraction, non_negative


@pytest.mark.parametrize(('returned', 'status'), [(None, 0), (0, 0), (1, 1), ('a runner', 0)])
def test_the_commands_own_status(returned, status, capsys):
    assert exit_status(lambda args: returned, Namespace()) == status
    assert capsys.readouterr().err == ''


def test_a_users_error_is_one_line(capsys):
    def run(args):
        raise UserError(f'{args.path}: KeyError: no\n  such key')

    assert exit_status(run, Namespace(path='a.py'), 'tool') == 2
    assert capsys.readouterr() == ('', 'tool: a.py: KeyError: no such key\n')


def test_names_of_bytes_that_are_no_text_are_printed(capsys):
    assert exit_status(lambda args: print('zelle_\udce4.png'), Namespace()) == 0
    assert capsys.readouterr().out == 'zelle_?.png\n'


def test_ctrl_c_says_how_to_go_on(capsys):
    def run(args):
        raise KeyboardInterrupt

    assert exit_status(run, Namespace(), interrupted='stopped; --resume goes on') == 130
    assert capsys.readouterr().err == '\nstopped; --resume goes on\n'


@pytest.mark.parametrize('bug', [KeyError('x'), ValueError('x'), BrokenPipeError()])
def test_bugs_keep_their_traceback(bug):
    def run(args):
        raise bug

    with pytest.raises(type(bug)):
        exit_status(run, Namespace())


@pytest.mark.parametrize('text', ['nan', '-0.1', '1.01', 'inf', 'half', ''])
def test_a_fraction_lies_between_0_and_1(text):
    with pytest.raises(ArgumentTypeError, match='is no number from 0 to 1'):
        fraction(text)
    assert [fraction(text) for text in ('0', '1', '1e-3')] == [0, 1, 0.001]


@pytest.mark.parametrize('text', ['nan', '-1', 'inf', 'two', ''])
def test_a_non_negative_number_is_finite(text):
    with pytest.raises(ArgumentTypeError, match='is no number of 0 or more'):
        non_negative(text)
    assert [non_negative(text) for text in ('0', '1e-3')] == [0, 0.001]


def test_no_option_takes_any_float():
    """float() takes nan and inf; the types of mmleuk.utils.command_line don't."""
    root = Path(__file__).parents[2]
    files = [*(root / 'mmleuk').rglob('*.py'), *(root / 'tools').rglob('*.py')]
    assert len(files) > 100 and [str(file) for file in files if 'type=float' in file.read_text(encoding='utf-8')] == []


def test_a_log_that_nobody_reads_prints_no_traceback():
    """``| head`` closes stdout; the logging of MMEngine goes there."""
    code = ("import logging, os, sys; from mmleuk.utils.command_line import exit_status\n"
            "read, write = os.pipe(); os.close(read)\n"
            "log = logging.getLogger('x'); log.addHandler(logging.StreamHandler(os.fdopen(write, 'w')))\n"
            "status = exit_status(lambda _: log.error('a' * 100000), None)\n"
            "sys.stderr.write(str(status)); sys.stderr.flush(); os._exit(0)")
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stderr == '0'
