"""Suites and records as tests need them."""

from pathlib import Path

import pytest
import yaml

from benchmarking.suite import Case, read_suite
from mmleuk.testing.tiny_run import write_tiny_run

ROOT = Path(__file__).parents[2]
BASES = [str(ROOT / 'configs/_base_/default_runtime.py'), str(ROOT / 'configs/_base_/schedules/yolov5.py')]


@pytest.fixture
def tiny_config(tmp_path):
    return write_tiny_run(tmp_path / 'tiny', BASES, n_images=4, empty=(1,), max_epochs=2)


@pytest.fixture
def make_suite(tmp_path):
    """Write a suite's YAML and read it; keywords replace or add to a small valid one."""
    def make(name='small', **changes):
        data = dict(title='Small', rows=[dict(name='a', config='configs/a.py', seeds=[0])]) | changes
        path = tmp_path / f'{name}.yaml'
        path.write_text(yaml.safe_dump(data, sort_keys=False))
        return read_suite(path)
    return make


def record_of(case: Case, score: float, **changes) -> dict:
    """A training's JSON with a mAP of ``score`` at the end and half of it at half time."""
    scores = {epoch: {'coco/bbox_mAP': value, 'coco/bbox_mAP_50': value + 0.1, 'coco/x_precision': value / 2}
              for epoch, value in (('1', score / 2), ('2', score))}
    machine = dict(cpu='Some CPU', cores=2, gpu=None, torch='2.0', python='3.11')
    return dict(
        format=1, status='done', suite=case.suite, row=case.row.name, title=case.row.title, config=case.row.config,
        seed=case.seed, config_hash='c' * 64, data_hash='d' * 64, cfg_options=case.cfg_options(),
        command='python tools/train.py configs/a.py', machine=machine, threads=1, workers=0,
        git=dict(revision='0123456789', dirty=False, changed=[], earlier=[]), finished='2026-01-01', epochs=2,
        seconds=120.0, metrics=scores['2'], evaluations=scores, losses={'1': {'loss': 2.0}, '2': {'loss': 1.0}},
        scalars={}, parameters=1_230_000) | changes


def failed_record_of(case: Case) -> dict:
    """A training's JSON after a failure."""
    done = record_of(case, 0.0)
    for key in ('epochs', 'seconds', 'metrics', 'evaluations', 'losses', 'scalars', 'parameters'):
        del done[key]
    return done | dict(status='failed', error='the training ended with status 1',
                       log=['Traceback', 'ValueError: a | b', ''])


@pytest.fixture
def record():
    return record_of


@pytest.fixture
def failed_record():
    return failed_record_of
