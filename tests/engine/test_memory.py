"""Freed memory: the same block again costs no page faults."""

import platform
import resource

import pytest
import torch

from mmleuk.engine.memory import keep_freed_memory


def faults_of_a_tensor(megabytes: int = 64) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(megabytes * 2**18).add_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='only glibc can be told to keep freed memory')
def test_a_tensor_gets_the_pages_of_those_before():
    assert keep_freed_memory() and keep_freed_memory()
    faults = [faults_of_a_tensor() for _ in range(6)]
    assert max(faults[2:]) < 100, faults  # of 16,384 pages


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(platform, 'libc_ver', lambda: ('', ''))
    assert not keep_freed_memory()
