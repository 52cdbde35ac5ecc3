"""How commands end."""

from argparse import Namespace

import pytest

from mmleuk.errors import UserError
from mmleuk.utils.command_line import exit_status


@pytest.mark.parametrize(('returned', 'status'), [(None, 0), (0, 0), (1, 1), ('a runner', 0)])
def test_the_commands_own_status(returned, status, capsys):
    assert exit_status(lambda args: returned, Namespace()) == status
    assert capsys.readouterr().err == ''


def test_a_users_error_is_one_line(capsys):
    def run(args):
        raise UserError(f'{args.path}: KeyError: no\n  such key')

    assert exit_status(run, Namespace(path='a.py'), 'tool') == 2
    assert capsys.readouterr() == ('', 'tool: a.py: KeyError: no such key\n')


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
