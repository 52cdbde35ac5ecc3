"""Names of the classes that YOLO's texts only number: ``classes.txt``, or Ultralytics' ``data.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from mmleuk.datasets.converters.plain_yolo import CLASSES_FILE, read_classes
from mmleuk.errors import UserError

YAML_FILE = 'data.yaml'


def find_classes(folder: Path) -> tuple[str, ...]:
    """Names in ``classes.txt`` or, without one, in ``data.yaml``.

    Raises:
        UserError: neither is there, or the one that is has no such names.
    """
    if not (folder / CLASSES_FILE).exists() and (folder / YAML_FILE).exists():
        return read_yaml_names(folder / YAML_FILE)
    return read_classes(folder / CLASSES_FILE)


def read_yaml_names(path: Path) -> tuple[str, ...]:
    """``names`` of a ``data.yaml``: a list, or a dict that counts from 0.

    Raises:
        UserError: unreadable, or without such names.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        what = ' '.join(str(error).split())
        raise UserError(f'{path}: cannot be read ({what}); mend it, or give --classes') from error
    names = content.get('names') if isinstance(content, Mapping) else None
    if isinstance(names, Mapping) and list(names) == list(range(len(names))):
        names = list(names.values())
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise UserError(f'{path}: names is {names!r:.80}; it has to be a list of class names, or a dict of them '
                        'that counts from 0; mend it, or give --classes')
    return tuple(names)
