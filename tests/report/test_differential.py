"""Intervals against hand-worked values and simulated films; what the words say."""

import math

import numpy as np
import pytest
from run_fixtures import make_cell

from mmleuk.errors import UserError
from mmleuk.report.differential import (
    blasts_in_words,
    differential,
    is_blast,
    order_in_words,
    worth,
)
from mmleuk.report.intervals import joint_intervals, share_interval, widest_error
from mmleuk.schema import LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES, leukocyte_classes
from mmleuk.structures.prediction import Prediction

LEUKOCYTES = leukocyte_classes(LEUKEMIA_CLASSES)


def of(*counts, **kwargs):
    """A differential of so many cells per type, in two images."""
    cells = [make_cell(name, nucleolus=index % 2) for name, count in counts for index in range(count)]
    images = [Prediction('a.png', (9, 9), tuple(cells[::2])), Prediction('b.png', (9, 9), tuple(cells[1::2]))]
    return differential(images, LEUKOCYTES, LEUKEMIA_ATTRIBUTES, **kwargs)


@pytest.mark.parametrize(('count', 'n'), [(0, 10), (3, 10), (10, 10), (81, 263), (1, 1)])
def test_wilsons_interval_solves_its_equation(count, n):
    """The bounds are the shares p with |share - p| = z sqrt(p (1 - p) / n), Wilson 1927."""
    z = 1.959963984540054
    polynomial = [1 + z * z / n, -(2 * count / n + z * z / n), (count / n) ** 2]
    assert share_interval(count, n) == pytest.approx(sorted(np.roots(polynomial).real.clip(0, 1)), abs=1e-9)


def test_nothing_counted_says_nothing():
    assert share_interval(0, 0) == (0.0, 1.0)
    assert joint_intervals([]) == [] and joint_intervals([0, 0]) == [(0.0, 1.0)] * 2


def test_joint_intervals_are_goodmans():
    """Goodman 1965, with the upper 0.05 / 7 point of chi-square for seven shares."""
    counts = [56, 72, 73, 59, 62, 87, 58]
    chi2, n = 7.2376, sum(counts)  # of one degree of freedom
    for count, found in zip(counts, joint_intervals(counts)):
        half = math.sqrt(chi2 * (chi2 + 4 * count * (n - count) / n))
        assert found == pytest.approx([(chi2 + 2 * count - half) / (2 * (n + chi2)),
                                       (chi2 + 2 * count + half) / (2 * (n + chi2))], abs=2e-4)


def test_few_cells_have_poissons_bound():
    """Of one cell: the mean m with 1 - exp(-m) = 0.05 / 2 is 0.0253."""
    (low, _), (_, high) = joint_intervals([1, 99])
    assert low == pytest.approx(-math.log(1 - 0.025) / 100) and high == pytest.approx(1 - low)


def test_intervals_hold_the_truth_in_95_of_100_films():
    """1,000 films of 20 to 400 leukocytes with types as uneven as in real blood."""
    rng = np.random.default_rng(0)
    held, together, blasts = [], [], []
    for _ in range(1000):
        true = rng.dirichlet([8, 4, 2, 1, 1, 0.5])
        counts = rng.multinomial(rng.integers(20, 400), true)
        bounds = np.array([share_interval(int(count), int(counts.sum())) for count in counts])
        held.append(((bounds[:, 0] <= true) & (true <= bounds[:, 1])).mean())
        joint = np.array(joint_intervals(counts.tolist()))
        together.append(bool(((joint[:, 0] <= true) & (true <= joint[:, 1])).all()))
        low, high = share_interval(int(counts[:2].sum()), int(counts.sum()))
        blasts.append(low <= true[:2].sum() <= high)
    assert 0.93 <= np.mean(held) <= 0.97
    assert 0.93 <= np.mean(blasts) <= 0.97
    assert 0.93 <= np.mean(together) <= 0.97


def test_counts_shares_and_the_cells_behind_them():
    found = of(('Myeloblast', 3), ('Neutrophil', 5), ('None', 4))
    assert (found.n, found.n_images) == (8, 2)
    assert [(one.name, one.share.count) for one in found.types[:3]] == [
        ('Neutrophil', 5), ('Myeloblast', 3), ('Lymphoblast', 0)]
    assert found.types[0].share.share == 5 / 8
    assert {entry.cell.class_name for entry in found.types[0].share.entries} == {'Neutrophil'}
    assert len({(e.prediction.image, e.index) for e in found.types[0].share.entries}) == 5
    nucleolus = found.types[1].attributes[2]
    assert nucleolus.counts == (2, 1) and nucleolus.n == 3
    assert found.blasts.count == 3 and found.blast_types == ('Myeloblast', 'Lymphoblast', 'Monoblast')
    assert sum(one.share.count for one in found.types) == found.n


def test_blasts_by_name_or_as_chosen():
    assert [name for name in LEUKEMIA_CLASSES if is_blast(name)] == ['Myeloblast', 'Lymphoblast', 'Monoblast']
    assert not is_blast('Erythroblast') and is_blast('blast cells')
    assert of(('Promonocyte', 2), ('Neutrophil', 2), blasts=['Promonocyte']).blasts.count == 2
    with pytest.raises(UserError, match='Platelet'):
        of(('Neutrophil', 1), blasts=['Platelet'])
    plain = differential([Prediction('a.png', (9, 9), (make_cell('WBC', classes=('WBC', 'RBC')),))], ['WBC'],
                         LEUKEMIA_ATTRIBUTES)
    assert plain.blasts is None and blasts_in_words(plain) == ''


@pytest.mark.parametrize(('n', 'level'), [(0, 'very few'), (1, 'very few'), (29, 'very few'), (30, 'few'), (99, 'few'),
                                          (100, ''), (5000, '')])
def test_what_a_number_of_cells_is_worth(n, level):
    assert worth(n)[0] == level
    assert str(n) in worth(n)[1] or n == 0
    assert ('Do not use' in worth(n)[1]) == (0 < n < 30)


def test_words_follow_the_intervals():
    assert 'leave open' in blasts_in_words(of(('Myeloblast', 5), ('Neutrophil', 15)))
    assert 'a person has to look at these cells soon' in blasts_in_words(of(('Myeloblast', 18), ('Neutrophil', 2)))
    few = blasts_in_words(of(('Myeloblast', 1), ('Neutrophil', 199)))
    assert '1 of 200, 0.5% (95% interval 0.1 to 2.8%)' in few and 'however few' in few
    none = blasts_in_words(of(('Neutrophil', 200)))
    assert '0 of 200' in none and 'person' not in none
    assert blasts_in_words(of()) == ''
    assert order_in_words(of(('Myeloblast', 11), ('Neutrophil', 9))) == (
        'Too few cells to say which is more frequent: Myeloblast or Neutrophil.')
    assert order_in_words(of(('Myeloblast', 190), ('Neutrophil', 10))) == ''


def test_more_cells_less_doubt():
    errors = [widest_error(n) for n in range(1, 300)]
    assert all(after <= before + 0.02 for before, after in zip(errors, errors[1:]))
    assert errors[-1] < 0.06 < errors[50] < errors[0] < 0.5
