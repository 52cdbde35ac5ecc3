"""One self-contained HTML page per run: the film in a sentence, cells by type, attributes, images, provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmleuk.pictures.colours import class_styles
from mmleuk.pictures.crops import CROP_PX, CropKey, crop_key
from mmleuk.report.differential import blasts_in_words, differential, order_in_words, worth
from mmleuk.report.film_page import in_percent
from mmleuk.report.render import render
from mmleuk.report.sentence import describe
from mmleuk.report.statistics import attribute_distributions, count_types, morphology_bank, typical_by_type
from mmleuk.schema import leukocyte_classes
from mmleuk.structures.prediction import BankEntry, Prediction, Run, RunInfo
from mmleuk.utils.words import listed, plural_n

TYPICAL_CELLS = 8


def render_page(run: Run, crops: Mapping[CropKey, str], pictures: Mapping[str, str],
                leukocytes: Sequence[str] | None = None) -> str:
    """The page as text; the same arguments give the same bytes.

    Args:
        run: predictions and where they come from.
        crops: pictures of cells as data URIs (:func:`mmleuk.pictures.crops.make_crops`); others stay without.
        pictures: path of each image's picture relative to the page, by image name; others stay without a link.
        leukocytes: class names that count as leukocytes; default: those that the run states, else all but artifacts,
            red cells and platelets.

    Raises:
        UserError: a name in ``leukocytes`` is no class.
    """
    info = run.info
    names = leukocyte_classes(info.classes, info.leukocytes if leukocytes is None else leukocytes)
    film = describe(run.predictions, info.classes, info.schema, names)
    found = differential(run.predictions, names, info.schema)
    bank = [entry.cell for entry in morphology_bank(run.predictions, names)]
    types = _types(run, crops, names)
    shown = {card['name'] for card in types}
    facts = {'Model': info.model, 'Config': info.config, 'Checkpoint': info.checkpoint,
             'Image size': f'{info.image_size} px on the longer side' if info.image_size else '', 'Device': info.device,
             'Scale': '; '.join(info.scales), 'Lowest score': lowest_score(info),
             'Counted as leukocytes': ', '.join(names) or 'no class',
             'Images read': f'{len(run.predictions)} ({len(run.failed)} could not be read)',
             'Made': info.created, 'mmleuk': info.version}
    return render('report.html', run=run, film=film, types=types, crop_px=CROP_PX,
                  found=found, worth=worth(found.n), order=order_in_words(found), blasts=blasts_in_words(found),
                  percent=in_percent, absent=[name for name in info.classes if name not in shown],
                  distributions=attribute_distributions(bank, info.schema),
                  images=[_image(run, prediction, pictures, names) for prediction in run.predictions], facts=facts)


def _types(run: Run, crops: Mapping[CropKey, str], leukocytes: Sequence[str]) -> list[dict[str, Any]]:
    """One card per class that was found: leukocytes first, the most frequent on top."""
    counts = [count for count in count_types(run.predictions, run.info.classes) if count.n_cells]
    counts.sort(key=lambda count: (count.class_name not in leukocytes, -count.n_cells, count.label))
    styles = class_styles(run.info.classes, leukocytes)
    typical = typical_by_type(run.predictions, run.info.classes, run.info.schema, TYPICAL_CELLS)
    total = sum(count.n_cells for count in counts if count.class_name in leukocytes)
    cards = []
    for count in counts:
        name, described = count.class_name, count.class_name in leukocytes
        # Only leukocytes' attributes are shown: what a model says of a red cell's nucleus was never learnt.
        cells = [entry.cell for entry in morphology_bank(run.predictions, [name] if described else [])]
        usual = [f'{d.attribute.name} {listed(d.most_frequent, "or")} ({max(d.counts)} of {d.n})'
                 for d in attribute_distributions(cells, run.info.schema) if d.n]
        cards.append(dict(
            name=name, style=styles[name], n_images=count.n_images, usual='; '.join(usual),
            share=f'{count.n_cells} of {plural_n(total, "leukocyte")}' if described
            else f'{plural_n(count.n_cells, "cell")}, not counted as leukocytes',
            crops=[_crop(entry, crops[crop_key(entry)]) for entry in typical[name] if crop_key(entry) in crops]))
    return cards


def lowest_score(info: RunInfo) -> str:
    """The lowest score, or that of each class."""
    own = info.min_scores
    return ', '.join(f'{name} {score:g}' for name, score in own.items()) if own else f'{info.min_score:g}'


def _crop(entry: BankEntry, uri: str) -> dict[str, str]:
    cell, image = entry.cell, entry.prediction.image
    values = ', '.join(f'{key.replace("_", " ")} {reading["value"]}' for key, reading in cell.attributes.items())
    words = f'{cell.class_name}, score {cell.score:.2f}, from {image}' + (f': {values}' if values else '')
    size = '' if cell.diameter_um is None else f', {cell.diameter_um:.1f} µm'
    return dict(uri=uri, words=words + size, caption=f'{cell.score:.2f}{size} {image}')


def _image(run: Run, prediction: Prediction, pictures: Mapping[str, str], leukocytes: Sequence[str]) -> dict[str, Any]:
    height, width = prediction.size_hw
    counts = [count for count in count_types([prediction], run.info.classes) if count.n_cells]
    return dict(name=prediction.image, picture=pictures.get(prediction.image), size=f'{width} × {height}',
                n_cells=len(prediction.cells), by_type=', '.join(f'{c.class_name} {c.n_cells}' for c in counts),
                film=describe([prediction], run.info.classes, run.info.schema, leukocytes))
