"""Plain YAML, read strictly: no key twice, every key known, each value of its kind."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from mmleuk.errors import UserError


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice, where YAML libraries take the last one without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for place, key in enumerate(keys):
            if key.value in [before.value for before in keys[:place]]:
                raise yaml.constructor.ConstructorError(None, None, f'the key {key.value!r} stands twice',
                                                        key.start_mark)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """A file's content.

    Raises:
        UserError: no such file, not YAML, or a key stands twice in one place.
    """
    try:
        return yaml.load(path.read_text(encoding='utf-8'), _StrictLoader)
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror or error}); suites lie under benchmarks/') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f'{path}: not YAML ({" ".join(str(error).split())})') from error


def check_keys(data: Any, known: Collection[str], needed: Collection[str], where: str) -> None:
    """Refuse what is no dict, has a key that isn't known, or lacks one.

    Raises:
        UserError: names the key.
    """
    if not isinstance(data, dict):
        raise UserError(f'{where}: expected keys and values, got {data!r:.60}')
    unknown, missing = sorted(set(map(str, data)) - set(known)), sorted(set(needed) - set(data))
    if unknown or missing:
        what = f'unknown key {unknown[0]!r}' if unknown else f'key {missing[0]!r} is missing'
        raise UserError(f'{where}: {what}; known are {", ".join(sorted(known))}')


def check_one_of(names: Collection[str], known: Collection[str], kind: str, where: str) -> None:
    """Refuse a name that is none of a kind's, such as the rows'.

    Raises:
        UserError: names the first.
    """
    strange = [name for name in names if name not in known]
    if strange:
        raise UserError(f'{where}: {strange[0]!r} is none of the {kind} {", ".join(known)}')


def value_at(data: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    """The value of a key, or the kind's empty one.

    Raises:
        UserError: it is of another kind; ``true`` is no number.
    """
    value = data.get(key, kind())
    if not isinstance(value, kind) or isinstance(value, bool) and kind is not bool:
        raise UserError(f'{where}: {key} must be a {kind.__name__}, got {value!r:.60}')
    return value


def text_at(data: Mapping[str, Any], key: str, where: str) -> str:
    """A text without the space around it; '' where there is none."""
    return value_at(data, key, str, where).strip()


def texts_at(data: Mapping[str, Any], key: str, where: str) -> list[str]:
    """A list of texts, none of them empty.

    Raises:
        UserError: it is no list, or something in it is no text.
    """
    found = value_at(data, key, list, where)
    strange = [value for value in found if not isinstance(value, str) or not value.strip()]
    if strange:
        raise UserError(f'{where}: {key} lists texts, got {strange[0]!r:.60} among them')
    return found


def text_dict_at(data: Mapping[str, Any], key: str, where: str) -> dict[str, str]:
    """A dict of texts.

    Raises:
        UserError: it is no dict, or a key or value is no text.
    """
    found = value_at(data, key, dict, where)
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise UserError(f'{where}: {key}: {name!r}: {value!r}: both must be text')
    return found
