"""A tool runs the code that it lies beside, whatever other checkout is installed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BY_MAKE = ('compare', 'demo', 'runs')  # in the environment that make has built
OTHERS = ROOT / 'tools/speed/original.py'  # runs in another environment, without the package
TOOLS = sorted(path for path in (ROOT / 'tools').rglob('*.py')
               if '\nsys.path.insert(0, ' in path.read_text() and path.stem not in BY_MAKE
               and path != OTHERS)


@pytest.mark.parametrize('tool', TOOLS, ids=lambda path: path.stem)
def test_a_tool_imports_the_package_beside_it(tool, tmp_path):
    (tmp_path / 'mmleuk').mkdir()
    (tmp_path / 'mmleuk' / '__init__.py').write_text("raise SystemExit('the one beside the tool')\n")
    shutil.copytree(ROOT / 'tools', tmp_path / 'tools', ignore=shutil.ignore_patterns('__pycache__'))
    copied = tmp_path / tool.relative_to(ROOT)
    done = subprocess.run([sys.executable, str(copied)], capture_output=True, text=True, check=False, cwd=copied.parent)
    assert 'the one beside the tool' in done.stderr, done.stderr


def test_the_other_side_of_a_measurement_imports_nothing_of_the_package():
    modules = [OTHERS, *(ROOT / 'tools/speed' / name for name in ('__init__.py', 'turns.py'))]
    lines = [line for path in modules for line in path.read_text().splitlines()]
    assert not [line for line in lines if line.lstrip().startswith(('import mmleuk', 'from mmleuk'))]
