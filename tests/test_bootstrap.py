"""The installer: what it names as missing, what it passes on to the compiler, how it shows progress."""

import importlib.util
import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / 'tools' / 'bootstrap.py'


@pytest.fixture
def bootstrap(monkeypatch):
    """The script as a module of its own."""
    spec = importlib.util.spec_from_file_location('bootstrap', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, 'bootstrap', module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def check(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run the look at the system for an environment in ``tmp_path``."""
    command = [sys.executable, str(SCRIPT), '--check', '--venv', str(tmp_path / '.venv')]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def test_empty_path_names_compiler_and_make_and_the_command(tmp_path):
    done = check(tmp_path, PATH='')
    assert done.returncode == 1
    assert 'a C++ compiler (g++)' in done.stderr and '- make' in done.stderr
    line = next(line for line in done.stderr.splitlines() if 'apt-get install -y' in line)
    assert {'g++', 'make'} <= set(line.split())
    assert list(tmp_path.iterdir()) == [], 'nothing may be made before all is there'


def test_whole_system_passes(tmp_path):
    done = check(tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_python_without_venv_and_headers(bootstrap, monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap.importlib.util, 'find_spec', lambda name: None)
    monkeypatch.setattr(bootstrap.sysconfig, 'get_paths', lambda: {'include': str(tmp_path)})
    packages = [item.package for item in bootstrap.missing_python_parts()]
    assert [package.split('-')[-1] for package in packages] == ['venv', 'dev']


@pytest.mark.parametrize('version, fits', [((3, 9), False), ((3, 10), True), ((3, 12), True), ((3, 13), False)])
def test_python_versions(bootstrap, monkeypatch, version, fits):
    monkeypatch.setattr(bootstrap.sys, 'version_info', (*version, 0))
    named = [item for item in bootstrap.missing_python_parts() if item.what.startswith('Python 3.10, 3.11 or 3.12')]
    assert bool(named) is not fits


def test_missing_libraries_are_named_but_do_not_stop(bootstrap, monkeypatch):
    def missing(name):
        raise OSError(f'{name}: cannot open shared object file')

    monkeypatch.setattr(bootstrap.ctypes, 'CDLL', missing)
    found = [item for item in bootstrap.missing_system_parts() if item.what.startswith('lib')]
    assert [(item.package, item.fatal) for item in found] == [
        ('libgl1', False), ('libglib2.0-0', False), ('libpangoft2-1.0-0', False)]
    assert 'apt-get install -y libgl1 libglib2.0-0 libpangoft2-1.0-0' in bootstrap.explain(found)


def test_too_little_room(bootstrap, monkeypatch, tmp_path):
    usage = namedtuple('usage', 'total used free')
    monkeypatch.setattr(bootstrap.shutil, 'disk_usage', lambda folder: usage(1e11, 9.9e10, 1e9))
    (missing,) = bootstrap.missing_room(tmp_path / '.venv')
    assert missing.fatal and '4 GB of disk space' in missing.what and '1.0 GB are free' in missing.what


def test_folder_that_is_not_ours(bootstrap, monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap.os, 'access', lambda folder, mode: False)  # root may write everywhere
    (missing,) = bootstrap.missing_room(tmp_path / '.venv')
    assert str(tmp_path) in missing.what


def test_no_python_at_all_names_the_command():
    done = subprocess.run(['/bin/sh', str(ROOT / 'tools' / 'bootstrap.sh')], env={'PATH': '/nowhere:/usr/bin/dirname',
                          'PYTHON': 'no-such-python'}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'Python 3.10, 3.11 or 3.12' in done.stderr and 'apt-get install -y python3 python3-venv' in done.stderr


def test_complete_environment_is_left_alone(bootstrap, monkeypatch, tmp_path, capsys):
    (tmp_path / '.mmleuk-ready').write_text(bootstrap.wanted())
    monkeypatch.setattr(bootstrap.subprocess, 'run', lambda *args, **kwargs: pytest.fail('nothing may run'))
    bootstrap.build(tmp_path)
    assert 'is complete' in capsys.readouterr().out


def test_other_versions_make_it_incomplete(bootstrap, tmp_path):
    (tmp_path / '.mmleuk-ready').write_text(bootstrap.wanted().replace('torch==', 'torch==0.'))
    assert not bootstrap.is_complete(tmp_path)


@pytest.mark.parametrize('gigabytes, cores, jobs', [(1, 8, 1), (5, 8, 2), (64, 8, 8), (64, 2, 2)])
def test_compilers_fit_into_memory(bootstrap, monkeypatch, gigabytes, cores, jobs):
    monkeypatch.setattr(bootstrap.os, 'sched_getaffinity', lambda pid: range(cores), raising=False)
    monkeypatch.setattr(bootstrap.os, 'sysconf', {'SC_PAGE_SIZE': 4096, 'SC_PHYS_PAGES': gigabytes * 1e9 / 4096}.get)
    monkeypatch.setattr(bootstrap, 'Path', lambda name: Path('/no/cgroup'))
    assert bootstrap.compilers_at_once() == jobs


def test_build_has_no_debug_symbols_and_keeps_pips_cache(bootstrap, tmp_path):
    env = bootstrap.build_environment(tmp_path)
    assert (env['CFLAGS'], env['CXXFLAGS'], env['MMCV_WITH_OPS']) == ('-g0', '-g0', '1')
    assert env['PATH'].startswith(str(tmp_path / 'bin'))
    assert '--no-cache-dir' not in SCRIPT.read_text()


@pytest.mark.parametrize('log, seconds, line', [
    ('', 5, 'preparing mmcv, 0 min'),
    ('Collecting onedl-mmcv\n', 61, 'preparing mmcv, 1 min'),
    ('  [1/78] c++ a.cpp\n  [37/78] c++ b.cpp -o [x/y]\n', 250, '[37/78] compiling mmcv, 4 min'),
])
def test_progress(bootstrap, log, seconds, line):
    assert bootstrap.progress_line(log, seconds) == line


def test_bar(bootstrap):
    assert bootstrap.bar('[39/78] compiling mmcv, 4 min', width=4).endswith('##.. [39/78] compiling mmcv, 4 min')
    assert '....' in bootstrap.bar('preparing mmcv, 0 min', width=4)


def test_failed_build_shows_the_end_of_its_log(bootstrap, monkeypatch, tmp_path):
    """Driven with a real process: a 'pip' that prints as a compiler does, and fails."""
    monkeypatch.setattr(bootstrap, 'REPORT_SECONDS', 0)
    monkeypatch.setattr(bootstrap, 'pip', lambda venv, *arguments: [
        sys.executable, '-c', "print('[1/78] c++ a.cpp\\na.cpp:7: error: out of memory'); raise SystemExit(1)"])
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin' / 'python').symlink_to('/bin/false')
    with pytest.raises(bootstrap.BootstrapError, match='out of memory') as failure:
        bootstrap.install_mmcv(tmp_path)
    assert str(tmp_path / 'mmcv-build.log') in str(failure.value) and 'MAX_JOBS=1' in str(failure.value)


@pytest.mark.parametrize('programs, told', [(['nvidia-smi'], True), (['nvidia-smi', 'nvcc'], False), ([], False)])
def test_a_gpu_without_nvcc_is_told_at_the_start(bootstrap, monkeypatch, programs, told):
    monkeypatch.delenv('CUDA_HOME', raising=False)
    monkeypatch.setattr(bootstrap.shutil, 'which', lambda name: name if name in [*programs, 'g++', 'make'] else None)
    found = [item for item in bootstrap.missing_system_parts() if 'nvcc' in item.what]
    assert bool(found) is told and not any(item.fatal for item in found)


@pytest.mark.parametrize('pip_status, fault, reason', [
    (1, '', 'finds no prebuilt'), (0, 'it is version 2.0', 'does not fit: it is version 2.0'), (0, '', '')])
def test_a_prebuilt_mmcv_is_taken_only_if_it_fits(bootstrap, monkeypatch, tmp_path, pip_status, fault, reason):
    """Driven with real processes that end as pip does."""
    code = f'raise SystemExit({pip_status})'
    monkeypatch.setattr(bootstrap, 'pip', lambda venv, *arguments: [sys.executable, '-c', code])
    monkeypatch.setattr(bootstrap, 'mmcv_fault', lambda venv: fault)
    found = bootstrap.install_prebuilt_mmcv(tmp_path)
    assert reason in found and bool(found) == bool(reason)


def test_the_fault_of_an_mmcv(bootstrap, monkeypatch, tmp_path):
    (tmp_path / 'bin').mkdir()
    python = tmp_path / 'bin' / 'python'
    for script, fault in (('echo 2.3.6 fits', ''), ('echo 1.0 fits', 'it is version 1.0'),
                          ('echo 2.3.6 cpu', 'it has no operations for CUDA'),
                          ('echo No module >&2; exit 1', 'No module')):
        python.write_text(f'#!/bin/sh\n{script}\n')
        python.chmod(0o755)
        monkeypatch.setattr(bootstrap, 'lacks_nvcc', lambda: False)
        assert bootstrap.mmcv_fault(tmp_path) == fault
    python.write_text('#!/bin/sh\necho 2.3.6 cpu\n')
    monkeypatch.setattr(bootstrap, 'lacks_nvcc', lambda: True)
    assert bootstrap.mmcv_fault(tmp_path) == ''  # said at the start; compiling again would change nothing


def test_constraints_cover_every_need(bootstrap):
    for name in ('torch', 'numpy', 'onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection', 'opencv-python-headless',
                 'opencv-python', 'setuptools', 'pytest', 'pytest-timeout', 'pytest-xdist', 'execnet', 'hypothesis',
                 'scikit-learn', 'ruff', 'mypy', 'tqdm'):
        assert bootstrap.pinned(name).startswith(name + '==')
    with pytest.raises(bootstrap.BootstrapError, match='does not name torchvision'):
        bootstrap.pinned('torchvision')


def test_ci_runs_the_test_command_of_the_readme():
    assert 'exec make test' in (ROOT / '.ci' / 'run').read_text() and os.access(ROOT / '.ci' / 'run', os.X_OK)
    assert 'make test ' in (ROOT / 'README.md').read_text()


def test_extras_are_part_of_what_makes_an_environment_complete(bootstrap, monkeypatch, tmp_path):
    """The image for Docker installs fewer; a later `make env` completes it."""
    asked = []
    monkeypatch.setattr(bootstrap, 'install', lambda venv, *arguments: asked.append(arguments))
    (tmp_path / '.opencv-headless').write_text(bootstrap.pinned('opencv-python-headless'))
    bootstrap.install_rest(tmp_path, 'desk')
    assert asked[0][-1] == f'{ROOT}[desk]'
    (tmp_path / '.mmleuk-ready').write_text(bootstrap.wanted('desk'))
    assert bootstrap.is_complete(tmp_path, 'desk') and not bootstrap.is_complete(tmp_path)


def test_the_image_for_docker_gets_nothing_that_git_ignores():
    """Environments, data and results of a clone would be sent to the builder."""
    left_out = [pattern.rstrip('*') for pattern in (ROOT / '.dockerignore').read_text().split()]
    for pattern in (line.strip('/') for line in (ROOT / '.gitignore').read_text().split()):
        assert any(name in (pattern, f'**/{pattern}') or name == '.' == pattern[0] for name in left_out), pattern


def test_the_image_for_docker_installs_as_make_env_does():
    """Its command is one that the installer takes, with extras that the package has."""
    text = (ROOT / 'Dockerfile').read_text()
    assert 'sh tools/bootstrap.sh --venv /opt/venv --extras desk ' in text
    assert "'desk': " in (ROOT / 'setup.py').read_text()
    done = subprocess.run([sys.executable, str(SCRIPT), '--help'], capture_output=True, text=True, check=True)
    assert {'--venv', '--extras'} <= set(done.stdout.replace('[', ' ').split())
