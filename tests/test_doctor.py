"""The doctor's findings in this environment and in broken ones."""

import subprocess
import sys

import pytest

from mmleuk import doctor
from mmleuk.stack import Stack


def test_healthy_environment():
    """Run as a user runs it: this is the environment of the tests, and it must be whole."""
    done = subprocess.run([sys.executable, '-m', 'mmleuk.cli', 'doctor'], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ('python', 'torch', 'stack', 'mmengine', 'mmcv', 'mmdet', 'cv2', 'mmcv ops', 'gpu', 'mmleuk'):
        assert f'ok  {name:15}' in done.stdout


def test_a_problem_prints_its_command_and_exits_1(monkeypatch, capsys):
    broken = doctor.Finding('cv2', 'broken', 'ImportError: libGL.so.1', 'apt-get install -y libgl1')
    monkeypatch.setattr(doctor, 'examine', lambda: iter([doctor.Finding('torch', '2.13.0'), broken]))
    assert doctor.run(None) == 1
    out = capsys.readouterr().out
    assert 'ok  torch' in out and '!!  cv2' in out and 'to fix it: apt-get install -y libgl1' in out


def test_modules_that_break_while_importing_are_findings(tmp_path, monkeypatch):
    (tmp_path / 'a_broken_binary.py').write_text("raise OSError('libGL.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    finding = doctor.check_module('a_broken_binary', 'the command')
    assert finding.problem == 'OSError: libGL.so.1: cannot open shared object file' and finding.fix == 'the command'
    assert 'ModuleNotFoundError' in doctor.check_module('no_such_module', 'the command').problem


@pytest.mark.parametrize('version, fine', [('1.26.4', True), ('2.2.6', True), ('2.3.0', False), ('3.0.0', False)])
def test_numpy_range(monkeypatch, version, fine):
    monkeypatch.setattr('numpy.__version__', version)
    finding = doctor.check_numpy()
    assert bool(finding.problem) is not fine and bool(finding.fix) is not fine


@pytest.mark.parametrize('flavours, fine', [
    ({'opencv-python': '4.12.0.88', 'opencv-python-headless': '4.12.0.88'}, True),
    ({'opencv-python-headless': '4.12.0.88'}, True),
    ({'opencv-python': '5.0.0.93', 'opencv-python-headless': '4.12.0.88'}, False),
])
def test_opencv_flavours_share_a_folder(monkeypatch, flavours, fine):
    monkeypatch.setattr(doctor, 'installed', lambda names: flavours)
    finding = doctor.check_opencv_flavours()
    assert bool(finding.problem) is not fine
    assert fine or 'pip uninstall -y opencv-python opencv-python-headless' in finding.fix


def test_doubled_stack_is_a_finding(monkeypatch):
    monkeypatch.setattr(doctor, 'detect', lambda: Stack({'onedl-mmcv': '2.3.6'}, {'mmcv': '2.1.0'}, ()))
    finding = doctor.check_stack()
    assert 'overwrite each other' in finding.problem and 'pip uninstall -y mmcv onedl-mmcv' in finding.fix


def test_missing_ops_name_the_rebuild(monkeypatch):
    monkeypatch.setattr(doctor, 'try_import', lambda name: (None, "ModuleNotFoundError: No module named 'mmcv._ext'"))
    finding = doctor.check_mmcv_ops()
    assert 'mmcv._ext' in finding.problem and 'MMCV_WITH_OPS=1' in finding.fix and 'onedl-mmcv' in finding.fix


def test_torchvision_that_does_not_fit_is_to_be_removed(tmp_path, monkeypatch):
    (tmp_path / 'torchvision.py').write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'torchvision', raising=False)
    monkeypatch.setattr(doctor, 'installed', lambda names: {'torchvision': '0.1'})
    finding = doctor.check_torchvision()
    assert 'does not exist' in finding.problem and finding.fix == 'pip uninstall -y torchvision'
