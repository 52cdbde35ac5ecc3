"""mmleuk.MultiImageMixDataset gives MMDetection's samples, and copies no pixels."""

import pickle
import random
from copy import deepcopy
from functools import partial

import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS

from mmleuk.datasets.mixed import MultiImageMixDataset, copy_but_pixels
from mmleuk.errors import UserError
from mmleuk.transforms import load_image

LOAD = [dict(type='mmleuk.LoadImage'), dict(type='mmleuk.LoadCellAnnotations')]
MOSAIC = dict(type='mmleuk.Mosaic', img_scale=(40, 40), pad_val=114.0)
REST = [dict(type='mmleuk.RandomAffine', border=(-20, -20)), dict(type='mmleuk.HSVJitter'),
        dict(type='RandomFlip', prob=0.5), dict(type='mmleuk.PackCells')]
PIPELINES = {
    'mosaic': [MOSAIC, *REST],
    'mosaic in one step': [dict(type='mmleuk.MosaicAffine', img_scale=(40, 40)), *REST[1:]],
    'mixup': [MOSAIC, dict(type='mmleuk.MixUp', img_scale=(80, 80)), *REST],
    'regions': [dict(type='mmleuk.RegionMosaic', img_scale=(64, 64)), *REST],
    'one image': [dict(type='Resize', scale=(80, 80), keep_ratio=True), dict(type='Pad', size=(80, 80)), *REST],
    # A transform that moves boxes and then rejects the sample: the next try must start from the old ones.
    'rejected': [dict(type='RandomCrop', crop_size=(20, 24), allow_negative_crop=False), dict(type='mmleuk.PackCells')],
}


def samples(kind, film, pipeline, seeds=range(6)):
    film.write()
    dataset = DATASETS.build(dict(type=kind, dataset=film.config(pipeline=LOAD),
                                  pipeline=deepcopy(pipeline), max_refetch=200))
    for seed in seeds:
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        yield dataset[seed % len(dataset)]


@pytest.mark.parametrize('name', PIPELINES)
def test_samples_are_mmdetections_to_the_last_bit(film, name):
    for ours, theirs in zip(samples('mmleuk.MultiImageMixDataset', film, PIPELINES[name]),
                            samples('MultiImageMixDataset', film, PIPELINES[name]), strict=True):
        assert torch.equal(ours['inputs'], theirs['inputs'])
        one, other = ours['data_samples'], theirs['data_samples']
        assert one.metainfo.keys() == other.metainfo.keys()
        for key in ('gt_instances', 'ignored_instances'):
            assert one.get(key).keys() == other.get(key).keys()
            for mine, its in zip(one.get(key).values(), other.get(key).values()):
                mine, its = (getattr(value, 'tensor', value) for value in (mine, its))
                assert torch.equal(mine, its) if isinstance(mine, torch.Tensor) else np.array_equal(mine, its)


def test_rare_types_are_drawn_more_often_once_the_labels_were_seen(film):
    rare = [dict(type='mmleuk.RegionMosaic', img_scale=(64, 64), oversample_thr=1.0), *REST]
    assert len(list(samples('mmleuk.MultiImageMixDataset', film, rare))) == 6
    with pytest.raises(UserError, match='lets it see all labels first'):
        list(samples('MultiImageMixDataset', film, rare))


def test_pixels_are_shared_and_all_else_is_copied():
    sample = dict(img=np.zeros((2, 2, 3), np.uint8), gt_bboxes_labels=np.array([1, 2]),
                  mix_results=[dict(img=np.ones((2, 2, 3), np.uint8), boxes=torch.ones(1, 4))])
    copied = copy_but_pixels(sample)
    assert copied['img'] is sample['img'] and copied['mix_results'][0]['img'] is sample['mix_results'][0]['img']
    copied['gt_bboxes_labels'][0] = 9
    copied['mix_results'][0]['boxes'][:] = 0
    assert sample['gt_bboxes_labels'].tolist() == [1, 2] and sample['mix_results'][0]['boxes'].tolist() == [[1.] * 4]


class LockedPixels(MultiImageMixDataset):
    """Refuses transforms that write into the pixels they get."""

    def _transformed(self, transform, sample):
        for part in (sample, *sample.get('mix_results', ())):
            if isinstance(part['img'], np.ndarray):
                part['img'].flags.writeable = False
        return super()._transformed(transform, sample)


@pytest.mark.filterwarnings('ignore:The given NumPy array is not writable')
@pytest.mark.parametrize('name', ['mosaic', 'mosaic in one step', 'mixup', 'regions', 'one image'])
def test_transforms_do_not_write_into_the_pixels_they_get(film, name):
    assert len(list(samples(LockedPixels, film, PIPELINES[name]))) == 6


def test_of_a_mosaic_only_what_is_seen_is_decoded(film, monkeypatch):
    decoded = []
    decode = load_image.decode_image
    monkeypatch.setattr(load_image, 'decode_image', lambda content, path, *how: decoded.append(path)
                        or decode(content, path, *how))
    corner = dict(PIPELINES['mosaic in one step'][0], center_ratio_range=(0.4, 0.4), scaling_ratio_range=(1.0, 1.0),
                  max_translate_ratio=0.0)
    sample, = samples('mmleuk.MultiImageMixDataset', film, [corner], range(1))
    assert len(decoded) == 1  # the images meet outside of the output, so it shows the fourth one alone
    assert isinstance(sample['img'], np.ndarray) and sample['img'].shape == (40, 40, 3)
    list(samples('mmleuk.MultiImageMixDataset', film, [corner], range(1)))
    assert len(decoded) == 2


@pytest.mark.parametrize('skipped', [(), ('mmleuk.MosaicAffine',)])
def test_transforms_that_do_not_ask_for_deferred_images_get_pixels(film, skipped):
    film.write()
    mixup = dict(type='mmleuk.MixUp', img_scale=(40, 40))
    dataset = DATASETS.build(dict(type='mmleuk.MultiImageMixDataset', dataset=film.config(pipeline=LOAD),
                                  pipeline=[PIPELINES['mosaic in one step'][0], mixup], skip_type_keys=list(skipped)))
    assert dataset.defers and isinstance(dataset[0]['img'], np.ndarray)
    dataset.update_skip_type_keys(['mmleuk.MosaicAffine', 'mmleuk.MixUp'])
    assert dataset[0]['img'].shape == (48, 64, 3)
    assert pickle.loads(pickle.dumps(dataset)).defers


def test_nothing_is_deferred_where_pixels_are_needed_at_once(film):
    film.write()
    mosaic = PIPELINES['mosaic in one step'][:1]
    build = partial(dict, type='mmleuk.MultiImageMixDataset', pipeline=mosaic)
    floats = DATASETS.build(build(dataset=film.config(pipeline=[dict(LOAD[0], to_float32=True), LOAD[1]])))
    resized = DATASETS.build(build(dataset=film.config(pipeline=[*LOAD, dict(type='Resize', scale=(20, 20))])))
    assert not floats.defers and not resized.defers


def test_only_transforms_that_may_reject_cost_copies(film, monkeypatch):
    copied = []
    monkeypatch.setattr('mmleuk.datasets.mixed.copy_but_pixels', lambda sample: copied.append(1) or sample)
    list(samples('mmleuk.MultiImageMixDataset', film, PIPELINES['mosaic']))
    assert not copied
    list(samples('mmleuk.MultiImageMixDataset', film, [dict(type='RandomCrop', crop_size=(48, 64)), *REST], range(1)))
    assert copied == [1]


def test_a_transform_that_rejects_everything_is_named(film):
    film.coco['annotations'] = []
    pipeline = [dict(type='RandomCrop', crop_size=(20, 24), allow_negative_crop=False)]
    with pytest.raises(RuntimeError, match='RandomCrop returned None 200 times'):
        list(samples('mmleuk.MultiImageMixDataset', film, pipeline, range(1)))


def test_skipped_transforms_are_left_out(film):
    film.write()
    dataset = DATASETS.build(dict(type='mmleuk.MultiImageMixDataset', dataset=film.config(pipeline=LOAD),
                                  pipeline=[MOSAIC], skip_type_keys=['mmleuk.Mosaic']))
    assert dataset[0]['img'].shape == (48, 64, 3) and 'mix_results' not in dataset[0]
    dataset.update_skip_type_keys([])
    assert dataset[0]['img'].shape == (80, 80, 3)
