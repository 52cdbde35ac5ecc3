"""The configs of docs/attributes.md train: peer loss on noisy labels, and MMD between two folders of crops."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmleuk.schema import IGNORE, WBCATT_ATTRIBUTES
from mmleuk.utils.config_file import build_model

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A small WBCAtt, and a folder of another laboratory's crops."""
    generator = np.random.default_rng(0)
    rows = [','.join(['img_name', 'label', *WBCATT_ATTRIBUTES.keys])]
    for name, count in (('wbcatt/images/train', 8), ('their_cells/slide', 8)):
        (tmp_path / name).mkdir(parents=True)
        for number in range(count):
            cv2.imwrite(str(tmp_path / name / f'{number}.jpg'), generator.integers(0, 255, (70, 70, 3), np.uint8))
    for number in range(8):
        rows.append(','.join([f'{number}.jpg', 'Monocyte', *(a.values[0] for a in WBCATT_ATTRIBUTES.attributes)]))
    (tmp_path / 'wbcatt/train.csv').write_text('\n'.join(rows) + '\n')
    monkeypatch.setenv('MMLEUK_DATA', str(tmp_path))
    return tmp_path


def first_losses(folder, word):
    """Losses of the first batch of the page's config with this word, and the batch's samples."""
    text = (ROOT / 'docs/attributes.md').read_text()
    code = next(block for block in re.findall(r'```python\n(.*?)```', text, re.DOTALL) if word in block)
    code = code.replace("'configs/", f"'{ROOT}/configs/").replace("'data/their_cells/'", repr(f'{folder}/their_cells/'))
    (folder / 'config.py').write_text(code.replace('batch_size=64', 'batch_size=4'))
    cfg = Config.fromfile(str(folder / 'config.py'))
    loader = dict(cfg.train_dataloader, num_workers=0, persistent_workers=False, batch_size=4)
    torch.manual_seed(0)
    model = build_model(cfg)
    model.init_weights()
    batch = next(iter(Runner.build_dataloader(loader, seed=0)))
    data = model.data_preprocessor(batch, True)
    return model.loss(data['inputs'], data['data_samples']), data['data_samples']


def test_half_of_each_batch_is_of_the_other_domain(folder):
    losses, samples = first_losses(folder, 'MMDLoss')
    theirs = [sample for sample in samples if sample.get('domain') == 'theirs']
    assert len(samples) == 4 and len(theirs) == 2
    assert all((sample.gt_instances.attributes == IGNORE).all() for sample in theirs)
    assert losses['loss_domain'] > 0 and torch.isfinite(losses['loss_attributes'])


def test_peer_loss_with_noisy_labels(folder):
    losses, samples = first_losses(folder, 'NoisyCrops')
    assert torch.isfinite(losses['loss_attributes']) and len(samples) == 4
