"""Do the config's evaluators score against the file that the split reads, with the classes in that order?"""

from __future__ import annotations

import os.path as osp
from collections.abc import Iterator, Mapping, Sequence

from mmleuk.datasets.check.findings import PROBLEM, Finding
from mmleuk.datasets.check.sources import Source
from mmleuk.datasets.files import read_json
from mmleuk.errors import UserError

BY_ORDER = ('CocoMetric', 'mmdet.CocoMetric', 'CocoVideoMetric', 'mmdet.CocoVideoMetric')
"""Metrics that take the file's category order for the label order."""


def find_in_evaluators(cfg: Mapping, sources: Sequence[Source]) -> list[Finding]:
    """Evaluators with an ``ann_file`` that no data set of their split reads, or that renames classes."""
    found: list[Finding] = []
    for split in ('val', 'test'):
        of_split = [source for source in sources if split in source.splits]
        for evaluator in _evaluators(cfg.get(f'{split}_evaluator')):
            if of_split and evaluator.get('ann_file'):
                found += _find_in_one(split, evaluator, of_split)
    return found


def _find_in_one(split: str, evaluator: Mapping, sources: Sequence[Source]) -> list[Finding]:
    path = evaluator['ann_file']
    read = [source for source in sources if osp.abspath(source.dataset.ann_file) == osp.abspath(path)]
    if not read:
        return [Finding(PROBLEM, split, 'evaluator', f'{evaluator["type"]} scores against {path}, but the split reads '
                        f'{sources[0].dataset.ann_file}; give both the same file')]
    return [] if evaluator['type'] not in BY_ORDER else find_renamed(split, path, read[0].classes, evaluator['type'])


def find_renamed(split: str, path: str, classes: Sequence[str], reader: str) -> list[Finding]:
    """A problem where the file's category order, taken as label order by ``reader``, differs from ``classes``."""
    try:
        listed = [name for name in _category_names(read_json(path)) if name in classes]
    except UserError:
        return []  # reading the split has reported the broken file already
    if listed == [name for name in classes if name in listed] and len(listed) == len(classes):
        return []
    return [Finding(PROBLEM, split, 'class order', f'{path}: its categories are in the order {", ".join(listed)}, the '
                    f"config's classes in the order {', '.join(classes)}; MMDetection's {reader} goes by the file's "
                    'order and would mix them up: use its mmleuk counterpart')]


def _category_names(data: object) -> list[str]:
    categories = data.get('categories') if isinstance(data, dict) else None
    return [str(category.get('name')) for category in categories or () if isinstance(category, dict)]


def _evaluators(part: object) -> Iterator[Mapping]:
    if isinstance(part, Mapping):
        yield part
        part = part.get('metrics')
    if isinstance(part, (list, tuple)):
        for each in part:
            yield from _evaluators(each)
