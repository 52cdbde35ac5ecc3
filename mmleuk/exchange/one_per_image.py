"""Folders with one JSON file per image."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mmleuk.errors import UserError
from mmleuk.exchange.labels import LabelledImage, Labels
from mmleuk.utils.json_files import read_json
from mmleuk.utils.new_folder import new_folder, write_text


def own_facts(content: Any, key: str) -> dict[str, Any]:
    """What this package wrote into a file beside the tool's own data; empty without it."""
    own = content.get(key) if isinstance(content, Mapping) else None
    classes, attributes = (own.get('classes'), own.get('attributes')) if isinstance(own, Mapping) else (None, None)
    if isinstance(own, Mapping) and isinstance(classes, list) and isinstance(attributes, Mapping):
        return dict(own)
    return {}


def write_each(labels: Labels, out: Path, suffix: Callable[[PurePosixPath], PurePosixPath],
               content: Callable[[LabelledImage], dict[str, Any]]) -> None:
    """A new folder with a JSON file per image.

    Raises:
        UserError: two images would get the same file.
    """
    files: dict[PurePosixPath, LabelledImage] = {}
    for image in labels.images:
        path = suffix(PurePosixPath(image.file_name))
        if path in files:
            raise UserError(f'images {files[path].file_name} and {image.file_name} would share the file {path}; rename '
                            'one of them')
        files[path] = image
    with new_folder(out) as folder:
        for path, image in files.items():
            write_text(folder / path, json.dumps(content(image), indent=1, ensure_ascii=False) + '\n')


def read_each(source: Path, suffix: str) -> Iterator[tuple[PurePosixPath, Any]]:
    """Path below the folder, and parsed content, of each file; of a file, its own.

    Raises:
        UserError: there is none, or one isn't JSON.
    """
    paths = sorted(source.rglob(f'*{suffix}')) if source.is_dir() else [source]
    if not paths:
        raise UserError(f'{source}: has no {suffix} file; name the folder of the labels')
    for path in paths:
        below = path.relative_to(source) if source.is_dir() else Path(path.name)
        yield PurePosixPath(below.as_posix()), read_json(path)
