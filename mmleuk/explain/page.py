"""One self-contained HTML page of explained cells, on which attribute values can be edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from PIL import Image

import mmleuk
from mmleuk.explain.bottleneck import Bottleneck
from mmleuk.explain.cells import ExplainedCell
from mmleuk.pictures.crops import CROP_PX, crop_cell
from mmleuk.pictures.drawing import load_image
from mmleuk.report.render import render
from mmleuk.structures.prediction import Cell

MOST_TYPES = 6
"""Types with a bar, as in explain.js."""
MOST_CELLS = 60
"""Cells on a page; more would make it slow to open. The CSV and JSON files have all."""


def picture_of(cell: ExplainedCell, image: Image.Image) -> Image.Image:
    """The cell in a square of CROP_PX: the whole image if it is a crop, else around its box."""
    if cell.box_xyxy in (None, (0.0, 0.0, image.width, image.height)):
        return image.resize((CROP_PX, CROP_PX), Image.Resampling.BICUBIC)
    assert cell.box_xyxy is not None
    return crop_cell(image, Cell(cell.box_xyxy, 1.0, 0, cell.type_name))


def model_data(bottleneck: Bottleneck) -> dict[str, Any]:
    """What the page's script needs of the bottleneck."""
    data = bottleneck.to_dict()
    return {key: data[key] for key in ('kind', 'types', 'intercepts', 'weights', 'stumps')} | dict(
        attributes=[dict(key=a.key, name=a.name, values=list(a.values)) for a in bottleneck.schema.attributes])


def render_explanation(cells: Sequence[ExplainedCell], pictures: Sequence[str], facts: Mapping[str, str],
                       pairs: Sequence[Mapping[str, Any]] = ()) -> str:
    """The page as text; the same arguments give the same bytes.

    Args:
        cells: at least one; the first MOST_CELLS are shown.
        pictures: data URI of each cell that is shown.
        facts: where the numbers come from, by name.
        pairs: cells beside their counterparts, :func:`mmleuk.explain.counterfactuals.page_pairs`.
    """
    shown = list(zip(cells, pictures))[:MOST_CELLS]
    data = dict(model=model_data(cells[0].bottleneck),
                cells=[dict(concepts=cell.concepts.tolist(), edits=dict(cell.edits)) for cell, _ in shown])
    return render('explain.html', cells=[_cell(cell, uri) for cell, uri in shown], n_cells=len(cells), data=data,
                  types=cells[0].bottleneck.types, kind=cells[0].bottleneck.kind, crop_px=CROP_PX, pairs=pairs,
                  facts={**facts, 'mmleuk': mmleuk.__version__})


def _cell(cell: ExplainedCell, uri: str) -> dict[str, Any]:
    """What the page shows before a script runs."""
    probabilities, concepts = cell.type_probabilities, cell.edited_concepts
    added, values, predicted = cell.contributions(), cell.values, cell.predicted
    largest = max([abs(number) for number in added.values()] + [1e-9])
    rows = [dict(key=attribute.key, name=attribute.name, options=attribute.values, index=values[attribute.key],
                 predicted=predicted[attribute.key], prob=float(concepts[span][values[attribute.key]]),
                 added=added[attribute.key], width=round(50 * abs(added[attribute.key]) / largest, 1))
            for attribute, span in zip(cell.schema.attributes, cell.bottleneck.spans)]
    order = np.argsort(-probabilities, kind='stable').tolist()[:MOST_TYPES]
    return dict(name=cell.name, uri=uri, type=cell.type_name, other_type=cell.other_type, rows=rows,
                types=[dict(name=cell.bottleneck.types[index], prob=float(probabilities[index])) for index in order])


def cell_pictures(cells: Sequence[ExplainedCell]) -> list[Image.Image]:
    """Picture of each cell; each image is read once.

    Raises:
        UserError: an image can't be read any more.
    """
    pictures: dict[int, Image.Image] = {}
    order = sorted(range(len(cells)), key=lambda index: cells[index].path)
    for path, members in groupby(order, key=lambda index: cells[index].path):
        image = load_image(path)  # one at a time: all images of a run don't fit into memory
        pictures |= {index: picture_of(cells[index], image) for index in members}
    return [pictures[index] for index in range(len(cells))]
