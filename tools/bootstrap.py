"""Create .venv with everything that mmleuk needs; called by `make env`, needs nothing but Python's own library.

    python3 tools/bootstrap.py [--check] [--venv .venv] [--extras dev]

Looks first and names all that is missing, with the command that installs it. Every step asks pip, which skips what is
there already, so an interrupted run goes on where it stopped and a second one changes nothing.

Environment: TORCH_INDEX (package index to take torch from), MMCV_LINKS (page or folder with compiled mmcv),
MAX_JOBS (compilers at once), PIP_* as for pip.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / 'constraints.txt'
NEEDED_GB = 4
GB_PER_COMPILER = 2
REPORT_SECONDS = 30
NINJA_STEP = re.compile(r'^\s*\[(\d+)/(\d+)\]', re.MULTILINE)


@dataclass(frozen=True)
class Missing:
    """Something that the system lacks: what, the Debian package that brings it, and whether we can go on without."""

    what: str
    package: str = ''
    fatal: bool = True


class BootstrapError(RuntimeError):
    """A step failed; the message says which, where its log is and what to do."""


def missing_python_parts() -> list[Missing]:
    """The interpreter's version, and the parts that Debian packs separately."""
    version = '%d.%d' % sys.version_info[:2]  # noqa: UP031 -- must parse on any Python 3
    name = 'python' + version if os.path.basename(sys.executable) == 'python' + version else 'python3'
    found = []
    if not (3, 10) <= sys.version_info[:2] < (3, 13):
        found.append(Missing(f'Python 3.10, 3.11 or 3.12 (this is {version}; another one: PYTHON=python3.12 make env)'))
    if importlib.util.find_spec('venv') is None or importlib.util.find_spec('ensurepip') is None:
        found.append(Missing('the venv module of Python', name + '-venv'))
    if not (Path(sysconfig.get_paths()['include']) / 'Python.h').is_file():
        found.append(Missing('Python.h, the headers of Python', name + '-dev'))
    return found


def missing_system_parts() -> list[Missing]:
    """Compiler, make and the libraries that OpenCV's desktop flavour and PDF reports link."""
    found = []
    if shutil.which('nvidia-smi') and lacks_nvcc():
        found.append(Missing('nvcc of the CUDA toolkit: this machine has an NVIDIA GPU, but unless the index has a '
                             'prebuilt mmcv with CUDA, mmcv is compiled for the CPU and training on the GPU fails; to '
                             'use the GPU stop here (Ctrl-C) and install the toolkit of torch\'s CUDA version',
                             fatal=False))
    if not shutil.which(os.environ.get('CXX', 'g++')):
        found.append(Missing('a C++ compiler (g++)', 'g++'))
    if not shutil.which('make'):
        found.append(Missing('make', 'make'))
    opencv, pdf = 'the desktop flavour of OpenCV', 'a report as PDF'
    for library, package, who in (('libGL.so.1', 'libgl1', opencv), ('libgthread-2.0.so.0', 'libglib2.0-0', opencv),
                                  ('libpangoft2-1.0.so.0', 'libpangoft2-1.0-0', pdf)):
        try:
            ctypes.CDLL(library)
        except OSError:
            found.append(Missing(f'{library} (only {who} needs it)', package, fatal=False))
    return found


def missing_room(venv: Path, extras: str = 'dev') -> list[Missing]:
    """Check disk space and write permission for a new environment."""
    folder = next(parent for parent in [venv, *venv.parents] if parent.exists())
    if not os.access(folder, os.W_OK):
        return [Missing(f'the right to write into {folder}')]
    free_gb = shutil.disk_usage(folder).free / 1e9
    if not is_complete(venv, extras) and free_gb < NEEDED_GB:
        return [Missing(f'{NEEDED_GB} GB of disk space in {folder} ({free_gb:.1f} GB are free)')]
    return []


def explain(missing: list[Missing]) -> str:
    """All that is missing, and one command that installs it."""
    lines = ['Missing on this system:']
    lines += [f'  - {item.what}{"" if item.fatal else "; going on without"}' for item in missing]
    packages = sorted({item.package for item in missing if item.package})
    if packages:
        lines += ['On Debian or Ubuntu (as root or with sudo):', f'    apt-get install -y {" ".join(packages)}']
    return '\n'.join(lines)


def is_complete(venv: Path, extras: str = 'dev') -> bool:
    """Did an earlier run get to its end, with the needs and versions of today?"""
    stamp = venv / '.mmleuk-ready'
    return stamp.is_file() and stamp.read_text() == wanted(extras)


def wanted(extras: str = 'dev') -> str:
    """What the environment's content follows from."""
    return f'extras: {extras}\n' + (ROOT / 'setup.py').read_text() + CONSTRAINTS.read_text()


def pinned(name: str) -> str:
    """``name==version`` as in constraints.txt."""
    match = re.search(rf'^{re.escape(name)}==[^;\s]+', CONSTRAINTS.read_text(), re.MULTILINE)
    if match is None:
        raise BootstrapError(f'{CONSTRAINTS} does not name {name}')
    return match.group(0)


def say(text: str) -> None:
    """One line, at once, also into a pipe."""
    print(text, flush=True)


def pip(venv: Path, *arguments: str) -> list[str]:
    """The pip command of the environment."""
    return [str(venv / 'bin' / 'python'), '-m', 'pip', '--disable-pip-version-check', *arguments]


def environment(**extra: str) -> dict[str, str]:
    """Our environment without what would leak other installations into the new one."""
    kept = {name: value for name, value in os.environ.items() if name not in ('PYTHONPATH', 'PYTHONHOME', 'PIP_TARGET')}
    return {**kept, 'PIP_ROOT_USER_ACTION': 'ignore', **extra}


def install(venv: Path, *arguments: str) -> None:
    """Run ``pip install`` and let its output through."""
    quiet = [] if sys.stdout.isatty() else ['-q']  # pip's bars are for people
    command = pip(venv, 'install', *quiet, *arguments)
    say('  pip install ' + ' '.join(arguments))
    if subprocess.run(command, env=environment(), cwd=ROOT, check=False).returncode:
        raise BootstrapError('this command failed: ' + ' '.join(command)
                             + '\nIs the network there? Run `make env` again; it goes on from here.')


def create_venv(venv: Path) -> None:
    """Make the environment unless a working one is there."""
    python = venv / 'bin' / 'python'
    if python.exists() and subprocess.run([str(python), '-m', 'pip', '--version'], capture_output=True,
                                          check=False).returncode == 0:
        return
    say(f'Creating {venv} with Python {sys.version.split()[0]}')
    command = [sys.executable, '-m', 'venv', '--clear', str(venv)]
    if subprocess.run(command, env=environment(), check=False).returncode:
        raise BootstrapError('this command failed: ' + ' '.join(command))


def install_torch(venv: Path) -> None:
    """What mmcv is compiled with: torch and build tools."""
    install(venv, '-c', str(CONSTRAINTS), pinned('setuptools'), 'wheel', 'ninja', 'psutil', 'numpy')
    index = os.environ.get('TORCH_INDEX')
    if index:
        # Without constraints: such an index holds torch and its own choice of torch's needs.
        install(venv, '--index-url', index, pinned('torch'))
    install(venv, '-c', str(CONSTRAINTS), pinned('torch'))


def lacks_nvcc() -> bool:
    """Whether nothing here compiles for a GPU."""
    return not shutil.which('nvcc') and not os.environ.get('CUDA_HOME')


def compilers_at_once() -> int:
    """One per core, as far as the memory goes: a file of mmcv takes up to 2 GB."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    limits = [os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')]
    cgroup = Path('/sys/fs/cgroup/memory.max')
    if cgroup.is_file() and cgroup.read_text().strip().isdigit():
        limits.append(int(cgroup.read_text()))
    return max(1, min(cores, int(min(limits) / (GB_PER_COMPILER * 1e9))))


def build_environment(venv: Path) -> dict[str, str]:
    """Compile operations, without debug symbols (they double the time); for the GPU only if nvcc exists."""
    cuda = {}
    if lacks_nvcc():
        cuda = {'FORCE_CUDA': '0', 'CUDA_VISIBLE_DEVICES': ''}
    path = f'{venv / "bin"}{os.pathsep}{os.environ.get("PATH", "")}'  # ninja is there
    jobs = os.environ.get('MAX_JOBS') or str(compilers_at_once())
    return environment(MMCV_WITH_OPS='1', CFLAGS='-g0', CXXFLAGS='-g0', MAX_JOBS=jobs, PATH=path, **cuda)


def progress_line(log: str, seconds: float) -> str:
    """How far the compiler is, from ninja's ``[37/78]`` in the log.

    Example:
        >>> progress_line('[1/78] c++ a.cpp\\n[37/78] c++ b.cpp\\n', 250)
        '[37/78] compiling mmcv, 4 min'
    """
    steps = NINJA_STEP.findall(log)
    where = f'[{steps[-1][0]}/{steps[-1][1]}] compiling' if steps else 'preparing'
    return f'{where} mmcv, {int(seconds // 60)} min'


def bar(line: str, width: int = 30) -> str:
    """The line with a bar before it, for a terminal."""
    match = NINJA_STEP.match(line)
    done = int(width * int(match.group(1)) / int(match.group(2))) if match else 0
    return f'\r\033[K  {"#" * done}{"." * (width - done)} {line}'


def watch(process: subprocess.Popen, log: Path) -> None:
    """Show progress until the build ends: a bar on a terminal, a line now and then elsewhere."""
    start, said = time.monotonic(), 0.0
    while process.poll() is None:
        time.sleep(0.5)
        seconds = time.monotonic() - start
        line = progress_line(log.read_text(errors='replace'), seconds)
        if sys.stdout.isatty():
            print(bar(line), end='', flush=True)
        elif seconds - said >= REPORT_SECONDS:
            said = seconds
            say('  ' + line)
    if sys.stdout.isatty():
        print()


def mmcv_fault(venv: Path) -> str:
    """Why the environment's mmcv doesn't do; '' if it has the wanted version and its operations fit torch.

    A GPU that torch finds needs operations for CUDA, if they can be compiled here.
    """
    check = ('import mmcv, mmcv.ops, torch; cuda = mmcv.ops.get_compiling_cuda_version();'
             'print(mmcv.__version__, "cpu" if torch.cuda.is_available() and cuda == "not available" else "fits")')
    done = subprocess.run([str(venv / 'bin' / 'python'), '-W', 'ignore', '-c', check], capture_output=True, text=True,
                          env=environment(), check=False)
    version, kind = (done.stdout.split() or ['', ''])[-2:] if done.returncode == 0 else ('', '')
    if not version:
        return (done.stderr.strip().splitlines() or ['it is not installed'])[-1]
    if version != pinned('onedl-mmcv').split('==')[1]:
        return f'it is version {version}'
    return 'it has no operations for CUDA' if kind == 'cpu' and not lacks_nvcc() else ''


def install_prebuilt_mmcv(venv: Path) -> str:
    """Take a compiled mmcv from the index, or from the page or folder in MMCV_LINKS; '' or why there is none."""
    links = ['--find-links', os.environ['MMCV_LINKS']] if os.environ.get('MMCV_LINKS') else []
    command = pip(venv, 'install', '-q', '--only-binary', 'onedl-mmcv', '-c', str(CONSTRAINTS), *links,
                  pinned('onedl-mmcv'))
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=ROOT, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [''])[-1]
        return f'pip finds no prebuilt {pinned("onedl-mmcv")} for this Python ({said})'
    fault = mmcv_fault(venv)
    if fault:
        subprocess.run(pip(venv, 'uninstall', '-q', '-y', 'onedl-mmcv'), env=environment(), check=False)
        return f'the prebuilt {pinned("onedl-mmcv")} does not fit: {fault}'
    return ''


def install_mmcv(venv: Path) -> None:
    """Take a prebuilt mmcv that fits, else compile it (ten minutes on two cores); pip keeps the wheel for next time."""
    if not mmcv_fault(venv):
        return
    reason = install_prebuilt_mmcv(venv)
    if not reason:
        say(f'  prebuilt {pinned("onedl-mmcv")}: its operations load')
        return
    say(f'  compiling {pinned("onedl-mmcv")} for the {"CPU" if lacks_nvcc() else "GPU and the CPU"}: {reason}')
    log = venv / 'mmcv-build.log'
    env = build_environment(venv)
    command = pip(venv, 'install', '-v', '--no-build-isolation', '-c', str(CONSTRAINTS), pinned('onedl-mmcv'))
    say(f'  a wheel that pip kept, or {env["MAX_JOBS"]} compiler(s) at once: 20 min divided by that; log: {log}')
    with log.open('w') as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=env, cwd=ROOT)
        try:
            watch(process, log)
        finally:
            process.wait()
    if process.returncode:
        tail = '\n'.join(log.read_text(errors='replace').splitlines()[-30:])
        raise BootstrapError(f'{tail}\n\nCompiling mmcv failed (the end of its log is above; all of it: {log}).\n'
                             'Out of memory? MAX_JOBS=1 make env. Then `make env` goes on from here.')


def install_rest(venv: Path, extras: str) -> None:
    """MMDetection, this package with its extras; headless opencv last, since it overwrites opencv's files."""
    constraints = ['-c', str(CONSTRAINTS), '--no-build-isolation']
    install(venv, *constraints, pinned('onedl-mmengine'), pinned('onedl-mmdetection'), '-e', f'{ROOT}[{extras}]')
    stamp = venv / '.opencv-headless'
    if not stamp.is_file() or stamp.read_text() != pinned('opencv-python-headless'):
        install(venv, '--force-reinstall', '--no-deps', pinned('opencv-python-headless'))
        stamp.write_text(pinned('opencv-python-headless'))


def verify(venv: Path) -> None:
    """Ask the doctor whether the environment works."""
    if subprocess.run([str(venv / 'bin' / 'mmleuk'), 'doctor'], env=environment(), check=False).returncode:
        raise BootstrapError(f'the environment in {venv} does not work; the lines above say what to do')


def build(venv: Path, extras: str = 'dev') -> None:
    """All steps in order."""
    if is_complete(venv, extras):
        say(f'{venv} is complete (remove it to install again)')
        return
    create_venv(venv)
    steps: list[tuple[str, Callable[[Path], None]]] = [
        ('torch and build tools', install_torch), ('mmcv', install_mmcv),
        ('MMDetection and mmleuk', partial(install_rest, extras=extras)), ('examination', verify)]
    for number, (title, step) in enumerate(steps, 1):
        say(f'[{number}/{len(steps)}] {title}')
        step(venv)
    (venv / '.mmleuk-ready').write_text(wanted(extras))


def main() -> int:
    """0 when the environment works, 1 with a reason otherwise."""
    parser = argparse.ArgumentParser(description='Create .venv with everything that mmleuk needs.')
    parser.add_argument('--check', action='store_true', help='only say what the system lacks')
    parser.add_argument('--venv', type=Path, default=ROOT / '.venv')
    parser.add_argument('--extras', default='dev', metavar='NAME,NAME',
                        help='extras of setup.py to install (default: dev: all of them and what tests need)')
    args = parser.parse_args()
    venv = args.venv.absolute()
    missing = missing_python_parts() + missing_system_parts() + missing_room(venv, args.extras)
    if missing:
        print(explain(missing), file=sys.stderr)
    if any(item.fatal for item in missing):
        return 1
    if args.check:
        say('The system has all that is needed.')
        return 0
    try:
        build(venv, args.extras)
    except BootstrapError as error:
        print(f'\nmake env: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nInterrupted. `make env` goes on from here.', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
