"""Importing MMDetection's and MMSegmentation's data sets without the lines that they print on stdout, where they spoil
piped results."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType

_MODULES = ('mmdet.datasets', 'mmseg.datasets')
_LINE = 'Could not import OneDL'


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        """Run the module; what else it prints goes to stderr."""
        said = io.StringIO()
        try:
            with redirect_stdout(said):
                super().exec_module(module)
        finally:
            sys.stderr.write(''.join(line for line in said.getvalue().splitlines(True) if _LINE not in line))


class QuietImport(MetaPathFinder):
    """Finds :data:`_MODULES` where Python does, and drops their lines on OneDL, whose data sets are not used here."""

    def find_spec(self, fullname: str, path: Sequence[str] | None,
                  target: ModuleType | None = None) -> ModuleSpec | None:
        """The module's spec with a loader that listens; None for every other module."""
        found = PathFinder.find_spec(fullname, path) if fullname in _MODULES else None
        if found is None or found.origin is None:
            return None
        return spec_from_file_location(fullname, found.origin, loader=_Loader(fullname, found.origin),
                                       submodule_search_locations=found.submodule_search_locations)
