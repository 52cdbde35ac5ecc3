"""What QuPath gets: draws the objects of an exported GeoJSON file over its image, and one object's measurements.

    mmleuk data convert outputs/predictions.json --from predictions --to qupath --out qupath
    python tools/draw_geojson.py qupath/film.png.geojson films/film.png --out qupath.jpg

Reads the file as GeoJSON, not with the code that wrote it: outlines, classifications, measurements and metadata.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed

import shapely
from PIL import Image, ImageDraw

from mmleuk.errors import UserError
from mmleuk.pictures.colours import ClassStyle, class_styles
from mmleuk.pictures.drawing import enlarge, legend_strip, load_image, paint_label, save_picture
from mmleuk.pictures.text import LINE_PX, font, width_px
from mmleuk.utils.command_line import exit_status
from mmleuk.utils.json_files import read_json

LONG_SIDE_PX, GAP_PX, TAG_PX = 1000, 8, LINE_PX + 4
Rows = list[tuple[str, str]]


def build_parser() -> argparse.ArgumentParser:
    """The tool's flags."""
    parser = argparse.ArgumentParser(description='Draw the objects of a GeoJSON file of QuPath over its image.')
    parser.add_argument('geojson', type=Path, help='file of one image')
    parser.add_argument('image', type=Path, help='that image')
    parser.add_argument('--out', type=Path, required=True, help='the picture, a JPEG')
    parser.add_argument('--object', type=int, metavar='N', help='whose measurements are listed, counted from 1 '
                        '(default: the first of those with the most)')
    return parser


def objects_of(path: Path) -> list[tuple[shapely.Geometry, Mapping[str, Any]]]:
    """Geometry and properties of each feature.

    Raises:
        UserError: no GeoJSON of classified objects, or none in it.
    """
    content: Any = read_json(path)
    try:
        found = [(shapely.geometry.shape(feature['geometry']), feature['properties'])
                 for feature in content['features']]
        for _, properties in found:
            properties['classification']['name']
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f'{path}: is no GeoJSON of classified objects ({error!r}); write it with mmleuk data convert '
                        '--to qupath') from error
    if not found:
        raise UserError(f'{path}: has no object; take the file of another image')
    return found


def rows_of(properties: Mapping[str, Any]) -> Rows:
    """Names and values as QuPath lists them: measurements, then metadata; a title has an empty value."""
    rows: Rows = []
    for title in ('measurements', 'metadata'):
        entries = properties.get(title) or {}
        if entries:
            rows.append((title, ''))
            rows += [(key, f'{value:.4g}' if isinstance(value, float) else str(value))
                     for key, value in entries.items()]
    return rows


def draw_outline(draw: ImageDraw.ImageDraw, shape: shapely.Geometry, factor: int, style: ClassStyle, width: int
                 ) -> None:
    """The outer ring of each of the object's polygons, coloured with a dark edge."""
    for part in getattr(shape, 'geoms', [shape]):
        if part.geom_type != 'Polygon':  # points and lines are no cells
            continue
        ring = [(x * factor, y * factor) for x, y, *_ in part.exterior.coords]
        draw.line(ring, fill=(0, 0, 0), width=width + 2, joint='curve')
        draw.line(ring, fill=style.rgb, width=width, joint='curve')


def table(title: str, rows: Rows, style: ClassStyle, height: int) -> Image.Image:
    """A panel with the object's classification above its rows."""
    second = GAP_PX * 3 + max((width_px(name) for name, value in rows), default=0)
    width = round(second + GAP_PX + max([width_px(value) for _, value in rows] + [width_px(title, bold=True)]))
    panel = Image.new('RGB', (width, max(height, TAG_PX + GAP_PX * 2 + LINE_PX * len(rows))), (255, 255, 255))
    draw = ImageDraw.Draw(panel)
    paint_label(draw, (GAP_PX, GAP_PX, width - GAP_PX, GAP_PX + TAG_PX), title, style)
    for number, (name, value) in enumerate(rows):
        y = TAG_PX + GAP_PX * 2 + (number + 0.5) * LINE_PX
        draw.text((GAP_PX, y), name, fill=(20, 20, 20), font=font(bold=not value), anchor='lm')
        draw.text((second, y), value, fill=(20, 20, 20), font=font(), anchor='lm')
    return panel


def run(args: argparse.Namespace) -> None:
    """Read, draw and write.

    Raises:
        UserError: bad file, image or number.
    """
    objects = objects_of(args.geojson)
    image = load_image(args.image)
    sizes = [len(properties.get('measurements') or {}) for _, properties in objects]
    if args.object is not None and not 1 <= args.object <= len(objects):
        raise UserError(f'--object {args.object}: {args.geojson} has the objects 1 to {len(objects)}')
    chosen = sizes.index(max(sizes)) if args.object is None else args.object - 1
    names = [properties['classification']['name'] for _, properties in objects]
    classes, counts = list(dict.fromkeys(names)), Counter(names)
    styles = class_styles(classes, classes)  # all as full lines
    factor = max(1, round(LONG_SIDE_PX / max(image.size)))
    field = enlarge(image, factor)
    draw = ImageDraw.Draw(field)
    for number, ((shape, _), name) in enumerate(zip(objects, names, strict=True)):
        draw_outline(draw, shape, factor, styles[name], 7 if number == chosen else 3)
    for (shape, _), name in zip(objects, names, strict=True):
        left = min(max(shape.bounds[0] * factor, 0), field.width - width_px(name, bold=True) - GAP_PX)
        top = max(shape.bounds[1] * factor - TAG_PX, 0)
        paint_label(draw, (left, top, left + width_px(name, bold=True) + GAP_PX, top + TAG_PX), name, styles[name])
    panel = table(f'Object {chosen + 1}: {names[chosen]}', rows_of(objects[chosen][1]), styles[names[chosen]],
                  field.height)
    legend = legend_strip([(f'{args.geojson.name}: {len(objects)} objects', None),
                           *((f'{name}: {counts[name]}', styles[name]) for name in styles)], field.width + panel.width)
    canvas = Image.new('RGB', (legend.width, panel.height + legend.height), (255, 255, 255))
    for part, corner in ((field, (0, 0)), (panel, (field.width, 0)), (legend, (0, panel.height))):
        canvas.paste(part, corner)
    print(save_picture(canvas, args.out))


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 2 on bad input with one line that says what is wrong."""
    return exit_status(run, build_parser().parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
