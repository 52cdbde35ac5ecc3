"""``mmleuk data convert`` from and to the formats of annotation tools, through :mod:`mmleuk.exchange`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mmleuk.datasets.converters.coco_files import CocoFile, check_coco
from mmleuk.errors import UserError
from mmleuk.exchange.formats import FORMATS, read_labels, write_labels
from mmleuk.exchange.labels import Known, Labels, from_coco, to_coco
from mmleuk.schema import DECLARATIONS, AttributeSchema
from mmleuk.utils.image_files import header_size
from mmleuk.utils.json_files import read_json
from mmleuk.utils.words import plural_n

NAMES = tuple(FORMATS)
FILES = ('coco', *(name for name, each in FORMATS.items() if not each.in_folder))
"""Formats of one file."""


def schema_named(text: str | None) -> AttributeSchema:
    """The attributes of a declared data set, or of a JSON file: a schema, or a file with ``attributes``.

    Raises:
        UserError: there is no such data set or file, or it has no attributes.
    """
    if text is None:
        return AttributeSchema()
    if text in DECLARATIONS:
        schema = DECLARATIONS[text].attributes
    elif Path(text).is_file():
        data: Any = read_json(text)
        stated = data.get('attributes', data) if isinstance(data, dict) else None
        if not isinstance(stated, dict):
            raise UserError(f'{text}: names no attributes; expected {{"key": ["value", ...], ...}}')
        schema = AttributeSchema.from_dict(stated)
    else:
        raise UserError(f'--attributes {text}: is neither a file nor one of {", ".join(sorted(DECLARATIONS))}')
    if not len(schema):
        raise UserError(f'--attributes {text}: has no attributes; leave it out')
    return schema


def known_facts(args: argparse.Namespace, classes: tuple[str, ...]) -> Known:
    """What the command line says about the labels."""
    folder: Path | None = args.images
    return Known(classes, schema_named(args.attributes),
                 None if folder is None else lambda name: header_size(folder / name))


def read_coco_of(source: Path, name: str, known: Known) -> tuple[CocoFile, list[str]]:
    """Checked COCO JSON of labels in a tool's format, and notes on what could not be read."""
    labels, notes = _read(source, name, known)
    return check_coco(to_coco(labels), source), notes


def _read(source: Path, name: str, known: Known) -> tuple[Labels, list[str]]:
    """Labels that every format can hold, and notes on what was left out."""
    labels, notes = read_labels(source, name, known)
    labels, empty = labels.with_area()
    return labels, notes + ([f'{empty} predicted cells without area were left out'] if empty else [])


def convert(args: argparse.Namespace, coco: CocoFile | None, known: Known) -> list[str]:
    """Write labels in a tool's format, and return notes on what was lost.

    Args:
        args: of the command.
        coco: the labels, if the source is COCO, VOC or YOLO.
        known: what the user says about them.

    Raises:
        UserError: there is a defect in the source, or the target can't be written.
    """
    source = Path(args.paths[0])
    if coco is None:
        labels, notes = _read(source, args.source_format, known)
    else:
        data = coco.data
        if len(known.schema) and not data.get('attributes'):
            data = data | dict(attributes=known.schema.to_dict())
            coco = check_coco(data, source)
        labels, notes = from_coco(coco.data, coco.images, str(source)).checked(str(source)), []
        kept = {'id', 'file_name', 'width', 'height', 'annotated_region'}
        others = sorted({key for image in data['images'] for key in image} - kept)
        notes += [f'{", ".join(others)} of the images are only in the COCO JSON'] if others else []
    lost = write_labels(labels, Path(args.out), args.target_format)
    notes += [f'not kept in {args.target_format}: {line}' for line in lost]
    print(f'{args.out}: {plural_n(len(labels.images), "image")}, {plural_n(len(labels.cells), "cell")}')
    return notes
