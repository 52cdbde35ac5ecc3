"""The demo's own config, SLA-Det with attributes and every term awake, in two processes and in mixed precision."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmleuk.synthetic.writer import synthesize

ROOT = Path(__file__).parents[2]
CONFIG = 'configs/sla_det/yolov5n_sla_synthetic.py'
LOSSES = ('loss_bbox', 'loss_obj', 'loss_cls', 'loss_attributes', 'loss_pseudo_obj', 'loss_triplet')
LABELLER = 'model.detector.labeller'
OPTIONS = [
    'train_dataloader.batch_size=2', 'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
    'train_dataloader.sampler.shuffle=False', 'train_cfg.max_epochs=1', 'val_cfg=None', 'val_dataloader=None',
    'val_evaluator=None', 'default_hooks.logger.interval=1', 'default_hooks.pseudo_labels.pseudo_epochs=(1,None)',
    'default_hooks.pseudo_labels.triplet_epochs=(1,1)',
    # an untrained model believes next to nothing: let enough of it be pseudo-labels and unsure predictions
    f'{LABELLER}.min_confidence=0.0001', f'{LABELLER}.sure_confidence=0.001', f'{LABELLER}.max_entropy=9']


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """MMLEUK_DATA: 8 films, every second without a labelled cell: of two processes, the second never sees one."""
    folder = tmp_path_factory.mktemp('data')
    synthesize(folder / 'synthetic', train=8, test=1, size=160, cells=(6, 8), region_fraction=0.5, workers=1,
               empty_share=0)
    path = folder / 'synthetic' / 'annotations' / 'train_sparse.json'
    coco = json.loads(path.read_text())
    empty = {image['id'] for image in coco['images'][1::2]}
    coco['annotations'] = [cell for cell in coco['annotations'] if cell['image_id'] not in empty]
    path.write_text(json.dumps(coco))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize('launch, flags, iterations', [
    (['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2'], ['--launcher', 'pytorch'], 2),
    ([], ['--amp'], 4)], ids=['two processes', 'bfloat16'])
def test_every_term_trains(data, tmp_path, launch, flags, iterations):
    command = [sys.executable, *launch, 'tools/train.py', CONFIG, '--work-dir', str(tmp_path), *flags,
               '--cfg-options', *OPTIONS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, cwd=ROOT, check=False,
                          env={**os.environ, 'MMLEUK_DATA': str(data), 'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stderr[-3000:]
    scalars, = tmp_path.glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    assert [row['iter'] for row in rows] == list(range(1, iterations + 1))
    for name in LOSSES:
        assert all(0 <= row[name] < 1e3 for row in rows) and any(row[name] > 0 for row in rows), name
    assert (tmp_path / 'epoch_1.pth').is_file()
