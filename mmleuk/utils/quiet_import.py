"""Importing MMDetection's data sets without the line that it prints on stdout, where it spoils piped results."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType

_MODULE = 'mmdet.datasets'
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
    """Finds ``mmdet.datasets`` where Python does, and drops its line on OneDL, whose data sets are not used here."""

    def find_spec(self, fullname: str, path: Sequence[str] | None,
                  target: ModuleType | None = None) -> ModuleSpec | None:
        """The module's spec with a loader that listens; None for every other module."""
        found = PathFinder.find_spec(fullname, path) if fullname == _MODULE else None
        if found is None or found.origin is None:
            return None
        return spec_from_file_location(fullname, found.origin, loader=_Loader(fullname, found.origin),
                                       submodule_search_locations=found.submodule_search_locations)
