"""Freed memory: the same block again costs no page faults."""

import platform
import statistics
import subprocess
import sys

import pytest

from mmleuk.utils.memory import keep_freed_memory

FAULTS_OF_EQUAL_TENSORS = """
import resource, sys
import torch
from mmleuk.utils.memory import keep_freed_memory
if sys.argv[1] == 'keep':
    assert keep_freed_memory() and keep_freed_memory()
for _ in range(41):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(64 * 2**18).add_(1)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='only glibc can be told to keep freed memory')
def test_a_tensor_gets_the_pages_of_those_before():
    """Of 16,384 pages of 4 KiB each, or 32 of 2 MiB; in a process of its own, whose heap holds nothing else.

    The median of 41 tensors: while a process is young, a small block may take the head of a freed one, whereupon the
    next tensor gets new pages. Up to six of the first ones do.
    """
    faults = {}
    for mode in ('keep', 'leave'):
        run = subprocess.run([sys.executable, '-c', FAULTS_OF_EQUAL_TENSORS, mode], capture_output=True, text=True,
                             check=True)
        faults[mode] = statistics.median(int(line) for line in run.stdout.split())
    assert 10 * faults['keep'] < faults['leave'], faults


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(platform, 'libc_ver', lambda: ('', ''))
    assert not keep_freed_memory()
