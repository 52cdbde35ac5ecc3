"""What an earlier run of ``mmleuk evaluate`` left in its folder."""

from __future__ import annotations

import re
from pathlib import Path

from mmleuk.errors import UserError
from mmleuk.evaluation.tables import CSV_FILES, FORMAT
from mmleuk.report.evaluation_plots import PLOTS
from mmleuk.utils.json_files import read_json

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
