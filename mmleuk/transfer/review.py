"""Pictures for the review of carried cells: the source and the target side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mmleuk.pictures.drawing import draw_prediction, legend_strip
from mmleuk.schema import AttributeSchema
from mmleuk.structures.prediction import Cell, Prediction
from mmleuk.transfer.registration import Homography, project_points

OWN = "the target's own box"
_GAP = 20


def draw_pair(source: NDArray[np.uint8], target: NDArray[np.uint8], source_cells: Sequence[Mapping[str, Any]],
              target_cells: Sequence[Mapping[str, Any]], class_names: Mapping[Any, str],
              homography: Homography | None, title: str,
              own_xyxy: Sequence[Sequence[float]] = ()) -> Image.Image:
    """Both images with their boxes, the source's frame in the target, and a line of text below.

    Args:
        source: (H, W, 3) uint8 BGR.
        target: the same.
        source_cells: annotations with ``bbox`` and ``category_id``.
        target_cells: the carried ones.
        class_names: by category id.
        homography: maps the source to the target; None of a pair that was refused without one.
        title: the text.
        own_xyxy: boxes of the target's own annotation, drawn in a colour of their own.
    """
    classes = [*dict.fromkeys(class_names.values()), OWN]
    cells = [_cell(entry['bbox'], class_names[entry['category_id']], classes) for entry in target_cells]
    cells += [Cell((x1, y1, x2, y2), 1.0, classes.index(OWN), OWN) for x1, y1, x2, y2 in own_xyxy]
    framed = _rgb(target)
    if homography is not None:
        width, height = source.shape[1], source.shape[0]
        corners = project_points(np.array([[0, 0], [width, 0], [width, height], [0, height]], float), homography)
        if np.isfinite(corners).all() and np.abs(corners).max() < 1e5:
            ring = [tuple(corner) for corner in [*corners.tolist(), corners[0].tolist()]]
            ImageDraw.Draw(framed).line(ring, fill=(0, 0, 0), width=1)
    shown = [_draw(_rgb(source), [_cell(entry['bbox'], class_names[entry['category_id']], classes)
                                  for entry in source_cells], classes), _draw(framed, cells, classes)]
    width = sum(picture.width for picture in shown) + _GAP
    strip = legend_strip([(title, None)], width)
    canvas = Image.new('RGB', (width, max(picture.height for picture in shown) + strip.height), (255, 255, 255))
    canvas.paste(strip, (0, 0))
    canvas.paste(shown[0], (0, strip.height))
    canvas.paste(shown[1], (shown[0].width + _GAP, strip.height))
    return canvas


def _rgb(image: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(image[:, :, ::-1]))


def _cell(bbox: Sequence[float], name: str, classes: Sequence[str]) -> Cell:
    x, y, w, h = bbox
    return Cell((x, y, x + w, y + h), 1.0, classes.index(name), name)


def _draw(image: Image.Image, cells: Sequence[Cell], classes: Sequence[str]) -> Image.Image:
    prediction = Prediction('', (image.height, image.width), tuple(cells))
    return draw_prediction(image, prediction, classes, AttributeSchema(), certain=True)
