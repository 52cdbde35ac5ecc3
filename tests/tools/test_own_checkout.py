"""A tool runs the code that it lies beside, whatever other checkout is installed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BY_MAKE = ('compare', 'demo', 'runs')  # in the environment that make has built
TOOLS = sorted(path for path in (ROOT / 'tools').glob('*.py')
               if '\nfrom mmleuk' in path.read_text() and path.stem not in BY_MAKE)


@pytest.mark.parametrize('tool', TOOLS, ids=lambda path: path.stem)
def test_a_tool_imports_the_package_beside_it(tool, tmp_path):
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'mmleuk').mkdir()
    (tmp_path / 'mmleuk' / '__init__.py').write_text("raise SystemExit('the one beside the tool')\n")
    for script in (ROOT / 'tools').glob('*.py'):  # some import each other
        shutil.copy(script, tmp_path / 'tools')
    done = subprocess.run([sys.executable, str(tmp_path / 'tools' / tool.name)], capture_output=True, text=True,
                          check=False, cwd=tmp_path / 'tools')
    assert 'the one beside the tool' in done.stderr, done.stderr
