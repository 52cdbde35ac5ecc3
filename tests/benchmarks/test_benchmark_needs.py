"""Rows that read what other rows' trainings wrote."""

from benchmarking.identity import identity
from benchmarking.results import result_path, write_result
from benchmarking.running import Settings
from benchmarking.scheduling import run_cases
from mmleuk.errors import UserError


def test_a_row_that_reads_anothers_checkpoint_waits_for_it(make_suite, tiny_config, tmp_path, record, monkeypatch):
    """Also for one that is trained again: its old checkpoint would pass for the new one's."""
    rows = [dict(name='a', config=str(tiny_config), seeds=[0]), dict(name='b', config=str(tiny_config), seeds=[0]) | {
        'cfg-options': {'load_from': 'work_dirs/benchmarks/small/a_seed0/epoch_2.pth'}}]
    first, second = make_suite(rows=rows).cases()
    settings, told = Settings(work_dir=tmp_path / 'work', results=tmp_path / 'results'), []
    assert run_cases([second], settings, told.append) == []
    write_result(result_path(settings.results, first), record(first, 0.5, **identity(first) | dict(config_hash='old')))
    assert run_cases([second], settings, told.append) == []
    assert told == ['b_seed0: left out, it needs a_seed0'] * 2
    write_result(result_path(settings.results, first), record(first, 0.5, **identity(first)))
    monkeypatch.setattr('benchmarking.scheduling.Training', refuse)
    run_cases([second], settings, told.append)
    assert told[2] == 'b_seed0: left out, its turn'


def test_a_config_that_breaks_meanwhile_leaves_out_what_needs_it_alone(
        make_suite, tiny_config, tmp_path, monkeypatch):
    rows = [dict(name=name, config=str(tiny_config), seeds=[0]) for name in ('a', 'b', 'c')]
    rows[1]['cfg-options'] = {'load_from': 'work_dirs/benchmarks/small/a_seed0/epoch_2.pth'}
    broken, needing, other = make_suite(rows=rows).cases()

    def identity_of(case):
        if case == broken:
            raise UserError('a.py: broken')
        return identity(case)

    monkeypatch.setattr('benchmarking.scheduling.identity', identity_of)
    monkeypatch.setattr('benchmarking.scheduling.Training', refuse)
    told: list[str] = []
    run_cases([needing, other], Settings(work_dir=tmp_path / 'work', results=tmp_path / 'results'), told.append)
    assert told == ['b_seed0: left out, a.py: broken', 'c_seed0: left out, its turn']


def refuse(case, settings, now):
    raise UserError('its turn')


def test_a_record_without_the_checkpoint_is_not_enough(make_suite, tiny_config, tmp_path, record):
    """As in a fresh clone, which has the committed records and no work dirs."""
    rows = [dict(name='nowhere', config=str(tiny_config), seeds=[0]),
            dict(name='b', config=str(tiny_config), seeds=[0]) | {
        'cfg-options': {'load_from': 'work_dirs/benchmarks/small/nowhere_seed0/epoch_2.pth'}},
        dict(name='both', ensemble=['nowhere', 'b'], seeds=[0])]
    first, second, both = make_suite(rows=rows).cases()
    settings, told = Settings(work_dir=tmp_path / 'work', results=tmp_path / 'results'), []
    for case in (first, second):
        write_result(result_path(settings.results, case), record(case, 0.5, **identity(case)))
    assert run_cases([first, both], settings, told.append) == []
    result_path(settings.results, second).unlink()
    assert run_cases([second], settings, told.append) == []
    assert told[0] == 'nowhere_seed0: done' and len(told) == 3
    for line, name in zip(told[1:], ('both', 'b')):
        assert line.startswith(f'{name}_seed0: left out, ') and line.endswith(
            'nowhere_seed0/epoch_2.pth: no such checkpoint; to train its row here, take its record out of '
            f'{settings.results}')
    assert not settings.work_dir.exists()
