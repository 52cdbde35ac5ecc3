"""AttributeRecognizer: attributes of single-cell images, alone and through the tools."""

import copy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmleuk.apis import Inferencer
from mmleuk.engine.launch import test_main, train_main
from mmleuk.errors import UserError
from mmleuk.evaluation import AttributeF1Metric
from mmleuk.registry import MODELS
from mmleuk.schema import IGNORE

ROOT = Path(__file__).parents[2]
SCHEMA = {'cell_type': ['disc', 'ring', 'dot'], 'hue': ['red', 'blue']}
TINY = dict(type='mmdet.ResNet', depth=18, base_channels=8, num_stages=4, out_indices=(3,), frozen_stages=-1,
            norm_eval=False, norm_cfg=dict(type='GN', num_groups=4))


def build(**options):
    torch.manual_seed(0)
    model = MODELS.build(dict(type='mmleuk.AttributeRecognizer', attributes=SCHEMA, crop_size=32, encoder=TINY,
                              dropout=0.0) | options)
    model.init_weights()
    return model


def samples(*attributes):
    made = []
    for values in attributes:
        sample = DetDataSample(metainfo=dict(img_path='cell.png'))
        sample.gt_instances = InstanceData(attributes=torch.tensor([values]), labels=torch.tensor([0]))
        made.append(sample)
    return made


def paint(number, generator):
    """Noisy 32 px images of three shapes in two hues, with their attributes."""
    y, x = torch.meshgrid(torch.arange(32) - 15.5, torch.arange(32) - 15.5, indexing='ij')
    radius = (x ** 2 + y ** 2).sqrt()
    masks = [radius < 11, (radius > 8) & (radius < 12), radius < 5]
    images = 0.2 * torch.randn(number, 3, 32, 32, generator=generator)
    values = torch.stack([torch.randint(0, 3, (number,), generator=generator),
                          torch.randint(0, 2, (number,), generator=generator)], 1)
    for image, (shape, hue) in zip(images, values.tolist()):
        image[2 * hue, masks[shape]] += 2
    return images, values


@pytest.mark.parametrize('options', [{}, dict(loss_binary=dict(type='mmleuk.AsymmetricLoss'))])
def test_learns_painted_cells(options):
    """In 50 steps type and hue are told, with either loss of the binary attribute."""
    draw = torch.Generator().manual_seed(1)
    model = build(**options).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(50):
        images, values = paint(16, draw)
        optimizer.zero_grad()
        model.loss(images, samples(*values.tolist()))['loss_attributes'].backward()
        optimizer.step()
    images, values = paint(60, draw)
    found = model.eval().predict(images, samples(*values.tolist()))
    right = torch.cat([sample.gt_attributes.attributes for sample in found]) == values
    assert (right.float().mean(0) > 0.9).all()
    metric = AttributeF1Metric(mode='gt_boxes', binary='macro', attributes=SCHEMA)
    metric.process({}, [sample.to_dict() for sample in found])
    assert metric.evaluate(60)['attribute_gt_boxes/macro_f1'] > 0.9


def test_one_crop_does_not_change_another():
    model = build().eval()
    images, values = paint(4, torch.Generator().manual_seed(2))
    given = samples(*values.tolist())
    together = model.predict(images, copy.deepcopy(given))
    alone = model.predict(images[2:3], copy.deepcopy(given[2:3]))[0]
    torch.testing.assert_close(together[2].gt_attributes.attribute_probs, alone.gt_attributes.attribute_probs)
    probs = alone.gt_attributes.attribute_probs
    assert probs.shape == (1, 2, 3) and probs[0, 1, 2] == 0
    torch.testing.assert_close(probs.sum(2), torch.ones(1, 2))


def test_unknown_values_teach_nothing():
    model = build()
    loss = model.loss(torch.rand(2, 3, 32, 32), samples([IGNORE, IGNORE], [IGNORE, IGNORE]))['loss_attributes']
    loss.backward()
    assert loss == 0 and all((parameter.grad == 0).all() for parameter in model.parameters())


def test_mistakes_say_what_to_do():
    with pytest.raises(UserError, match='AttributeRecognizer: 1 cells come with attributes of shape .1, 1.'):
        build().loss(torch.rand(1, 3, 32, 32), samples([0]))
    with pytest.raises(UserError, match='AttributeRecognizer: needs at least one attribute'):
        build(attributes={})


def test_trains_and_tests_through_the_tools(tmp_path, capsys):
    """The config in configs/attributes/ on a table of painted cells in WBCAtt's layout."""
    draw = torch.Generator().manual_seed(3)
    for split in ('train', 'val'):
        (tmp_path / 'images' / split).mkdir(parents=True)
        images, values = paint(8, draw)
        rows = ['img_name,label,hue']
        for number, (image, (shape, hue)) in enumerate(zip(images, values.tolist())):
            pixels = (image.permute(1, 2, 0) * 40 + 100).clamp(0, 255).numpy().astype(np.uint8)
            cv2.imwrite(str(tmp_path / 'images' / split / f'{number}.png'), pixels)
            rows.append(f'{number}.png,{SCHEMA["cell_type"][shape]},{SCHEMA["hue"][hue]}')
        (tmp_path / f'{split}.csv').write_text('\n'.join(rows))
    data = dict(data_root=str(tmp_path), metainfo=dict(preset=None, _delete_=True, classes=SCHEMA['cell_type'],
                                                       attributes=SCHEMA))
    data['metainfo'].pop('preset')
    loader = dict(batch_size=4, num_workers=0, persistent_workers=False, dataset=data)
    config = tmp_path / 'painted.py'
    config.write_text(f"_base_ = {str(ROOT / 'configs/attributes/narrow-resnet_wbcatt-crops.py')!r}\n"
                      f'train_dataloader = {loader}\nval_dataloader = {loader}\ntest_dataloader = val_dataloader\n'
                      f'model = dict(attributes=dict(_delete_=True, **{SCHEMA}), encoder={TINY})\n'
                      'train_cfg = dict(max_epochs=1, val_interval=1)\n')
    assert train_main([str(config), '--work-dir', str(tmp_path / 'run'), '--cfg-options',
                       'experiment_name=painted']) == 0
    assert test_main([str(config), str(tmp_path / 'run/epoch_1.pth'), '--work-dir', str(tmp_path / 'test'),
                      '--cfg-options', 'experiment_name=tested']) == 0
    assert 'attribute_crops/macro_f1' in capsys.readouterr().out
    with pytest.raises(UserError, match='reads the attributes of single-cell images .* give a detector'):
        Inferencer(config, tmp_path / 'run/epoch_1.pth', device='cpu')
