"""What a suite says of a row that is a command on another row's training."""

from __future__ import annotations

import re
import shlex
from typing import Annotated

from pydantic import AfterValidator, Field

from benchmarking.yaml_files import Strict, Text


def _check_command(command: str) -> str:
    words = shlex.split(command)
    if words[:1] != ['mmleuk'] or '{checkpoint}' not in words or '{out}' not in words:
        raise ValueError(f'{command!r}: write an mmleuk command with {{checkpoint}} and {{out}}')
    named = set(re.findall(r'{(\w*)}', command)) - {'config', 'checkpoint', 'seed', 'out'}
    if named:
        raise ValueError(f'{command!r}: {{{min(named)}}} stands for nothing; there are {{config}}, {{checkpoint}}, '
                         '{seed} and {out}')
    return command


class Measured(Strict):
    """A command on the last checkpoint of another row, and where its scores stand.

    Attributes:
        of: name of the row, which stands above.
        command: ``mmleuk ...``; ``{config}``, ``{checkpoint}`` and ``{seed}`` are those of the row's training,
            ``{out}`` is a new folder.
        table: name of the CSV in that folder.
        line: column -> text of the table's line that counts.
        metrics: key of the evaluation -> column of the table.
    """

    of: Text
    command: Annotated[str, AfterValidator(_check_command)]
    table: Text
    line: dict[str, str] = Field(min_length=1)
    metrics: dict[str, Text] = Field(min_length=1)
