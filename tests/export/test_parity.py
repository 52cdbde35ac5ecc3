"""The check between a torch model and its exported file, on cells made by hand."""

from dataclasses import dataclass, replace
from math import inf, nan

import pytest

from mmleuk.export.parity import compare
from mmleuk.structures.prediction import Cell, Prediction

CELL = Cell((1.0, 1.0, 6.0, 6.0), 0.9, 0, 'Blast', probabilities={'shape': (0.25, 0.75)}, class_probs=(0.9,),
            novelty=2.0, diameter_um=5.0)


@dataclass
class Finder:
    """Finds the same cell in every image."""

    cell: Cell
    min_score = 0.25
    min_scores = {}

    def predict(self, paths):
        return [Prediction(str(path), (10, 10), (self.cell,)) for path in paths]


def test_the_same_cell_agrees():
    assert compare(Finder(CELL), Finder(CELL), ['a.png', 'b.png']).holds
    assert not compare(Finder(CELL), Finder(replace(CELL, score=0.8999)), ['a.png']).unmatched


@pytest.mark.parametrize('change', [
    dict(score=nan), dict(box=(1.0, 1.0, nan, 6.0)), dict(box=(nan, 1.0, 6.0, 6.0)), dict(class_probs=(nan,)),
    dict(probabilities={'shape': (nan, nan)}), dict(novelty=nan), dict(diameter_um=nan), dict(diameter_um=inf),
    dict(novelty=None), dict(score=0.8)])
def test_a_number_that_is_none_is_a_difference(change):
    """Python's max() of a number and NaN is the number."""
    other = Finder(replace(CELL, **change))
    assert not compare(Finder(CELL), other, ['a.png']).holds
    assert not compare(other, Finder(CELL), ['a.png']).holds
