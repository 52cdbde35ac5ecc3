"""A row that fuses the detections of other rows' trainings (``tools/ensemble.py``)."""

from __future__ import annotations

import csv
import shutil
import time
from pathlib import Path
from typing import Any

from mmengine.config import Config

from benchmarking.identity import resolve_config
from benchmarking.machine import ROOT
from benchmarking.results import count_parameters
from benchmarking.running import Settings, Training, check_checkpoints, last_checkpoint
from benchmarking.suite import Case
from mmleuk.ensemble.files import ENSEMBLE, logged_metrics

ONE_VOTE = 0.55
"""Of a model's own detections that overlap by more only one takes part: it votes once per cell, as the rule assumes."""


class Ensembling(Training):
    """Weighted Boxes Fusion of the last checkpoints of an ensemble's members, on their validation images.

    Raises:
        UserError: another process is at it, or a member's checkpoint isn't in the work dir.
    """

    def __init__(self, case: Case, settings: Settings, now: dict[str, Any]) -> None:
        check_checkpoints([last_checkpoint(member, settings.folder(member)) for member in case.members], settings)
        self._began = time.monotonic()
        super().__init__(case, settings, now)

    def _arguments(self) -> list[str]:
        shutil.rmtree(self.folder / ENSEMBLE, ignore_errors=True)  # of an attempt before, with any version
        return self.command(self.folder)

    def command(self, work_dir: Path | str) -> list[str]:
        """The command line after ``python``; members lie beside ``work_dir``."""
        models = [word for member in self.case.members for word in (
            '--models', member.row.config,
            str(last_checkpoint(member, Path(work_dir).parent / member.name)))]
        names = [member.row.name for member in self.case.members]
        data = _config(self.case.members[0]).val_dataloader.dataset
        return ['tools/ensemble.py', *models, '--names', *names, '--nms-thr', str(ONE_VOTE),
                '--images', str(Path(data.get('data_root') or '', data.get('data_prefix', {}).get('img', ''))),
                '--annotations', str(Path(data.get('data_root') or '', data.ann_file)),
                '--out', str(Path(work_dir) / ENSEMBLE)]

    def _measured(self) -> dict[str, Any]:
        path = self.folder / ENSEMBLE / 'table.csv'
        with open(path, encoding='utf-8', newline='') as file:
            found = next(row for row in csv.DictReader(file) if row['model'] == ENSEMBLE)
        parameters = sum(count_parameters(_config(member)) for member in self.case.members)
        return dict(epochs=0, seconds=time.monotonic() - self._began, metrics=logged_metrics(found), evaluations={},
                    losses={}, scalars={}, parameters=parameters)


def _config(case: Case) -> Config:
    return resolve_config(ROOT / case.row.config, case.cfg_options())
