"""Do the config's evaluators score against the file that the split reads, with the classes in that order?"""

from __future__ import annotations

import os.path as osp
from collections.abc import Iterator, Mapping, Sequence

from mmleuk.datasets.check.findings import PROBLEM, Finding, and_more
from mmleuk.datasets.check.sources import Source
from mmleuk.errors import UserError
from mmleuk.utils.json_files import read_json

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
    found = _find_missing_keys(split, path) if str(evaluator['type']).endswith('CocoMetric') else []
    if evaluator['type'] in BY_ORDER:
        found += find_renamed(split, path, read[0].classes, evaluator['type'])
    return found


def _find_missing_keys(split: str, path: str) -> list[Finding]:
    """pycocotools needs keys that training doesn't, and would fail only after the first epoch."""
    lacking = [(annotation.get('id'), key) for annotation in _records(path, 'annotations')
               for key in ('area', 'iscrowd') if key not in annotation]
    if not lacking:
        return []
    identity, key = lacking[0]
    return [Finding(PROBLEM, split, 'key for scores', f'{path}: annotation {identity}: the key {key!r} is missing'
                    f'{and_more(len(lacking))}; COCO scores need area (width x height) and iscrowd (0 or 1)')]


def find_renamed(split: str, path: str, classes: Sequence[str], reader: str) -> list[Finding]:
    """A problem where the file's category order, taken as label order by ``reader``, differs from ``classes``."""
    names = [str(category.get('name')) for category in _records(path, 'categories')]
    listed = [name for name in names if name in classes]
    if not names or listed == [name for name in classes if name in listed] and len(listed) == len(classes):
        return []
    return [Finding(PROBLEM, split, 'class order', f'{path}: its categories are in the order {", ".join(listed)}, the '
                    f"config's classes in the order {', '.join(classes)}; MMDetection's {reader} goes by the file's "
                    'order and would mix them up: use its mmleuk counterpart')]


def _records(path: str, table: str) -> list[dict]:
    try:
        data = read_json(path)
    except UserError:
        return []  # reading the split has reported the broken file already
    records = data.get(table) if isinstance(data, dict) else None
    return [record for record in records or () if isinstance(record, dict)]


def _evaluators(part: object) -> Iterator[Mapping]:
    if isinstance(part, Mapping):
        yield part
        part = part.get('metrics')
    if isinstance(part, (list, tuple)):
        for each in part:
            yield from _evaluators(each)
