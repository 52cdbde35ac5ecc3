"""Agreement of annotators: scikit-learn's kappa, intervals, and the command on files."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from mmleuk.cli import main
from mmleuk.evaluation.agreement import agreement_of, agreements, cohen_kappa, count_pairs, kappa_interval
from mmleuk.schema import IGNORE, WBCATT_ATTRIBUTES

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(PAIRS)
def test_kappa_is_scikit_learns(pairs):
    first, second = np.array(pairs).T
    kappa = cohen_kappa(count_pairs(first, second, 4))
    if len({*first.tolist(), *second.tolist()}) == 1:
        assert kappa is None  # scikit-learn gives NaN and a warning
    else:
        assert kappa == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)


def test_kappa_and_interval_by_hand():
    """20 and 15 of 50 agree: p_o 0.7, p_e 0.5. Terms of the variance: 0.4 x 0.34^2 + 0.3 x 0.46^2 etc."""
    table = np.array([[20, 5], [10, 15]])
    assert cohen_kappa(table) == pytest.approx(0.4)
    diagonal = 0.4 * (1 - 1.1 * 0.6) ** 2 + 0.3 * (1 - 0.9 * 0.6) ** 2
    # cell (0, 1): 5 of 50, second says 0 in 0.6, first says 1 in 0.5; cell (1, 0): 10 of 50, 0.4 and 0.5
    others = 0.36 * (0.1 * (0.6 + 0.5) ** 2 + 0.2 * (0.4 + 0.5) ** 2)
    error = np.sqrt((diagonal + others - (0.4 - 0.5 * 0.6) ** 2) / 50) / 0.5
    assert kappa_interval(table) == (pytest.approx(0.4 - 1.95996 * error, abs=1e-5),
                                     pytest.approx(0.4 + 1.95996 * error, abs=1e-5))


def test_interval_covers_the_true_kappa():
    """Of 400 drawn tables about 95% have an interval with the true kappa of their population."""
    shares = np.array([[0.4, 0.1], [0.05, 0.45]])
    truth, generator = cohen_kappa((shares * 1000).round()), np.random.default_rng(0)
    hit = 0
    for _ in range(400):
        low, high = kappa_interval(generator.multinomial(200, shares.ravel()).reshape(2, 2))
        hit += low <= truth <= high
    assert 0.92 <= hit / 400 <= 0.98


@pytest.mark.parametrize('table', [[[2, 0], [0, 1]], [[0, 1], [0, 0]], [[3, 2], [0, 0]], [[0, 4], [4, 0]]])
def test_kappa_without_an_error_has_no_interval(table):
    """Where nobody disagrees, everybody does, or one says the same of all: the formula would make two cells certain."""
    assert cohen_kappa(np.array(table)) is not None and kappa_interval(np.array(table)) is None


def test_kappas_intervals_are_not_empty_in_small_samples():
    """Of 400 tables of 8 pairs one third had an interval without width; those that are given cover the true kappa."""
    shares = np.array([[0.5, 0.05], [0.05, 0.4]])
    truth, generator = cohen_kappa((shares * 1000).round()), np.random.default_rng(0)
    found = [kappa_interval(generator.multinomial(8, shares.ravel()).reshape(2, 2)) for _ in range(400)]
    given = [limits for limits in found if limits is not None]
    assert 100 < len(given) < 300 and all(high > low for low, high in given)
    assert np.mean([low <= truth <= high for low, high in given]) > 0.9


def test_unknown_values_are_left_out():
    found = agreement_of('hue', np.array([0, 1, IGNORE, 1]), np.array([0, IGNORE, 1, 0]), 2)
    assert (found.n, found.agreed, found.rate) == (2, 1, 0.5)


def test_nothing_known_has_no_rate():
    unknown = np.full((3, 1), IGNORE)
    each, pooled = agreements(['hue'], [2], unknown, unknown)
    assert (each.n, each.rate, each.kappa, each.kappa_interval, each.rate_interval) == (0, None, None, None, None)
    assert (pooled.n, pooled.rate, pooled.rate_interval) == (0, None, None)


def test_pooled_rate_is_the_share_of_all_values():
    """As the paper counts: 10,569 of 11,000 are 96.1%."""
    first = np.zeros((1000, 11), int)
    second = first.copy()
    second.flat[np.random.default_rng(0).choice(11000, 431, replace=False)] = 1
    pooled = agreements([str(key) for key in range(11)], [2] * 11, first, second)[-1]
    assert (pooled.key, pooled.n, pooled.agreed) == ('all', 11000, 10569)
    assert pooled.rate_interval[0] < 0.9608 < pooled.rate_interval[1]


def test_images_without_a_pair_do_not_widen_the_pooled_interval():
    first = np.full((12, 2), IGNORE)
    first[:4] = [[0, 0], [1, 0], [1, 1], [0, 1]]
    second = first.copy()
    whole = agreements(['a', 'b'], [2, 2], first, second)[-1]
    assert whole.rate == 1 and whole.rate_interval == (1, 1)  # draws without a pair counted as a rate of 0
    second[0] = 1 - first[0]
    found, alone = (agreements(['a', 'b'], [2, 2], first[:n], second[:n])[-1] for n in (12, 4))
    assert found.rate_interval == alone.rate_interval


HEADER = ['img_name', 'label', *WBCATT_ATTRIBUTES.keys]
VALUES = [attribute.values[0] for attribute in WBCATT_ATTRIBUTES.attributes]


def write(path, rows):
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(rows)
    return str(path)


def test_command_on_two_tables(tmp_path, capsys):
    first = write(tmp_path / 'a.csv', [['1.jpg', 'Monocyte', *VALUES], ['2.jpg', 'Monocyte', *VALUES],
                                       ['3.jpg', 'Monocyte', *VALUES]])
    other = [*VALUES]
    other[0] = 'big'
    second = write(tmp_path / 'b.csv', [['2.jpg', 'Monocyte', *other], ['1.jpg', 'Monocyte', *VALUES]])
    assert main(['data', 'agree', first, second, '--out', str(tmp_path / 'agreement.csv')]) == 0
    printed = capsys.readouterr().out
    assert '2 images in both; 1 image of a.csv left out' in printed
    rows = {row['attribute']: row for row in csv.DictReader(open(tmp_path / 'agreement.csv'))}
    assert list(rows) == [*WBCATT_ATTRIBUTES.keys, 'all']
    assert (rows['cell_size']['n'], rows['cell_size']['rate'], rows['cell_size']['kappa']) == ('2', '0.5', '0.0')
    assert (rows['all']['n'], rows['all']['agreed'], rows['cell_shape']['kappa']) == ('22', '21', '')


@pytest.mark.parametrize('change, message', [
    (lambda rows: rows[1].__setitem__(2, 'hug'), "row 3: attribute 'cell_size' has the value 'hug'"),
    (lambda rows: rows[1].__setitem__(0, '1.jpg'), "row 3: '1.jpg' has a row already, 2"),
    (lambda rows: rows.clear(), 'has no row'),
    (lambda rows: [row.__setitem__(0, f'x{row[0]}') for row in rows], 'have no image in common')])
def test_bad_tables_are_one_line_and_write_nothing(tmp_path, capsys, change, message):
    rows = [['1.jpg', 'Monocyte', *VALUES], ['2.jpg', 'Monocyte', *VALUES]]
    good = write(tmp_path / 'a.csv', rows)
    change(rows)
    bad, out = write(tmp_path / 'b.csv', rows), tmp_path / 'out.csv'
    assert main(['data', 'agree', good, bad, '--out', str(out)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1 and not out.exists()


def test_misspelt_attribute_names_the_nearest(tmp_path, capsys):
    table = write(tmp_path / 'a.csv', [['1.jpg', 'Monocyte', *VALUES]])
    assert main(['data', 'agree', table, table, '--attributes', 'cell_sise']) == 2
    assert "did you mean 'cell_size'?" in capsys.readouterr().err
