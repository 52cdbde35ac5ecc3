"""Models of MMSegmentation through this project's tools; the paper's sizes beside their libraries'."""

import math
import re
from pathlib import Path

import pytest
import torch
from drawn_cells import THREE, draw_cells
from mmengine.structures import PixelData

from mmleuk.engine.launch import test_main, train_main
from mmleuk.utils.config_file import build_model, read_config

pytest.importorskip('mmseg', reason="MMSegmentation (extra 'seg') is not installed")
CONFIGS = Path(__file__).parents[2] / 'configs' / 'segmentation'
SMALL = CONFIGS / 'unet-small_wbc-seg.py'
PAPER_SIZES = dict(fcn_r50=49.49, segformer_b0=3.72, mask2former_swin_t=47.40, upernet_swin_t=59.83)
FEWER = ['train_dataloader.batch_size=4', 'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0',
         'train_dataloader.persistent_workers=False', 'val_dataloader.persistent_workers=False',
         'test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False', 'train_cfg.max_epochs=2',
         'train_cfg.val_interval=2', 'default_hooks.logger.interval=1']


def test_train_and_test_on_a_folder(tmp_path, monkeypatch, cells, capsys):
    monkeypatch.setenv('MMLEUK_DATA', str(tmp_path))
    config = tmp_path / 'tiny.py'
    config.write_text(f"_base_ = ['{SMALL}']\n"
                      'model = dict(backbone=dict(base_channels=4), decode_head=dict(in_channels=4, channels=4))\n')
    assert train_main([str(config), '--work-dir', str(tmp_path / 'run'), '--cfg-options', *FEWER]) == 0
    assert list((tmp_path / 'run').glob('best_parts_mIoU_*.pth'))
    assert test_main([str(config), str(tmp_path / 'run/epoch_2.pth'), '--work-dir', str(tmp_path / 'test'),
                      '--show-dir', 'pictures', '--cfg-options', *FEWER]) == 0
    assert len(list((tmp_path / 'test').glob('*/pictures/d?_*.jpg'))) == 4
    log = next((tmp_path / 'test').glob('*/*.log')).read_text()
    for key in ('parts/mIoU', 'parts/F1_nucleus', 'parts/d1/IoU_cytoplasm', 'parts/d2/mIoU'):
        assert math.isfinite(float(re.findall(rf'{key}: ([\d.]+)', log)[-1]))


def test_a_mask_of_another_size_ends_the_training_before_it_starts(tmp_path, monkeypatch, cells, capsys):
    from PIL import Image
    monkeypatch.setenv('MMLEUK_DATA', str(tmp_path))
    Image.new('L', (31, 32)).save(cells / 'train' / 'd1_002_mask.png')
    assert train_main([str(SMALL), '--work-dir', str(tmp_path / 'run')]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith('error: ') and 'd1_002_mask.png: the mask is 31x32 px' in error
    assert not list((tmp_path / 'run').rglob('*.pth'))


def test_training_samples_are_drawn_with_their_masks(tmp_path, monkeypatch, cells, capsys):
    from PIL import Image

    from mmleuk.cli import main
    monkeypatch.setenv('MMLEUK_DATA', str(tmp_path))
    assert main(['data', 'browse', str(SMALL), '--out-dir', str(tmp_path / 'browse'), '--count', '3']) == 0
    assert re.search(r'd1_000.png: other \d+%, cytoplasm \d+%, nucleus \d+%', capsys.readouterr().out)
    pictures = sorted((tmp_path / 'browse').iterdir())
    assert len(pictures) == 3
    with Image.open(pictures[0]) as picture:
        assert picture.width == 2 * picture.height


def test_without_mmsegmentation_the_fix_is_named(monkeypatch):
    """As in an environment without the extra."""
    import mmleuk.utils.config_file as config_file
    from mmleuk.errors import UserError
    monkeypatch.setattr(config_file, 'find_spec', lambda name: None)
    cfg = read_config(SMALL, {'model.type': 'mmseg.NoSuchModel'})
    with pytest.raises(UserError, match='needs MMSegmentation, which is not installed: pip install .*seg'):
        build_model(cfg)


def test_a_small_segmenter_learns(tmp_path):
    """One batch of drawn cells is learnt by heart."""
    from mmleuk.datasets import CellMaskDataset
    cfg = read_config(SMALL, {'model.backbone.base_channels': 4, 'model.decode_head.in_channels': 4,
                              'model.decode_head.channels': 4, 'model.decode_head.dropout_ratio': 0,
                              'model.data_preprocessor.size': (32, 32)})
    draw_cells(tmp_path / 'train', 4)
    pipeline = [dict(type='mmleuk.LoadImage'), dict(type='mmleuk.LoadPartMask', parts=THREE),
                dict(type='mmseg.PackSegInputs')]
    data = CellMaskDataset(data_root=str(tmp_path), data_prefix=dict(img='train', mask='train'), pipeline=pipeline,
                           mask_suffix='_mask.png', metainfo=dict(classes=THREE))
    rows = [data[index] for index in range(4)]
    batch = dict(inputs=[row['inputs'] for row in rows], data_samples=[row['data_samples'] for row in rows])
    torch.manual_seed(0)
    model = build_model(cfg)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    for _ in range(40):
        losses = model(**model.data_preprocessor(batch, True), mode='loss')
        sum(value for key, value in losses.items() if 'loss' in key).backward()
        optimizer.step()
        optimizer.zero_grad()
    predicted = model.eval()(**model.data_preprocessor(batch, False), mode='predict')
    right = [(sample.pred_sem_seg.data == sample.gt_sem_seg.data).float().mean() for sample in predicted]
    assert min(right) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*_wbcatt-plus.py')), ids=lambda path: path.stem)
def test_the_papers_segmenters_take_a_step_and_predict(path):
    from mmseg.structures import SegDataSample
    if 'convnext' in path.stem:
        pytest.importorskip('transformers', reason="the library transformers (extra 'transformers') is not installed")
    model = build_model(read_config(path))
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    name = path.stem.removesuffix('_wbcatt-plus').replace('-', '_')
    assert millions == pytest.approx(PAPER_SIZES.get(name, 60.1), abs=0.3)
    truth = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 6, (1, 128, 128))),
                           metainfo=dict(ori_shape=(100, 120), img_shape=(128, 128))) for _ in range(2)]
    batch = dict(inputs=[torch.randint(0, 255, (3, 128, 128), dtype=torch.uint8)] * 2, data_samples=truth)
    model.data_preprocessor.size = (128, 128)
    losses = model.train()(**model.data_preprocessor(batch, True), mode='loss')
    sum(torch.stack(value).sum() if isinstance(value, list) else value.sum()
        for key, value in losses.items() if 'loss' in key).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    predicted = model.eval()(**model.data_preprocessor(batch, False), mode='predict')
    assert predicted[0].pred_sem_seg.data.shape == (1, 100, 120)
    assert predicted[0].pred_sem_seg.data.max() < 6
