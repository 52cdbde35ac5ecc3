"""Augmentations that stop before training does."""

from types import SimpleNamespace

import pytest
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmleuk.engine import SkipTransformsHook
from mmleuk.errors import UserError
from mmleuk.testing.tiny_run import CLASSES


@pytest.fixture
def make_runner(tiny_config):
    """What the hook sees of a runner: a loader of the tiny run's images, doubled in size unless that is skipped."""
    init_default_scope('mmdet')
    folder = tiny_config.parent
    inner = dict(type='CocoDataset', ann_file=str(next(folder.rglob('*.json'))), metainfo=dict(classes=CLASSES),
                 data_prefix=dict(img=str(next(folder.rglob('*.png')).parent)), filter_cfg=dict(filter_empty_gt=False),
                 pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)])
    pipeline = [dict(type='Resize', scale=(128, 128)), dict(type='PackDetInputs')]

    def make(epoch=0, workers=0, **dataset):
        settings = dict(dataset=dict(type='MultiImageMixDataset', dataset=inner, pipeline=pipeline) | dataset,
                        batch_size=3, num_workers=workers, persistent_workers=workers > 0,
                        sampler=dict(type='DefaultSampler', shuffle=False))
        return SimpleNamespace(epoch=epoch, max_epochs=10, train_dataloader=Runner.build_dataloader(settings, seed=0),
                               logger=MMLogger.get_instance('test_skip_transforms_hook'))
    return make


def sides(runner):
    return {image.shape[-1] for batch in runner.train_dataloader for image in batch['inputs']}


def test_from_its_epoch_on(make_runner):
    hook, runner = SkipTransformsHook(transforms=['Resize'], first_epoch=3), make_runner()
    hook.before_train(runner)
    seen = []
    for runner.epoch in range(4):
        hook.before_train_epoch(runner)
        seen.append(sides(runner))
    assert seen == [{128}, {128}, {64}, {64}]


def test_a_resumed_training_begins_without_them(make_runner):
    hook, runner = SkipTransformsHook(transforms=['Resize'], first_epoch=3), make_runner(epoch=3)
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    assert sides(runner) == {64}


def test_a_share_is_kept(make_runner):
    """Half of half of the images are turned over, and the second call changes nothing."""
    flips = [dict(type='RandomFlip', prob=0.5), dict(type='PackDetInputs')]
    hook, runner = SkipTransformsHook(transforms=['RandomFlip'], first_epoch=2, keep=0.5), make_runner(pipeline=flips)
    hook.before_train(runner)
    seen = []
    for runner.epoch in range(3):
        hook.before_train_epoch(runner)
        seen.append(runner.train_dataloader.dataset.pipeline[0].prob)
    assert seen == [0.5, 0.25, 0.25]


@pytest.mark.parametrize('transform', [
    dict(type='Resize', scale=(128, 128)),
    dict(type='RandomFlip', prob=[0.25, 0.25], direction=['horizontal', 'vertical'])])
def test_a_share_of_what_always_happens_or_has_several(make_runner, transform):
    hook = SkipTransformsHook(transforms=[transform['type']], first_epoch=2, keep=0.5)
    with pytest.raises(UserError, match=f'{transform["type"]} has no prob, or several'):
        hook.before_train(make_runner(pipeline=[transform, dict(type='PackDetInputs')]))


@pytest.mark.slow
def test_persistent_workers_follow(make_runner):
    hook, runner = SkipTransformsHook(transforms=['Resize'], first_epoch=2), make_runner(workers=1)
    seen = []
    for runner.epoch in range(3):
        hook.before_train_epoch(runner)
        seen.append(sides(runner))
    assert seen == [{128}, {64}, {64}]


@pytest.mark.parametrize('transforms, epoch, keep', [
    ('Resize', 1, 0), ([], 1, 0), (['Resize'], 0, 0), (['Resize'], 1, 1)])
def test_wrong_settings(transforms, epoch, keep):
    with pytest.raises(UserError, match='needs a list of transforms, a first_epoch from 1 on'):
        SkipTransformsHook(transforms=transforms, first_epoch=epoch, keep=keep)


def test_what_is_not_there_is_named_before_training(make_runner):
    runner = make_runner()
    with pytest.raises(UserError, match=r"\['Mosaic'\] must stand in the pipeline .* \['Resize', 'PackDetInputs'\]"):
        SkipTransformsHook(transforms=['Mosaic'], first_epoch=2).before_train(runner)
    runner.train_dataloader = SimpleNamespace(dataset=runner.train_dataloader.dataset.dataset)
    with pytest.raises(UserError, match='the training set is a CocoDataset'):
        SkipTransformsHook(transforms=['Resize'], first_epoch=2).before_train(runner)
