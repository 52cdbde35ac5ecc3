"""What an earlier run of ``mmleuk evaluate`` left in its folder, and taking that away without touching other files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from mmleuk.datasets.files import read_json
from mmleuk.errors import UserError
from mmleuk.evaluation.tables import CSV_FILES, FORMAT
from mmleuk.report.evaluation_plots import PLOTS

PICTURES = 'worst'
_FILES = {*CSV_FILES, *PLOTS, 'evaluation.html'}
_PICTURE = re.compile(rf'{PICTURES}/\d{{2,}}_[^/]*\.jpg')


def files_of_run(folder: Path) -> list[str]:
    """Names of files that the ``evaluation.json`` in the folder says it was written with; none where it says nothing.

    Only names that such a run gives are believed, whoever wrote that file.
    """
    try:
        record = read_json(folder / 'evaluation.json')
    except UserError:  # none, or a broken one, which is replaced anyway
        return []
    names = record.get('files') if isinstance(record, dict) and record.get('format') == FORMAT else None
    return [name for name in names if isinstance(name, str) and (name in _FILES or _PICTURE.fullmatch(name))
            ] if isinstance(names, list) else []


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Remove files, and the folder of pictures if nothing is left in it.

    Raises:
        UserError: a file can't be removed.
    """
    names = list(names)
    for name in names:
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f'{folder / name}: of an earlier evaluation, cannot be removed ({error.strerror}); remove '
                            'it, or choose another folder with --out') from error
    pictures = folder / PICTURES
    if any(name.startswith(f'{PICTURES}/') for name in names) and pictures.is_dir() and not any(pictures.iterdir()):
        pictures.rmdir()
