"""How long each command takes to start: CPU seconds of ``mmleuk COMMAND --help``, the least of some turns.

    python tools/measure_start.py [--turns 3]

A last row has ``import torch`` alone, by which to judge the machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed

from mmleuk.cli import COMMANDS
from mmleuk.errors import UserError
from mmleuk.utils.command_line import exit_status

ROOT = Path(__file__).resolve().parents[1]


def build_parser() -> argparse.ArgumentParser:
    """The tool's flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--turns', type=int, default=3, help='of each command (default: 3)')
    return parser


def run(args: argparse.Namespace) -> None:
    """Measure and print.

    Raises:
        UserError: no turn is wanted, or a command doesn't start.
    """
    if args.turns < 1:
        raise UserError(f'--turns {args.turns}: at least one is needed')
    programs = {' '.join(command.words): ['-m', 'mmleuk.cli', *command.words, '--help'] for command in COMMANDS}
    programs['import torch'] = ['-c', 'import torch']
    for name, program in programs.items():
        print(f'{name:16} {min(cpu_seconds(program) for _ in range(args.turns)):5.2f} s', flush=True)


def cpu_seconds(program: Sequence[str]) -> float:
    """CPU time of Python with these arguments, on one thread, in seconds.

    Raises:
        UserError: it fails.
    """
    environment = os.environ | dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')
    before = getrusage(RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *program], env=environment, capture_output=True, text=True)
    after = getrusage(RUSAGE_CHILDREN)
    if done.returncode:
        raise UserError(f'python {" ".join(program)}: {done.stderr.strip() or "failed without a message"}')
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main(argv: Sequence[str] | None = None) -> int:
    """The tool's exit status."""
    return exit_status(run, build_parser().parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
