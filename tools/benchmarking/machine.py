"""Where and with which code something was measured."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
_CODE = ('mmleuk', 'configs', 'tools/train.py')


def describe_machine() -> dict[str, Any]:
    """CPU, cores, GPU if there is one, and the versions that numbers depend on."""
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return dict(cpu=cpu_model(), cores=os.cpu_count(), gpu=gpu, torch=torch.__version__,
                python=platform.python_version())


def cpu_model(cpuinfo: Path = Path('/proc/cpuinfo')) -> str:
    """The processor's name, from the kernel or from Python."""
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding='utf-8', errors='replace').splitlines():
            if line.startswith('model name'):
                return line.split(':', 1)[1].strip()
    return platform.processor() or platform.machine()


def git_state(root: Path = ROOT) -> dict[str, Any]:
    """The checked-out revision, and the files of the code that differ from it; ``None`` without git."""
    revision = _git(root, 'rev-parse', 'HEAD')
    changed = _git(root, 'status', '--porcelain', '--', *_CODE)
    if revision is None or changed is None:
        return dict(revision=None, dirty=None, changed=[])
    files = [line[3:] for line in changed.splitlines()]
    return dict(revision=revision.strip(), dirty=bool(files), changed=files)


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(['git', '-C', str(root), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
