"""Attributes, labels and ignore flags stay in step from the record to what a model gets, whatever happens between."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.datasets import transforms as mmdet_transforms
from mmdet.models import DetDataPreprocessor
from mmdet.registry import TRANSFORMS
from mmengine.dataset import pseudo_collate

from mmleuk.errors import UserError
from mmleuk.schema import IGNORE
from mmleuk.structures import CellBoxes, clip_regions
from mmleuk.testing import random_record, tiny_results, tiny_sample
from mmleuk.transforms import LoadCellAnnotations, MixUp, Mosaic, PackCells, RandomAffine

seeds = st.integers(0, 2 ** 31 - 1)
TRANSFORM = {
    'mosaic': lambda: Mosaic(img_scale=(40, 40)),
    'mosaic of mmdet': lambda: mmdet_transforms.Mosaic(img_scale=(40, 40)),
    'mixup': lambda: MixUp(img_scale=(40, 40)),
    'affine': lambda: RandomAffine(max_rotate_degree=10),
    'affine of mmdet': mmdet_transforms.RandomAffine,
    'crop': lambda: mmdet_transforms.RandomCrop(crop_size=(30, 30), allow_negative_crop=True),
    'resize': lambda: mmdet_transforms.Resize(scale=(50, 50), keep_ratio=True),
    'flip': lambda: mmdet_transforms.RandomFlip(prob=0.5),
    'filter': lambda: mmdet_transforms.FilterAnnotations(min_gt_bbox_wh=(8, 8), keep_empty=False),
    'pad': lambda: mmdet_transforms.Pad(size=(128, 128), pad_val=dict(img=(114, 114, 114))),
}


def numbered(rng, first=0, **options):
    """Results whose label, ignore flag and attributes all follow from the cell's number."""
    results = tiny_results(rng, annotation='complete', **options)
    numbers = np.arange(first, first + len(results['gt_bboxes']))
    results['gt_bboxes_labels'] = numbers
    results['gt_ignore_flags'] = numbers % 3 == 0
    results['gt_bboxes'].attributes = torch.as_tensor(np.stack([numbers, numbers * 7], 1))
    return results


def assert_in_step(results):
    numbers = results['gt_bboxes_labels']
    boxes = results['gt_bboxes']
    assert type(boxes) is CellBoxes
    assert boxes.attributes.tolist() == np.stack([numbers, numbers * 7], 1).tolist()
    assert (results['gt_ignore_flags'] == (numbers % 3 == 0)).all()
    assert len(boxes) == len(numbers)


@pytest.mark.parametrize('name', TRANSFORM)
@given(seed=seeds, counts=st.tuples(*[st.integers(0, 5)] * 4))
@settings(max_examples=15)
def test_one_transform(name, seed, counts):
    rng = np.random.default_rng(seed)
    np.random.seed(seed)
    parts = [numbered(rng, 10 * i, num_cells=count) for i, count in enumerate(counts)]
    results = TRANSFORM[name]()(parts[0] | dict(mix_results=parts[1:2] if name == 'mixup' else parts[1:]))
    assert_in_step(results)


@given(seed=seeds, counts=st.tuples(*[st.integers(0, 5)] * 5), kinds=st.permutations(
    ['affine', 'affine of mmdet', 'crop', 'resize', 'flip', 'filter', 'pad']))
@settings(max_examples=40)
def test_chain_down_to_the_data_preprocessor(seed, counts, kinds):
    rng = np.random.default_rng(seed)
    np.random.seed(seed)
    parts = [numbered(rng, 10 * i, num_cells=count) for i, count in enumerate(counts)]
    results = TRANSFORM['mosaic']()(parts[0] | dict(mix_results=parts[1:4]))
    results = TRANSFORM['mixup']()(results | dict(mix_results=parts[4:]))
    for kind in kinds:
        results = TRANSFORM[kind]()(results)
    assert_in_step(results)
    batch = DetDataPreprocessor(pad_size_divisor=32)(pseudo_collate([PackCells()(results)]), training=True)
    sample = batch['data_samples'][0]
    for instances, ignored in ((sample.gt_instances, False), (sample.ignored_instances, True)):
        assert type(instances.bboxes) is torch.Tensor
        assert instances.attributes.tolist() == [[n, 7 * n] for n in instances.labels.tolist()]
        assert all((n % 3 == 0) == ignored for n in instances.labels.tolist())
        assert torch.equal(instances.annotated_regions, sample.annotated_regions)
    assert torch.equal(sample.gt_instances.get('ignored_boxes', torch.zeros(0, 4)), sample.ignored_instances.bboxes)
    assert sample.annotated_regions.shape[1] == 4


def test_packed_fields_and_metainfo():
    record = random_record(np.random.default_rng(1), num_cells=0)
    record |= dict(instances=[dict(bbox=[1, 2, 9, 8], bbox_label=2, ignore_flag=0, attributes=[1, IGNORE, 0]),
                              dict(bbox=[3, 3, 5, 5], bbox_label=1, ignore_flag=1, attributes=[0, 0, 0])],
                   annotated_regions=[[0, 0, 70, 30], [90, 0, 95, 5]], patient='p7')
    results = LoadCellAnnotations()(record | dict(img=np.zeros((64, 80, 3), np.uint8), img_shape=(64, 80)))
    sample = PackCells()(copy.deepcopy(results))['data_samples']
    assert sample.gt_instances.attributes.tolist() == [[1, IGNORE, 0]]
    assert sample.ignored_instances.attributes.tolist() == [[0, 0, 0]]
    assert sample.gt_instances.ignored_boxes.tolist() == [[3, 3, 5, 5]]
    assert sample.annotated_regions.tolist() == [[0, 0, 70, 30]]          # the part outside the image is gone
    assert sample.gt_instances[:0].annotated_regions.tolist() == [[0, 0, 70, 30]]
    assert sample.to('cpu').gt_instances.annotated_regions.dtype == torch.float32
    assert sample.patient == 'p7' and sample.img_shape == (64, 80)
    again = PackCells()(results)['data_samples']
    assert torch.equal(again.gt_instances.attributes, sample.gt_instances.attributes)


def test_packing_an_image_without_annotations():
    packed = PackCells()(dict(img=np.zeros((8, 8, 3), np.uint8), img_shape=(8, 8), img_id=3))
    assert packed['inputs'].shape == (3, 8, 8) and packed['data_samples'].img_id == 3


def test_packing_plain_boxes_is_refused():
    record = random_record(np.random.default_rng(0))
    results = mmdet_transforms.LoadAnnotations()(record | dict(img=np.zeros((64, 80, 3), np.uint8)))
    with pytest.raises(UserError, match='HorizontalBoxes: load annotations with mmleuk.LoadCellAnnotations'):
        PackCells()(results | dict(img_shape=(64, 80)))


def test_loading_an_image_without_cells():
    record = random_record(np.random.default_rng(0), num_cells=0)
    boxes = LoadCellAnnotations()(record)['gt_bboxes']
    assert (boxes.shape, boxes.attributes.shape, boxes.regions.tolist()) == (
        (0, 4), (0, 3), record['annotated_regions'])


def test_regions_by_kind_of_annotation():
    record = random_record(np.random.default_rng(0), annotation='complete')
    del record['annotated_regions']
    assert LoadCellAnnotations()(record)['gt_bboxes'].regions.tolist() == [[0, 0, 80, 64]]
    with pytest.raises(UserError, match=r'image film.png: sparse annotation without annotated_regions'):
        LoadCellAnnotations()(record | dict(annotation='sparse'))
    nowhere = LoadCellAnnotations()(record | dict(annotation='sparse', annotated_regions=[]))
    assert nowhere['gt_bboxes'].regions.shape == (0, 4)


corners = st.floats(-200, 200, width=32)


@given(st.lists(st.tuples(corners, corners, corners, corners), max_size=4))
def test_regions_are_cut_at_the_border(regions):
    record = random_record(np.random.default_rng(0)) | dict(annotated_regions=regions)
    loaded = LoadCellAnnotations()(record)['gt_bboxes'].regions
    assert torch.equal(loaded, clip_regions(torch.tensor(regions).reshape(-1, 4), (64, 80)))


@pytest.mark.parametrize('change, message', [
    (dict(annotation='partial'), "annotation is 'partial'"),
    (dict(num_attributes=2), 'cell 0 has 3 attributes, the schema has 2'),
])
def test_bad_records(change, message):
    record = random_record(np.random.default_rng(0), annotation='complete')
    with pytest.raises(UserError, match=f'image film.png: .*{message}'):
        LoadCellAnnotations()(record | change)


def test_a_record_without_schema_is_refused():
    record = random_record(np.random.default_rng(0))
    del record['num_attributes']
    with pytest.raises(UserError, match='no num_attributes'):
        LoadCellAnnotations()(record)


def test_affine_compares_areas_before_and_after_at_one_scale():
    """A shrunken cell that shows whole is kept, one that shows by a sixteenth of its shrunken area is dropped."""
    cells = CellBoxes([[40.0, 40, 60, 60], [10.0, 40, 90, 60]])
    results = dict(img=np.zeros((100, 100, 3), np.uint8), gt_bboxes=cells, gt_bboxes_labels=np.arange(2),
                   gt_ignore_flags=np.zeros(2, bool))
    shrink = RandomAffine(max_translate_ratio=0, scaling_ratio_range=(0.25, 0.25))
    # 5 x 5 px of 20 x 20: a sixteenth of the area before, all of it after.
    assert shrink(dict(results))['gt_bboxes_labels'].tolist() == [0, 1]
    grow = RandomAffine(max_translate_ratio=0, scaling_ratio_range=(4, 4))
    # Cell 1 grows to 320 x 80 px, of which 100 x 80 show, a third; before scaling it was 80 x 20, a fifth of that.
    assert grow(dict(results))['gt_bboxes_labels'].tolist() == [0, 1]
    strict = RandomAffine(max_translate_ratio=0, scaling_ratio_range=(4, 4), min_area_ratio=0.35)
    assert strict(dict(results))['gt_bboxes_labels'].tolist() == [0]
    assert strict(dict(results))['gt_bboxes'].tensor.tolist() == [[10, 10, 90, 90]]


def test_affine_drops_what_is_left_of_cells_by_yolov5s_rules():
    boxes = torch.tensor([[-95., 0, 5, 50], [-10, 10, 10, 30], [20, 20, 22, 60], [20, 20, 23, 60], [0, 50, 99, 50.9]])
    cells = CellBoxes(boxes, attributes=torch.arange(5)[:, None])
    results = dict(img=np.zeros((100, 100, 3), np.uint8), gt_bboxes=cells, gt_bboxes_labels=np.arange(5),
                   gt_ignore_flags=np.zeros(5, bool))
    stay = RandomAffine(max_translate_ratio=0, scaling_ratio_range=(1, 1))
    # 5% of the area left; half left; 2 px wide; 3 px wide; under 1 px high
    assert stay(dict(results))['gt_bboxes_labels'].tolist() == [1, 3]
    assert stay(dict(results))['gt_bboxes'].attributes.flatten().tolist() == [1, 3]


def test_affine_without_change_leaves_the_image():
    results = tiny_results(np.random.default_rng(0))
    moved = RandomAffine(max_translate_ratio=0, scaling_ratio_range=(1, 1))(dict(results))
    assert (moved['img'] == results['img']).all()


def test_affine_scales_about_the_centre():
    results = tiny_results(np.random.default_rng(0), num_cells=0, annotation='complete')
    half = RandomAffine(max_translate_ratio=0, scaling_ratio_range=(0.5, 0.5))(results)
    assert half['gt_bboxes'].regions.tolist() == [[20, 16, 60, 48]]
    assert (half['img'][:15] == 114).all() and (half['img'][20:44, 24:56] != 114).all()


def test_built_from_configs_by_mmdets_registry():
    for kind in ('LoadCellAnnotations', 'PackCells', 'RandomAffine', 'HSVJitter', 'CropToRegion',
                 'BlankOutsideRegions'):
        assert kind in repr(TRANSFORMS.build(dict(type=f'mmleuk.{kind}')))
    with pytest.raises(TypeError, match='sheer'):
        TRANSFORMS.build(dict(type='mmleuk.RandomAffine', sheer=2))


def test_tiny_sample_is_reproducible():
    (first, sample), (second, again) = (tiny_sample(np.random.default_rng(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(sample.gt_instances.attributes, again.gt_instances.attributes)
    assert first.shape == (3, 64, 80)
