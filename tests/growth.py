"""How the work of a function grows with its input: counted, not timed, so that a busy machine cannot fail a test."""

import gc
import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple


class Work(NamedTuple):
    lines: int
    """Executed lines of Python. Each round of a loop or comprehension counts, work inside C functions doesn't."""
    peak_bytes: int
    """Largest sum of memory that was taken meanwhile, NumPy's arrays with it: what a table of all pairs shows in."""


def count_work(function: Callable[[], Any]) -> Work:
    """Call it and count; PyTorch's memory is not seen."""
    lines = 0

    def count(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal lines
        lines += event == 'line'
        return count

    gc.collect()
    before = sys.gettrace()
    tracemalloc.start()
    sys.settrace(count)
    try:
        function()
    finally:
        sys.settrace(before)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return Work(lines, peak)


def assert_linear(function: Callable[[int], Callable[[], Any]], size: int) -> None:
    """Four times the input costs about four times the work: a square law would cost sixteen times.

    Args:
        function: gives the function to count for a size; what it does itself isn't counted.
        size: the smaller input, so large that constant parts don't hide the growth.
    """
    small, large = count_work(function(size)), count_work(function(4 * size))
    assert large.lines < 6 * small.lines, (small, large)
    assert large.peak_bytes < 6 * small.peak_bytes, (small, large)
