"""What is written about predicted masks: the masks, a table of measures, and a page with pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from PIL import Image

import mmleuk
from mmleuk.pictures.crops import data_uri
from mmleuk.report.render import render
from mmleuk.structures.cell_measures import CellMeasures
from mmleuk.structures.cell_parts import PALETTE, PARTS
from mmleuk.utils.tables import Row

MOST_SHOWN = 60
"""Cells on the page; the table has all."""

SIDE_PX = 220


def measure_row(name: str, measures: CellMeasures | None) -> Row:
    """One line of the table; empty fields and ``cell`` 'no' for an image that shows no cell."""
    if measures is None:
        return {'img_name': name, 'cell': 'no', **{field.name: None for field in fields(CellMeasures)}}
    values = asdict(measures) | dict(touches_border='yes' if measures.touches_border else 'no')
    return {'img_name': name, 'cell': 'yes', **values}


def render_masks(pictures: Sequence[tuple[Row, Image.Image]], rows: Sequence[Row], facts: Mapping[str, str],
                 unit: str) -> str:
    """The page as text.

    Args:
        pictures: a row and its picture each; the first :data:`MOST_SHOWN` are shown.
        rows: of all images.
        facts: where the numbers come from, by name.
        unit: of areas.
    """
    shown = [dict(row=row, uri=data_uri(_fitted(picture))) for row, picture in pictures[:MOST_SHOWN]]
    legend = [dict(part=part, colour=f'rgb{PALETTE[part]}') for part in PARTS if part != 'other']
    return render('masks.html', cells=shown, rows=list(rows), legend=legend, unit=unit,
                  empty=[row['img_name'] for row in rows if row['cell'] == 'no'],
                  facts={**facts, 'mmleuk': mmleuk.__version__})


def _fitted(picture: Image.Image) -> Image.Image:
    scale = 2 * SIDE_PX / max(picture.width, 2 * picture.height)
    return picture.resize((max(round(picture.width * scale), 1), max(round(picture.height * scale), 1)))


def relative_mask(name: str) -> Path:
    """Where the mask of an image of this name is written, below the folder of masks."""
    return Path(name).with_suffix('.png')
