"""The lint settings bite: a file with one fault of each kind must fail, each fault by its own rule."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

BRANCHES = '\n'.join(f'    if value == {n}:\n        return {n}' for n in range(12))
STATEMENTS = '\n'.join(f'    value = {n}' for n in range(60))
FAULTS = {
    'F401': 'import os\n',
    'E501': f'LONG = {"1" * 130}\n',
    'Q000': 'NAME = "double"\n',
    'I001': 'import sys\nimport os\nprint(os, sys)\n',
    'B006': 'def f(values: list = []) -> None:\n    """Do."""\n    values.append(1)\n',
    'BLE001': 'try:\n    NAME = 1\nexcept Exception:\n    NAME = 2\n',
    'C901': f'def f(value: int) -> int:\n    """Do."""\n{BRANCHES}\n    return value\n',
    'PLR0915': f'def f(value: int) -> int:\n    """Do."""\n{STATEMENTS}\n    return value\n',
    'ANN001': 'def f(value) -> int:\n    """Do."""\n    return value\n',
    'D103': 'def f(value: int) -> int:\n    return value\n',
    'T201': 'print(1)\n',
    'UP006': 'from typing import List\n\n\ndef f(value: List[int]) -> None:\n    """Do."""\n',
}


@pytest.mark.parametrize('rule', FAULTS)
def test_ruff_finds(rule):
    command = [sys.executable, '-m', 'ruff', 'check', '--no-cache', '--output-format', 'concise',
               '--stdin-filename', 'mmleuk/a_bad_file.py', '-']
    done = subprocess.run(command, input=f'"""A module."""\n\n{FAULTS[rule]}', cwd=ROOT, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1 and f' {rule} ' in done.stdout, done.stdout + done.stderr


def test_ruff_passes_a_clean_file():
    command = [sys.executable, '-m', 'ruff', 'check', '--no-cache', '--stdin-filename', 'mmleuk/a_file.py', '-']
    clean = '"""A module."""\n\n\ndef half(value: float) -> float:\n    """Half of it."""\n    return value / 2\n'
    done = subprocess.run(command, input=clean, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_files_are_short_enough_to_read():
    """CONTRIBUTING's limit, which ruff doesn't know."""
    lines = {path: len(path.read_text().splitlines()) for folder in ('mmleuk', 'tools')
             for path in sorted((ROOT / folder).rglob('*.py'))}
    assert len(lines) > 100 and {str(path.relative_to(ROOT)): n for path, n in lines.items() if n > 400} == {}
