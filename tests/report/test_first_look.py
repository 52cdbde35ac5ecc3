"""The order in which cells should be looked at, and the quality of fields."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from run_fixtures import make_cell
from sklearn.naive_bayes import CategoricalNB

from mmleuk.report.field_quality import field_quality, judge
from mmleuk.report.first_look import attribute_doubt, first_look, novelty_rank, type_entropy
from mmleuk.report.statistics import morphology_bank
from mmleuk.schema import LEUKEMIA_ATTRIBUTES, AttributeSchema
from mmleuk.structures.prediction import Cell, Prediction
from mmleuk.synthetic.film import render_film

SCHEMA = AttributeSchema.from_dict({'hue': ['red', 'blue', 'grey'], 'size': ['small', 'large']})


def cell_of(kind, *values, **kwargs):
    return make_cell(kind, classes=('a', 'b'), schema=SCHEMA, **dict(zip(SCHEMA.keys, values)), **kwargs)


def test_entropy_of_types():
    cell = Cell((0, 0, 1, 1), 0.9, 0, 'a')
    assert type_entropy(cell) == 0
    assert type_entropy(replace(cell, class_probs=(1.0, 0.0))) == 0
    assert type_entropy(replace(cell, class_probs=(0.2, 0.2))) == pytest.approx(1)  # the shares count, not the sum
    assert type_entropy(replace(cell, class_probs=(0.0, 0.0))) == 0
    assert type_entropy(replace(cell, class_probs=(0.9, 0.1))) == pytest.approx(0.469, abs=1e-3)  # in bits


def test_doubt_is_naive_bayes_without_the_cell_itself():
    """scikit-learn's, refitted without each cell in turn."""
    rng = np.random.default_rng(0)
    kinds = rng.choice(['a', 'b'], 40)
    values = np.stack([rng.integers(0, 3, 40), (rng.random(40) < np.where(kinds == 'a', 0.2, 0.9)).astype(int)], 1)
    cells = [cell_of(kind, *row) for kind, row in zip(kinds, values.tolist())]
    doubt = attribute_doubt(cells, SCHEMA)
    for index in range(40):
        rest = np.arange(40) != index
        model = CategoricalNB(alpha=1, fit_prior=False, min_categories=[3, 2]).fit(values[rest], kinds[rest])
        own = model.predict_proba(values[index:index + 1])[0, list(model.classes_).index(kinds[index])]
        assert doubt[index] == pytest.approx(1 - own)


def test_no_attributes_and_one_type_raise_no_doubt():
    assert attribute_doubt([], SCHEMA).shape == (0,)
    assert attribute_doubt([cell_of('a', 0, 0)] * 3, SCHEMA).tolist() == [0, 0, 0]
    cells = [cell_of('a', 0, 0)] * 5 + [cell_of('b', 2, 1)] * 5 + [cell_of('a'), cell_of('b', -1, -1)]
    assert attribute_doubt(cells, SCHEMA)[-2:].tolist() == [0, 0]
    assert attribute_doubt(cells, AttributeSchema()).tolist() == [0] * 12


def test_novelty_counts_only_above_the_middle():
    cells = [replace(cell_of('a'), novelty=value) for value in (5.0, 1.0, None, 3.0)]
    assert novelty_rank(cells).tolist() == [1, 0, 0, 0]
    assert novelty_rank([cell_of('a')]).tolist() == [0]


def test_equally_novel_cells_have_equal_ranks():
    """Their order in the file decided: of five equal cells the last one was "unlike the training cells"."""
    assert novelty_rank([replace(cell_of('a'), novelty=0.5)] * 5).tolist() == [0] * 5
    cells = [replace(cell_of('a'), novelty=value) for value in (1.0, 2.0, 7.0, 7.0, 1.0)]
    assert novelty_rank(cells).tolist() == [0, 0, 0.75, 0.75, 0]


def test_each_sign_brings_a_cell_up_and_is_named():
    usual = [cell_of('a', 0, 0, score=0.95)] * 20 + [cell_of('b', 2, 1, score=0.95)] * 20
    odd = [cell_of('a', 2, 1, score=0.95), cell_of('b', 2, 1, score=0.3)]
    bank = morphology_bank([Prediction('x.png', (9, 9), tuple(usual + odd))])
    first = first_look(bank, SCHEMA)
    assert {look.entry.index for look in first[:2]} == {40, 41} and len(first) == 42
    reasons = {look.entry.index: look.reasons for look in first}
    assert reasons[40] == ('its attributes are unusual for a',) and reasons[41] == ('score only 0.30',)
    assert reasons[0] == ()
    assert [look.priority for look in first] == sorted((look.priority for look in first), reverse=True)
    assert first == first_look(bank, SCHEMA) and first_look([], SCHEMA) == []


@pytest.fixture(scope='module')
def field():
    return render_film(np.random.default_rng(3), [1, 3, 5, 7], 640).image


def test_sharpness_falls_with_every_blur(field):
    found = [field_quality(field if not sigma else cv2.GaussianBlur(field, (0, 0), sigma)).sharpness
             for sigma in (0, 1, 2, 4)]
    assert found == sorted(found, reverse=True) and found[2] < 0.35 * found[0]


def test_faults_are_named(field):
    fields = {f'good {number}': field_quality(render_film(np.random.default_rng(3), [1, 3, number], 640).image)
              for number in range(4)}
    assert not any(judge(fields).values())
    blue = np.clip(field.astype(int) + [60, -20, -60], 0, 255).astype(np.uint8)
    bad = {'blurred': cv2.GaussianBlur(field, (0, 0), 4), 'almost empty': np.full((400, 500, 3), 235, np.uint8),
           'stain': blue}
    found = judge(fields | {name: field_quality(pixels) for name, pixels in bad.items()})
    for name in bad:
        assert any(name in fault for fault in found[name]), (name, found[name])
    assert judge({}) == {} and not judge({'only': fields['good 0']})['only']


def test_a_field_of_one_colour_has_figures():
    quality = field_quality(np.full((3, 5, 3), 7, np.uint8))
    assert quality.sharpness == 0 and quality.covered == 0 and quality.contrast == 0


def test_the_schema_of_a_plain_detector():
    bank = morphology_bank([Prediction('x.png', (9, 9), (make_cell('Myeloblast', score=0.4),))])
    assert first_look(bank, LEUKEMIA_ATTRIBUTES)[0].priority == pytest.approx(0.6)
