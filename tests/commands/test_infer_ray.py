"""mmleuk infer --engine ray: the rows of one process, also when a worker dies."""

from contextlib import nullcontext
from types import SimpleNamespace

import cv2
import numpy as np
import psutil
import pytest
from small_attri_det import write_attri_det

from mmleuk.cli import main
from mmleuk.commands import ray_engine
from mmleuk.commands.finding import Windows, open_journal
from mmleuk.commands.ray_engine import Setup, Task, Worker, do_task, tasks_of
from mmleuk.errors import UserError
from mmleuk.slides.journal import Journal


@pytest.fixture(scope='module')
def attri(tmp_path_factory):
    return write_attri_det(tmp_path_factory.mktemp('attri'))


@pytest.fixture(scope='module')
def films(tmp_path_factory):
    """Five fields of 80 x 60 px."""
    folder, rng = tmp_path_factory.mktemp('films'), np.random.default_rng(0)
    for number in range(5):
        noise = rng.integers(0, 255, (8, 8, 3), np.uint8)
        cv2.imwrite(str(folder / f'{number}.png'), cv2.resize(noise, (80, 60), interpolation=cv2.INTER_CUBIC))
    return folder


def words(films, attri, out, *more):
    return ['infer', str(films), *map(str, attri), '--device', 'cpu', '--min-score', '0.03', '--batch-size', '2',
            '--no-pictures', '--no-report', '--out-dir', str(out), *more]


def rows(folder):
    return (folder / 'predictions.csv').read_bytes()


def inferencer_of(attri, **more):
    from mmleuk.apis import Inferencer
    return Inferencer(*map(str, attri), device='cpu', min_score=0.03, batch_size=2, **more)


def command_of(process: psutil.Process) -> str:
    """Its command line; '' if it has ended since it was listed."""
    try:
        return ' '.join(process.cmdline())
    except psutil.NoSuchProcess:  # also a zombie
        return ''


@pytest.mark.slow
def test_ray_gives_the_rows_of_one_process_although_a_worker_is_killed(attri, films, tmp_path, monkeypatch):
    pytest.importorskip('ray', reason='needs the extra [ray]')
    windowed = ('--window', '32', '--overlap', '16')  # 4 x 3 windows per field
    monkeypatch.setattr(ray_engine, 'TASK_STEPS', 1)
    assert main(words(films, attri, tmp_path / 'one', *windowed)) == 0
    out, killed, added, add = tmp_path / 'ray', [], [], Journal.add_record

    def add_and_kill(self, record):
        """After the first answers, once, kill a process that is at its next task."""
        add(self, record)
        added.append(tuple(record['step']))
        at_work = [child for child in psutil.Process().children(recursive=True) if 'do_task' in command_of(child)]
        if at_work and not killed:
            at_work[0].kill()
            killed.append(at_work[0].pid)

    monkeypatch.setattr(Journal, 'add_record', add_and_kill)
    assert main(words(films, attri, out, *windowed, '--engine', 'ray')) == 0
    assert killed and len(added) == len(set(added)) == 5 * 6
    assert rows(out) == rows(tmp_path / 'one') and not list(out.glob('.mmleuk_infer.journal*'))


def test_tasks_hold_each_open_step_once(attri, films, tmp_path, monkeypatch):
    """By hand: five fields in batches of two are three batches; the second is done."""
    monkeypatch.setattr(ray_engine, 'TASK_STEPS', 2)
    paths = sorted(films.glob('*.png'))
    inferencer = inferencer_of(attri)
    with open_journal(tmp_path, inferencer, paths, Windows(), resume=False) as journal:
        for name in ('2.png', '3.png'):
            journal.add((name, 0), [], size_hw=[60, 80])
        tasks, total = tasks_of(inferencer, paths, Windows(), journal)
        assert total == 3
        assert [[[name for _, name in batch] for batch in task.batches] for task in tasks] == [
            [['0.png', '1.png'], ['4.png']]]
        windows = Windows(side=48, overlap=16)  # 2 x 2 windows, two per step
        tasks, total = tasks_of(inferencer, paths[:1], windows, journal)
        assert [(task.slide[1], task.steps) for task in tasks] == [('0.png', (0, 1))] and total == 2


@pytest.mark.parametrize('windows', [Windows(), Windows(side=32, overlap=8)])
def test_a_worker_finds_what_the_run_finds(attri, films, tmp_path, windows):
    """The worker itself, in this process: its records are the journal's lines of a run."""
    from mmleuk.commands.finding import find
    paths = sorted(films.glob('*.png'))
    inferencer = inferencer_of(attri)
    with open_journal(tmp_path / 'run', inferencer, paths, windows, resume=False) as journal:
        tasks, _ = tasks_of(inferencer, paths, windows, journal)
        list(find(inferencer, paths, windows, journal))
        expected = {step: journal.record(step) for step in journal._spots}
    worker = Worker(Setup(lambda: inferencer_of(attri), windows, inferencer.calibrator.calibrations))
    found = [record for task in tasks for record in worker.do(task)]
    assert {tuple(record['step']): record for record in found} == expected and len(found) == len(expected)


class ShrinkingCluster:
    """The functions of Ray that the engine calls. After the second task one of four machines with two cores is left."""

    exceptions = SimpleNamespace(RayTaskError=KeyError, RayError=OSError)

    def __init__(self):
        self.machines, self.done, self.at_work = 4, 0, []

    def cluster_resources(self):
        return {'CPU': 2 * self.machines}

    def remote(self, **options):
        return lambda function: SimpleNamespace(remote=lambda run, shared, task: task)

    def put(self, setup):
        return setup

    def wait(self, tasks):
        self.at_work.append(len(tasks))
        self.done += 1
        self.machines = 4 if self.done < 2 else 1
        return tasks[:1], tasks[1:]

    def get(self, task):
        return [dict(step=[task.slide[0], step], cells=[]) for step in task.steps]


def test_machines_may_leave_the_cluster(monkeypatch):
    """By hand: two tasks per core are 16, then 4; no task is added until fewer than 4 are at work, and none is lost."""
    cluster = ShrinkingCluster()
    monkeypatch.setattr(ray_engine, '_ray', lambda: nullcontext(cluster))
    tasks = [Task(slide=('film.tif', 'film.tif'), steps=(number,)) for number in range(25)]
    records = list(ray_engine._records(tasks, None, None, None))
    assert [record['step'] for record in records] == [['film.tif', number] for number in range(25)]
    assert cluster.at_work == [16, 16, *range(15, 4, -1), *[4] * 9, 3, 2, 1]


def test_errors_reach_the_user(attri, films, tmp_path, monkeypatch, capsys):
    def broken():
        raise UserError('weights.pth: no such checkpoint')

    assert do_task('run', Setup(broken, Windows(), {}), Task()) == 'weights.pth: no such checkpoint'
    assert main(words(films, attri, tmp_path / 'x', '--workers', '2')) == 2
    assert 'for --engine ray' in capsys.readouterr().err
    monkeypatch.setenv('WORLD_SIZE', '2')
    assert main(words(films, attri, tmp_path / 'x', '--engine', 'ray')) == 2
    assert 'without torchrun' in capsys.readouterr().err
    monkeypatch.delenv('WORLD_SIZE')
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    assert main(words(films, attri, tmp_path / 'x', '--engine', 'ray')) == 2
    assert "pip install 'mmleuk[ray]'" in capsys.readouterr().err and not (tmp_path / 'x').exists()


def test_a_missing_cluster_is_one_line(attri, films, tmp_path, monkeypatch, capsys):
    pytest.importorskip('ray', reason='needs the extra [ray]')
    monkeypatch.setenv('RAY_ADDRESS', '127.0.0.1:1')
    assert main(words(films, attri, tmp_path / 'x', '--engine', 'ray')) == 2
    assert "RAY_ADDRESS '127.0.0.1:1': no Ray answers there" in capsys.readouterr().err.strip().splitlines()[-1]
