"""Settings that every test shares: one thread, no screen, no hurry for property tests."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

# Before numpy, torch and OpenCV start their thread pools: small tensors are faster on one thread, sums are the same
# on every machine, and test processes don't fight for cores.
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('MKL_NUM_THREADS', '1')
os.environ['MPLBACKEND'] = 'Agg'

import cv2
import pytest
import torch
from annotation_fixtures import make_files  # noqa: F401 - a fixture of several folders
from hypothesis import HealthCheck, settings
from run_fixtures import cell, film  # noqa: F401

# Looked through for doctests, two files called conftest.py would be one module.
collect_ignore_glob = ['*conftest.py']

torch.set_num_threads(1)
cv2.setNumThreads(0)

# A busy machine must not fail a property; derandomised, so that a failure is everybody's failure.
settings.register_profile('mmleuk', deadline=None, derandomize=True, print_blob=True,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile('mmleuk')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip GPU tests with a reason where there is none."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker('gpu'):
            item.add_marker(pytest.mark.skip(reason='needs a CUDA device'))


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    """Random weights and inputs are the same in every run and in every order of tests."""
    torch.manual_seed(0)


@pytest.fixture(scope='session')
def load_tool() -> Callable[[str], ModuleType]:
    """Load ``tools/<name>.py``, which is no module of the package, as a module of its own."""
    def load(name: str) -> ModuleType:
        path = Path(__file__).resolve().parents[1] / 'tools' / f'{name}.py'
        spec = importlib.util.spec_from_file_location(f'tool_{name}', path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    return load
