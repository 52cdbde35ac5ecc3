"""YAML files read into pydantic models: a mistake is one line that names the file and the key."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mmleuk.errors import UserError


class Strict(BaseModel):
    """A model that refuses unknown keys and values of another type: ``true`` is no number, 5 is no text."""

    model_config = ConfigDict(extra='forbid', frozen=True, strict=True, str_strip_whitespace=True,
                              populate_by_name=True)


Model = TypeVar('Model', bound=Strict)
Text = Annotated[str, Field(min_length=1)]


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that occurs twice, where YAML libraries take the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f'the key {key.value!r} stands twice',
                                                        key.start_mark)
            seen.add(getattr(key, 'value', '') if isinstance(key, yaml.ScalarNode) else '')
        return super().construct_mapping(node, deep)


def read_model(path: Path, model: type[Model]) -> Model:
    """Read a YAML file as a model.

    Raises:
        UserError: no such file, not YAML, a key stands twice, is unknown or missing, or its value is wrong.
    """
    try:
        data = yaml.load(path.read_text(encoding='utf-8'), _StrictLoader)
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror or error}); suites lie under benchmarks/') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f'{path}: not YAML ({" ".join(str(error).split())})') from error
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise UserError(f'{path}: {_first_mistake(error)}') from error


def _first_mistake(error: ValidationError) -> str:
    """Where and what, such as ``rows 2: seeds: ...``; counted from 1."""
    first = error.errors(include_url=False)[0]
    path = [f' {part + 1}' if isinstance(part, int) else f': {part}' for part in first['loc']]
    where = ''.join(path).removeprefix(': ')
    words = {'extra_forbidden': 'unknown key', 'missing': 'key is missing'}.get(first['type'])
    if words is None and first['type'] == 'value_error':
        words = str(first['ctx']['error'])
    return ': '.join(filter(None, [where, words or f'{first["msg"]}, got {first["input"]!r:.60}']))
