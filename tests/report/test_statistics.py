import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmleuk.errors import UserError
from mmleuk.report.statistics import (
    attribute_distributions,
    count_types,
    morphology_bank,
    typical_by_type,
    typical_cells,
)
from mmleuk.schema import LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES, AttributeSchema, leukocyte_classes
from mmleuk.structures.prediction import Cell, Prediction

CLASSES = ('Blast', 'RBC', 'None')
SCHEMA = AttributeSchema.from_dict({'size': ['small', 'big'], 'hue': ['red', 'blue', 'grey']})


@st.composite
def cells(draw):
    label = draw(st.integers(0, 2))
    attributes = {}
    for key, count in zip(SCHEMA.keys, SCHEMA.cardinalities):
        if draw(st.booleans()):
            value = draw(st.integers(-1, count - 1))
            attributes[key] = dict(value=SCHEMA.decode(key, value), value_index=value, prob=0.5)
    return Cell((0., 0., 1., 1.), draw(st.floats(0, 1)), label, CLASSES[label], attributes)


films = st.lists(st.lists(cells(), max_size=6), max_size=4).map(
    lambda fields: [Prediction(f'{i}.png', (8, 8), tuple(found)) for i, found in enumerate(fields)])


@given(films)
def test_counts_add_up(predictions):
    total = sum(len(p.cells) for p in predictions)
    counts = count_types(predictions, CLASSES)
    assert sum(c.n_cells for c in counts) == total
    assert all(c.n_images <= min(c.n_cells, len(predictions)) for c in counts)
    bank = morphology_bank(predictions)
    assert len(bank) == total
    distributions = attribute_distributions([entry.cell for entry in bank], SCHEMA)
    assert all(d.n + d.unknown == total for d in distributions)
    assert all(bool(d.most_frequent) == bool(d.n) for d in distributions)
    by_type = typical_by_type(predictions, CLASSES, SCHEMA, limit=100)
    assert {name: len(entries) for name, entries in by_type.items()} == {
        c.class_name: c.n_cells for c in counts if c.n_cells}


@given(films)
def test_called_twice(predictions):
    bank = morphology_bank(predictions)
    assert typical_cells(bank, SCHEMA, 3) == typical_cells(bank, SCHEMA, 3)
    assert typical_cells(bank, SCHEMA, 3) == typical_cells(bank, SCHEMA, 100)[:3]


def test_counted_by_hand(film):
    counts = {c.class_name: (c.n_cells, c.n_images) for c in count_types(film.predictions, LEUKEMIA_CLASSES)}
    assert len(counts) == 14
    assert {name: n for name, n in counts.items() if n[0]} == {
        'Myeloblast': (3, 1), 'Neutrophil': (1, 1), 'None': (1, 1)}
    nucleolus = attribute_distributions(film.cells, LEUKEMIA_ATTRIBUTES)[2]
    # The artifact has no attributes, one myeloblast an unknown one.
    assert (nucleolus.counts, nucleolus.unknown, nucleolus.n) == ((2, 1), 2, 3)
    assert nucleolus.most_frequent == ('inconspicuous',)


def test_typical_cells_share_the_usual_values_then_score(cell):
    odd = cell('Basophil', score=0.99, nucleolus=1)
    faint, clear = cell('Basophil', score=0.4, nucleolus=0), cell('Basophil', score=0.6, nucleolus=0)
    bank = morphology_bank([Prediction('a.png', (9, 9), (odd, faint, clear))])
    assert [e.cell for e in typical_cells(bank, LEUKEMIA_ATTRIBUTES, 3)] == [clear, faint, odd]
    assert [e.cell for e in typical_cells(bank, AttributeSchema(), 3)] == [odd, clear, faint]


def test_leukocyte_classes():
    assert leukocyte_classes(LEUKEMIA_CLASSES) == LEUKEMIA_CLASSES[1:]
    assert leukocyte_classes(('WBC', 'RBC', 'Platelets', 'Artifact')) == ('WBC',)
    plurals = ('Leukocytes', 'RBCs', 'Erythrocytes', 'Red blood cells', 'red_cells', 'RedBloodCell', 'Thrombocytes',
               'PLT', 'giant platelets', 'NRBC', 'Artefacts', 'none')
    assert leukocyte_classes(plurals) == ('Leukocytes',)
    assert leukocyte_classes(('WBCs', 'Atypical lymphocyte', 'Mitosis')) == ('WBCs', 'Atypical lymphocyte', 'Mitosis')
    assert leukocyte_classes(CLASSES, ['None', 'Blast']) == ('Blast', 'None')
    with pytest.raises(UserError, match='not a class of this model'):
        leukocyte_classes(CLASSES, ['Blasts'])
