"""Costs are ratios to a reference, measured on real trainings."""

import json
import mmap

import pytest

from benchmarking.cli import benchmark_main, cost_main
from benchmarking.cost import measure
from benchmarking.document import section
from benchmarking.results import current_cost
from benchmarking.running import Settings
from benchmarking.turns import held_mib, peak_mib
from mmleuk.errors import UserError


@pytest.mark.parametrize('cost, message', [
    (None, 'has no cost; give it epoch, reference and rows'),
    (dict(reference='a', rows='a', epoch=1), 'cost: rows: Input should be a valid list'),
    (dict(reference='a', rows=['a'], epoch=0), 'cost: epoch: Input should be greater than or equal to 1'),
    (dict(reference='a', rows=['a']), 'cost: epoch: key is missing'),
    (dict(reference='a', rows=['b'], epoch=1), "'b' is none of the rows"),
    (dict(reference='a', rows=['a'], epoch=1), r'none\.pth: no such checkpoint; train a row'),
])
def test_mistakes_are_named(make_suite, tiny_config, tmp_path, cost, message):
    with pytest.raises(UserError, match=message):
        suite = make_suite(cost=cost, rows=[dict(name='a', config=str(tiny_config), seeds=[0])])
        measure(suite, Settings(work_dir=tmp_path, results=tmp_path), tmp_path / 'none.pth', 1, print)


def test_the_peak_is_what_was_held_once():
    held = held_mib()
    assert 0 < held <= peak_mib() + 1, 'the two counters are a few pages apart'
    with mmap.mmap(-1, 64 * 2 ** 20) as data:  # not from malloc, which may hold that much already
        data.write(b'\1' * len(data))  # or the system gives no memory
        assert held_mib() > held + 60 and peak_mib() >= held_mib() - 1


@pytest.mark.slow
def test_a_row_costs_what_its_twin_costs(make_suite, tiny_config, tmp_path, capsys):
    """The same config twice: the ratio of CPU time is about 1, and the epoch is the one that was asked for."""
    rows = [dict(name=name, config=str(tiny_config), seeds=[0]) for name in ('one', 'twin')]
    suite = make_suite(rows=rows, cost=dict(reference='one', rows=['twin'], epoch=2),
                       **{'cfg-options': {'train_cfg.max_epochs': 8, 'train_cfg.val_interval': 8}})
    arguments = [str(tmp_path / 'small.yaml'), '--work-dir', str(tmp_path / 'w'), '--results', str(tmp_path / 'r')]
    assert benchmark_main([*arguments, '--rows', 'one']) == 0
    arguments += ['--weights', str(tmp_path / 'w' / 'small' / 'one_seed0' / 'epoch_8.pth')]
    assert cost_main([*arguments, '--iterations', '8']) == 0
    cost = json.loads((tmp_path / 'r' / 'small' / 'cost.json').read_text())
    assert 0.5 < cost['rows']['twin']['cpu_ratio'] < 2 and 0.8 < cost['rows']['twin']['process_ratio'] < 1.25
    assert cost['rows']['twin']['peak_mib'] > 0 and cost['reference'] == 'one'
    assert cost['weights'] == 'one_seed0/epoch_8.pth', 'a path of this machine has no place in a record'
    log = (tmp_path / 'w' / 'small' / 'twin_seed0_cost.txt').read_text()
    assert 'Epoch(train) [2]' in log and 'Epoch(train) [1]' not in log
    text = section(suite, {}, current_cost(tmp_path / 'r', suite))
    assert 'Cost of a training iteration (' in text and '| twin | ' in text and 'one_seed0/epoch_8.pth' in text
    assert cost_main([*arguments, '--iterations', '40']) == 2, 'six epochs have twelve iterations'
    assert 'the training ended early' in capsys.readouterr().err
