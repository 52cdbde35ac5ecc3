"""Trainings of a suite: started, stopped, gone on with, failed; what their logs give."""

import csv
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mmengine.config import Config

from benchmarking.cli import benchmark_main
from benchmarking.history import read_history
from benchmarking.identity import identity
from benchmarking.machine import cpu_model, git_state
from benchmarking.measuring import numbers_of
from benchmarking.results import count_parameters, outcome, result_path, write_result
from benchmarking.running import Settings, Training, resume_point, state_of
from benchmarking.scheduling import run_cases
from mmleuk.errors import UserError
from mmleuk.utils.config_file import read_config

ROOT = Path(__file__).parents[2]


def write_log(work_dir: Path, stamp: str, *lines: object) -> Path:
    path = work_dir / stamp / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def step(epoch: int, iteration: int, loss: float, **others: float) -> dict:
    return {'loss': loss, 'lr': 0.1, 'time': 1.0, 'epoch': epoch, 'iter': iteration, 'step': iteration, **others}


@pytest.fixture
def interrupted(tmp_path):
    """Two attempts: the first ended within epoch 2, the second repeated that and went on to the end."""
    first = write_log(
        tmp_path, '20260101_120000', step(1, 20, 4.0), step(1, 40, 2.0, **{'pseudo/kept': 1.0}),
        {'coco/bbox_mAP': 0.1, 'time': 0.5, 'step': 1}, step(2, 60, 99.0, **{'pseudo/kept': 9.0}), '{"loss": 1.')
    second = write_log(
        tmp_path, '20260101_130000', step(2, 60, 1.0, loss_cls=0.5), step(2, 80, 2.0, **{'pseudo/kept': 2.0}),
        {'coco/bbox_mAP': 0.2, 'time': 0.5, 'step': 2})
    for path, seconds in ((first, 100), (second, 50)):
        start = time.mktime(time.strptime(path.parents[1].name, '%Y%m%d_%H%M%S'))
        os.utime(path, (start + seconds, start + seconds))
    return tmp_path


def test_the_ap_of_a_class_that_does_not_occur_is_left_out(tmp_path):
    write_log(tmp_path, '20260101_120000', {'coco/a_precision': float('nan'), 'coco/b_precision': 0.0, 'step': 1})
    assert read_history(tmp_path).evaluations == {1: {'coco/b_precision': 0.0}}


def test_what_a_later_attempt_repeated_counts_from_it_alone(interrupted):
    history = read_history(interrupted)
    assert history.evaluations == {1: {'coco/bbox_mAP': 0.1}, 2: {'coco/bbox_mAP': 0.2}}
    assert history.losses == {1: {'loss': 3.0}, 2: {'loss': 1.5, 'loss_cls': 0.5}}
    assert history.scalars == {1: {'pseudo/kept': 1.0}, 2: {'pseudo/kept': 2.0}}
    assert history.seconds == 150.0


def test_no_log_is_an_empty_history(tmp_path):
    assert read_history(tmp_path).evaluations == {} and read_history(tmp_path).seconds == 0


def test_the_last_epoch_has_to_be_validated(interrupted, tiny_config):
    from benchmarking.identity import resolve_config
    history = read_history(interrupted)
    assert outcome(history, resolve_config(tiny_config))['metrics'] == {'coco/bbox_mAP': 0.2}
    with pytest.raises(UserError, match=r'without a validation after epoch 3.*\[1, 2\]'):
        outcome(history, resolve_config(tiny_config, ['train_cfg.max_epochs=3']))


def test_it_goes_on_from_the_last_validated_checkpoint(interrupted):
    assert resume_point(interrupted, max_epochs=4, val_interval=1) is None, 'no checkpoint'
    for epoch in (1, 2, 3):
        (interrupted / f'epoch_{epoch}.pth').write_bytes(b'')
    point = interrupted / 'last_checkpoint'
    point.write_text('/moved/epoch_2.pth')
    assert resume_point(interrupted, 4, 1) == interrupted / 'epoch_2.pth'
    point.write_text('/moved/epoch_3.pth')
    assert resume_point(interrupted, 4, 1) == interrupted / 'epoch_2.pth', 'epoch 3 has no validation'
    assert resume_point(interrupted, 4, 2) == interrupted / 'epoch_3.pth', 'and needs none'
    assert resume_point(interrupted, 4, 1, val_begin=4) == interrupted / 'epoch_3.pth', 'validations begin later'
    assert resume_point(interrupted, 3, 2) == interrupted / 'epoch_2.pth', 'but as the last one'
    (interrupted / 'epoch_2.pth').unlink()
    assert resume_point(interrupted, 4, 1) is None


def test_states(make_suite, tiny_config, tmp_path, record, failed_record):
    suite = make_suite(rows=[dict(name='a', config=str(tiny_config), seeds=[0])])
    case, settings = suite.cases()[0], Settings(work_dir=tmp_path / 'work', results=tmp_path / 'results')
    now = identity(case)
    assert state_of(case, settings, now) == 'to run'
    folder = settings.folder(case)
    folder.mkdir(parents=True)
    (folder / 'started.json').write_text(json.dumps(now))
    assert state_of(case, settings, now) == 'started'
    assert state_of(case, settings, now | dict(data_hash='other')) == 'changed'
    path = tmp_path / 'results' / 'small' / 'a_seed0.json'
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record(case, 0.5, **now)))
    assert state_of(case, settings, now) == 'done'
    assert state_of(case, settings, now | dict(config_hash='other')) == 'changed'
    path.write_text(json.dumps(failed_record(case) | now))
    assert state_of(case, settings, now) == 'failed'


def test_two_trainings_never_share_a_folder(make_suite, tiny_config, tmp_path):
    case = make_suite(rows=[dict(name='a', config=str(tiny_config), seeds=[0])]).cases()[0]
    settings = Settings(work_dir=tmp_path / 'work', results=tmp_path / 'results')
    lock = settings.folder(case).with_suffix('.lock')
    lock.parent.mkdir(parents=True)
    with open(lock, 'ab') as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UserError, match='another training of this row .* writes into this folder'):
            Training(case, settings, identity(case))
        told = []
        assert run_cases([case], settings, told.append) == [] and 'a_seed0: left out' in told[-1]


def test_what_another_command_has_done_meanwhile_is_left_alone(make_suite, tiny_config, tmp_path, record, monkeypatch):
    suite = make_suite(rows=[dict(name=name, config=str(tiny_config), seeds=[0]) for name in 'ab'])
    settings = Settings(work_dir=tmp_path / 'work', results=tmp_path / 'results', jobs=1)

    class Ended:
        returncode = 0

        def poll(self):
            return self.returncode

    class FirstOfTwo:
        log = ''

        def __init__(self, case, settings, now):
            assert case.row.name == 'a'
            self.case, self.process = case, Ended()

        def finish(self):
            other = suite.cases()[1]
            write_result(result_path(settings.results, other), record(other, 0.5, **identity(other)))
            return record(self.case, 0.4)

    monkeypatch.setattr('benchmarking.scheduling.Training', FirstOfTwo)
    told = []
    assert len(run_cases(suite.cases(), settings, told.append)) == 1
    assert told[-1] == 'b_seed0: done'


def test_bad_input_is_one_line(make_suite, tmp_path, capsys):
    make_suite(rows=[dict(name='a', config='configs/none.py', seeds=[0, 1])])
    suite = str(tmp_path / 'small.yaml')
    folders = ['--work-dir', str(tmp_path / 'work'), '--results', str(tmp_path / 'results')]
    assert benchmark_main([suite, *folders, '--rows', 'a']) == 2
    assert 'configs/none.py: no such config; row \'a\'' in capsys.readouterr().err
    assert benchmark_main([suite, *folders, '--rows', 'b']) == 2
    assert benchmark_main([suite, *folders]) == 1
    assert 'a_seed1: left out, configs/none.py does not exist' in capsys.readouterr().out
    assert benchmark_main([suite, *folders, '--list']) == 0
    assert capsys.readouterr().out.splitlines()[0] == 'a_seed0  to run: configs/none.py does not exist yet'


def test_where_it_was_measured(tmp_path):
    (tmp_path / 'cpuinfo').write_text('processor : 0\nmodel name\t: Some CPU @ 2 GHz\n')
    assert cpu_model(tmp_path / 'cpuinfo') == 'Some CPU @ 2 GHz'
    assert cpu_model(tmp_path / 'none')
    assert git_state(tmp_path) == dict(revision=None, dirty=None, changed=[])


def test_changed_code_is_noted(tmp_path):
    def git(*words: str) -> None:
        identity = ['-c', 'user.name=a', '-c', 'user.email=a@b']
        subprocess.run(['git', '-C', str(tmp_path), *identity, *words], check=True, capture_output=True)
    (tmp_path / 'mmleuk').mkdir()
    (tmp_path / 'mmleuk' / 'a.py').write_text('1')
    git('init')
    git('add', '.')
    git('commit', '-m', 'a')
    assert git_state(tmp_path)['dirty'] is False and len(git_state(tmp_path)['revision']) == 40
    (tmp_path / 'mmleuk' / 'a.py').write_text('2')
    (tmp_path / 'notes.txt').write_text('of no consequence')
    assert git_state(tmp_path)['changed'] == ['mmleuk/a.py']


def tool(suite: Path, *arguments: str) -> list[str]:
    folder = suite.parent
    return [sys.executable, str(ROOT / 'tools' / 'benchmark.py'), str(suite), '--work-dir', str(folder / 'work'),
            '--results', str(folder / 'results'), *arguments]


def folders(tmp_path: Path) -> list[str]:
    return ['--work-dir', str(tmp_path / 'work'), '--results', str(tmp_path / 'results')]


@pytest.mark.slow
def test_rows_run_beside_each_other_and_a_failed_one_is_written_down(make_suite, tiny_config, tmp_path, capsys):
    broken = {'model.bbox_head.num_classes': 7}
    suite = make_suite(rows=[dict(name='good', config=str(tiny_config), seeds=[0]),
                             dict(name='bad', config=str(tiny_config), seeds=[0], **{'cfg-options': broken})])
    arguments = [str(tmp_path / 'small.yaml'), *folders(tmp_path)]
    assert benchmark_main(arguments) == 1
    good, bad = (json.loads((tmp_path / f'results/small/{case.name}.json').read_text()) for case in suite.cases())
    assert good['status'] == 'done' and good['epochs'] == 2 and set(good['losses']) == {'1', '2'}
    assert good['metrics'] == good['evaluations']['2'] and 'coco/bbox_mAP' in good['metrics']
    assert good['parameters'] > 10_000 and good['seconds'] > 0 and good['machine']['cores'] == os.cpu_count()
    assert 'randomness.seed=0' in good['command']
    assert bad['status'] == 'failed' and 'status 2' in bad['error'] and 'num_classes = 7' in bad['log'][-1]
    capsys.readouterr()
    assert benchmark_main([*arguments, '--list']) == 0
    assert capsys.readouterr().out.splitlines() == ['good_seed0  done', 'bad_seed0   failed']
    assert benchmark_main([*arguments, '--rows', 'good']) == 0
    assert 'good_seed0: done' in capsys.readouterr().out
    tiny_config.write_text(tiny_config.read_text().replace('prob=0.5', 'prob=0.4'))
    assert benchmark_main([*arguments, '--rows', 'good']) == 2
    assert 'a setting of the config has changed' in capsys.readouterr().err


@pytest.mark.slow
def test_an_ensemble_runs_when_its_members_are_done(make_suite, tiny_config, tmp_path, capsys):
    rows = [dict(name=name, config=str(tiny_config), seeds=[0], **{'cfg-options': {'optim_wrapper.optimizer.lr': rate}})
            for name, rate in (('a', 0.01), ('b', 0.02))]
    make_suite(rows=[*rows, dict(name='both', ensemble=['a', 'b'], seeds=[0])])
    arguments = [str(tmp_path / 'small.yaml'), *folders(tmp_path)]
    assert benchmark_main([*arguments, '--rows', 'both']) == 1
    assert 'both_seed0: left out, it needs a_seed0, b_seed0' in capsys.readouterr().out
    assert benchmark_main(arguments) == 0
    record = json.loads((tmp_path / 'results/small/both_seed0.json').read_text())
    members = [json.loads((tmp_path / f'results/small/{name}_seed0.json').read_text()) for name in 'ab']
    with open(tmp_path / 'work/small/both_seed0/ensemble/table.csv') as file:
        table = {row['model']: row for row in csv.DictReader(file)}
    for name, member in zip('ab', members):
        assert float(table[name]['mAP']) == pytest.approx(member['metrics']['coco/bbox_mAP'], abs=6e-4)
    assert record['metrics']['coco/bbox_mAP'] == float(table['ensemble']['mAP'])
    assert record['parameters'] == sum(member['parameters'] for member in members)
    assert 'tools/ensemble.py' in record['command']
    (tmp_path / 'results/small/both_seed0.json').unlink()
    (tmp_path / 'work/small/both_seed0/ensemble/report.html').write_text('of an earlier version')
    assert benchmark_main([*arguments, '--rows', 'both']) == 0
    (tmp_path / 'results/small/both_seed0.json').unlink()
    (tmp_path / 'work/small/a_seed0/epoch_2.pth').unlink()
    assert benchmark_main([*arguments, '--rows', 'both']) == 1
    assert 'a_seed0/epoch_2.pth: no such checkpoint' in capsys.readouterr().out


def test_weights_are_counted_of_a_detector_that_takes_no_meta_device():
    model = read_config(ROOT / 'configs/dino/dino_r18_attri_pbc.py').model
    detector = count_parameters(Config(dict(model=model.detector)))
    assert 1e6 < detector < count_parameters(Config(dict(model=model)))


@pytest.mark.slow
def test_a_command_runs_on_the_last_checkpoint_of_its_row(make_suite, tiny_config, tmp_path, capsys):
    """Also again after an attempt that failed: commands refuse a folder with files."""
    image = tmp_path / 'tiny/images/0.png'
    by = dict(of='a', command=f'mmleuk infer {image} {{config}} {{checkpoint}} --min-score 0 --no-report --no-pictures '
              '--no-calibrate --out-dir {out}', table='predictions.csv', line=dict(cell='1'),
              metrics={'box/left': 'x1'})
    rows = [dict(name='a', config=str(tiny_config), seeds=[0]), dict(name='m', seeds=[0], measured=by)]
    make_suite(rows=rows)
    arguments = [str(tmp_path / 'small.yaml'), *folders(tmp_path)]
    (tmp_path / 'work/small/m_seed0/out').mkdir(parents=True)
    (tmp_path / 'work/small/m_seed0/out/predictions.csv').write_text('cell,x1\n1,-1\n')
    assert benchmark_main([*arguments, '--rows', 'm']) == 1
    assert 'm_seed0: left out, it needs a_seed0' in capsys.readouterr().out
    assert benchmark_main(arguments) == 0
    record = json.loads((tmp_path / 'results/small/m_seed0.json').read_text())
    with open(tmp_path / 'work/small/m_seed0/out/predictions.csv') as file:
        first, = [row for row in csv.DictReader(file) if row['cell'] == '1']
    assert record['metrics'] == {'box/left': float(first['x1'])} and record['metrics']['box/left'] >= 0
    assert record['parameters'] == json.loads((tmp_path / 'results/small/a_seed0.json').read_text())['parameters']
    assert 'work_dirs/benchmarks/small/a_seed0/epoch_2.pth' in record['command']
    by['line'] = dict(cell='none')
    make_suite(rows=rows)
    assert benchmark_main([*arguments, '--rows', 'm']) == 2
    assert benchmark_main([*arguments, '--rows', 'm', '--renew']) == 1
    assert "has 0 lines with {'cell': 'none'}" in capsys.readouterr().out


@pytest.mark.slow
def test_a_stopped_row_goes_on_and_ends_as_if_it_had_not_been_stopped(make_suite, tiny_config, tmp_path):
    options = {'train_cfg.max_epochs': 12, 'train_cfg.val_interval': 4}
    rows = [dict(name=name, config=str(tiny_config), seeds=[0]) for name in ('stopped', 'whole')]
    suite = make_suite(rows=rows, **{'cfg-options': options})
    arguments = [str(tmp_path / 'small.yaml'), *folders(tmp_path)]
    command = [sys.executable, str(ROOT / 'tools' / 'benchmark.py'), *arguments, '--rows', 'stopped']
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    folder, results = tmp_path / 'work' / 'small' / 'stopped_seed0', tmp_path / 'results' / 'small'
    try:
        wait_for((folder / 'epoch_2.pth').is_file, running)
    finally:
        running.send_signal(signal.SIGTERM)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130 and 'goes on from their last finished epochs' in errors
    assert not results.exists() and not alive(folder)
    settings = Settings(work_dir=tmp_path / 'work', results=tmp_path / 'results')
    assert state_of(suite.cases()[0], settings, identity(suite.cases()[0])) == 'started'
    assert benchmark_main(arguments) == 0
    assert 'resumed epoch' in (folder / 'output.txt').read_text()
    stopped, whole = (json.loads((results / f'{name}_seed0.json').read_text()) for name in ('stopped', 'whole'))
    assert stopped['evaluations'] == whole['evaluations'] and list(whole['evaluations']) == ['4', '8', '12']
    assert stopped['losses'] == whole['losses'] and len(whole['losses']) == 12


def wait_for(condition, process: subprocess.Popen, seconds: float = 400) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(folder: Path) -> bool:
    """Whether a process still trains in ``folder``: then its lock is held."""
    with open(folder.with_suffix('.lock'), 'ab') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_numbers_of_a_measured_line():
    """An empty field is a score that does not exist: the record has none, as of a class without cells."""
    line = {'edited': 'all', 'changed': '0.25', 'low': ''}
    assert numbers_of(line, {'pairs/changed': 'changed', 'pairs/low': 'low'}, 'pairs.csv') == {'pairs/changed': 0.25}
    for column, message in (('high', "no column 'high'; its columns are edited, changed, low"),
                            ('edited', "column 'edited' has 'all', which is no number")):
        with pytest.raises(UserError, match=message):
            numbers_of(line, {'x': column}, 'pairs.csv')
    with pytest.raises(UserError, match="has 'nan', which is no number"):
        numbers_of({'a': 'nan'}, {'x': 'a'}, 'pairs.csv')
