"""How many cells of each class a suite's rows are tested on: what the suite says, checked against the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from mmengine.config import Config
from mmengine.registry import init_default_scope

import mmleuk.datasets  # noqa: F401  (registers the data sets)
from benchmarking.identity import resolve_config
from benchmarking.machine import ROOT
from benchmarking.suite import Case, Suite
from mmleuk.errors import UserError
from mmleuk.registry import DATASETS
from mmleuk.transforms.repeat_factors import cells_per_image


def cells_tested_on(cfg: Config) -> Counter[str]:
    """Cells of the validation images by class, without ignored ones; 0 for a class that does not occur.

    Raises:
        UserError: the annotations cannot be read.
    """
    init_default_scope('mmdet')
    data = DATASETS.build(dict(cfg.val_dataloader.dataset, pipeline=[]))
    return Counter(dict(zip(data.metainfo['classes'], cells_per_image(data).sum(0).tolist(), strict=True)))


def check_cells(suite: Suite, cases: Iterable[Case]) -> None:
    """Compare the suite's ``cells`` with the validation data of these trainings, of those classes that they have.

    Raises:
        UserError: a number is another one, or the annotations cannot be read.
    """
    seen: set[str] = set()
    for case in cases if suite.cells else ():
        if not case.row.config:
            continue
        cfg = resolve_config(ROOT / case.row.config, case.cfg_options())
        if (text := repr(cfg.val_dataloader.dataset)) in seen:
            continue
        seen.add(text)
        found = cells_tested_on(cfg)
        for name, count in suite.cells.items():
            if name in found and found[name] != count:
                raise UserError(f'{suite.name}: cells: {name}: {count} in the suite, {found[name]} in '
                                f'{cfg.val_dataloader.dataset.ann_file} of row {case.row.name!r}; correct the suite')
