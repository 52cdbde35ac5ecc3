"""Tables, checks and plots from records made by hand; the committed document is what the committed records give."""

import json
from pathlib import Path

import cv2
import pytest

from benchmarking.checks import judge
from benchmarking.cli import report_main
from benchmarking.document import document, section
from benchmarking.identity import config_hash
from benchmarking.plots import write_plots
from benchmarking.results import (
    cost_path,
    current_cost,
    current_results,
    read_result,
    read_results,
    result_path,
    write_result,
)
from benchmarking.suite import read_suites
from benchmarking.summary import curve, gap_closed, summarise
from mmleuk.errors import UserError

ROOT = Path(__file__).parents[2]
ROWS = [dict(name='upper', title='Upper', config='configs/u.py', seeds=[0, 1]),
        dict(name='lower', title='Lower', config='configs/l.py', seeds=[0]),
        dict(name='ours', title='Ours', config='configs/o.py', seeds=[0, 1])]
SCORES = dict(upper_seed0=0.8, upper_seed1=0.6, lower_seed0=0.5, ours_seed0=0.6, ours_seed1=0.64)


@pytest.fixture
def suite(make_suite):
    return make_suite(rows=ROWS, classes=['x'], roles=dict(upper='upper', lower='lower'),
                      scalars={'labels': 'pseudo/kept'})


@pytest.fixture
def records(suite, record):
    found = {case.name: record(case, SCORES[case.name]) for case in suite.cases()}
    found['ours_seed0']['scalars'] = {'1': {'other': 1.0}, '2': {'pseudo/kept': 3.0}, '3': {'pseudo/kept': 4.0}}
    return found


@pytest.fixture
def real_suite(make_suite):
    config = 'configs/yolov5/yolov5n_txl-pbc.py'
    return make_suite(rows=[dict(name='upper', title='Upper', config=config, seeds=[0, 1])], classes=['x'])


def row_of(text: str, title: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f'| {title} '))
    return [cell.strip() for cell in line.strip('|').split('|')]


def test_means_spreads_and_gaps_worked_by_hand(suite, records):
    """Upper: 0.8 and 0.6, mean 0.7. Seed 0, which all have: ours 0.6, (0.6 - 0.5) / (0.8 - 0.5) = 33% of the way."""
    text = section(suite, records)
    head = row_of(text, '')
    upper, lower, ours = (dict(zip(head, row_of(text, title))) for title in ('Upper', 'Lower', 'Ours'))
    assert (upper['mAP@50-95, seed 0'], lower['mAP@50-95, seed 0'], ours['mAP@50-95, seed 0']) == (
        '0.800', '0.500', '0.600')
    assert upper['seeds'] == '0, 1' and upper['mAP@50-95'] == '0.700 (0.600..0.800)' and upper['gap closed'] == ''
    assert lower['mAP@50-95'] == '0.500' and lower['mAP@50'] == '0.600' and lower['gap closed'] == ''
    assert ours['mAP@50-95'] == '0.620 (0.600..0.640)' and ours['gap closed'] == '33%'
    assert ours['AP x'] == '0.310 (0.300..0.320)' and ours['labels'] == '3.500' and upper['labels'] == ''
    assert ours['minutes'] == '2' and ours['weights'] == '1.23 M'
    assert 'Still to run' not in text and 'failed' not in text
    assert 'recall (AR@100)' not in head, 'a column that nothing fills is left out'


def test_a_groups_name_stands_at_its_first_row(make_suite):
    rows = [row | dict(group=group) for row, group in zip(ROWS, ('ends', 'ends', 'ours'))]
    lines = section(make_suite(rows=rows), {}).splitlines()
    assert [line.split(' | ')[:2] for line in lines if 'to run: 0' in line] == [
        ['| ends', 'Upper'], ['| ', 'Lower'], ['| ours', 'Ours']]


def test_cells_stand_below_the_title_of_their_ap(make_suite, records):
    suite = make_suite(rows=[row | dict(group='g') for row in ROWS], classes=['x', 'y'], cells=dict(y=0, x=23))
    lines = [line.strip('|').split('|') for line in section(suite, records).splitlines() if line.startswith('| ')]
    head, cells = ([cell.strip() for cell in line] for line in (lines[0], lines[2]))
    assert head[:3] == ['', '', 'seeds'] and len(cells) == len(head)
    assert [(title, cell) for title, cell in zip(head, cells) if cell] == [('', 'cells tested on'), ('AP x', '23')]
    assert 'cells tested on' not in section(suite, {}), 'without a column of an AP there is nothing to put them below'


def test_a_gap_that_is_none():
    assert gap_closed(0.5, lower=0.5, upper=0.5) is None and gap_closed(0.5, lower=0.6, upper=0.5) is None
    assert gap_closed(0.4, lower=0.5, upper=0.6) == -1.0


def test_rows_that_failed_or_wait_say_so(suite, records, failed_record):
    del records['lower_seed0'], records['upper_seed1']
    records['ours_seed0'] = failed_record(suite.choose('ours:0')[0])
    text = section(suite, records)
    assert row_of(text, 'Lower')[1:3] == ['to run: 0', 'to run']
    assert row_of(text, 'Upper')[1:3] == ['0; to run: 1', '0.800']
    assert row_of(text, 'Ours')[1:3] == ['1; failed: 0', '0.640']
    assert '- **ours_seed0 failed**: the training ended with status 1; last line: `ValueError: a | b`' in text
    assert '`upper` (seeds 1), `lower` (seeds 0)' in text
    del records['ours_seed1']
    assert row_of(section(suite, records), 'Ours')[1:3] == ['failed: 0; to run: 1', 'failed']


def test_nothing_measured_yet(suite, tmp_path):
    text = section(suite, {})
    assert row_of(text, 'Upper')[1:3] == ['to run: 0, 1', 'to run']
    assert '![' not in text and write_plots(suite, {}, tmp_path) == []


def check(kind, claim='c', **what):
    return {'claim': claim, kind: what}


@pytest.mark.parametrize('kind, what, state, numbers', [
    ('worst_above_best', dict(row='ours', of=['lower']), 'met', 'mAP@50-95: worst 0.600; best of lower 0.500'),
    ('worst_above_best', dict(row='ours', of=['lower', 'upper']), 'not met', 'upper 0.800'),
    ('worst_above_best', dict(row='upper', of=['ours']), 'not met', 'worst 0.600; best of ours 0.640'),
    ('above_seed_by_seed', dict(row='upper', of=['ours', 'lower']), 'not met',
     'mAP@50-95: seed 0 0.800, ours 0.600, lower 0.500; seed 1 0.600, ours 0.640'),
    ('above_seed_by_seed', dict(row='ours', of=['lower']), 'met', 'mAP@50-95: seed 0 0.600, lower 0.500'),
    ('mean_above', dict(row='upper', of=['ours']), 'undecided',
     'mean 0.700 (0.600..0.800), ours 0.620 (0.600..0.640) of 2 seeds, difference +0.080 ± 1.525'),
    ('mean_above', dict(row='ours', of=['lower']), 'met', 'mean 0.600, lower 0.500 of 1 seed'),
    ('mean_above', dict(row='lower', of=['upper', 'ours']), 'not met',
     'mean 0.500, upper 0.800 of 1 seed; mean 0.500, ours 0.600 of 1 seed'),
    ('mean_above', dict(row='ours', of=['lower', 'upper']), 'undecided',
     'mean 0.600, lower 0.500 of 1 seed; mean 0.620 (0.600..0.640), upper 0.700'),
    ('gap_closed', dict(row='ours', share=0.33), 'met', 'worst 0.600, 33% of the way from 0.500 to 0.800; wanted 33%'),
    ('gap_closed', dict(row='ours', share=0.34), 'not met', '33% of the way'),
    ('gap_closed', dict(row='ours', share=0.3334), 'not met', '33% of the way from 0.500 to 0.800; wanted 33.34%'),
    ('reaches', dict(row='ours', of='upper', share=0.886), 'not met', '88.57% of it; wanted 88.6%'),
    ('at_least', dict(row='ours', value=3.6, metric='labels'), 'not met', 'labels: 3.5; wanted 3.6'),
    ('at_least', dict(row='ours', value=0.72, metric='mAP@50'), 'met', 'mAP@50: 0.72; wanted 0.72'),
    ('at_least', dict(row='upper', value=0.1, metric='labels'), 'open', 'waits for upper'),
    ('reaches', dict(row='ours', of='upper', share=0.88), 'met',
     'mAP@50-95: 0.620 (0.600..0.640), upper 0.700 (0.600..0.800) of 2 seeds, 88.6% of it; wanted 88%'),
    ('reaches', dict(row='ours', of='upper', share=0.89), 'not met', '88.6% of it; wanted 89%'),
    ('reaches', dict(row='ours', of='lower', share=1.2), 'met', '0.600, lower 0.500 of 1 seed, 120.0% of it'),
    ('reaches', dict(row='upper', of='lower', share=0.9, metric='labels'), 'open', 'waits for upper, lower'),
])
def test_checks_worked_by_hand(make_suite, records, kind, what, state, numbers):
    suite = make_suite(rows=ROWS, roles=dict(upper='upper', lower='lower'), scalars={'labels': 'pseudo/kept'},
                       checks=[check(kind, **what)])
    verdict, = judge(suite, summarise(suite, records))
    assert verdict.state == state and numbers in verdict.numbers


def test_a_check_waits_for_all_seeds(make_suite, records):
    suite = make_suite(rows=ROWS, checks=[check('mean_above', row='ours', of=['lower'])])
    del records['ours_seed1']
    verdict, = judge(suite, summarise(suite, records))
    assert (verdict.state, verdict.numbers) == ('open', 'waits for ours')


def test_a_check_says_whose_training_failed(make_suite, records, failed_record):
    suite = make_suite(rows=ROWS, checks=[check('mean_above', row='ours', of=['lower'])])
    records['lower_seed0'] = failed_record(suite.choose('lower')[0])
    verdict, = judge(suite, summarise(suite, records))
    assert (verdict.state, verdict.numbers) == ('open', 'waits for lower (failed)')


@pytest.mark.parametrize('kind, numbers', [
    ('worst_above_best', 'worst 0.600; best of lower 0.900; still to run: upper'),
    ('above_seed_by_seed', 'seed 0 0.600, lower 0.900; still to run: upper')])
def test_what_one_row_has_refuted_waits_for_no_other(make_suite, records, kind, numbers):
    suite = make_suite(rows=ROWS, checks=[check(kind, row='ours', of=['upper', 'lower'])])
    del records['upper_seed0']
    verdict, = judge(suite, summarise(suite, records))
    assert (verdict.state, verdict.numbers) == ('open', 'waits for upper')
    records['lower_seed0']['metrics']['coco/bbox_mAP'] = 0.9
    verdict, = judge(suite, summarise(suite, records))
    assert verdict.state == 'not met' and verdict.numbers == f'mAP@50-95: {numbers}'


@pytest.mark.parametrize('kind', ['worst_above_best', 'above_seed_by_seed', 'mean_above'])
def test_a_comparison_needs_the_metric_of_every_seed(make_suite, records, kind):
    """Seed 0 alone would meet the claim; what seed 1 has, nobody knows."""
    suite = make_suite(rows=ROWS, checks=[check(kind, row='ours', of=['lower'])])
    assert judge(suite, summarise(suite, records))[0].state == 'met'
    del records['ours_seed1']['metrics']['coco/bbox_mAP']
    verdict, = judge(suite, summarise(suite, records))
    assert (verdict.state, verdict.numbers) == ('open', 'waits for ours')


def test_a_row_without_a_common_seed_is_not_compared(make_suite, record):
    rows = [dict(ROWS[2]), dict(ROWS[1]), dict(ROWS[0], seeds=[2])]
    suite = make_suite(rows=rows, checks=[check('above_seed_by_seed', row='ours', of=['lower', 'upper'])])
    scores = dict(SCORES, upper_seed2=0.9)
    found = {case.name: record(case, scores[case.name]) for case in suite.cases()}
    assert judge(suite, summarise(suite, found))[0].state == 'undecided'
    found['lower_seed0']['metrics']['coco/bbox_mAP'] = 0.7
    assert judge(suite, summarise(suite, found))[0].state == 'not met'


@pytest.mark.parametrize('wrong, message', [
    (check('above', row='ours'), 'above: unknown key'),
    ('worst', 'Input should be a valid dictionary'),
    (dict(claim='c'), 'needs claim and one of'),
    (check('mean_above', row='ours'), 'of: key is missing'),
    (check('mean_above', row='ours', of='lower'), 'of: Input should be a valid list'),
    (check('mean_above', row='ours', of=[]), 'of: List should have at least 1 item'),
    (check('mean_above', row='ours', of=[['lower']]), 'of 1: Input should be a valid string'),
    (check('mean_above', row=['ours'], of=['lower']), 'row: Input should be a valid string'),
    (check('mean_above', row='ours', of=['theirs']), "'theirs' is none of the rows upper, lower, ours"),
    (check('mean_above', 7, row='ours', of=['lower']), 'claim: Input should be a valid string'),
    (check('at_least', row='ours', value=1, metric='speed'), "'speed' is none of the columns mAP@50-95"),
    (check('at_least', row='ours', value='many'), 'value: Input should be a valid number'),
    (check('reaches', row='ours', of=['lower'], share=0.5), 'of: Input should be a valid string'),
    (check('reaches', row='ours', of='theirs', share=0.5), "'theirs' is none of the rows upper, lower, ours"),
    (check('reaches', row='ours', of='lower', share=0), 'share: Input should be greater than 0'),
    (check('gap_closed', row='ours', share=0.5), 'needs the roles lower and upper'),
])
def test_wrong_checks_are_named_when_the_suite_is_read(make_suite, wrong, message):
    with pytest.raises(UserError, match=f'small.yaml: checks 1: .*{message}'):
        make_suite(rows=ROWS, checks=[wrong])


@pytest.mark.parametrize('share', [0, 50, True, 'half'])
def test_a_share_of_the_gap_is_one(make_suite, share):
    with pytest.raises(UserError, match='small.yaml: checks 1: gap_closed: share'):
        make_suite(rows=ROWS, roles=dict(upper='upper', lower='lower'),
                   checks=[check('gap_closed', row='ours', share=share)])


def test_curves_have_a_spread_where_there_are_seeds(suite, records):
    points = curve([records['upper_seed0'], records['upper_seed1']], 'coco/bbox_mAP')
    assert {epoch: spread.values for epoch, spread in points.items()} == {1: (0.4, 0.3), 2: (0.8, 0.6)}


def test_plots_are_pictures_and_repeatable(suite, records, tmp_path):
    first = [path.read_bytes() for path in write_plots(suite, records, tmp_path)]
    paths = write_plots(suite, records, tmp_path)
    assert [path.name for path in paths] == ['benchmark_small_bars.png', 'benchmark_small_curves.png']
    assert [path.read_bytes() for path in paths] == first
    assert all(cv2.imread(str(path)).std() > 5 for path in paths)


def test_one_evaluation_is_no_curve(suite, records, tmp_path):
    assert 'Learning curves' in section(suite, records)
    for record in records.values():
        record['evaluations'] = dict([record['evaluations'].popitem()])
    assert [path.name for path in write_plots(suite, records, tmp_path)] == ['benchmark_small_bars.png']
    assert 'Learning curves' not in section(suite, records) and 'Final scores' in section(suite, records)


def test_a_dollar_is_no_formula(make_suite, record, tmp_path):
    suite = make_suite(title='a $ b $', rows=[dict(name='row', title=r'$\notatexcommand$', config='c.py', seeds=[0])])
    assert len(write_plots(suite, {case.name: record(case, 0.5) for case in suite.cases()}, tmp_path)) == 2


def test_a_record_of_a_config_that_changed_since_does_not_count(real_suite, record, tmp_path):
    case, other = real_suite.cases()[:2]
    now = config_hash(ROOT / case.row.config, case.cfg_options())
    write_result(result_path(tmp_path, case), record(case, 0.5, config_hash=now))
    write_result(result_path(tmp_path, other), record(other, 0.5, config_hash='of before'))
    assert list(read_results(tmp_path, real_suite)) == [case.name, other.name]
    assert list(current_results(tmp_path, real_suite)) == [case.name]


@pytest.mark.parametrize('options, counts', [
    (['randomness.seed=0'], True), (['randomness.seed=0', 'log_level=ERROR'], True), (['randomness.seed=1'], False),
    (['randomness.seed=0', 'train_cfg.max_epochs=1'], False)])
def test_a_record_of_other_options_counts_where_they_change_no_result(real_suite, record, tmp_path, options, counts):
    case = real_suite.cases()[0]
    measured = record(case, 0.5, cfg_options=options, config_hash=config_hash(ROOT / case.row.config, options))
    write_result(result_path(tmp_path, case), measured)
    assert list(current_results(tmp_path, real_suite)) == [case.name] * counts


def test_a_record_of_another_config_file_does_not_count(real_suite, record, tmp_path):
    """Its command is no longer the row's, even where the settings are the same."""
    case = real_suite.cases()[0]
    now = config_hash(ROOT / case.row.config, case.cfg_options())
    write_result(result_path(tmp_path, case), record(case, 0.5, config='configs/gone.py', config_hash=now))
    assert current_results(tmp_path, real_suite) == {}


def test_the_command_writes_document_and_plots(real_suite, record, tmp_path, capsys):
    suite, results = real_suite, tmp_path / 'results'
    records = {case.name: record(case, 0.5, config_hash=config_hash(ROOT / case.row.config, case.cfg_options()))
               for case in suite.cases()}
    for case in suite.cases():
        write_result(result_path(results, case), records[case.name])
    assert current_results(results, suite) == records
    out = tmp_path / 'docs' / 'benchmarks.md'
    arguments = ['--suites', str(tmp_path), '--results', str(results), '--out', str(out)]
    capsys.readouterr()
    assert report_main(arguments) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert out.read_text() == document([suite], results) and (out.parent / 'images/benchmark_small_bars.png').is_file()
    result_path(results, suite.cases()[0]).write_text('{"format": 0}')
    assert report_main(arguments) == 2
    assert 'not a result of tools/benchmark.py' in capsys.readouterr().err


def test_a_record_of_another_suite_is_shown(make_suite, record, tmp_path):
    """Where that suite's settings are the record's; the table that shows it needs no record of its own."""
    config = 'configs/yolov5/yolov5n_txl-pbc.py'
    rows = [dict(name='upper', title='Upper', config=config, seeds=[0, 1])]
    other = make_suite('other', rows=rows, **{'cfg-options': {'train_cfg.max_epochs': 2}})
    case = other.choose('upper:0')[0]
    write_result(result_path(tmp_path, case), record(case, 0.5, config_hash=config_hash(
        ROOT / config, case.cfg_options())))
    suite = make_suite(rows=[dict(name='upper', title='There', suite='other', seeds=[0])])
    assert row_of(section(suite, current_results(tmp_path, suite)), 'There')[1:3] == ['0', '0.500']
    make_suite('other', rows=rows)
    suite = make_suite(rows=[dict(name='upper', title='There', suite='other', seeds=[0])])
    assert row_of(section(suite, current_results(tmp_path, suite)), 'There')[1:3] == ['to run: 0', 'to run']


def test_the_document_is_not_emptied_by_a_mistyped_folder(tmp_path, capsys):
    (tmp_path / 'doc.md').write_text('old')
    assert report_main(['--results', str(tmp_path / 'nowhere'), '--out', str(tmp_path / 'doc.md')]) == 2
    assert 'nowhere: no such folder' in capsys.readouterr().err and (tmp_path / 'doc.md').read_text() == 'old'


def test_a_broken_record_is_named(suite, tmp_path):
    path = result_path(tmp_path, suite.cases()[0])
    assert read_result(path) is None
    write_result(path, dict(format=1, status='done'))
    path.write_text(path.read_text()[:-4])
    with pytest.raises(UserError, match='upper_seed0.json: not JSON'):
        read_result(path)
    path.write_text('{"format": 1, "status": "done"}')
    with pytest.raises(UserError, match="upper_seed0.json: a result without 'command'; remove it"):
        read_result(path)


def test_costs_are_shown_as_ratios(suite, records):
    row = dict(cpu_s=0.5, cpu_ratio=1.25, wall_ratio=1.3, peak_mib=700.0, memory_ratio=1.1, process_ratio=1.05)
    cost = dict(reference='upper', rows=dict(ours=row), iterations=20, epoch=10, threads=1, weights='w/epoch_9.pth',
                stale=['lower'], machine=records['ours_seed0']['machine'])
    text = section(suite, records, cost)
    assert '| Ours | 1.25 | 1.30 | 700 MiB | 1.10 | 1.05 |' in text
    assert 'all from the same weights (`w/epoch_9.pth`)' in text
    assert 'Not shown, since their configs are others now: low' in text
    cost |= dict(rows={}, stale=['ours'])
    assert 'none to show. Not shown, since' in section(suite, records, cost)


def test_costs_of_other_configs_do_not_count(real_suite, make_suite, tmp_path):
    now = config_hash(ROOT / 'configs/yolov5/yolov5n_txl-pbc.py', real_suite.cases()[0].cfg_options())
    rows = dict(upper=dict(config_hash=now), gone=dict(config_hash=now))

    def current(**changes):
        write_result(cost_path(tmp_path, real_suite), dict(reference='upper', config_hash=now, rows=rows) | changes)
        cost = current_cost(tmp_path, real_suite)
        return list(cost['rows']), cost['stale']
    assert current_cost(tmp_path, real_suite) is None
    assert current() == (['upper'], ['gone'])
    assert current(rows=dict(upper=dict(config_hash='of before'))) == ([], ['upper'])
    assert current(config_hash='of before') == ([], ['upper', 'gone']), 'what it was compared with has changed'


def test_every_state_of_the_code_is_shown(suite, records):
    records['ours_seed0']['git']['earlier'] = [dict(revision='abcdefabcdef', dirty=True, changed=['a.py'])]
    assert '| ours_seed0 | `abcdefa`+, `0123456` |' in section(suite, records)


def test_the_committed_document_is_what_the_committed_records_give():
    suites, results = read_suites(ROOT / 'benchmarks'), ROOT / 'benchmarks' / 'results'
    assert (ROOT / 'docs' / 'benchmarks.md').read_text() == document(suites, results), \
        'run python tools/benchmark_report.py and commit docs/benchmarks.md and its plots'


def test_no_committed_record_names_a_folder_of_the_machine():
    for path in (ROOT / 'benchmarks' / 'results').rglob('*.json'):
        assert str(ROOT) not in json.dumps(json.loads(path.read_text())), path
