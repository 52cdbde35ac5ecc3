"""The console script: exit codes, one-line errors, commands imported only when called."""

import json
import subprocess
import sys
import types

import pytest

from mmleuk import __version__, cli
from mmleuk.errors import UserError


def command_module(monkeypatch: pytest.MonkeyPatch, run) -> None:
    """Put a command of our own in the place of the doctor's."""
    module = types.ModuleType('a_command')
    module.add_arguments = lambda parser: parser.add_argument('--number', type=int, default=0)
    module.run = run
    monkeypatch.setitem(sys.modules, 'a_command', module)
    monkeypatch.setattr(cli, 'COMMANDS', (cli.Command(('data', 'work'), 'a_command', 'works'), *cli.COMMANDS))


@pytest.mark.parametrize('returned, code', [(0, 0), (1, 1), (None, 0)])
def test_exit_code_is_the_commands(monkeypatch, returned, code):
    command_module(monkeypatch, lambda args: returned)
    assert cli.main(['data', 'work']) == code


def test_arguments_reach_the_command(monkeypatch):
    seen = []
    command_module(monkeypatch, lambda args: seen.append(args.number))
    cli.main(['data', 'work', '--number', '7'])
    assert seen == [7]


def test_bad_input_is_one_line_and_exit_code_2(monkeypatch, capsys):
    def run(args):
        raise UserError('films.json: image 3 has no file_name; add one')

    command_module(monkeypatch, run)
    assert cli.main(['data', 'work']) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ('', 'mmleuk: films.json: image 3 has no file_name; add one\n')


def test_bugs_keep_their_traceback(monkeypatch):
    def run(args):
        raise KeyError('a bug')

    command_module(monkeypatch, run)
    with pytest.raises(KeyError):
        cli.main(['data', 'work'])


def test_interrupt_has_its_own_exit_code(monkeypatch):
    def run(args):
        raise KeyboardInterrupt

    command_module(monkeypatch, run)
    assert cli.main(['data', 'work']) == 130


def test_interrupt_while_the_command_is_imported(monkeypatch, capsys):
    def import_module(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, 'import_module', import_module)
    assert cli.main(['data', 'check', 'config.py']) == 130
    assert capsys.readouterr().err == '\ninterrupted\n'


@pytest.mark.parametrize('argv', [[], ['data'], ['diagnose'], ['data', 'lose']])
def test_unknown_or_missing_command_is_a_usage_error(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(argv)
    assert stop.value.code == 2
    assert 'usage: mmleuk' in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(['--version'])
    assert stop.value.code == 0 and __version__ in capsys.readouterr().out


@pytest.mark.parametrize('command', cli.COMMANDS, ids=lambda command: ' '.join(command.words))
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([*command.words, '--help'])
    assert stop.value.code == 0
    assert command.help.split()[0] in capsys.readouterr().out


def test_no_help_imports_torch():
    """Help answers at once; importing torch and MMDetection takes seconds."""
    code = ("import contextlib, io, sys; from mmleuk import cli\n"
            "for words in (['data'], *(list(command.words) for command in cli.COMMANDS)):\n"
            "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
            "        cli.main([*words, '--help'])\n"
            "    slow = {'torch', 'mmdet', 'mmcv', 'scipy.stats'} & set(sys.modules)\n"
            "    assert not slow, (words, slow)\n"
            "print(len(cli.COMMANDS))")
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert done.stdout == f'{len(cli.COMMANDS)}\n', done.stderr


def test_evaluate_waits_for_no_torch(tmp_path):
    """Scores from saved predictions need numbers only: a second of imports, not eight."""
    (tmp_path / 'truth.json').write_text(json.dumps(dict(
        images=[dict(id=1, file_name='film.png', width=64, height=64)], categories=[dict(id=1, name='WBC')],
        annotations=[dict(id=1, image_id=1, category_id=1, bbox=[4, 4, 20, 20], area=400, iscrowd=0)])))
    (tmp_path / 'found.json').write_text(json.dumps(
        [dict(image_id=1, category_id=1, bbox=[4, 4, 20, 20], score=0.9)]))
    code = ("import sys; from mmleuk import cli\n"
            "code = cli.main(['evaluate', 'truth.json', 'found.json', '--no-plots', '--out', 'out'])\n"
            "print(code, 'torch' in sys.modules or 'mmdet' in sys.modules)")
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout.startswith('mAP 1.000') and done.stdout.endswith('0 False\n'), done.stderr


def test_names_of_a_package_come_on_first_use():
    """From a fresh interpreter: neither package imports MMDetection, and both still hold what they name."""
    code = ("import sys, mmleuk.datasets, mmleuk.evaluation\n"
            "before = 'mmdet' in sys.modules\n"
            "for package in (mmleuk.datasets, mmleuk.evaluation):\n"
            "    assert all(getattr(package, name).__name__ == name for name in package.__all__ if name != 'SUBSETS')\n"
            "    assert not hasattr(package, 'Nonsense')\n"
            "print(before)")
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.endswith('False\n'), done.stderr


def test_importing_mmdetection_prints_nothing():
    """What a command prints may be piped into another one: MMDetection's line on OneDL does not belong there."""
    code = 'import mmleuk.engine, mmdet.datasets; print(1)'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout == '1\n' and 'OneDL' not in done.stderr
