"""Every dict of a config, with the place it stands in."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping


def walk(part: object, place: str = '', skip: Collection[str] = ()) -> Iterator[tuple[str, Mapping]]:
    """Every mapping at and under ``part``, outer ones first.

    Args:
        part: a config or a part of one.
        place: what ``part`` is called, e.g. 'model'.
        skip: keys that aren't followed.

    Example:
        >>> [place for place, _ in walk(dict(neck={}, rcnn=[dict(sampler={})]), 'model', skip=['neck'])]
        ['model', 'model.rcnn[0]', 'model.rcnn[0].sampler']
    """
    if isinstance(part, Mapping):
        yield place, part
        for key, value in part.items():
            if key not in skip:
                yield from walk(value, f'{place}.{key}', skip)
    elif isinstance(part, (list, tuple)):
        for number, value in enumerate(part):
            yield from walk(value, f'{place}[{number}]', skip)
