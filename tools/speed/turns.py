"""One side of a measurement: a process that makes a piece of work each time it is asked, and answers with CPU seconds.

Standard library only: the other side's environment has none of our packages. A request is a line of JSON with ``task``
and ``turn``; the answer has ``cpu_s`` and ``check``, what the work returned.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Work = Callable[[int], Any]
"""A piece of work; its argument is the number of the turn."""
LOADED = 16
"""Samples that each side loads in a turn, one after the other, as a loader makes them."""


def serve(tasks: Mapping[str, Callable[[], Work]], greeting: Any = None) -> None:
    """Answer requests until standard input ends.

    Args:
        tasks: name -> what prepares the work, called before its first turn and not timed.
        greeting: sent first.
    """
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    ready: dict[str, Work] = {}

    def answer(content: Any) -> None:
        answers.write(json.dumps(content) + '\n')
        answers.flush()

    answer(greeting)
    for line in sys.stdin:
        request = json.loads(line)
        name = request['task']
        if name not in ready:
            ready[name] = tasks[name]()
        start = time.process_time()
        check = ready[name](request['turn'])
        answer(dict(cpu_s=time.process_time() - start, check=check))


class Side:
    """The process of one side, as the one that asks sees it.

    Args:
        python: its interpreter.
        script: its file, which calls :func:`serve`.
        setup: JSON file, its only argument.

    Raises:
        RuntimeError: the process ended; its own message is on standard error.
    """

    def __init__(self, python: str, script: Path, setup: Path) -> None:
        threads = dict.fromkeys(('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS'), '1')
        self.name = script.stem
        self._process = subprocess.Popen([python, '-W', 'ignore', str(script), str(setup)], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True, env={**os.environ, **threads})
        self.greeting = self._answer()

    def ask(self, task: str, turn: int) -> dict[str, Any]:
        """CPU seconds of one turn, and what the work returned."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(dict(task=task, turn=turn)) + '\n')
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f'{self.name}: the process ended with status {self._process.wait()}')
        return json.loads(line)
