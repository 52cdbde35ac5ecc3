"""Pictures for people: boxes, class labels and attribute cards on the image, a legend below."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from mmleuk.pictures.colours import ClassStyle, class_styles
from mmleuk.pictures.layout import Rect
from mmleuk.pictures.plan import CARDS_UP_TO, GAP, PAD, TAG_PX, Plan, make_plan, names_width
from mmleuk.pictures.text import FONT_PX, LINE_PX, font, width_px
from mmleuk.schema import AttributeSchema, leukocyte_classes
from mmleuk.structures.prediction import Prediction
from mmleuk.utils.files import write_atomic
from mmleuk.utils.image_files import decode_image, read_image_file
from mmleuk.utils.words import plural_n

_LONG_SIDE_PX = 1200  # smaller images are enlarged by a whole factor: a label needs pixels
_PAPER = (255, 255, 255)
_INK = (20, 20, 20)
_DIM = (80, 80, 80)
_DASH_PX = 8
_THICK_FROM_PX = 24
_JPEG_QUALITY = 90


def load_image(path: str | Path) -> Image.Image:
    """RGB image, decoded as the network gets it (turned upright after its EXIF tag), so that boxes fit.

    Raises:
        UserError: it can't be read.
    """
    pixels = decode_image(read_image_file(str(path)), str(path))
    return Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1]))


def save_picture(picture: Image.Image, path: str | Path) -> Path:
    """Write as JPEG; the file appears whole or not at all."""
    buffer = io.BytesIO()
    # Without colour subsampling, which blurs coloured text.
    picture.save(buffer, 'JPEG', quality=_JPEG_QUALITY, subsampling=0)
    return write_atomic(path, buffer.getvalue())


def draw_prediction(image: Image.Image, prediction: Prediction, classes: Sequence[str],
                    schema: AttributeSchema, leukocytes: Sequence[str] | None = None,
                    certain: bool = False) -> Image.Image:
    """Boxes with class and score, a card of attributes beside each leukocyte that has them, a legend.

    Cards that find no free spot beside their cell move to a panel on the right and share a number with the box.
    Images below 1200 px are enlarged by a whole factor.

    Args:
        image: the RGB image that was predicted, at its original size.
        prediction: its cells.
        classes: class names by label.
        schema: names of the attributes.
        leukocytes: names whose cells are described and must stay visible; default: all but artifacts, red cells
            and platelets.
        certain: the cells are a truth, whose scores aren't written.

    Returns:
        A new RGB image; ``image`` stays as it was.
    """
    factor = max(1, round(_LONG_SIDE_PX / max(image.size)))
    enlarged = enlarge(image, factor)
    chosen = leukocyte_classes(classes, leukocytes)
    plan = make_plan(prediction.cells, factor, enlarged.size, schema, chosen, certain)
    styles = class_styles(classes, chosen)
    width = max(plan.size_wh[0], 200)
    legend = _legend(prediction, styles, width)
    canvas = Image.new('RGB', (width, plan.size_wh[1] + legend.height), _PAPER)
    canvas.paste(enlarged, (0, 0))
    canvas.paste(legend, (0, plan.size_wh[1]))
    _paint(ImageDraw.Draw(canvas), plan, styles)
    return canvas


def enlarge(image: Image.Image, factor: int) -> Image.Image:
    """An RGB image, as many times as large. OpenCV takes a quarter of Pillow's time."""
    pixels = np.asarray(image.convert('RGB'))
    return Image.fromarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC))


def draw_overview(image: Image.Image, prediction: Prediction, classes: Sequence[str], scale: float,
                  leukocytes: Sequence[str] | None = None) -> Image.Image:
    """A large image made small, with the box of each cell in its class's colour, and a legend.

    Args:
        image: the small RGB image.
        prediction: cells in pixels of the large image.
        classes: class names by label.
        scale: pixels of ``image`` per pixel of the large image.
        leukocytes: classes drawn over the others; default: all but artifacts, red cells and platelets.
    """
    chosen = leukocyte_classes(classes, leukocytes)
    styles = class_styles(classes, chosen)
    legend = _legend(prediction, styles, max(image.width, 200), cards=False)
    canvas = Image.new('RGB', (legend.width, image.height + legend.height), _PAPER)
    canvas.paste(image, (0, 0))
    canvas.paste(legend, (0, image.height))
    draw = ImageDraw.Draw(canvas)
    sides = [(cell.box[2] - cell.box[0]) * scale for cell in prediction.cells]
    width = 1 if not sides or np.median(sides) < _THICK_FROM_PX else 3
    for cell in sorted(prediction.cells, key=lambda cell: cell.class_name in chosen):
        x1, y1, x2, y2 = (round(value * scale) for value in cell.box)
        style = styles[cell.class_name]
        if style.dashed:  # too small for dashes: corners
            _corners(draw, (x1, y1, x2, y2), style.rgb, width)
        else:
            draw.rectangle((x1, y1, x2, y2), outline=style.rgb, width=width)
    return canvas


def _corners(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], colour: tuple[int, int, int], width: int
             ) -> None:
    """A frame with a gap of a third in the middle of each side."""
    x1, y1, x2, y2 = box
    across, down = max((x2 - x1) // 3, 1), max((y2 - y1) // 3, 1)
    for x, towards_x in ((x1, across), (x2, -across)):
        for y, towards_y in ((y1, down), (y2, -down)):
            draw.line((x, y, x + towards_x, y), fill=colour, width=width)
            draw.line((x, y, x, y + towards_y), fill=colour, width=width)


def _paint(draw: ImageDraw.ImageDraw, plan: Plan, styles: Mapping[str, ClassStyle]) -> None:
    """Boxes first, text last: a line never crosses a word."""
    for cell, box in zip(plan.cells, plan.boxes):
        outline_box(draw, box, styles[cell.class_name])
    for i, card in plan.cards.items():
        style = styles[plan.cells[i].class_name]
        if i in plan.panel:
            header = (card[0], card[1] - TAG_PX, card[2], card[1])
            paint_label(draw, header, plan.texts[i], style)
        else:
            draw.line(_nearest_points(plan.boxes[i], card), fill=style.rgb, width=2)
        _card(draw, card, plan.rows[i], style)
    for i, tag in plan.tags.items():
        rect = (tag[0], tag[1], tag[0] + width_px(plan.texts[i], bold=True) + 2 * PAD, tag[3])
        paint_label(draw, rect, plan.texts[i], styles[plan.cells[i].class_name])


def outline_box(draw: ImageDraw.ImageDraw, box: Rect, style: ClassStyle) -> None:
    """A coloured frame with a dark edge, so that it shows on light plasma and on dark nuclei."""
    draw.rectangle([round(v) for v in box], outline=(0, 0, 0), width=5)
    inner = (box[0] + 1, box[1] + 1, box[2] - 1, box[3] - 1)
    if inner[2] <= inner[0] or inner[3] <= inner[1]:
        return
    if not style.dashed:
        draw.rectangle([round(v) for v in inner], outline=style.rgb, width=3)
        return
    x1, y1, x2, y2 = (round(v) for v in inner)
    for x in range(x1, x2 + 1, 2 * _DASH_PX):
        for y in (y1, y2 - 2):
            draw.rectangle([x, y, min(x + _DASH_PX, x2), y + 2], fill=style.rgb)
    for y in range(y1, y2 + 1, 2 * _DASH_PX):
        for x in (x1, x2 - 2):
            draw.rectangle([x, y, x + 2, min(y + _DASH_PX, y2)], fill=style.rgb)


def paint_label(draw: ImageDraw.ImageDraw, rect: Rect, text: str, style: ClassStyle) -> None:
    """Words on a patch of the style's colour."""
    draw.rectangle(rect, fill=style.rgb, outline=(0, 0, 0))
    draw.text((rect[0] + PAD, (rect[1] + rect[3]) / 2), text, fill=style.ink, font=font(bold=True), anchor='lm')


def _card(draw: ImageDraw.ImageDraw, rect: Rect, rows: Sequence[tuple[str, str]], style: ClassStyle) -> None:
    draw.rectangle(rect, fill=_PAPER, outline=style.rgb, width=2)
    value_x = rect[0] + names_width(rows)
    for number, (name, value) in enumerate(rows):
        y = rect[1] + PAD + (number + 0.5) * LINE_PX
        draw.text((rect[0] + PAD, y), name, fill=_DIM, font=font(), anchor='lm')
        draw.text((value_x, y), value, fill=_INK, font=font(), anchor='lm')


def _nearest_points(a: Rect, b: Rect) -> list[tuple[float, float]]:
    """Ends of a short line between two rectangles."""
    ends = []
    for axis in (0, 1):
        low, high = max(a[axis], b[axis]), min(a[axis + 2], b[axis + 2])
        middle = (low + high) / 2
        ends.append((middle, middle) if low <= high else
                    (a[axis + 2], b[axis]) if a[axis + 2] < b[axis] else (a[axis], b[axis + 2]))
    return [(ends[0][0], ends[1][0]), (ends[0][1], ends[1][1])]


def _legend(prediction: Prediction, styles: Mapping[str, ClassStyle], width: int, cards: bool = True) -> Image.Image:
    """A strip that names each colour with its number of cells, wrapped to the picture's width."""
    counts = Counter(cell.class_name for cell in prediction.cells)
    total = len(prediction.cells)
    left_out = cards and sum(bool(cell.attributes) for cell in prediction.cells) > CARDS_UP_TO
    note = f' (cards of the {CARDS_UP_TO} with the highest scores)' if left_out else ''
    entries: list[tuple[str, ClassStyle | None]] = [(f'{plural_n(total, "cell")}{note}', None)]
    entries += [(f'{name}: {counts[name]}', style) for name, style in styles.items() if counts[name]]
    return legend_strip(entries, width)


def legend_strip(entries: Sequence[tuple[str, ClassStyle | None]], width: int) -> Image.Image:
    """A white strip of words, each behind a sample of its outline where it has one, wrapped to ``width`` pixels."""
    row_px = FONT_PX + 2 * GAP
    spots, x, y = [], float(GAP), 0
    for text, style in entries:
        needed = width_px(text) + 2 * GAP + (3 * GAP if style else 0)
        if x > GAP and x + needed > width:
            x, y = float(GAP), y + row_px
        spots.append((x, y))
        x += needed
    strip = Image.new('RGB', (width, y + row_px), _PAPER)
    draw = ImageDraw.Draw(strip)
    for (text, style), (left, top) in zip(entries, spots):
        if style:
            outline_box(draw, (left, top + GAP - 2, left + 2 * GAP, top + GAP + FONT_PX + 2), style)
            left += 3 * GAP
        draw.text((left, top + row_px / 2), text, fill=_INK, font=font(), anchor='lm')
    return strip
