"""Answers to rendered pairs: shares by hand, and the command's errors."""

import numpy as np
import pytest

from mmleuk.cli import main
from mmleuk.evaluation.proportions import wilson_interval
from mmleuk.explain.rendered_pairs import PairAnswers, pair_pictures, pair_rows
from mmleuk.explain.sheet import pair_sheet
from mmleuk.schema import LEUKEMIA_ATTRIBUTES
from mmleuk.synthetic.pairs import render_pairs

KEYS = LEUKEMIA_ATTRIBUTES.keys


def answers(keys, before, after, drawn_before=None, drawn_after=None):
    before, after = np.array(before), np.array(after)
    return PairAnswers(LEUKEMIA_ATTRIBUTES, tuple(keys), before, after,
                       before if drawn_before is None else np.array(drawn_before),
                       after if drawn_after is None else np.array(drawn_after))


def test_shares_by_hand():
    """Two pairs change the chromatin: one is noticed, with one other change; one pair changes the shape, unnoticed."""
    zeros = [0] * 6
    found = answers([KEYS[0], KEYS[0], KEYS[1]], [zeros, zeros, zeros], [[1, 0, 0, 0, 0, 1], zeros, zeros],
                    drawn_before=[zeros] * 3, drawn_after=[[1, 0, 0, 0, 0, 0]] * 2 + [[0, 1, 0, 0, 0, 0]])
    rows = {row['edited']: row for row in pair_rows(found)}
    assert list(rows) == [*KEYS, 'all']
    chromatin = rows[KEYS[0]]
    assert (chromatin['pairs'], chromatin['changed'], chromatin['right_before'], chromatin['right_after']) == (
        2, 0.5, 1.0, 0.5)
    assert chromatin['others'] == pytest.approx(1 / 10) and chromatin[KEYS[5]] == 0.5 and chromatin[KEYS[1]] == 0.0
    assert (chromatin['low'], chromatin['high']) == wilson_interval(1, 2)
    assert rows['all']['changed'] == pytest.approx(1 / 3) and rows['all']['others'] == pytest.approx(1 / 15)
    never = rows[KEYS[2]]
    assert (never['pairs'], never['changed'], never['others'], never['low']) == (0, None, None, None)


def test_sheet_shows_what_was_drawn_and_said():
    pairs = list(render_pairs(3, seed=0))
    drawn = [[getattr(pair, side).look.attributes for pair in pairs] for side in ('before', 'after')]
    pictures = pair_pictures(pairs, answers([pair.key for pair in pairs], drawn[0], drawn[0], *drawn))
    assert [picture.heading for picture in pictures] == [
        f'{pair.key.replace("_", " ")} ' + ' → '.join(LEUKEMIA_ATTRIBUTES.decode(
            pair.key, values[number][KEYS.index(pair.key)]) for values in drawn) for number, pair in enumerate(pairs)]
    said = pictures[0].lines[0].removeprefix('predicted: ').split(' → ')
    assert said[0] == said[1]
    assert pair_sheet(pictures).size == (2 * (2 * 112 + 36 + 340), 2 * 136)


@pytest.mark.parametrize('more, message', [
    (['--pairs', '0'], '--pairs is 0'), ([], 'rendered pairs need an AttributeRecognizer')])
def test_bad_input_is_one_line_and_writes_nothing(lab, tmp_path, capsys, more, message):
    out = tmp_path / 'out'
    assert main(['counterfactuals', lab.config, lab.checkpoint, '--pairs', '2', '--out', str(out), *more]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1 and not out.exists()
