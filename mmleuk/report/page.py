"""One self-contained HTML page per run: the film in a sentence, cells by type, attributes, images, provenance."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import quote

from mmleuk.pictures.colours import ClassStyle, class_styles
from mmleuk.pictures.crops import CROP_PX, CropKey, crop_key
from mmleuk.report.page_style import STYLE
from mmleuk.report.sentence import Description, describe
from mmleuk.report.statistics import (
    Distribution,
    TypeCount,
    attribute_distributions,
    count_types,
    morphology_bank,
    typical_by_type,
)
from mmleuk.schema import leukocyte_classes
from mmleuk.structures.prediction import BankEntry, Prediction, Run
from mmleuk.utils.words import listed, plural_n

TYPICAL_CELLS = 8
_NOT_FOR_DIAGNOSIS = ('Computed by a research model, not reviewed by a person. Not for diagnosis: it finds and names '
                      'cells wrongly at a rate that is unknown for images of another stain, microscope or laboratory.')
_LABEL_PX, _BAR_PX, _COUNT_PX, _ROW_PX = 155, 110, 90, 24


def render_page(run: Run, crops: Mapping[CropKey, str], pictures: Mapping[str, str],
                leukocytes: Sequence[str] | None = None) -> str:
    """The page as text; the same arguments give the same bytes.

    Args:
        run: predictions and where they come from.
        crops: pictures of cells as data URIs (:func:`mmleuk.pictures.crops.make_crops`); others stay without.
        pictures: path of each image's picture relative to the page, by image name; others stay without a link.
        leukocytes: class names that count as leukocytes; default: all but artifacts, red cells and platelets.

    Raises:
        UserError: a name in ``leukocytes`` is no class.
    """
    names = leukocyte_classes(run.info.classes, leukocytes)
    film = describe(run.predictions, run.info.classes, run.info.schema, names)
    parts = [_summary(film), _types(run, crops, names), _attributes(run, names), _images(run, pictures, names),
             _failed(run), _provenance(run, names)]
    body = '\n'.join(part for part in parts if part)
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<title>Blood-film report</title>\n<style>{STYLE}</style>\n</head>\n'
            f'<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n')


def _summary(film: Description) -> str:
    return (f'<h1>Blood-film report</h1>\n<p class="sentence">{escape(film.text)}</p>\n'
            f'<p class="dim">{escape(film.evidence)}</p>\n<p class="warn">{_NOT_FOR_DIAGNOSIS}</p>')


def _types(run: Run, crops: Mapping[CropKey, str], leukocytes: Sequence[str]) -> str:
    counts = [count for count in count_types(run.predictions, run.info.classes) if count.n_cells]
    if not counts:
        return '<h2>Cells by type</h2>\n<p>No cell was found.</p>'
    # Leukocytes first, the most frequent on top; equal counts in the order of the classes.
    counts.sort(key=lambda c: (c.class_name not in leukocytes, -c.n_cells, c.label))
    styles = class_styles(run.info.classes)
    typical = typical_by_type(run.predictions, run.info.classes, run.info.schema, TYPICAL_CELLS)
    total = sum(c.n_cells for c in counts if c.class_name in leukocytes)
    cards = [_type_card(run, c, styles[c.class_name], typical[c.class_name], crops,
                        total if c.class_name in leukocytes else None) for c in counts]
    absent = [name for name in run.info.classes if name not in typical]
    missing = f'<p class="dim">Not found: {escape(listed(absent, "and"))}.</p>' if absent else ''
    return ('<h2>Cells by type</h2>\n<p class="dim">The pictures show the cells most like the others of their type: '
            'most attribute values in common, then the highest score.</p>\n<div class="types">\n'
            + '\n'.join(cards) + f'\n</div>\n{missing}')


def _type_card(run: Run, count: TypeCount, style: ClassStyle, typical: Sequence[BankEntry],
               crops: Mapping[CropKey, str], n_leukocytes: int | None) -> str:
    share = (f'{count.n_cells} of {plural_n(n_leukocytes, "leukocyte")}' if n_leukocytes is not None
             else f'{plural_n(count.n_cells, "cell")}, not counted as leukocytes')
    where = f'in {count.n_images} of {plural_n(len(run.predictions), "image")}'
    # Attributes are leukocytes'; what a model says of a red cell's nucleus nobody taught it.
    described = [] if n_leukocytes is None else [count.class_name]
    cells = [entry.cell for entry in morphology_bank(run.predictions, described)]
    usual = '; '.join(_usual(d) for d in attribute_distributions(cells, run.info.schema) if d.n)
    figures = ''.join(_figure(entry, crops[crop_key(entry)]) for entry in typical if crop_key(entry) in crops)
    dashed = ' dashed' if style.dashed else ''
    return (f'<section class="type{dashed}" style="border-left-color:{style.colour}">\n'
            f'<header><h3>{escape(count.class_name)}</h3><span>{share}</span>'
            f'<span class="dim">{where}</span></header>\n'
            + (f'<p class="dim">Usually: {escape(usual)}.</p>\n' if usual else '')
            + (f'<div class="crops">{figures}</div>\n' if figures else '') + '</section>')


def _usual(distribution: Distribution) -> str:
    value = listed(distribution.most_frequent, 'or')
    return f'{distribution.attribute.name} {value} ({max(distribution.counts)} of {distribution.n})'


def _figure(entry: BankEntry, uri: str) -> str:
    cell, image = entry.cell, entry.prediction.image
    values = ', '.join(f'{key.replace("_", " ")} {reading["value"]}' for key, reading in cell.attributes.items())
    alt = f'{cell.class_name}, score {cell.score:.2f}, from {image}' + (f': {values}' if values else '')
    return (f'<figure><img src="{uri}" width="{CROP_PX}" height="{CROP_PX}" alt="{escape(alt)}" '
            f'title="{escape(alt)}"><figcaption>{cell.score:.2f} {escape(image)}</figcaption></figure>')


def _attributes(run: Run, leukocytes: Sequence[str]) -> str:
    cells = [entry.cell for entry in morphology_bank(run.predictions, leukocytes)]
    distributions = attribute_distributions(cells, run.info.schema)
    if not distributions:
        return ('<h2>Attributes</h2>\n<p>This model predicts no morphological attributes.</p>')
    charts = '\n'.join(_chart(distribution) for distribution in distributions)
    return (f'<h2>Attributes</h2>\n<p class="dim">Over {plural_n(len(cells), "leukocyte")} of all types; n counts '
            f'those with a known value.</p>\n<div class="charts">\n{charts}\n</div>')


def _chart(distribution: Distribution) -> str:
    """Inline SVG bars, one row per value; the numbers stand in the picture and in its label."""
    n, attribute = distribution.n, distribution.attribute
    rows, spoken = [], []
    for position, (value, count) in enumerate(zip(attribute.values, distribution.counts)):
        y, filled = position * _ROW_PX, round(_BAR_PX * count / n, 1) if n else 0
        rows.append(f'<text x="0" y="{y + 16}">{escape(value)}</text>'
                    f'<rect class="track" x="{_LABEL_PX}" y="{y + 5}" width="{_BAR_PX}" height="14"/>'
                    f'<rect class="bar" x="{_LABEL_PX}" y="{y + 5}" width="{filled}" height="14"/>'
                    f'<text x="{_LABEL_PX + _BAR_PX + 8}" y="{y + 16}">{count} of {n}</text>')
        spoken.append(f'{value} {count} of {n}')
    unknown = f', {distribution.unknown} unknown' if distribution.unknown else ''
    label = escape(f'{attribute.name}: {", ".join(spoken)}')
    return (f'<div class="chart"><h3>{escape(attribute.name)} <span class="dim">n = {n}{unknown}</span></h3>\n'
            f'<svg viewBox="0 0 {_LABEL_PX + _BAR_PX + _COUNT_PX} {len(rows) * _ROW_PX}" role="img" '
            f'aria-label="{label}">{"".join(rows)}</svg></div>')


def _images(run: Run, pictures: Mapping[str, str], leukocytes: Sequence[str]) -> str:
    if not run.predictions:
        return '<h2>Images</h2>\n<p>No image was read.</p>'
    rows = '\n'.join(_image_row(run, prediction, pictures.get(prediction.image), leukocytes)
                     for prediction in run.predictions)
    return ('<h2>Images</h2>\n<div class="scroll"><table>\n<thead><tr><th scope="col">Image</th>'
            '<th scope="col" class="n">Width × height</th><th scope="col" class="n">Cells</th>'
            '<th scope="col" class="n">Leukocytes</th><th scope="col">By type</th>'
            f'<th scope="col">In words</th></tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>')


def _image_row(run: Run, prediction: Prediction, picture: str | None, leukocytes: Sequence[str]) -> str:
    name = escape(prediction.image)
    # File names may hold bytes that are no UTF-8: quote what the disk has.
    linked = f'<a href="{escape(quote(os.fsencode(picture)))}">{name}</a>' if picture else name
    height, width = prediction.size_hw
    counts = [c for c in count_types([prediction], run.info.classes) if c.n_cells]
    by_type = escape(', '.join(f'{c.class_name} {c.n_cells}' for c in counts))
    words = describe([prediction], run.info.classes, run.info.schema, leukocytes)
    return (f'<tr><th scope="row">{linked}</th><td class="n">{width} × {height}</td>'
            f'<td class="n">{len(prediction.cells)}</td><td class="n">{words.n_cells}</td><td>{by_type}</td>'
            f'<td class="long">{escape(words.text)}</td></tr>')


def _failed(run: Run) -> str:
    if not run.failed:
        return ''
    items = '\n'.join(f'<li>{escape(f.image)}: {escape(f.error)}</li>' for f in run.failed)
    return ('<h2>Images that could not be read</h2>\n<p class="warn">They are part of no number here.</p>\n'
            f'<ul>\n{items}\n</ul>')


def _provenance(run: Run, leukocytes: Sequence[str]) -> str:
    info = run.info
    facts = {'Model': info.model, 'Config': info.config, 'Checkpoint': info.checkpoint,
             'Image size': f'{info.image_size} px on the longer side' if info.image_size else '', 'Device': info.device,
             'Lowest score': f'{info.min_score:g}', 'Counted as leukocytes': ', '.join(leukocytes) or 'no class',
             'Images read': f'{len(run.predictions)} ({len(run.failed)} could not be read)',
             'Made': info.created, 'mmleuk': info.version}
    rows = '\n'.join(f'<dt>{name}</dt><dd>{escape(value)}</dd>' for name, value in facts.items() if value)
    return f'<h2>How this was made</h2>\n<dl>\n{rows}\n</dl>'
