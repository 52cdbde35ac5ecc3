import pytest

from mmleuk.errors import UserError
from mmleuk.report.sentence import describe
from mmleuk.schema import (
    LEUKEMIA_ATTRIBUTES,
    LEUKEMIA_CLASSES,
    TXL_PBC_CLASSES,
    WBCATT_ATTRIBUTES,
    WBCATT_CLASSES,
    AttributeSchema,
)
from mmleuk.structures.prediction import Prediction

NO_ATTRIBUTES = AttributeSchema()


def say(cells, classes=LEUKEMIA_CLASSES, schema=LEUKEMIA_ATTRIBUTES, **kwargs):
    return describe([Prediction('film.png', (60, 80), tuple(cells))], classes, schema, **kwargs)


def test_the_papers_masked_text(film):
    description = describe(film.predictions, LEUKEMIA_CLASSES, LEUKEMIA_ATTRIBUTES)
    # Values 0: 2 myeloblasts; values 1: neutrophil and 1 myeloblast, whose nucleoli are unknown: 2 to 1.
    assert description.text == (
        'Mostly myeloblasts with open or coarse chromatin and regular or irregular nuclei; nucleoli are inconspicuous, '
        'the cytoplasm is scanty or abundant with slight or moderate basophilia; vacuoles are absent or prominent.')
    assert description.evidence.startswith('4 leukocytes in 2 images; Myeloblast: 3 of 4. ')
    assert 'Nucleus inconspicuous: 2 of 3 (1 unknown)' in description.evidence
    assert (description.types, description.n_cells, description.n_images) == (('Myeloblast',), 4, 2)


@pytest.mark.parametrize(('names', 'opening'), [
    (['Myeloblast'], 'Only myeloblasts.'),
    (['Myeloblast', 'Myeloblast', 'Basophil'], 'Mostly myeloblasts.'),
    (['Myeloblast', 'Myeloblast', 'Basophil', 'Monocyte'], 'Most often myeloblasts.'),
    (['Basophil', 'Myeloblast'], 'Equally many myeloblasts and basophils.'),
    (['Basophil', 'Myeloblast', 'Monocyte'], 'Equally many myeloblasts, monocytes and basophils.'),
    (['None', 'None', 'Atypical lymphocyte'], 'Only atypical lymphocytes.'),
])
def test_shares_and_ties_of_types(cell, names, opening):
    assert say([cell(name) for name in names]).text == opening


@pytest.mark.parametrize('names', [[], ['None'], ['None', 'None']])
def test_no_leukocyte(cell, names):
    description = say([cell(name) for name in names])
    assert description.text == 'No leukocyte was found.'
    assert description.evidence == '0 leukocytes in 1 image.'
    assert describe([], LEUKEMIA_CLASSES, LEUKEMIA_ATTRIBUTES).evidence == '0 leukocytes in 0 images.'


def test_red_cells_and_platelets_are_no_leukocytes(cell):
    cells = [cell(name, classes=TXL_PBC_CLASSES) for name in ('RBC', 'RBC', 'Platelets', 'WBC')]
    assert say(cells, TXL_PBC_CLASSES, NO_ATTRIBUTES).text == '1 WBC.'
    twice = say([*cells, cell('WBC', classes=TXL_PBC_CLASSES)], TXL_PBC_CLASSES, NO_ATTRIBUTES)
    assert twice.text == '2 WBCs.', 'all of one class by necessity'
    assert say(cells, TXL_PBC_CLASSES, NO_ATTRIBUTES, leukocytes=['RBC', 'WBC']).text == 'Mostly RBCs.'
    with pytest.raises(UserError, match="'wbc': not a class of this model; known are WBC, RBC, Platelets"):
        say(cells, TXL_PBC_CLASSES, NO_ATTRIBUTES, leukocytes=['wbc'])


def test_artifacts_attributes_do_not_count(cell):
    cells = [cell('None', nucleolus=1), cell('None', nucleolus=1), cell('Basophil', nucleolus=0)]
    assert say(cells).text == 'Only basophils; nucleoli are inconspicuous.'


@pytest.mark.parametrize(('values', 'rest'), [
    (dict(nuclear_chromatin=1), ' with coarse chromatin.'),
    (dict(nuclear_shape=0), ' with regular nuclei.'),
    (dict(cytoplasm=0), '; the cytoplasm is scanty.'),
    (dict(cytoplasmic_basophilia=1), '; the cytoplasmic basophilia is moderate.'),
    (dict(cytoplasmic_vacuoles=1), '; vacuoles are prominent.'),
    (dict(nucleolus=-1), '.'),
])
def test_only_what_is_known_is_said(cell, values, rest):
    assert say([cell('Basophil', **values)]).text == 'Only basophils' + rest


def test_another_schema_gets_a_plain_clause_per_attribute(cell):
    values = dict(cell_size=1, nucleus_shape=3, granularity=0)
    text = say([cell('Eosinophil', classes=WBCATT_CLASSES, schema=WBCATT_ATTRIBUTES, **values)],
               WBCATT_CLASSES, WBCATT_ATTRIBUTES).text
    assert text == 'Only eosinophils; cell size: big, nucleus shape: segmented-bilobed, granularity: no.'
