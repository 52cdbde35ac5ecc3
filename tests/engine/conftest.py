import json
from pathlib import Path

import pytest
import torch

from mmleuk.engine.launch import train, train_parser
from mmleuk.testing.tiny_run import write_tiny_run

BASES = Path(__file__).parents[2] / 'configs' / '_base_'


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny_config(tmp_path):
    """A config file of a run that takes a second: 3 epochs of 3 iterations."""
    return write_tiny_run(
        tmp_path / 'tiny', [str(BASES / 'default_runtime.py'), str(BASES / 'schedules' / 'yolov5.py')])


@pytest.fixture
def run_tiny(tiny_config, tmp_path):
    """Train in this process: run_tiny('name', '--resume', options=[...]) -> the runner; its work dir is tmp/name."""
    def run(name, *flags, options=()):
        # runs in one process share mmengine's message hub and visualizer, which go by name
        run.count += 1
        no_validation = ['val_cfg=None', 'val_dataloader=None', 'val_evaluator=None']
        label = f'{name}{run.count}'
        settings = [*no_validation, f'experiment_name={label}', f'visualizer.name={label}', *options]
        argv = [str(tiny_config), '--work-dir', str(tmp_path / name), *flags, '--cfg-options', *settings]
        return train(train_parser().parse_args(argv))
    run.count = 0
    return run


@pytest.fixture
def losses_of():
    """Read the logged losses of a work dir's last run: {iteration: loss}."""
    def read(work_dir):
        newest = max(Path(work_dir).glob('*/vis_data/scalars.json'), key=lambda path: path.stat().st_mtime_ns)
        rows = [json.loads(line) for line in newest.read_text().splitlines()]
        return {row['iter']: row['loss'] for row in rows if 'loss' in row}
    return read
