"""A rendered film in a bank: the predictions are the truth, but for one cell that is missing and three wrong types."""

import json
from pathlib import Path

from mmleuk import cli
from mmleuk.bank.adding import add_run
from mmleuk.bank.connection import Bank
from mmleuk.schema import LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES
from mmleuk.structures.prediction import AttributeReading, Cell, Prediction, Run, RunInfo

CHROMIUM = '/usr/bin/chromium'
FILM = 'F <i>1</i>'


def render_films(folder, size=320, train=4, cells=(4, 6), seed=3):
    """Render films as a user does; returns the content of the training file."""
    words = ['data', 'synthesize', folder, '--train', train, '--test', 2, '--size', size, '--cells', *cells,
             '--empty-share', 0, '--unknown-share', 0, '--seed', seed, '--workers', 1]
    assert cli.main([str(word) for word in words]) == 0
    return json.loads((Path(folder) / 'annotations/train.json').read_text())


def film_run(truth, images, wrong=3):
    """Predictions of a film: cells as in the truth, without the last one, and the first ones' types wrong."""
    predictions, number = [], 0
    for image in truth['images']:
        cells = []
        for entry in [one for one in truth['annotations'] if one['image_id'] == image['id']]:
            label = entry['category_id'] - min(one['id'] for one in truth['categories'])
            label = (label + 1) % len(LEUKEMIA_CLASSES) if number < wrong else label
            x, y, width, height = entry['bbox']
            readings = {key: AttributeReading(value=LEUKEMIA_ATTRIBUTES.decode(key, value), value_index=value, prob=0.9)
                        for key in LEUKEMIA_ATTRIBUTES.keys
                        for value in [LEUKEMIA_ATTRIBUTES.encode(key, entry.get('attributes', entry).get(key))]
                        if value >= 0}
            cells.append(Cell((x, y, x + width, y + height), 0.3 if number < wrong else 0.9, label,
                              LEUKEMIA_CLASSES[label], readings))
            number += 1
        kept = cells[:-1] if image is truth['images'][-1] else cells
        predictions.append(Prediction(image['file_name'], (image['height'], image['width']), tuple(kept),
                                      str(images / image['file_name'])))
    info = RunInfo(LEUKEMIA_CLASSES, LEUKEMIA_ATTRIBUTES, 0.25, 'mmleuk.AttriDet', 'c.py', 'w.pth', 'cpu',
                   '2026-01-02T03:04:05+00:00', '1')
    return Run(info, tuple(predictions))


def make_bank(where, run, film=FILM):
    """A bank with this run as one film."""
    bank = Bank(where, create=True)
    add_run(bank, run, {prediction.image: film for prediction in run.predictions}, 'a' * 64, 'predictions.json')
    return bank
