"""What `make demo` and `make compare` stand on: nothing finished is repeated, nothing missing is a zero."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

from mmleuk.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
CONFIG = 'configs/sla_det/yolov5n_sla_synthetic.py'


@pytest.fixture
def runs(monkeypatch):
    """tools/runs.py as a module; MMLEUK_DATA is put back afterwards."""
    monkeypatch.setenv('MMLEUK_DATA', 'data')
    return load('runs', monkeypatch)


def load(name: str, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / 'tools')
    spec = importlib.util.spec_from_file_location(name, ROOT / 'tools' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def place(runs, monkeypatch, tmp_path):
    """A workplace whose commands are noted instead of run; a training leaves a checkpoint, a test its scores."""
    place = runs.Workplace(tmp_path)
    place.commands = []

    def run(*command):
        place.commands.append(command)
        work_dir = Path(command[command.index('--work-dir') + 1])
        work_dir.mkdir(parents=True, exist_ok=True)
        if 'tools/train.py' in command:
            (work_dir / 'epoch_1.pth').write_bytes(b'')
            (work_dir / 'last_checkpoint').write_text(str(work_dir / 'epoch_1.pth'))
        else:
            (work_dir / '20260101').mkdir(exist_ok=True)
            (work_dir / '20260101' / '20260101.json').write_text(json.dumps({'coco/bbox_mAP': 0.25}))

    monkeypatch.setattr(place, 'run', run)
    return place


def test_commands_are_shown_and_run_with_the_data_folder(runs, tmp_path, capfd):
    runs.Workplace(tmp_path).run('python', '-c', "import os; print(os.environ['MMLEUK_DATA'], os.getcwd())")
    out = capfd.readouterr().out
    assert f'$ MMLEUK_DATA={tmp_path} python -c' in out and f'{tmp_path} {ROOT}' in out


def test_failing_command_is_named(runs, tmp_path):
    with pytest.raises(UserError, match='this command failed.*python -c'):
        runs.Workplace(tmp_path).run('python', '-c', 'raise SystemExit(3)')


def test_finished_training_is_kept(place):
    first = place.train(CONFIG, 'sla')
    assert place.train(CONFIG, 'sla') == first == place.out / 'sla' / 'epoch_1.pth'
    assert len(place.commands) == 1 and '--resume' not in place.commands[0]


def test_interrupted_training_is_resumed(place):
    place.train(CONFIG, 'sla')
    (place.out / 'sla' / 'finished.txt').unlink()
    place.train(CONFIG, 'sla')
    assert '--resume' in place.commands[1]


def test_training_on_other_films_is_begun_anew(place):
    place.train(CONFIG, 'sla')
    (place.out / 'synthetic' / 'annotations').mkdir(parents=True)
    (place.out / 'synthetic' / 'annotations' / 'train.json').write_text('{}')
    place.train(CONFIG, 'sla')
    assert len(place.commands) == 2 and '--resume' not in place.commands[1]


def test_folder_of_somebody_else_is_not_touched(place):
    (place.out / 'sla').mkdir()
    (place.out / 'sla' / 'thesis.txt').write_text('the only copy')
    with pytest.raises(UserError, match='was not made here'):
        place.train(CONFIG, 'sla')
    assert (place.out / 'sla' / 'thesis.txt').read_text() == 'the only copy' and place.commands == []


def test_scores_are_read_back_and_renewed_after_a_new_training(place):
    checkpoint = place.train(CONFIG, 'sla')
    assert place.test(CONFIG, checkpoint, 'sla') == {'coco/bbox_mAP': 0.25}
    assert place.test(CONFIG, checkpoint, 'sla') == {'coco/bbox_mAP': 0.25}
    assert len(place.commands) == 2, 'the second look takes the scores that are there'
    later = checkpoint.stat().st_mtime + 3600
    os.utime(checkpoint, (later, later))
    place.test(CONFIG, checkpoint, 'sla')
    assert len(place.commands) == 3


def test_missing_score_is_an_error_that_names_those_that_are_there(runs):
    assert runs.number({'coco/bbox_mAP': 0.25}, 'coco/bbox_mAP') == '0.250'
    with pytest.raises(UserError, match="no 'coco/bbox_mAP_50', only coco/bbox_mAP"):
        runs.number({'coco/bbox_mAP': 0.25}, 'coco/bbox_mAP_50')


def test_compare_writes_json_and_markdown(runs, monkeypatch, tmp_path):
    compare = load('compare', monkeypatch)
    rows = [['training', 'mAP@50', 'mAP@50-95'], ['sparse labels, SLA-Det', '0.500', '0.250']]
    as_json, as_markdown = compare.write(rows, tmp_path)
    assert json.loads(as_json.read_text()) == {'sparse labels, SLA-Det': {'mAP@50': 0.5, 'mAP@50-95': 0.25}}
    *_, rule, row = as_markdown.read_text().splitlines()
    assert (rule, row) == ('| --- | --- | --- |', '| sparse labels, SLA-Det | 0.500 | 0.250 |')


def test_all_configs_that_the_commands_train_exist(runs, monkeypatch):
    configs = [load('demo', monkeypatch).CONFIG, *(config for _, _, config in load('compare', monkeypatch).TRAININGS)]
    assert len(set(configs)) == 3 and all((ROOT / config).is_file() for config in configs)
