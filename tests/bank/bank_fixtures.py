"""Small runs of inference to put into a bank."""

from run_fixtures import make_cell

from mmleuk.schema import LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES
from mmleuk.structures.prediction import Prediction, Run, RunInfo


def small_run(*, made='2026-01-02T03:04:05+00:00', images=('a.png', 'b.png'), score=0.9, **info):
    """Two fields: a myeloblast, a neutrophil and an artifact; then a lymphoblast."""
    cells = (make_cell('Myeloblast', score=score, nucleolus=1, cytoplasm=0),
             make_cell('Neutrophil', score=0.8, box=(30., 30., 60., 70.), nucleolus=0, cytoplasm=-1),
             make_cell('None', score=0.5, box=(50., 5., 50., 5.)))
    other = (make_cell('Lymphoblast', score=0.7, box=(1.25, 2.5, 33.75, 42.125), nucleolus=1, cytoplasm=1),)
    predictions = [Prediction(name, (100, 200), other) for name in images[1:]]
    return Run(RunInfo(LEUKEMIA_CLASSES, LEUKEMIA_ATTRIBUTES, 0.25, 'mmleuk.AttriDet', 'c.py', 'w.pth', 'cpu', made,
                       '1', **info), (Prediction(images[0], (100, 200), cells), *predictions))
