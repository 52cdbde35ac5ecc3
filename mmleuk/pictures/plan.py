"""Which label and card goes where in one picture, before anything is painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from mmleuk.pictures.layout import Rect, Rects, best_spot, card_spots, on_canvas, tag_spots
from mmleuk.pictures.text import FONT_PX, LINE_PX, width_px
from mmleuk.schema import Attribute, AttributeSchema
from mmleuk.structures.prediction import Cell

PAD = 4
GAP = 10
TAG_PX = FONT_PX + 2 * PAD
_MAX_HIDDEN = 0.1  # a card that would hide more than this share of itself of other things goes to the side panel
_TAG_ALL_UP_TO = 25  # with more cells, only leukocytes carry a label; the legend names the others' colour
CARDS_UP_TO = 60  # cards per picture: the panel would outgrow every screen; the files hold all cells

Row = tuple[str, str]
"""An attribute's short name and its value with probability."""


@dataclass
class Plan:
    """Rectangles in canvas pixels by index of the cell in the prediction.

    Args:
        cells: the prediction's cells.
        boxes: their boxes.
        rows: lines of the cards, of the cells that have attributes.
        tags: class labels; cells without one are explained by the legend alone.
        texts: what the labels say.
        cards: rectangles of the cards, beside the cells and in the panel.
        panel: the cells whose card stands in the panel, with their number.
        size_wh: what image and panel need together.
    """

    cells: Sequence[Cell]
    boxes: list[Rect]
    rows: dict[int, list[Row]]
    size_wh: tuple[int, int]
    tags: dict[int, Rect] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    cards: dict[int, Rect] = field(default_factory=dict)
    panel: dict[int, int] = field(default_factory=dict)


def make_plan(cells: Sequence[Cell], factor: int, image_wh: tuple[int, int], schema: AttributeSchema,
              leukocytes: Sequence[str], certain: bool = False) -> Plan:
    """Place labels, then cards beside their cells, then what found no room in a panel on the right.

    Args:
        cells: in original pixels, highest score first: the first 60 leukocytes with attributes get a card.
        factor: how much the image is enlarged.
        image_wh: width and height of the enlarged image.
        schema: names of the attributes.
        leukocytes: classes whose cells are described and must stay visible.
        certain: the cells are a truth; no scores or probabilities.
    """
    boxes = [on_canvas(cell.box, factor, image_wh) for cell in cells]
    important = [i for i, cell in enumerate(cells) if cell.class_name in leukocytes]
    described = islice((i for i in important if cells[i].attributes), CARDS_UP_TO)
    plan = Plan(cells, boxes, {i: card_rows(cells[i], schema, certain) for i in described}, image_wh)
    taken, solid = Rects(image_wh), Rects(image_wh, (boxes[i] for i in important))
    soft = Rects(image_wh, (box for cell, box in zip(cells, boxes) if cell.class_name not in leukocytes))
    for i in range(len(cells)) if len(cells) <= _TAG_ALL_UP_TO else important:
        plan.texts[i] = cells[i].class_name if certain else f'{cells[i].class_name} {cells[i].score:.2f}'
        # Room for a number, should the card move to the panel.
        width = width_px(plan.texts[i] + (' #88' if i in plan.rows else ''), bold=True) + 2 * PAD
        plan.tags[i], _ = best_spot(tag_spots(boxes[i], (width, TAG_PX)), image_wh, taken, solid, soft, own=boxes[i])
        taken.add(plan.tags[i])
    _place_cards(plan, taken, solid, soft)
    return plan


def card_rows(cell: Cell, schema: AttributeSchema, certain: bool = False) -> list[Row]:
    """Lines of a cell's card; an attribute that the schema doesn't know keeps its key."""
    return [(_short(schema[key]) if schema.position(key) is not None else key,
             reading['value'] + ('' if certain or reading['value_index'] < 0 else f' {reading["prob"]:.2f}'))
            for key, reading in cell.attributes.items()]


def names_width(rows: Sequence[Row]) -> float:
    """Width of a card's first column in pixels."""
    return max(width_px(name) for name, _ in rows) + 2 * PAD


def _short(attribute: Attribute) -> str:
    return attribute.short if attribute.short != attribute.key else attribute.name


def _card_size(rows: Sequence[Row]) -> tuple[float, float]:
    return names_width(rows) + max(width_px(value) for _, value in rows) + 2 * PAD, len(rows) * LINE_PX + 2 * PAD


def _place_cards(plan: Plan, taken: Rects, solid: Rects, soft: Rects) -> None:
    image_wh = plan.size_wh
    for i, rows in plan.rows.items():
        spot, hidden = best_spot(card_spots(plan.boxes[i], _card_size(rows), GAP), image_wh, taken, solid, soft)
        fits = spot[2] <= image_wh[0] and spot[3] <= image_wh[1]
        if hidden <= _MAX_HIDDEN and fits:
            plan.cards[i] = spot
            taken.add(spot)
        else:
            plan.panel[i] = len(plan.panel) + 1
            plan.texts[i] += f' #{plan.panel[i]}'
    if plan.panel:
        _place_panel(plan)


def _place_panel(plan: Plan) -> None:
    """Columns of titled cards right of the image; a new column starts where the image ends."""
    image_width, image_height = plan.size_wh
    widths = {i: max(_card_size(plan.rows[i])[0], width_px(plan.texts[i], bold=True) + 2 * PAD) for i in plan.panel}
    column = max(widths.values()) + GAP
    left, bottom, lowest = float(image_width + GAP), 0.0, float(image_height)
    for i in plan.panel:
        needed = GAP + TAG_PX + _card_size(plan.rows[i])[1]
        if bottom and bottom + needed + GAP > image_height:
            left, bottom = left + column, 0.0
        plan.cards[i] = (left, bottom + GAP + TAG_PX, left + widths[i], bottom + needed)
        bottom += needed
        lowest = max(lowest, bottom + GAP)
    plan.size_wh = int(left + column) + 1, int(lowest) + 1
