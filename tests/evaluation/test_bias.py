"""Errors per attribute value: counts by hand, what is found and what isn't, and the command on files."""

import csv
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy.stats import fisher_exact, hypergeom
from sklearn.linear_model import LogisticRegression

from mmleuk.cli import main
from mmleuk.errors import UserError
from mmleuk.evaluation.bias import ALL, ValueRate, findings, training_counts, value_rates
from mmleuk.evaluation.proportions import benjamini_hochberg, exact_p, wilson_interval
from mmleuk.report.bias_page import bias_sentences
from mmleuk.schema import IGNORE, AttributeSchema

SCHEMA = AttributeSchema.from_dict({'hue': ['pink', 'red', 'blue'], 'ring': ['no', 'yes'], 'size': ['small', 'big']})


def population(generator, count, blue):
    """Types, values and two measured features of cells.

    In blue cells the first feature points the other way: a classifier that saw few of them gets them wrong.
    """
    types = generator.integers(0, 2, count)
    hue = np.where(generator.uniform(size=count) < blue, 2, generator.integers(0, 2, count))
    values = np.stack([hue, *generator.integers(0, 2, (2, count))], 1)
    signal = (2 * types - 1) * np.where(hue == 2, -1, 1)
    measured = np.stack([1.5 * signal + generator.normal(size=count), (hue == 2).astype(float)], 1)
    return np.array(['APL', 'other'])[types], values, np.column_stack([measured, measured[:, 0] * measured[:, 1]])


def predictions(generator, blue_in_training):
    """True types, those of a classifier that was trained on other cells, and attribute values, of 600 cells."""
    types, _, features = population(generator, 600, blue_in_training)
    classifier = LogisticRegression(C=0.05).fit(features, types)
    types, values, features = population(generator, 600, 0.3)
    return types, classifier.predict(features), values


def test_a_value_that_is_rare_in_training_is_found():
    for seed in range(5):
        truth, predicted, values = predictions(np.random.default_rng(seed), 0.01)
        found = findings(value_rates(truth, predicted, values, SCHEMA), 0.05)
        assert {(rate.scope, rate.key, rate.value) for rate in found} >= {
            (scope, 'hue', 'blue') for scope in (ALL, 'APL', 'other')}
        assert found[0].value == 'blue' and found[0].rate > 0.7 > found[0].other_rate


def test_false_alarms_over_200_random_splits():
    """Without an effect of any attribute at most the stated share of splits has a finding."""
    alarms = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        types, _, features = population(generator, 800, 0.0)
        values = np.stack([generator.integers(0, 3, 800), *generator.integers(0, 2, (2, 800))], 1)
        test = generator.permutation(800) < 300
        classifier = LogisticRegression().fit(features[~test][:, :1], types[~test])
        predicted = classifier.predict(features[test][:, :1])
        alarms += bool(findings(value_rates(types[test], predicted, values[test], SCHEMA), 0.05))
    assert alarms <= 0.05 * 200


def test_counts_by_hand():
    truth = ['a', 'a', 'a', 'b', 'b']
    predicted = ['a', 'b', 'b', 'b', 'a']
    values = np.array([[0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, IGNORE], [IGNORE, 0, 1]])
    rates = {(rate.scope, rate.key, rate.value): rate for rate in value_rates(truth, predicted, values, SCHEMA)}
    assert len(rates) == 3 * 7
    pink = rates[ALL, 'hue', 'pink']
    assert (pink.n, pink.errors, pink.other_n, pink.other_errors) == (2, 0, 2, 2)  # one hue is unknown
    red = rates['a', 'hue', 'red']
    assert (red.n, red.errors, red.rate, red.other_rate) == (2, 2, 1.0, 0.0)
    assert red.interval == pytest.approx(wilson_interval(2, 2))
    never = rates['b', 'hue', 'blue']
    assert (never.n, never.rate, never.interval, never.p) == (0, None, None, 1.0)


def test_exact_p_by_the_hypergeometric_distribution():
    """8 of 10 against 1 of 6: all tables with these sums that are no likelier."""
    chances = hypergeom(16, 9, 10).pmf(np.arange(11))
    assert exact_p(8, 10, 1, 6) == pytest.approx(chances[chances <= chances[8] * (1 + 1e-7)].sum())
    assert exact_p(8, 10, 1, 6) == pytest.approx(fisher_exact([[8, 2], [1, 5]]).pvalue)


def test_benjamini_hochberg_by_hand():
    """Sorted 0.01, 0.03, 0.04, 0.5 times 4/1, 4/2, 4/3, 4/4; from the largest on never rising."""
    assert benjamini_hochberg([0.04, 0.01, 0.5, 0.03]) == pytest.approx([0.16 / 3, 0.04, 0.5, 0.16 / 3])
    assert benjamini_hochberg([]) == []


def test_a_binary_attribute_is_one_test():
    """Both values have the same p and q, and q is not larger because there are two rows."""
    schema = AttributeSchema.from_dict({'ring': ['no', 'yes']})
    values = np.repeat([[0], [1]], 20, 0)
    truth, predicted = ['a'] * 40, ['a'] * 18 + ['b'] * 2 + ['a'] * 8 + ['b'] * 12
    no, yes = value_rates(truth, predicted, values, schema, types=[])
    assert no.p == yes.p == no.q == yes.q == pytest.approx(exact_p(12, 20, 2, 20))
    assert (no.is_finding(0.05), yes.is_finding(0.05)) == (False, True)  # the one with more errors


def test_values_with_equal_counts_are_different_tests():
    """Pink and red have 3 errors of 10 each, blue 9 of 10: three tests, of which blue's has the smallest p."""
    schema = AttributeSchema.from_dict({'hue': ['pink', 'red', 'blue', 'grey', 'black']})
    predicted = (['a'] * 7 + ['b'] * 3) * 2 + ['a'] + ['b'] * 9
    rates = value_rates(['a'] * 30, predicted, np.repeat([[0], [1], [2]], 10, 0), schema, types=[])
    pink, blue = exact_p(3, 10, 12, 20), exact_p(9, 10, 6, 20)
    # a value without cells has nothing to compare; both such values are the same comparison of nothing with all
    assert [rate.q for rate in rates] == pytest.approx([*benjamini_hochberg([pink, pink, blue, 1.0])[:3], 1, 1])
    assert rates[2].q == pytest.approx(4 * blue)


def test_training_counts():
    counts = training_counts(['a', 'a', 'b'], np.array([[0, 1, 0], [2, 1, 1], [2, IGNORE, 0]]), SCHEMA)
    assert (counts[ALL, 'hue', 'blue'], counts['b', 'hue', 'blue'], counts['b', 'ring', 'yes']) == (2, 1, 0)


def test_all_unknown_is_no_finding():
    rates = value_rates(['a', 'b'], ['b', 'b'], np.full((2, 3), IGNORE), SCHEMA)
    assert not findings(rates, 0.05) and {rate.n for rate in rates} == {0}
    with pytest.raises(UserError, match="no cell has the true type 'c'"):
        value_rates(['a', 'b'], ['b', 'b'], np.zeros((2, 3), int), SCHEMA, types=['c'])


def write(path, header, rows):
    with open(path, 'w', newline='', encoding='utf-8') as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def tables(folder):
    """Predictions, attributes in another order and training cells as files."""
    generator = np.random.default_rng(3)
    truth, predicted, values = predictions(generator, 0.01)
    names = [f'{number}.jpg' for number in range(len(truth))]
    words = [[SCHEMA.decode(key, value) for key, value in zip(SCHEMA.keys, row)] for row in values.tolist()]
    attributes = [[name, *row] for name, row in zip(names, words)]
    labels, seen, _ = population(np.random.default_rng(4), 100, 0.01)
    training = [[f't{number}.jpg', label, *[SCHEMA.decode(key, value) for key, value in zip(SCHEMA.keys, row)]]
                for number, (label, row) in enumerate(zip(labels, seen.tolist()))]
    return (write(folder / 'predictions.csv', ['img_name', 'label', 'predicted'], zip(names, truth, predicted)),
            write(folder / 'attributes.csv', ['img_name', *SCHEMA.keys], attributes[::-1]),
            write(folder / 'train.csv', ['img_name', 'label', *SCHEMA.keys], training))


class Sources(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found += [value for key, value in attrs if key in ('src', 'href')]


def test_command_writes_table_plot_and_page(tmp_path, capsys):
    predicted, attributes, training = tables(tmp_path)
    out = tmp_path / 'out'
    arguments = ['bias', predicted, '--attributes', attributes, '--train', training, '--types', 'APL', '--out']
    assert main([*arguments, str(out)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith('hue blue: ') and 'such cells' in printed
    rows = list(csv.DictReader(open(out / 'bias.csv')))
    assert len(rows) == 14 and {row['scope'] for row in rows} == {ALL, 'APL'}
    blue = next(row for row in rows if row['value'] == 'blue' and row['scope'] == 'APL')
    assert blue['finding'] == 'yes' and int(blue['in_training']) <= 3
    assert (out / 'bias.png').read_bytes().startswith(b'\x89PNG')
    page = (out / 'bias.html').read_text()
    assert 'hue blue: ' in page and all(source.startswith('data:') for source in Sources(page).found)
    assert main([*arguments, str(out)]) == 2  # never over what is there
    assert 'exists already' in capsys.readouterr().err


def test_attributes_may_be_columns_of_the_predictions(tmp_path):
    path = write(tmp_path / 'all.csv', ['img_name', 'label', 'predicted', 'hue'],
                 [[str(n), 'ab'[n % 2], 'a', 'red' if n % 3 else 'blue'] for n in range(12)])
    assert main(['bias', path, '--out', str(tmp_path / 'out')]) == 0
    rows = list(csv.DictReader(open(tmp_path / 'out' / 'bias.csv')))
    assert {row['attribute'] for row in rows} == {'hue'} and rows[0]['in_training'] == ''


@pytest.mark.parametrize('header, row, message', [
    (['img_name', 'label'], ['0.jpg', 'APL'], "has no column 'predicted'"),
    (['img_name', 'label', 'predicted'], ['0.jpg', 'APL', ''], 'row 2: has no predicted type'),
    (['img_name', 'label', 'predicted'], ['x.jpg', 'APL', 'APL'], "has no row for 'x.jpg'")])
def test_bad_tables_are_one_line_and_write_nothing(tmp_path, capsys, header, row, message):
    _, attributes, _ = tables(tmp_path)
    path = write(tmp_path / 'bad.csv', header, [row])
    assert main(['bias', path, '--attributes', attributes, '--out', str(tmp_path / 'out')]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1 and not (tmp_path / 'out').exists()


def test_many_findings_are_cut_short_in_words():
    rates = [ValueRate(ALL, f'key {number}', 'yes', 10, 9, 10, 1, (0.6, 0.98), 0.001, 0.001) for number in range(13)]
    sentences = bias_sentences(rates, 0.05)
    assert len(sentences) == 11 and sentences[-1] == '... and 3 more in the table.'
    assert bias_sentences(rates[:10], 0.05)[-1].startswith('key 9 yes: 90% of the cells with it')
