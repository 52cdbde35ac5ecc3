"""The exit of every command: an error that a user can fix is one line on stderr instead of a traceback."""

from __future__ import annotations

import argparse
import io
import logging
import math
import sys
from collections.abc import Callable
from typing import TypeVar

from mmleuk.errors import UserError

Args = TypeVar('Args')


def exit_status(run: Callable[[Args], object], args: Args, name: str = 'error',
                interrupted: str = 'interrupted') -> int:
    """Run a command.

    Args:
        run: the command; it returns the exit status, or None for 0.
        args: its arguments.
        name: printed before a user's error.
        interrupted: printed on Ctrl-C.

    Returns:
        The command's own status, 2 on bad input, 130 on Ctrl-C.
    """
    logging.raiseExceptions = False  # nobody may read on (`| head`): logging would print a traceback per message
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors='replace')  # a file name may have bytes that aren't UTF-8; files get '?', too
    try:
        status = run(args)
    except UserError as error:
        sys.stderr.write(f'{name}: {in_one_line(error)}\n')
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f'\n{interrupted}\n')
        return 130
    return status if isinstance(status, int) else 0


def fraction(text: str) -> float:
    """A number from 0 to 1, as argparse's ``type``; refuses NaN.

    >>> fraction('0.5')
    0.5
    """
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no number from 0 to 1')
    return value


def non_negative(text: str) -> float:
    """A finite number of 0 or more, as argparse's ``type``.

    >>> non_negative('2')
    2.0
    """
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f'{text!r} is no number of 0 or more')
    return value


def positive_pair(text: str) -> tuple[float, float]:
    """For argparse: one number above 0 for width and height, or two with a comma between them.

    >>> positive_pair('0.1'), positive_pair('0.1,0.2')
    ((0.1, 0.1), (0.1, 0.2))
    """
    numbers = [_number(part) for part in text.split(',')]
    if len(numbers) > 2 or not all(0 < number < math.inf for number in numbers):
        raise argparse.ArgumentTypeError(f'{text!r} is neither a number above 0 nor two with a comma between them')
    return numbers[0], numbers[-1]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def in_one_line(error: UserError) -> str:
    """The message without the traceback that a data loader's worker puts before it.

    >>> in_one_line(UserError('Caught UserError in worker 0.\\n  File ...\\nmmleuk.errors.UserError: a.png: missing'))
    'a.png: missing'
    >>> in_one_line(UserError('a.py: not a usable config (KeyError: "no x\\n in y")'))
    'a.py: not a usable config (KeyError: "no x in y")'
    """
    message = str(error).rpartition(f'{UserError.__module__}.{UserError.__qualname__}: ')[2]
    return ' '.join(message.split())
