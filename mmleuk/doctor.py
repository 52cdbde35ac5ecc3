"""``mmleuk doctor``: what is installed, what is broken, and the command that fixes it."""

from __future__ import annotations

import argparse
import ctypes
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import Distribution
from types import ModuleType

import mmleuk
from mmleuk.stack import detect

PYTHONS = ((3, 10), (3, 13))
NUMPY_BELOW = (2, 3)
OPENCV_FLAVOURS = (
    'opencv-python', 'opencv-python-headless', 'opencv-contrib-python', 'opencv-contrib-python-headless')
OPENCV_FIX = ("pip uninstall -y {installed} && pip install 'opencv-python<4.13' && "
              "pip install --force-reinstall --no-deps 'opencv-python-headless<4.13'")
REBUILD_MMCV = ('pip uninstall -y {name} && MMCV_WITH_OPS=1 FORCE_CUDA={cuda} CFLAGS=-g0 CXXFLAGS=-g0 '
                'pip install -v --no-build-isolation --no-cache-dir -c constraints.txt {name}')


@dataclass(frozen=True)
class Finding:
    """One line of the report; ``problem`` and ``fix`` are empty if there is no problem."""

    name: str
    value: str
    problem: str = ''
    fix: str = ''


def try_import(name: str) -> tuple[ModuleType | None, str]:
    """Module and '', or None and the error; a broken binary may raise any exception."""
    try:
        return import_module(name), ''
    except Exception as error:  # noqa: BLE001 -- the report is made of these
        return None, f'{type(error).__name__}: {error}'


def check_python() -> Finding:
    """Check that the pinned versions support this interpreter."""
    version = '.'.join(map(str, sys.version_info[:3]))
    if PYTHONS[0] <= sys.version_info[:2] < PYTHONS[1]:
        return Finding('python', version)
    return Finding('python', version, 'supported are 3.10, 3.11 and 3.12', 'PYTHON=python3.12 make env')


def check_module(name: str, fix: str) -> Finding:
    """Import ``name`` and report its version."""
    module, error = try_import(name)
    if module is None:
        return Finding(name, 'broken or missing', error, fix)
    return Finding(name, str(getattr(module, '__version__', 'unknown version')))


def check_numpy() -> Finding:
    """Check that numpy's version is in the range that the compiled packages were built for."""
    fix = "pip install 'numpy==2.2.6'"
    found = check_module('numpy', fix)
    numbers = tuple(int(part) for part in found.value.split('.')[:2] if part.isdigit())
    if found.problem or numbers < NUMPY_BELOW:
        return found
    return Finding('numpy', found.value, 'newer than what compiled mmcv and imaug were tried with (below 2.3)', fix)


def check_cv2() -> Finding:
    """Import OpenCV. Its desktop flavour needs libGL and libglib, which a minimal system lacks."""
    return check_module('cv2', 'apt-get install -y libgl1 libglib2.0-0, or: '
                               + OPENCV_FIX.format(installed=' '.join(installed(OPENCV_FLAVOURS)) or 'opencv-python'))


def installed(names: tuple[str, ...]) -> dict[str, str]:
    """The installed ones of ``names``, with their versions."""
    found = {name: next(iter(Distribution.discover(name=name)), None) for name in names}
    return {name: distribution.version for name, distribution in found.items() if distribution is not None}


def check_opencv_flavours() -> Finding:
    """Check that all flavours of OpenCV have one version: they write into the same folder ``cv2``."""
    flavours = installed(OPENCV_FLAVOURS)
    value = ', '.join(f'{name} {version}' for name, version in flavours.items()) or 'none installed by pip'
    if len(set(flavours.values())) > 1:
        return Finding('opencv flavours', value, 'different versions share one folder and overwrite each other',
                       OPENCV_FIX.format(installed=' '.join(flavours)))
    return Finding('opencv flavours', value)


def check_stack() -> Finding:
    """Check that either the OneDL or the original distributions are installed, not both."""
    stack = detect()
    versions = ', '.join(f'{name} {version}' for name, version in {**stack.onedl, **stack.openmmlab}.items())
    problem, fix = stack.problem() or ('', '')
    return Finding('stack', f'{stack.name} ({versions or "no distributions"})', problem, fix)


def check_mmcv_ops() -> Finding:
    """Run one compiled operation: a successful import is not enough."""
    name = 'onedl-mmcv' if detect().onedl else 'mmcv'
    fix = REBUILD_MMCV.format(name=name, cuda=0)
    ops, error = try_import('mmcv.ops')
    if ops is None:
        return Finding('mmcv ops', 'missing', error, fix)
    torch = import_module('torch')
    try:
        _, kept = ops.nms(torch.tensor([[0., 0., 9., 9.], [0., 0., 9., 8.]]), torch.tensor([.9, .8]), .5)
    except Exception as error:  # noqa: BLE001 -- whatever a broken binary raises is the finding
        return Finding('mmcv ops', 'broken', f'{type(error).__name__}: {error}', fix)
    if kept.tolist() != [0]:
        return Finding('mmcv ops', 'wrong', f'NMS of two nested boxes kept {kept.tolist()} instead of [0]', fix)
    return Finding('mmcv ops', 'compiled, NMS runs')


def check_gpu() -> Finding:
    """Check that mmcv's operations are compiled for CUDA if torch finds a GPU."""
    torch, error = try_import('torch')
    if torch is None:
        return Finding('gpu', 'unknown', '', '')  # torch's own line says why
    if not torch.cuda.is_available():
        return Finding('gpu', 'none: runs on the CPU')
    value = f'{torch.cuda.get_device_name(0)} (CUDA {torch.version.cuda})'
    ops, error = try_import('mmcv.ops')
    cuda = ops.get_compiling_cuda_version() if ops else error
    if cuda == 'not available':
        name = 'onedl-mmcv' if detect().onedl else 'mmcv'
        return Finding('gpu', value, "mmcv's operations were compiled without CUDA: training on the GPU will fail",
                       'install the CUDA toolkit (nvcc), then: ' + REBUILD_MMCV.format(name=name, cuda=1)
                       + '; or train on the CPU with CUDA_VISIBLE_DEVICES=')
    return Finding('gpu', value)


def check_torchvision() -> Finding:
    """Import torchvision if it is installed. It isn't needed, but one that doesn't match torch breaks other imports."""
    if not installed(('torchvision',)):
        return Finding('torchvision', 'absent (not needed)')
    return check_module('torchvision', 'pip uninstall -y torchvision')


def check_libgl() -> Finding:
    """Print for information whether libGL is there: only OpenCV's desktop flavour needs it."""
    try:
        ctypes.CDLL('libGL.so.1')
    except OSError:
        return Finding('libGL', 'absent (needed by opencv-python only: apt-get install -y libgl1 libglib2.0-0)')
    return Finding('libGL', 'present')


def check_mmleuk() -> Finding:
    """Import mmleuk's registries on top of the installed stack."""
    _, error = try_import('mmleuk.registry')
    return Finding('mmleuk', mmleuk.__version__, error, 'fix the problems above first, then `pip install -e .`'
                   if error else '')


def examine() -> Iterator[Finding]:
    """All findings; causes come before their effects."""
    checks: list[Callable[[], Finding]] = [check_python, check_numpy]
    yield from (check() for check in checks)
    yield check_module('torch', 'pip install -c constraints.txt torch')
    yield check_stack()
    hint = 'fix the line `stack` first'
    yield from (check_module(name, hint) for name in ('mmengine', 'mmcv', 'mmdet'))
    checks = [check_cv2, check_opencv_flavours, check_libgl, check_mmcv_ops, check_gpu, check_torchvision, check_mmleuk]
    yield from (check() for check in checks)


def report(findings: list[Finding]) -> str:
    """The table, and below it each problem with its command."""
    width = max(len(finding.name) for finding in findings)
    lines = [f'{"!!" if f.problem else "ok"}  {f.name:{width}}  {f.value}' for f in findings]
    broken = [finding for finding in findings if finding.problem]
    for finding in broken:
        lines += ['', f'{finding.name}: {finding.problem}', f'    to fix it: {finding.fix}']
    lines += ['', f'{len(broken)} problem(s)' if broken else 'All is well.']
    return '\n'.join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command has no arguments."""
    del parser


def run(args: argparse.Namespace) -> int:
    """Print the report; returns 1 if something is broken."""
    del args
    findings = list(examine())
    print(report(findings))
    return int(any(finding.problem for finding in findings))
