"""A detector is trained, then a bottleneck beside it, by the tools: two commands, and a third that resumes."""

import json
from pathlib import Path

import pytest
import torch

from mmleuk.engine.launch import test as run_test
from mmleuk.engine.launch import test_parser as parser_of_test
from mmleuk.engine.launch import train, train_parser
from mmleuk.testing.tiny_run import CLASSES, write_tiny_run
from mmleuk.utils.checkpoint import load_checkpoint_safely

BASES = [str(Path(__file__).parents[2] / 'configs/_base_' / name)
         for name in ('default_runtime.py', 'schedules/short.py')]
CONFIG = """
_base_ = {base!r}
model = dict(
    _delete_=True, type='mmleuk.PostHocCBM', detector={{{{_base_.model}}}}, detector_checkpoint={checkpoint!r},
    on_ground_truth=True,
    bottleneck=dict(type='mmleuk.ConceptBottleneck', attributes={attributes!r}, num_classes=2, crop_size=32,
        encoder=dict(type='ResNet', depth=18, base_channels=8, out_indices=(3,), frozen_stages=-1, norm_eval=False,
                     norm_cfg=dict(type='GN', num_groups=4))))
cells = dict(_delete_=True, type='mmleuk.CellDataset', ann_file={ann!r}, data_prefix=dict(img={images!r}),
            annotation='complete', metainfo=dict(classes={classes!r}, attributes={attributes!r}))
load = [dict(type='mmleuk.LoadImage'), dict(type='mmleuk.LoadCellAnnotations')]
train_dataloader = dict(
    dataset=dict(cells, pipeline=[*load, dict(type='RandomFlip', prob=0.5), dict(type='mmleuk.PackCells')]))
val_dataloader = dict(dataset=dict(cells, test_mode=True, pipeline=[
    load[0], dict(type='Resize', scale=(64, 64)), load[1], dict(type='mmleuk.PackCells')]))
test_dataloader = val_dataloader
val_evaluator = [dict(type='mmleuk.CocoMetric', ann_file={ann!r}, metric='bbox'),
                 dict(type='mmleuk.AttributeF1Metric', mode='gt_boxes', binary='macro'),
                 dict(type='mmleuk.DisagreementMetric', min_score=0.0)]
test_evaluator = val_evaluator
"""
ATTRIBUTES = {'form': ['disc', 'box']}


def write_cbm_run(tiny, checkpoint):
    """A CBM config on the tiny run's images, whose cells get their form as an attribute."""
    ann = tiny.parent / 'annotations.json'
    content = json.loads(ann.read_text())
    for cell in content['annotations']:
        cell['attributes'] = {'form': cell['category_id'] - 1}
    ann.write_text(json.dumps(content))
    config = tiny.parent / 'cbm.py'
    config.write_text(CONFIG.format(base=str(tiny), checkpoint=str(checkpoint), ann=str(ann), classes=CLASSES,
                                    images=f'{tiny.parent}/images/', attributes=ATTRIBUTES))
    return config


def run(config, work_dir, *flags):
    """Runs in one process must not share mmengine's message hub and visualizer."""
    label = f'{work_dir.name}{len(flags)}'
    names = ['--cfg-options', f'experiment_name={label}', f'visualizer.name={label}']
    return train(train_parser().parse_args([str(config), '--work-dir', str(work_dir), *flags, *names]))


@pytest.mark.slow
def test_detector_then_bottleneck_then_resumed(tmp_path):
    tiny = write_tiny_run(tmp_path / 'tiny', BASES, n_images=4, empty=(1,), max_epochs=2)
    run(tiny, tmp_path / 'plain')
    plain = tmp_path / 'plain' / 'epoch_2.pth'
    config = write_cbm_run(tiny, plain)
    run(config, tmp_path / 'whole')
    run(config, tmp_path / 'again', '--resume', str(tmp_path / 'whole' / 'epoch_1.pth'))

    whole, again = (load_checkpoint_safely(tmp_path / name / 'epoch_2.pth') for name in ('whole', 'again'))
    for part in ('state_dict', 'ema_state_dict'):
        assert whole[part].keys() == again[part].keys()
        assert all(torch.equal(value, again[part][key]) for key, value in whole[part].items())
    detector = load_checkpoint_safely(plain)['state_dict']
    assert all(torch.equal(value, whole['state_dict'][f'detector.{key}']) for key, value in detector.items())

    plain.unlink()  # testing needs the bottleneck's checkpoint alone
    flags = [str(config), str(tmp_path / 'whole' / 'epoch_2.pth'), '--work-dir', str(tmp_path / 'test'),
             '--cfg-options', 'experiment_name=test', 'visualizer.name=test']
    scores = run_test(parser_of_test().parse_args(flags))
    assert {'coco/bbox_mAP', 'attribute_gt_boxes/form', 'monitor/false_flagged'} <= set(scores)
