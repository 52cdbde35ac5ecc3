"""One blood film: places everything, composes the layers, photographs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmleuk.synthetic.artifacts import draw_artifact
from mmleuk.synthetic.camera import photograph
from mmleuk.synthetic.debris import draw_bubbles, draw_dust, draw_platelets
from mmleuk.synthetic.leukocytes import Patch, draw_leukocyte
from mmleuk.synthetic.looks import Look, sample_look
from mmleuk.synthetic.part_masks import lay_mask, leukocyte_mask, platelet_mask, red_cell_mask
from mmleuk.synthetic.pen import extent
from mmleuk.synthetic.red_cells import draw_red_cells
from mmleuk.synthetic.stain import FilmStyle, sample_style

MIN_VISIBLE = 0.5
"""Share of a cell's mask that lies in the image; no cell is placed with less."""
_TRIES = 40


@dataclass(frozen=True)
class Cell:
    """One leukocyte or artifact of a film: tight box (x, y, w, h) in pixels, clipped at the border."""

    look: Look
    box_xywh: tuple[int, int, int, int]


@dataclass(frozen=True)
class Film:
    """A rendered film: (S, S, 3) uint8 BGR, its cells, and the part of each pixel, (S, S) uint8.

    The parts are those of :data:`mmleuk.structures.cell_parts.PARTS`, before the camera blurs them.
    """

    image: np.ndarray
    cells: tuple[Cell, ...]
    style: FilmStyle
    parts: np.ndarray


def draw_cell(look: Look, style: FilmStyle, rng: np.random.Generator) -> Patch:
    """Draw a leukocyte or an artifact."""
    return (draw_artifact if look.artifact else draw_leukocyte)(look, style, rng)


def lay(density: np.ndarray, patch: Patch, left: int, top: int) -> None:
    """Lay a patch over a film's (S, S, 3) density in place, its corner at ``left``, ``top``; it may stick out."""
    height, width = patch.alpha.shape
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + width, density.shape[1]), min(top + height, len(density))
    if x0 >= x1 or y0 >= y1:
        return
    inner = np.s_[y0 - top:y1 - top, x0 - left:x1 - left]
    alpha = patch.alpha[inner][..., None]
    density[y0:y1, x0:x1] += alpha * (patch.density[inner] - density[y0:y1, x0:x1])


def draw_background(size: int, style: FilmStyle, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """All but the leukocytes: red cells, dust, bubbles and platelets.

    Returns:
        (S, S, 3) optical density, and (S, S) uint8 parts of cells as :attr:`Film.parts`.
    """
    red_cells = draw_red_cells(size, style, rng)
    density, parts = red_cells.amount[..., None] * style.stain.red_cell, red_cell_mask(red_cells.covered)
    for amount, dye in ((draw_dust(size, style, rng), 1.1 * style.stain.nucleus),
                        (draw_bubbles(size, style, rng), np.ones(3, np.float32))):
        somewhere = amount != 0  # a few places only
        density[somewhere] += amount[somewhere][:, None] * dye
    for _ in range(style.platelets):
        patch = draw_platelets(style, rng)
        corner = rng.integers(-20, size, 2).tolist()
        lay(density, patch, *corner)
        lay_mask(parts, platelet_mask(patch), *corner)
    return density, parts


def render_film(rng: np.random.Generator, labels: Sequence[int], size: int = 640, *,
                magnification: float = 1.0, centred: bool = False) -> Film:
    """Render one film.

    Args:
        rng: all that is random comes from it.
        labels: class of each leukocyte; one that finds no place is left out.
        size: width and height in pixels.
        magnification: 1 shows a field as wide as a 640 px film; 2 half of it at twice the scale.
        centred: put the first cell into the middle.

    Returns:
        The film; its cells are in the order of ``labels``.
    """
    style = sample_style(rng, size, magnification)
    density, parts = draw_background(size, style, rng)
    cells: list[Cell] = []
    for label in labels:
        look = sample_look(label, rng)
        patch = draw_cell(look, style, rng)
        middle = centred and not cells
        corner = ((size - patch.mask.shape[1]) // 2, (size - patch.mask.shape[0]) // 2) if middle else \
            find_place(patch.mask, [cell.box_xywh for cell in cells], size, rng)
        if corner is None:
            continue
        lay(density, patch, *corner)
        lay_mask(parts, leukocyte_mask(patch), *corner)
        cells.append(Cell(look, _visible_box(patch.mask, corner, size)))
    return Film(photograph(density, style, rng), tuple(cells), style, parts)


def find_place(mask: np.ndarray, taken_xywh: Sequence[tuple[int, int, int, int]], size: int,
               rng: np.random.Generator) -> tuple[int, int] | None:
    """A patch corner (left, top) where enough of the cell is visible and no other cell is covered; None: no room.

    About a third of the cells are tried beside one that is there already, since leukocytes gather.
    """
    x0, y0, x1, y1 = extent(mask)
    half = np.array([x1 - x0, y1 - y0]) / 2
    middle = np.array([x0 + x1, y0 + y1]) / 2
    boxes = np.asarray(taken_xywh, float).reshape(-1, 4)
    centres, halves = boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:] / 2
    for attempt in range(_TRIES):
        if len(boxes) and attempt < 4 and rng.uniform() < 0.3:
            near, angle = int(rng.integers(0, len(boxes))), rng.uniform(0, 2 * np.pi)
            reach = rng.uniform(1.0, 1.15) * (half + halves[near])
            centre = centres[near] + reach * [np.cos(angle), np.sin(angle)]
        else:
            centre = rng.uniform(0, size, 2)
        # two ellipses of equal orientation are apart where this is at least 1
        apart = (((centres - centre) / (halves + half)) ** 2).sum(1)
        if (apart < 0.96).any():
            continue
        left, top = np.round(centre - middle).astype(int).tolist()
        shown = mask[max(0, -top):max(0, size - top), max(0, -left):max(0, size - left)]
        if shown.sum() >= MIN_VISIBLE * mask.sum():
            return left, top
    return None


def _visible_box(mask: np.ndarray, corner: tuple[int, int], size: int) -> tuple[int, int, int, int]:
    left, top = corner
    x_cut, y_cut = max(0, -left), max(0, -top)
    x0, y0, x1, y1 = extent(mask[y_cut:size - top, x_cut:size - left])
    return x0 + x_cut + left, y0 + y_cut + top, x1 - x0, y1 - y0
