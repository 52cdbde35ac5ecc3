"""Records are carried over stated changes of settings, and over no others."""

import json

import pytest

from benchmarking.carry import Table, carry, compare, leaves, verdict
from benchmarking.document import notes
from benchmarking.results import write_result
from benchmarking.settings_dump import cases_of
from benchmarking.suite import read_suite
from benchmarking.yaml_files import read_model
from mmleuk.errors import UserError

OLD = dict(model=dict(type='Old', backbone=dict(depth=3, type='Net'), score=0.5),
           custom_hooks=[dict(type='Idle', priority=1), dict(type='Ema', momentum=0.1)])
NEW = dict(model=dict(type='Wrapper', detector=dict(backbone=dict(depth=3, type='Net')), score=0.5),
           custom_hooks=[dict(type='Ema', momentum=0.1)])
CHANGES = [dict(why='Old is called Wrapper', types={'Old': 'Wrapper'}),
           dict(why='it holds a detector', moves={'model.backbone': 'model.detector.backbone'}),
           dict(why='Idle did nothing', dropped=['custom_hooks.Idle'])]


def table(*changes):
    return Table(revision='0123456789', shown_by='a command', changes=list(changes))


def described(settings=None, **changes):
    return dict(config_hash='old', config='configs/a.py', cfg_options=['randomness.seed=0'], settings=settings,
                files=['data/a.json'], data_hash=None, needs=[]) | changes


RECORD = dict(config_hash='old', config='configs/a.py', data_hash='d')


def test_settings_are_equal_after_the_stated_changes():
    used, left = compare('s/a_seed0', described(OLD), described(NEW), table(*CHANGES))
    assert used == ['Old is called Wrapper', 'it holds a detector', 'Idle did nothing'] and left == []


@pytest.mark.parametrize('without, left', [
    (0, ['- model.type="Old"', '+ model.type="Wrapper"']),
    (1, ['- model.backbone.depth=3', '- model.backbone.type="Net"', '+ model.detector.backbone.depth=3',
         '+ model.detector.backbone.type="Net"']),
    (2, ['- custom_hooks.Idle.type="Idle"', '- custom_hooks.Idle.priority=1'])])
def test_a_change_that_is_not_stated_is_a_difference(without, left):
    changes = [change for number, change in enumerate(CHANGES) if number != without]
    assert compare('s/a_seed0', described(OLD), described(NEW), table(*changes))[1] == left


def test_a_moved_value_must_stay_the_same():
    changed = NEW | dict(model=dict(type='Wrapper', detector=dict(backbone=dict(depth=4, type='Net')), score=0.5))
    assert compare('s/a_seed0', described(OLD), described(changed), table(*CHANGES))[1] == [
        '- model.detector.backbone.depth=3', '+ model.detector.backbone.depth=4']


def test_a_change_concerns_its_rows_and_its_values_alone():
    old, new = described(dict(x=1)), described(dict(x=2))
    change = dict(why='x counts from one', rows=['s/a_*'], dropped=['x=1'], added=['x=2'])
    assert compare('s/a_seed0', old, new, table(change)) == (['x counts from one'], [])
    assert compare('s/b_seed0', old, new, table(change)) == ([], ['- x=1', '+ x=2'])
    assert compare('s/a_seed0', old, described(dict(x=3)), table(change))[1] == ['+ x=3']


def test_a_seed_that_the_suite_had_not_is_described_as_its_row(tmp_path):
    path = tmp_path / 's.yaml'
    path.write_text('title: S\nrows: [{name: a, title: A, config: configs/yolov5/yolov5n_txl-pbc.py, seeds: [0]}]\n')
    found = cases_of(read_suite(path), ['s/a_seed0', 's/a_seed2', 's/b_seed0', 't/a_seed1'])
    assert [(case.suite, case.name, case.cfg_options()) for case in found] == [
        ('s', 'a_seed0', ['randomness.seed=0']), ('s', 'a_seed2', ['randomness.seed=2'])]


def test_two_hooks_of_one_type_are_told_apart():
    hooks = dict(custom_hooks=[dict(type='A', x=1), dict(type='A', x=2)])
    assert list(leaves(hooks, {})) == [('custom_hooks.A.type', '"A"'), ('custom_hooks.A.x', '1'),
                                       ('custom_hooks.A#1.type', '"A"'), ('custom_hooks.A#1.x', '2')]


@pytest.mark.parametrize('record, old, new, expected', [
    ({}, {}, dict(config_hash='old'), ([], [])),
    ({}, {}, {}, (['Old is called Wrapper', 'it holds a detector', 'Idle did nothing'], [])),
    (dict(config_hash='older'), {}, {}, ([], ['its config had changed before 0123456789'])),
    ({}, {}, dict(data_hash='e'), ([], ['its annotation files have other contents'])),
    ({}, dict(error='no such config'), {}, ([], ['before: no such config'])),
])
def test_verdicts(record, old, new, expected):
    before, now = {'s/a_seed0': described(OLD) | old}, {'s/a_seed0': described(NEW, config_hash='new') | new}
    assert verdict('s/a_seed0', RECORD | record, before, now, table(*CHANGES)) == expected


def test_renamed_files_are_compared_by_content():
    before = {'s/a_seed0': described(OLD)}
    now = {'s/a_seed0': described(OLD, config_hash='new', files=['data/b.json'])}
    assert 'other names: data/b.json; set MMLEUK_DATA' in verdict('s/a_seed0', RECORD, before, now, table())[1][0]
    now['s/a_seed0']['data_hash'] = 'd'
    used, left = verdict('s/a_seed0', RECORD, before, now, table())
    assert 'The settings are the same' in used[0] and left == []


MASKS = dict(why='masks count as data', rows=['s/a_*'], files=['data/*/masks'])


@pytest.mark.parametrize('name, old, files, change, expected', [
    ('s/a_seed0', 'd', ['data/a.json', 'data/x/masks'], MASKS, (['masks count as data'], [])),
    ('s/a_seed0', 'e', ['data/a.json', 'data/x/masks'], MASKS, None),  # what counted then differs
    ('s/a_seed0', 'd', ['data/a.json', 'data/x/images'], MASKS, None),
    ('s/a_seed0', 'd', ['data/x/masks'], MASKS, None),  # a file counts no longer
    ('s/a_seed0', 'd', ['data/a.json'], MASKS, None),  # the same files with other contents
    ('s/b_seed0', 'd', ['data/a.json', 'data/x/masks'], MASKS, None)])
@pytest.mark.parametrize('config_hash', ['old', 'new'])
def test_data_may_cover_more_files_than_before_where_a_change_says_so(name, old, files, change, expected, config_hash):
    before = {name: described(OLD, data_hash=old)}
    now = {name: described(OLD, config_hash=config_hash, data_hash='more', files=files)}
    assert verdict(name, RECORD, before, now, table(change)) == (
        expected or ([], ['its annotation files have other contents']))


def test_a_record_gets_the_hash_of_the_data_that_count_now(tmp_path):
    path = tmp_path / 's' / 'a_seed0.json'
    write_result(path, RECORD)
    before = {'s/a_seed0': described(OLD, data_hash='d')}
    now = {'s/a_seed0': described(OLD, data_hash='more', files=['data/a.json', 'data/x/masks'])}
    carry(tmp_path, table(MASKS), before, now, write=True)
    record = json.loads(path.read_text())
    assert record['data_hash'] == 'more' and record['carried'][0]['data_hash'] == 'd'
    assert carry(tmp_path, table(MASKS), before, now, write=True) == {'s/a_seed0': ([], [])}


def test_an_ensemble_is_carried_with_its_members_and_not_without():
    before = {'s/a_seed0': described(OLD), 's/e_seed0': described(needs=['s/a_seed0'], files=[])}
    now = {'s/a_seed0': described(NEW, config_hash='new'),
           's/e_seed0': described(needs=['s/a_seed0'], files=[], config_hash='new')}
    assert verdict('s/e_seed0', RECORD, before, now, table(*CHANGES))[1] == []
    assert verdict('s/e_seed0', RECORD, before, now, table(*CHANGES[:2]))[1][0] == '- custom_hooks.Idle.type="Idle"'


def test_files_get_the_new_hash_and_the_reasons(tmp_path):
    for name, changes in (('a', {}), ('b', dict(config_hash='older'))):
        write_result(tmp_path / 's' / f'{name}_seed0.json', RECORD | changes)
    write_result(tmp_path / 's' / 'cost.json', dict(config_hash='old', rows=dict(b=dict(config_hash='older', x=1))))
    before = {f's/{name}_seed0': described(OLD) for name in 'ab'}
    now = {f's/{name}_seed0': described(NEW, config_hash='new', config='configs/n.py') for name in 'ab'}

    def written():
        return [json.loads((tmp_path / 's' / f'{name}.json').read_text()) for name in ('a_seed0', 'b_seed0', 'cost')]
    untouched = written()
    assert carry(tmp_path, table(*CHANGES), before, now, write=False)['s/b_seed0'][1] and written() == untouched
    carry(tmp_path, table(*CHANGES), before, now, write=True)
    first, second, cost = written()
    note, = first['carried']
    assert (first['config_hash'], first['config'], note['config_hash'], note['config']) == (
        'new', 'configs/n.py', 'old', 'configs/a.py')
    assert note['changes'] == ['The config file is configs/n.py now.', *(change['why'] for change in CHANGES)]
    assert second == untouched[1] and cost == dict(config_hash='new', rows=dict(b=dict(config_hash='older', x=1)))
    assert 'Old is called Wrapper it holds a detector' in notes([('a', first)])
    again = carry(tmp_path, table(*CHANGES), before, now, write=True)
    assert again['s/a_seed0'] == ([], []), 'a second time changes nothing'
    assert len(written()[0]['carried']) == 1


def test_a_misspelt_table_is_named(tmp_path):
    (tmp_path / 'table.yaml').write_text('revision: "1"\nshown_by: x\nchanges: [{why: because it is, type: {}}]\n')
    with pytest.raises(UserError, match='table.yaml: changes 1: type: unknown key'):
        read_model(tmp_path / 'table.yaml', Table)
