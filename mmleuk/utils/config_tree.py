"""All dicts of a config with their paths."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping


def walk(part: object, path: str = '', skip: Collection[str] = ()) -> Iterator[tuple[str, Mapping]]:
    """``part`` and every mapping in it with their paths, outer ones first.

    Args:
        part: a config or a part of one.
        path: of ``part``, e.g. 'model'.
        skip: keys to leave out with all below them.

    Example:
        >>> [path for path, _ in walk(dict(neck={}, rcnn=[dict(sampler={})]), 'model', skip=['neck'])]
        ['model', 'model.rcnn[0]', 'model.rcnn[0].sampler']
    """
    if isinstance(part, Mapping):
        yield path, part
        for key, value in part.items():
            if key not in skip:
                yield from walk(value, f'{path}.{key}', skip)
    elif isinstance(part, (list, tuple)):
        for number, value in enumerate(part):
            yield from walk(value, f'{path}[{number}]', skip)
