"""Cells part by part: groups, masked images, aggregations by hand, masks that miss or don't fit, and training."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData

from mmleuk.engine.launch import test_main, train_main
from mmleuk.errors import UserError
from mmleuk.models.attributes.structure import (
    AGGREGATIONS,
    READINGS,
    TWO_CLASSES,
    PartAggregation,
    StructureExtractor,
    binary_masks,
    group_table,
    pooled,
)
from mmleuk.registry import MODELS
from mmleuk.structures import CellBoxes
from mmleuk.structures.cell_parts import PARTS
from mmleuk.transforms import CropCell, PackCells, RandomAffine

SCHEMA = {'nucleus_shape': ['round', 'lobed'], 'vacuoles': ['no', 'yes']}
TINY = dict(type='mmdet.ResNet', depth=18, base_channels=8, num_stages=4, out_indices=(2, 3), frozen_stages=-1,
            norm_eval=False, norm_cfg=dict(type='GN', num_groups=4))


def encoder_of(reading):
    return TINY | (dict(in_channels=4) if reading in ('masked_images_with_mask', 'mask_channel') else {})


def build(**options):
    torch.manual_seed(0)
    reading = options.get('reading', 'masked_images')
    model = MODELS.build(dict(type='mmleuk.StructureAwareRecognizer', attributes=SCHEMA, crop_size=32, dropout=0.0,
                              encoder=encoder_of(reading)) | options)
    model.init_weights()
    return model


def samples(masks, attributes=(0, 1)):
    made = []
    for mask in masks:
        sample = DetDataSample(metainfo=dict(img_path='cell.png'))
        sample.gt_instances = InstanceData(attributes=torch.tensor([list(attributes)]), labels=torch.tensor([0]))
        sample.gt_sem_seg = PixelData(sem_seg=mask[None])
        made.append(sample)
    return made


def test_groups_of_parts():
    assert group_table(('nucleus', ('cytoplasm', 'vacuole')))[:, :6].int().tolist() == [
        [0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 1]]
    masks = binary_masks(torch.tensor([[[0, 1], [5, 255]]]), group_table(TWO_CLASSES))
    assert masks.int().tolist() == [[[[0, 0], [0, 0]], [[0, 1], [1, 0]], [[1, 0], [0, 0]]]]


@pytest.mark.parametrize(('groups', 'message'), [
    ((), 'needs at least one part'), (('nucleus', ('cytoplasm', 'nucleus')), "'nucleus' is in two groups"),
    (('nuclei',), "unknown part 'nuclei'"), ((('Nucleus',),), "Did you mean 'nucleus'")])
def test_wrong_groups(groups, message):
    with pytest.raises(UserError, match=message):
        group_table(groups)


def test_aggregations_by_hand():
    features = torch.tensor([[[1.0, 4.0], [3.0, 2.0]]])
    assert PartAggregation('concatenate', 2, 2)(features).tolist() == [[1, 4, 3, 2]]
    assert PartAggregation('max', 2, 2)(features).tolist() == [[3, 4]]
    assert PartAggregation('mean', 2, 2)(features).tolist() == [[2, 3]]
    weighted = PartAggregation('weighted', 2, 2)
    assert weighted(features).tolist() == [[2, 3]]
    weighted.logits.data = torch.tensor([math.log(3.0), 0.0])  # weights 3/4 and 1/4
    assert weighted(features)[0].tolist() == pytest.approx([1.5, 3.5])
    attention = PartAggregation('attention', 2, 2)
    attention.score.weight.data, attention.score.bias.data = torch.tensor([[math.log(3.0) / 2, 0.0]]), torch.zeros(1)
    assert attention.weights(features)[0].tolist() == pytest.approx([0.25, 0.75])
    assert attention(features)[0].tolist() == pytest.approx([2.5, 2.5])
    other = torch.tensor([[[3.0, 4.0], [1.0, 2.0]]])
    assert attention.weights(other)[0].tolist() == pytest.approx([0.75, 0.25])  # per image


@pytest.mark.parametrize('how', AGGREGATIONS)
def test_aggregations_of_no_image_and_with_gradients(how):
    layer = PartAggregation(how, 3, 5)
    assert layer(torch.zeros(0, 3, 5)).shape == (0, layer.out_features)
    features = torch.randn(2, 3, 5, requires_grad=True)
    layer(features).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in layer.parameters())
    assert features.grad.abs().sum() > 0


def test_pooled_by_hand():
    maps = torch.arange(8.0).reshape(1, 2, 2, 2)
    masks = torch.zeros(1, 3, 4, 4, dtype=torch.bool)
    masks[0, 0, :2, :2] = True  # all of cell (0, 0)
    masks[0, 1, 2:, 2:] = True  # all of (1, 1)
    masks[0, 1, 0, 2] = True    # a quarter of (0, 1)
    expected = [[0.0, 4.0], [(3 + 0.25 * 1) / 1.25, (7 + 0.25 * 5) / 1.25], [0, 0]]
    assert torch.allclose(pooled([maps], masks)[0], torch.tensor(expected))


def test_pooled_sums_of_float16_maps_do_not_overflow():
    """56 x 56 locations of 30: their sum is above 65,504, float16's largest number."""
    with torch.autocast('cpu', dtype=torch.float16):
        found = pooled([torch.full((1, 2, 56, 56), 30.0, dtype=torch.float16)],
                       torch.ones(1, 1, 56, 56, dtype=torch.bool))
    assert found.dtype == torch.float32 and torch.equal(found, torch.full((1, 1, 2), 30.0))


def test_masked_images_show_one_part_each():
    """What is outside a group can't change its vector; what is inside does."""
    extractor = StructureExtractor(32, TINY, 0.0, groups=('nucleus', 'cytoplasm')).eval()
    parts = torch.zeros(1, 32, 32, dtype=torch.long)
    parts[:, 8:24, 8:24], parts[:, 12:20, 12:20] = 1, 2
    crop = torch.randn(1, 3, 32, 32)
    masks = binary_masks(parts, extractor.table)
    before = extractor.part_features(crop, masks)
    changed = crop.clone()
    changed[:, :, 12:20, 12:20] += 1
    after = extractor.part_features(changed, masks)
    assert not torch.allclose(before[:, 0], after[:, 0]) and torch.equal(before[:, 1], after[:, 1])
    assert torch.allclose(before[:, 0], extractor.crops.read(crop * masks[:, :1]))


@pytest.mark.parametrize('reading', READINGS)
@pytest.mark.parametrize('aggregation', ['concatenate', 'attention'])
def test_forms_train_and_predict_and_do_not_depend_on_the_batch(reading, aggregation):
    model = build(reading=reading, aggregation=aggregation)
    crops, masks = torch.randn(3, 3, 32, 32), torch.randint(0, 6, (3, 32, 32))
    model.train().loss(crops, samples(masks))['loss_attributes'].backward()
    unused = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not unused
    model.eval()
    together = [sample.gt_attributes.attribute_probs for sample in model.predict(crops, samples(masks))]
    alone = [model.predict(crops[i:i + 1], samples(masks[i:i + 1]))[0].gt_attributes.attribute_probs for i in range(3)]
    assert torch.allclose(torch.cat(together), torch.cat(alone), atol=1e-5)
    other = model.predict(crops, samples(masks // 2))
    assert not torch.allclose(torch.cat(together), torch.cat([one.gt_attributes.attribute_probs for one in other]))


def test_the_number_of_forward_passes():
    """P masked images cost P images in the encoder; the sibling costs one."""
    for reading, images in (('masked_images', 6), ('masked_images_with_mask', 6), ('mask_channel', 1),
                            ('pooled_features', 1)):
        model, seen = build(reading=reading), []
        model.extractor.crops.encoder.register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(
            len(inputs[0])))
        model.predict(torch.randn(2, 3, 32, 32), samples(torch.randint(0, 6, (2, 32, 32))))
        assert seen == [2 * images]


@pytest.mark.parametrize(('options', 'message'), [
    (dict(aggregation='sum'), "unknown aggregation 'sum'; known are concatenate"),
    (dict(reading='masks'), "unknown reading 'masks'"),
    (dict(reading='mask_channel', encoder=TINY), 'reads no crops of 4 channels .* give it in_channels=4')])
def test_wrong_arguments(options, message):
    with pytest.raises(UserError, match=message):
        build(**options)


def test_a_missing_or_unmoved_mask_is_named():
    model = build()
    sample = DetDataSample(metainfo=dict(img_path='cell.png'))
    with pytest.raises(UserError, match='cell.png: has no mask, and StructureAwareRecognizer needs one'):
        model.predict(torch.zeros(1, 3, 32, 32), [sample])
    with pytest.raises(UserError, match='cell.png: mask and input are 30x40 and 32x32 px'):
        model.predict(torch.zeros(1, 3, 32, 32), samples(torch.zeros(1, 40, 30, dtype=torch.long)))
    with pytest.raises(UserError, match='has no mask'):
        model.extract_feat(torch.zeros(1, 3, 32, 32))


def test_a_crop_of_a_cell_has_the_mask_of_its_parts():
    parts = np.zeros((40, 40), np.uint8)
    parts[12:16, 0:6] = PARTS.index('nucleus')
    results = dict(img=np.zeros((40, 40, 3), np.uint8), gt_bboxes=CellBoxes([[0.0, 10, 8, 18]]), gt_seg_map=parts)
    cut = CropCell(size=32, margin=0.5)(results)['gt_seg_map']  # 16 x 16 from (-4, 6), twice as large
    expected = np.zeros((32, 32), np.uint8)
    expected[:, :8] = 255
    expected[12:20, 8:20] = PARTS.index('nucleus')
    assert (cut == expected).all()


def test_transforms_that_would_leave_the_mask_behind_refuse_it():
    results = dict(img=np.zeros((40, 40, 3), np.uint8), img_path='a.png', gt_bboxes=CellBoxes([[0.0, 10, 8, 18]]),
                   gt_seg_map=np.zeros((40, 40), np.uint8))
    with pytest.raises(UserError, match='a.png: this pipeline moves the cells, but not the mask of their parts'):
        RandomAffine()(results)


def test_a_packed_mask_reaches_the_model():
    results = dict(img=np.zeros((32, 32, 3), np.uint8), gt_bboxes=CellBoxes([[0.0, 0, 32, 32]]),
                   gt_bboxes_labels=np.zeros(1, int), gt_ignore_flags=np.zeros(1, bool), img_path='a.png',
                   gt_seg_map=np.full((32, 32), 2, np.uint8))
    sample = PackCells()(results)['data_samples']
    assert sample.gt_sem_seg.sem_seg.shape == (1, 32, 32) and (sample.gt_sem_seg.sem_seg == 2).all()


CONFIG = """
_base_ = ['{base}']
metainfo = dict(classes=('disc', 'ring'), attributes=dict(cell_type=['disc', 'ring']))
model = dict(attributes=dict(_delete_=True, cell_type=['disc', 'ring']), crop_size=32, encoder=dict(
    type='mmdet.ResNet', depth=18, base_channels=8, num_stages=4, out_indices=(3,), frozen_stages=-1, norm_eval=False,
    norm_cfg=dict(type='GN', num_groups=4)))
load = [dict(type='mmleuk.LoadImage'), dict(type='mmleuk.LoadCellAnnotations'),
        dict(type='mmleuk.LoadPartMask', folder='{root}/masks', suffix='.png'), dict(type='mmleuk.CropCell', size=32),
        dict(type='mmleuk.PackCells')]
dataset = dict(_delete_=True, type='mmleuk.CellCropDataset', data_root='{root}', data_prefix=dict(img='images'),
               metainfo=metainfo, pipeline=load)
loader = dict(batch_size=4, num_workers=0, persistent_workers=False, dataset=dataset)
train_dataloader = loader
val_dataloader = loader
test_dataloader = loader
train_cfg = dict(max_epochs=1, val_interval=1)
"""


def test_trained_and_tested_from_a_config(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in ('disc', 'ring'):
        for kind in ('images', 'masks'):
            (tmp_path / kind / name).mkdir(parents=True)
        for index in range(4):
            image = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / f'images/{name}/{index}.png'), image)
            cv2.imwrite(str(tmp_path / f'masks/{name}/{index}.png'), rng.integers(0, 6, (40, 40), dtype=np.uint8))
    base = Path(__file__).parents[2] / 'configs/attributes/structure-aware_synthetic-cells.py'
    config = tmp_path / 'tiny.py'
    config.write_text(CONFIG.format(base=base, root=tmp_path))
    assert train_main([str(config), '--work-dir', str(tmp_path / 'run')]) == 0
    assert test_main([str(config), str(tmp_path / 'run/epoch_1.pth'), '--work-dir', str(tmp_path / 'test')]) == 0
    cv2.imwrite(str(tmp_path / 'masks/ring/0.png'), np.zeros((39, 40), np.uint8))
    capsys.readouterr()
    assert train_main([str(config), '--work-dir', str(tmp_path / 'again')]) == 2
    assert 'masks/ring/0.png: the mask is 40x39 px' in capsys.readouterr().err.strip().splitlines()[-1]
    assert not list((tmp_path / 'again').rglob('*.pth'))
