"""Concept bottlenecks: scikit-learn's probabilities, what attributes contribute, and edits that can be taken back."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmleuk.errors import UserError
from mmleuk.explain import Bottleneck, ExplainedCell, parse_edits
from mmleuk.explain.fitting import boosted_model, fit_bottleneck, flat_concepts, linear_model
from mmleuk.schema import AttributeSchema, SchemaError

SCHEMA = AttributeSchema.from_dict({'granule_colour': ['nil', 'pink', 'purple'], 'ring': ['no', 'yes'],
                                    'texture': ['clear', 'light frosted']})
TYPES = ('Basophil', 'Monocyte', 'Neutrophil')


def concepts_and_types(count, classes=3, seed=0):
    """Probabilities (N, 7) whose granule colour follows the type."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count)
    sharp = np.zeros((count, 3, 3))
    for row, label in enumerate(labels):
        sharp[row, 0] = generator.dirichlet(np.eye(3)[(label + 2) % 3] * 6 + 0.3)
        sharp[row, 1, :2] = generator.dirichlet([1, 1])
        sharp[row, 2, :2] = generator.dirichlet([2, 1 + label])
    return flat_concepts(sharp, SCHEMA), [TYPES[label] for label in labels]


@pytest.mark.parametrize('classes', [2, 3])
@pytest.mark.parametrize('kind, model', [('linear', linear_model), ('boosted', boosted_model)])
def test_probabilities_are_scikit_learns(kind, model, classes):
    concepts, types = concepts_and_types(300, classes)
    found = fit_bottleneck(kind, concepts, types, SCHEMA, seed=3)
    reference = model(3).fit(concepts, types)
    others, _ = concepts_and_types(200, classes, seed=1)
    assert found.types == tuple(reference.classes_)
    np.testing.assert_allclose(found.probabilities(others), reference.predict_proba(others), atol=1e-12)
    assert [found.types[i] for i in found.scores(others).argmax(1)] == reference.predict(others).tolist()


def test_the_papers_settings():
    linear, boosted = linear_model(0).get_params(), boosted_model(0).get_params()
    assert (linear['max_iter'], linear['loss'], linear['penalty']) == (1000, 'log_loss', 'l1')
    assert (boosted['n_estimators'], boosted['learning_rate'], boosted['max_depth']) == (256, 1, 1)


@pytest.mark.parametrize('kind', ['linear', 'boosted'])
def test_contributions_add_up_and_a_file_gives_the_same_numbers(tmp_path, kind):
    concepts, types = concepts_and_types(200)
    found = fit_bottleneck(kind, concepts, types, SCHEMA)
    again = Bottleneck.from_json(found.to_json(tmp_path / 'bottleneck.json'))
    assert np.array_equal(again.probabilities(concepts), found.probabilities(concepts))
    np.testing.assert_allclose(found.intercepts + found.contributions(concepts).sum(2), found.scores(concepts))
    assert found.probabilities(concepts[:0]).shape == (0, 3)


def by_hand(kind='linear'):
    """Pink speaks for neutrophils, purple for basophils, no colour for monocytes; rings say nothing."""
    weights = np.zeros((3, 7))
    weights[0, 2], weights[1, 0], weights[2, 1], weights[2, 5] = 4, 4, 4, 1
    return Bottleneck(kind, TYPES, SCHEMA, np.array([-1.0, -1.0, -1.0]), weights)


def cell(concepts=(0.1, 0.7, 0.2, 0.6, 0.4, 0.5, 0.5), bottleneck=None):
    return ExplainedCell('cell.png', 'cell.png', None, np.array(concepts), bottleneck or by_hand())


def test_weight_times_value_by_hand():
    shown = cell()
    assert shown.contributions('Neutrophil') == pytest.approx(dict(granule_colour=2.8, ring=0.0, texture=0.5))
    sigmoids = 1 / (1 + np.exp(-np.array([-0.2, -0.6, 2.3])))
    assert shown.type_probabilities == pytest.approx(sigmoids / sigmoids.sum())
    assert (shown.type_name, shown.contributions()) == ('Neutrophil', shown.contributions('Neutrophil'))
    with pytest.raises(UserError, match="unknown type 'Blast'"):
        shown.contributions('Blast')


def test_an_edit_changes_the_answer_and_taking_it_back_restores_it_exactly():
    shown = cell()
    purple = shown.edit(granule_colour='purple')
    assert purple.type_name == 'Basophil'
    assert purple.edited_concepts.tolist() == [0, 0, 1, 0.6, 0.4, 0.5, 0.5]
    back = purple.edit(granule_colour='pink')
    assert back.edits == {} and np.array_equal(back.type_probabilities, shown.type_probabilities)
    assert shown.concepts.tolist() == [0.1, 0.7, 0.2, 0.6, 0.4, 0.5, 0.5]  # the cell itself never changes


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 1), min_size=7, max_size=7),
       st.lists(st.tuples(st.sampled_from(SCHEMA.keys), st.integers(0, 2)), max_size=6),
       st.sampled_from(['linear', 'boosted']))
def test_predicted_values_change_nothing_and_any_edits_can_be_taken_back(numbers, edits, kind):
    shown = cell(numbers, FITTED[kind])
    same = shown.edit(shown.predicted)
    assert same.edits == {} and np.array_equal(same.type_probabilities, shown.type_probabilities)
    edited = shown
    for key, value in edits:
        edited = edited.edit({key: min(value, len(SCHEMA[key].values) - 1)})
    back = edited.edit(shown.predicted)
    assert np.array_equal(back.type_probabilities, shown.type_probabilities) and back.values == shown.values
    assert edited.type_probabilities.sum() == pytest.approx(1)


FITTED = {kind: fit_bottleneck(kind, *concepts_and_types(150), SCHEMA) for kind in ('linear', 'boosted')}


@pytest.mark.parametrize('text, message', [
    ('granule_color=pink', "did you mean 'granule_colour'?"), ('granule_colour=pinc', "did you mean 'pink'?"),
    ('granule_colour', 'expected ATTRIBUTE=VALUE'), ('ring=', 'needs a value'), ('=pink', 'unknown attribute')])
def test_bad_edits_name_the_nearest(text, message):
    with pytest.raises(UserError) as error:
        parse_edits([text], SCHEMA)
    assert message in str(error.value)


def test_edits_are_read_by_name_alias_and_capitals():
    assert parse_edits(['ring=YES', 'texture=light frosted'], SCHEMA) == dict(ring=1, texture=1)
    with pytest.raises(UserError, match='twice'):
        parse_edits(['ring=yes', 'ring=no'], SCHEMA)
    with pytest.raises(SchemaError):
        cell().edit(colour='pink')


def test_bad_files_and_data(tmp_path):
    path = tmp_path / 'bottleneck.json'
    path.write_text('{}')
    with pytest.raises(UserError, match='not a concept bottleneck'):
        Bottleneck.from_json(path)
    data = by_hand().to_dict()
    data['weights'] = data['weights'][:2]
    path.write_text(json.dumps(data))
    with pytest.raises(UserError, match='broken concept bottleneck .weights of shape'):
        Bottleneck.from_json(path)
    with pytest.raises(UserError, match='at least two'):
        fit_bottleneck('linear', np.zeros((2, 7)), ['Monocyte'] * 2, SCHEMA)
    with pytest.raises(UserError, match='unknown bottleneck'):
        fit_bottleneck('deep', *concepts_and_types(9), SCHEMA)
    with pytest.raises(UserError, match='reads 7 probabilities'):
        by_hand().probabilities(np.zeros((1, 6)))
