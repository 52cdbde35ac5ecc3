"""What a training logged, read back from mmengine's ``<work dir>/<time stamp>/vis_data/scalars.json``.

A training that was interrupted has one such folder per attempt; what a later attempt repeated counts from it alone.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

Numbers = dict[str, float]
_STAMP = '%Y%m%d_%H%M%S'
_CLOCKS = frozenset({'time', 'data_time', 'base_lr', 'lr', 'momentum', 'memory', 'epoch', 'iter', 'step', 'grad_norm'})


@dataclass(frozen=True)
class History:
    """A training's log, thinned to a value per epoch.

    Attributes:
        evaluations: epoch -> metrics of the validation after it.
        losses: epoch -> mean over the epoch's logged lines of every ``loss*``.
        scalars: epoch -> the last logged value of everything else (pseudo-labels per image, ...).
        seconds: from the start of each attempt to its last line, summed.
    """

    evaluations: dict[int, Numbers] = field(default_factory=dict)
    losses: dict[int, Numbers] = field(default_factory=dict)
    scalars: dict[int, Numbers] = field(default_factory=dict)
    seconds: float = 0.0


def read_history(work_dir: Path) -> History:
    """Read all attempts in the order of their time stamps; an empty history when there is none."""
    evaluations: dict[int, Numbers] = {}
    lines: dict[int, list[Numbers]] = {}
    seconds = 0.0
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        stamp = path.parents[1].name
        seconds += max(path.stat().st_mtime - time.mktime(time.strptime(stamp[:15], _STAMP)), 0.0)
        again: dict[int, list[Numbers]] = {}
        for line in _lines(path):
            if 'iter' in line:
                again.setdefault(int(line['epoch']), []).append(line)
            else:
                evaluations[int(line['step'])] = _chosen(line, lambda key: key not in _CLOCKS)
        lines |= again
    return History(
        evaluations=dict(sorted(evaluations.items())), seconds=round(seconds, 1),
        losses={epoch: _means(lines[epoch]) for epoch in sorted(lines)},
        scalars={epoch: found for epoch in sorted(lines) if (found := _last(lines[epoch]))})


def is_loss(key: str) -> bool:
    """Whether a logged key is a loss.

    >>> is_loss('loss'), is_loss('first.loss_bbox'), is_loss('pseudo/kept_per_image')
    (True, True, False)
    """
    return any(part.startswith('loss') for part in key.replace('/', '.').split('.'))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The file's lines; a killed training may have cut the last one."""
    for text in path.read_text(encoding='utf-8').splitlines():
        try:
            yield json.loads(text)
        except json.JSONDecodeError:
            continue


def _means(lines: list[Numbers]) -> Numbers:
    keys = dict.fromkeys(key for line in lines for key in line if is_loss(key))
    return {key: _short(fmean(line[key] for line in lines if key in line)) for key in keys}


def _last(lines: list[Numbers]) -> Numbers:
    merged: Numbers = {}
    for line in lines:
        merged |= line
    return _chosen(merged, lambda key: key not in _CLOCKS and not is_loss(key))


def _chosen(line: Numbers, wanted: Any) -> Numbers:
    """Without NaN, which is no JSON: the AP of a class that does not occur."""
    return {key: _short(value) for key, value in line.items()
            if wanted(key) and isinstance(value, (int, float)) and not math.isnan(value)}


def _short(value: float) -> float:
    """Six significant digits: what anybody plots, in half of the file.

    >>> _short(0.123456789)
    0.123457
    """
    return float(f'{value:.6g}')
