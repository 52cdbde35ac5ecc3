"""Which target image shows the same field as which source image: by a file, by their names, or by their content."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mmleuk.errors import UserError
from mmleuk.transfer.registration import DEFAULT_LIMITS, Limits, Pixels, find_keypoints, fit
from mmleuk.utils.json_files import read_json
from mmleuk.utils.progress import progress

_SEARCH_KEYPOINTS = 1500
_RELEASE_NAME = re.compile(r'(?P<patient>\d+)_(?P<field>\d+)(?:_\d+)?_(?:1000|400|100)_(?P<diagnosis>[A-Za-z]+)')
"""LeukemiaAttri's names: PATIENT_FIELD100[_FIELD40]_MAGNIFICATION_DIAGNOSIS."""


@dataclass(frozen=True)
class Pair:
    """A source image and the target image of the same field, by their names; ``found_by`` is file, name or content."""

    source: str
    target: str
    found_by: str


def read_pairs(path: str | Path, sources: Sequence[str], targets: Sequence[str]) -> list[Pair]:
    """Pairs of a JSON file: a list of [SOURCE, TARGET], or of dicts with two file names under any two keys.

    With keys other than ``source`` and ``target``, the source is the name that the annotation file has.

    Raises:
        UserError: another content, a name that is on neither side or on both, or a target that occurs twice.
    """
    raw = read_json(path)
    if not isinstance(raw, list) or not raw:
        raise UserError(f'{path}: holds no list of pairs; write [["source.jpg", "target.jpg"], ...]')
    pairs = []
    for number, entry in enumerate(raw):
        where = f'{path}: pair {number}'
        values = list(entry.values()) if isinstance(entry, Mapping) else entry
        if not isinstance(values, list) or len(values) != 2 or not all(isinstance(value, str) for value in values):
            raise UserError(f'{where}: is {entry!r}; it needs two file names, of the source and of the target')
        first, second = values
        if isinstance(entry, Mapping):
            if set(entry) == {'source', 'target'}:
                first, second = entry['source'], entry['target']
            elif find_name(sources, first) is None:
                first, second = second, first
        source, target = find_name(sources, first), find_name(targets, second)
        if source is None or target is None:
            missing, side = (first, 'annotation file') if source is None else (second, 'folder of target images')
            raise UserError(f'{where}: {missing} is no image of the {side}; correct the name')
        pairs.append(Pair(source, target, 'file'))
    twice = [pair.target for pair in pairs if sum(other.target == pair.target for other in pairs) > 1]
    if twice:
        raise UserError(f'{path}: target {twice[0]} occurs twice; give every target one source')
    return pairs


def find_name(names: Sequence[str], wanted: str) -> str | None:
    """The name that equals ``wanted``, or the only one with the same last part; None where there is none.

    >>> find_name(['a/1.png', 'b/2.png'], '1.png'), find_name(['a/1.png', 'b/1.png'], '1.png')
    ('a/1.png', None)
    """
    if wanted in names:
        return wanted
    found = [name for name in names if PurePosixPath(name).name == PurePosixPath(wanted).name]
    return found[0] if len(found) == 1 else None


def pair_by_name(sources: Sequence[str], targets: Sequence[str]) -> list[Pair]:
    """Pairs of one stem, or of one patient, field and diagnosis in LeukemiaAttri's names.

    A key that two sources or two targets share tells nothing.

    >>> [pair.target for pair in pair_by_name(['21_32_1000_CLL.jpg'], ['21_32_41_400_CLL.jpg', '21_3_1_400_CLL.jpg'])]
    ['21_32_41_400_CLL.jpg']
    """
    pairs: list[Pair] = []
    for key in (_stem, _release_key):
        taken = {pair.source for pair in pairs}, {pair.target for pair in pairs}
        by_key: list[dict[object, list[str]]] = []
        for names, used in zip((sources, targets), taken, strict=True):
            keys: dict[object, list[str]] = {}
            for name in names:
                if name not in used and key(name) is not None:
                    keys.setdefault(key(name), []).append(name)
            by_key.append(keys)
        pairs += [Pair(names[0], by_key[1][common][0], 'name') for common, names in by_key[0].items()
                  if len(names) == len(by_key[1].get(common, ())) == 1]
    return pairs


def _stem(name: str) -> object:
    return PurePosixPath(name).stem.lower()


def _release_key(name: str) -> object:
    match = _RELEASE_NAME.fullmatch(PurePosixPath(name).stem)
    return match and (int(match['patient']), int(match['field']), match['diagnosis'].lower())


def pair_by_content(sources: Mapping[str, Callable[[], Pixels]], targets: Mapping[str, Callable[[], Pixels]],
                    limits: Limits = DEFAULT_LIMITS) -> list[Pair]:
    """Pairs whose keypoints agree, those with the most inliers first; every image is in one pair at most.

    Every source is compared with every target, about 40 ms each.

    Args:
        sources: by name, functions that load (H, W, 3) uint8 BGR.
        targets: the same.
        limits: ``min_inliers`` decides; :func:`mmleuk.transfer.registration.register` judges the pairs in full.
    """
    shown, known = ({name: find_keypoints(load(), max_keypoints=_SEARCH_KEYPOINTS) for name, load in progress(
        side.items(), len(side), 'finding keypoints')} for side in (sources, targets))
    tried = ((source, target) for source in shown for target in known)
    found = [(fit(shown[source], known[target]).inliers, source, target)
             for source, target in progress(tried, len(shown) * len(known), 'comparing fields')]
    pairs: list[Pair] = []
    for inliers, source, target in sorted(found, key=lambda item: -item[0]):
        if inliers >= limits.min_inliers and not any(source == pair.source or target == pair.target for pair in pairs):
            pairs.append(Pair(source, target, 'content'))
    return pairs
