"""Hand-made cells, predictions and runs."""

import numpy as np
import pytest
from PIL import Image

from mmleuk.schema import LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES
from mmleuk.structures.prediction import Cell, Prediction, Run, RunInfo


def make_cell(class_name, *, classes=LEUKEMIA_CLASSES, schema=LEUKEMIA_ATTRIBUTES, score=0.9, box=(4., 4., 20., 24.),
              **values):
    attributes = {key: dict(value=schema.decode(key, value), value_index=value, prob=0.8 if value >= 0 else 0.0)
                  for key, value in values.items()}
    return Cell(box, score, classes.index(class_name), class_name, attributes)


def all_attributes(value):
    return dict.fromkeys(LEUKEMIA_ATTRIBUTES.keys, value)


@pytest.fixture
def cell():
    return make_cell


@pytest.fixture
def film(tmp_path):
    """A run over two images on disk: three myeloblasts, one neutrophil, one artifact; then an empty field."""
    names = ['a <b> & "c".png', 'sub/größe_ñ.png']
    (tmp_path / 'sub').mkdir()
    rng = np.random.default_rng(0)
    for name in names:
        Image.fromarray(rng.integers(0, 255, (60, 80, 3), np.uint8)).save(tmp_path / name)
    cells = (make_cell('Myeloblast', score=0.95, **all_attributes(0)),
             make_cell('Myeloblast', score=0.9, box=(30., 10., 50., 33.5), **all_attributes(0)),
             make_cell('Neutrophil', score=0.8, box=(60., 30., 90., 70.), **all_attributes(1)),
             make_cell('Myeloblast', score=0.7, box=(-5., 40., 12., 58.), **{**all_attributes(1), 'nucleolus': -1}),
             make_cell('None', score=0.6, box=(40., 40., 40., 40.)))
    predictions = (Prediction(names[0], (60, 80), cells, str(tmp_path / names[0])),
                   Prediction(names[1], (60, 80), (), str(tmp_path / names[1])))
    info = RunInfo(LEUKEMIA_CLASSES, LEUKEMIA_ATTRIBUTES, 0.25, 'mmleuk.AttriDet', 'my <config>.py', 'last.pth', 'cpu',
                   '2026-01-02T03:04:05+00:00', '0.1.0')
    return Run(info, predictions)
