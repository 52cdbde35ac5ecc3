"""Which MMDetection is there: told from folders with made-up distributions, nothing is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from mmleuk.stack import MODULES, OPENMMLAB, StackError, detect, require_stack

ROOT = Path(__file__).resolve().parent.parent
ONEDL = {'onedl_mmengine': '0.10.12', 'onedl_mmcv': '2.3.6', 'onedl_mmdetection': '3.5.1'}
ORIGINAL = {'mmengine': '0.10.4', 'mmcv': '2.1.0', 'mmdet': '3.3.0'}


def site(folder: Path, distributions: dict[str, str], modules=MODULES) -> list[str]:
    """A site-packages with these distributions and importable modules."""
    for name, version in distributions.items():
        info = folder / f'{name}-{version}.dist-info'
        info.mkdir()
        (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name.replace("_", "-")}\nVersion: {version}\n')
    for module in modules:
        (folder / module).mkdir()
        (folder / module / '__init__.py').write_text('')
    return [str(folder)]


@pytest.mark.parametrize('distributions, modules, name', [
    (ONEDL, MODULES, 'OneDL'),
    (ORIGINAL, MODULES, 'OpenMMLab'),
    ({}, MODULES, 'source'),
    ({}, (), 'none'),
    ({**ONEDL, 'mmcv': '2.1.0'}, MODULES, 'both'),
])
def test_name(tmp_path, distributions, modules, name):
    assert detect(site(tmp_path, distributions, modules)).name == name


def test_versions_are_told(tmp_path):
    stack = detect(site(tmp_path, ONEDL))
    assert stack.onedl == {name.replace('_', '-'): version for name, version in ONEDL.items()}
    assert stack.openmmlab == {} and stack.missing == ()


@pytest.mark.parametrize('distributions', [ONEDL, ORIGINAL, {}], ids=['onedl', 'original', 'source'])
def test_one_whole_stack_is_fine(tmp_path, distributions):
    require_stack(site(tmp_path, distributions))


def test_none_names_what_is_missing_and_the_command(tmp_path):
    with pytest.raises(StackError, match=r'no module mmengine, mmcv, mmdet.*make env.*pip install'):
        require_stack(site(tmp_path, {}, ()))


def test_half_a_stack_names_the_other_half(tmp_path):
    half = {'onedl_mmengine': '0.10.12'}
    with pytest.raises(StackError, match=r'no module mmcv, mmdet\. .*make env'):
        require_stack(site(tmp_path, half, ('mmengine',)))


@pytest.mark.parametrize('other', OPENMMLAB)
def test_both_names_all_and_the_command_that_removes_them(tmp_path, other):
    path = site(tmp_path, {**ONEDL, other.replace('-', '_'): '2.1.0'})
    with pytest.raises(StackError, match=rf'overwrite each other.*pip uninstall -y .*\b{other}\b.*onedl-.*make env'):
        require_stack(path)


def test_it_is_no_import_error():
    """Mmengine swallows import errors of ``mmleuk.registry`` and then reports an unknown type."""
    assert not issubclass(StackError, (ImportError, AttributeError))


def test_importing_the_registry_without_a_stack_is_one_clear_error():
    """Without site-packages (-S) there is no MMDetection at all."""
    done = subprocess.run([sys.executable, '-S', '-c', 'import mmleuk.registry'], cwd=ROOT, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith('mmleuk.stack.StackError: MMDetection is incomplete')


def test_this_environment_has_one():
    assert detect().problem() is None
