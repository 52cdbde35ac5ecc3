"""A contact sheet: every class in a row, each cell on a film of its own."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mmleuk.schema import LEUKEMIA_CLASSES
from mmleuk.synthetic.film import render_film
from mmleuk.utils.files import check_target, write_atomic

_NAME_WIDTH = 190


def contact_sheet(seed: int = 0, per_class: int = 9, side: int = 150) -> np.ndarray:
    """Picture of all classes; (classes * side, name column + per_class * side, 3) uint8 BGR."""
    rows = []
    for label, name in enumerate(LEUKEMIA_CLASSES):
        head = np.full((side, _NAME_WIDTH, 3), 255, np.uint8)
        cv2.putText(head, name, (6, side // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
        cells = [_crop(np.random.default_rng([seed, label, index]), label, side) for index in range(per_class)]
        rows.append(np.hstack([head, *cells]))
    return np.vstack(rows)


def _crop(rng: np.random.Generator, label: int, side: int) -> np.ndarray:
    size = 320
    image = render_film(rng, [label], size, magnification=640 / size, centred=True).image
    start = (size - side) // 2
    return image[start:start + side, start:start + side]


def write_preview(path: str | Path, seed: int = 0) -> None:
    """Write the contact sheet as PNG.

    Raises:
        UserError: the file can't be written.
    """
    check_target(path)  # first, so that a bad path shows at once
    write_atomic(path, cv2.imencode('.png', contact_sheet(seed))[1].tobytes())
