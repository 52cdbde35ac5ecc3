"""The same cell drawn twice, with one attribute changed and all else equal (for WBCAtt+ 5.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmleuk.errors import UserError
from mmleuk.schema import IGNORE, LEUKEMIA_ATTRIBUTES
from mmleuk.synthetic.camera import photograph
from mmleuk.synthetic.classes import CELL_CLASSES, REGULAR_FORMS
from mmleuk.synthetic.film import draw_background, lay
from mmleuk.synthetic.leukocytes import draw_leukocyte
from mmleuk.synthetic.looks import ABUNDANT, SCANTY, Look, sample_look
from mmleuk.synthetic.nucleus import SPREAD
from mmleuk.synthetic.pen import extent
from mmleuk.synthetic.stain import sample_style
from mmleuk.synthetic.streams import PartStreams

SIZE = 200
"""Width and height of an image in pixels; a cell is as large as on a film of 640 px."""
IRREGULAR_FORMS = ('notched', 'folded', 'butterfly')
"""Irregular nuclei that take a given share of the cell, as regular ones do."""
_PARTS = dict(style=1, background=2, camera=3, look=4, change=5)


@dataclass(frozen=True)
class CellImage:
    """A rendered image of one cell.

    Args:
        image: (SIZE, SIZE, 3) uint8 BGR.
        look: what was drawn.
        box_xyxy: of the cell, pixels.
    """

    image: np.ndarray
    look: Look
    box_xyxy: tuple[float, float, float, float]


@dataclass(frozen=True)
class RenderedPair:
    """A cell before and after one attribute changed: ``key`` now has the value ``value``."""

    key: str
    value: int
    before: CellImage
    after: CellImage


def _rng(seed: int, part: str) -> np.random.Generator:
    return np.random.default_rng([seed, _PARTS[part]])


def change_look(look: Look, key: str, value: int, rng: np.random.Generator) -> Look | None:
    """The look with another value of one attribute.

    Args:
        look: of a cell, no artifact.
        key: of ``LEUKEMIA_ATTRIBUTES``.
        value: the new value, 0 or 1.
        rng: for the details of the new value.

    Returns:
        None where it can't be drawn: a lobed or ribbon-shaped nucleus has no share of the cell that could change.

    Raises:
        UserError: the attribute is unknown, or the look is an artifact's.
    """
    position = LEUKEMIA_ATTRIBUTES.position(key)
    if position is None:
        raise UserError(f'unknown attribute {key!r}; films show {", ".join(LEUKEMIA_ATTRIBUTES.keys)}')
    if look.artifact or IGNORE in look.attributes:
        raise UserError('an artifact has no attributes to change')
    values = list(look.attributes)
    values[position] = value
    if key == 'cytoplasm' and look.form in SPREAD:
        return None
    row = CELL_CLASSES[look.label]
    details: dict[str, dict[str, Any]] = dict(
        nuclear_chromatin={},
        nuclear_shape=dict(form=str(rng.choice(IRREGULAR_FORMS if value else REGULAR_FORMS))),
        nucleolus=dict(nucleoli=int(rng.integers(row.nucleoli[0], row.nucleoli[1] + 1)) if value else 0),
        cytoplasm=dict(nucleus_share=rng.uniform(*(ABUNDANT if value else SCANTY))),
        cytoplasmic_basophilia=dict(basophilic=rng.uniform(0.62, 0.95) if value else rng.uniform(0.14, 0.28)),
        cytoplasmic_vacuoles=dict(vacuoles=int(rng.integers(4, 10)) if value else 0))
    return replace(look, attributes=tuple(values), **details[key])


def render_cell(look: Look, seed: int) -> CellImage:
    """One cell in the middle of a small image.

    The film, its red cells, the camera and each part of the cell have random numbers of their own from ``seed``, so a
    look that differs in one part gives an image that differs in this part.
    """
    style = sample_style(_rng(seed, 'style'), SIZE, magnification=640 / SIZE)
    density, _ = draw_background(SIZE, style, _rng(seed, 'background'))
    patch = draw_leukocyte(look, style, PartStreams(seed))
    top, left = ((SIZE - side) // 2 for side in patch.mask.shape)
    lay(density, patch, left, top)
    x0, y0, x1, y1 = extent(patch.mask)
    box = (float(x0 + left), float(y0 + top), float(x1 + left), float(y1 + top))
    return CellImage(photograph(density, style, _rng(seed, 'camera')), look, box)


def mixed_look(label: int, rng: np.random.Generator) -> Look:
    """A cell of a class in which each attribute has either value with the same chance, as far as it can be drawn.

    On films the attributes follow from the class. A predictor that learns from films alone learns the class, and with
    it what usually goes together.
    """
    look = sample_look(label, rng)
    for key in rng.permutation(LEUKEMIA_ATTRIBUTES.keys).tolist():
        value = int(rng.integers(0, 2))
        if value != look.attributes[LEUKEMIA_ATTRIBUTES.keys.index(key)]:
            look = change_look(look, key, value, rng) or look
    return look


def render_pair(label: int, key: str, seed: int) -> RenderedPair | None:
    """A cell of a class, and the same with the other value of an attribute; None where it can't be drawn."""
    look = sample_look(label, _rng(seed, 'look'))
    position = LEUKEMIA_ATTRIBUTES.position(key)
    value = 0 if position is None else 1 - look.attributes[position]
    changed = change_look(look, key, value, _rng(seed, 'change'))
    if changed is None:
        return None
    return RenderedPair(key, value, render_cell(look, seed), render_cell(changed, seed))


def cell_labels() -> list[int]:
    """Labels of the classes that are cells, no artifacts."""
    return [label for label, row in enumerate(CELL_CLASSES) if not row.artifacts]


def render_pairs(count: int, seed: int = 0) -> Iterator[RenderedPair]:
    """``count`` pairs: attributes and classes in turn, each cell another one."""
    labels = cell_labels()
    made, number = 0, 0
    while made < count:
        key, label = LEUKEMIA_ATTRIBUTES.keys[number % len(LEUKEMIA_ATTRIBUTES)], labels[number % len(labels)]
        pair = render_pair(label, key, seed * 1_000_003 + number)
        number += 1
        if pair is not None:
            made += 1
            yield pair
