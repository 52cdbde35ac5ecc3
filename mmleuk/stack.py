"""Find out which MMDetection is installed: the maintained OneDL distributions or the original OpenMMLab ones.

Both install the modules ``mmengine``, ``mmcv`` and ``mmdet`` and overwrite each other's files, so an environment must
have only one of them. This module doesn't import them: it must also work if they are broken.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import Distribution
from importlib.util import find_spec

from mmleuk.errors import UserError

MODULES = ('mmengine', 'mmcv', 'mmdet')
ONEDL = ('onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection')
OPENMMLAB = ('mmengine', 'mmengine-lite', 'mmcv', 'mmcv-lite', 'mmcv-full', 'mmdet')

INSTALL_HINT = ("`make env` in the repository, or into your own environment, which holds torch and ninja: "
                "pip install --no-build-isolation -c constraints.txt -e '.[onedl]'")


class StackError(UserError):
    """MMDetection is missing, incomplete, or installed twice.

    Not an ImportError: for ``type='mmleuk.X'`` in a config mmengine catches ImportErrors and reports only that X is
    unknown.
    """


@dataclass(frozen=True)
class Stack:
    """The installed distributions.

    Attributes:
        onedl: installed OneDL distributions, name to version.
        openmmlab: installed original distributions, name to version.
        missing: modules of :data:`MODULES` that cannot be imported.
    """

    onedl: dict[str, str]
    openmmlab: dict[str, str]
    missing: tuple[str, ...]

    @property
    def name(self) -> str:
        """'OneDL', 'OpenMMLab', 'both', 'none', or 'source' (importable without being installed)."""
        if self.onedl and self.openmmlab:
            return 'both'
        if self.onedl or self.openmmlab:
            return 'OneDL' if self.onedl else 'OpenMMLab'
        return 'none' if self.missing else 'source'

    def problem(self) -> tuple[str, str] | None:
        """The problem and the command that fixes it; None if the stack is usable."""
        if self.name == 'both':
            names = sorted({**self.onedl, **self.openmmlab})
            return (f'two MMDetection stacks are installed and overwrite each other: {", ".join(names)}',
                    f'pip uninstall -y {" ".join(names)}, then {INSTALL_HINT}')
        if self.missing:
            return f'MMDetection is incomplete: no module {", ".join(self.missing)}', INSTALL_HINT
        return None


def detect(path: Sequence[str] | None = None) -> Stack:
    """Search ``path`` (default: ``sys.path``) for both stacks without importing them."""
    return Stack(_versions(ONEDL, path), _versions(OPENMMLAB, path),
                 tuple(module for module in MODULES if _spec(module, path) is None))


def _versions(names: Sequence[str], path: Sequence[str] | None) -> dict[str, str]:
    places = sys.path if path is None else list(path)
    found = ((name, next(iter(Distribution.discover(name=name, path=places)), None)) for name in names)
    return {name: distribution.version for name, distribution in found if distribution is not None}


def _spec(module: str, path: Sequence[str] | None) -> ModuleSpec | None:
    # Without a path, also search the meta path: editable installs add their own finders.
    return find_spec(module) if path is None else PathFinder.find_spec(module, list(path))


def require_stack(path: Sequence[str] | None = None) -> None:
    """Raise one clear error unless exactly one complete stack is installed.

    Raises:
        StackError: says what was found, and the command that fixes it.
    """
    problem = detect(path).problem()
    if problem is not None:
        raise StackError(f'{problem[0]}. To fix it: {problem[1]}')
