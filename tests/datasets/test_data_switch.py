"""Another data set is one line of a config: the entry of ``_base_`` that names its file."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmleuk.datasets.check import check_num_classes
from mmleuk.datasets.subsets import SUBSETS
from mmleuk.engine import check_config_keys
from mmleuk.registry import DATASETS, METRICS

CONFIGS = Path(__file__).parents[2] / 'configs'
SWITCHES = ['leukemia_attri_640_LCM_40x_C1.py', 'sparse_leukemia_attri_640.py', 'leukocyte_voc_600.py',
            'txl_pbc_320.py', 'synthetic_320.py', 'pbc_320.py', 'pbc_320_sparse.py', 'lld_40x_640.py']
KINDS = ['cascade_rcnn/cascade-rcnn_r50_leukocyte', 'fcos/fcos_r50_leukocyte', 'yolov5/yolov5x_leukemia-attri']


def switched(name, data, folder):
    """A config as a user writes it who copies another one and changes the line of the data set."""
    text, count = re.subn(r"'\.\./_base_/datasets/\w+\.py'", f"'../_base_/datasets/{data}'",
                          (CONFIGS / f'{name}.py').read_text())
    assert count == 1
    path = folder / 'mine.py'
    path.write_text(text.replace("'../_base_", f"'{CONFIGS}/_base_"))
    cfg = Config.fromfile(str(path))
    check_config_keys(cfg)
    return cfg


def innermost(dataset):
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    return dataset


def write_tiny(settings):
    """One image with one cell of every class, where a data set looks for it; the data set unread."""
    unread = DATASETS.build({**settings, 'lazy_init': True, 'pipeline': []})
    classes, listing, images = unread.metainfo['classes'], Path(unread.ann_file), Path(unread.data_prefix['img'])
    for folder in (listing.parent, images):
        folder.mkdir(parents=True, exist_ok=True)
    name = f'{listing.stem}_a.png'
    cv2.imwrite(str(images / name), np.full((60, 80, 3), 90, np.uint8))
    if settings['type'] == 'mmleuk.VOCCellsDataset':
        listing.write_text(f'{listing.stem}_a\n')
        labels = Path(unread.data_root) / 'Annotations' / f'{listing.stem}_a.xml'
        labels.parent.mkdir(exist_ok=True)
        labels.write_text(
            f'<annotation><filename>{name}</filename><size><width>80</width><height>60</height></size>' + ''.join(
                f'<object><name>{label}</name><bndbox><xmin>{9 + index}</xmin><ymin>9</ymin><xmax>40</xmax>'
                '<ymax>40</ymax></bndbox></object>' for index, label in enumerate(classes)) + '</annotation>')
        return unread
    listing.write_text(json.dumps(dict(
        images=[dict(id=1, file_name=name, width=80, height=60, annotated_region=[0, 0, 60, 60])],
        annotations=[dict(id=index, image_id=1, category_id=index, bbox=[8 + 2 * index, 8, 14, 32],
                          area=14 * 32, iscrowd=0) for index, _ in enumerate(classes)],
        categories=[dict(id=index, name=label) for index, label in enumerate(classes)])))
    return unread


@pytest.mark.parametrize('data', SWITCHES)
def test_one_line_is_another_data_set(data, tmp_path, monkeypatch):
    monkeypatch.setenv('MMLEUK_DATA', str(tmp_path / 'data'))
    cfg = switched('faster_rcnn/faster-rcnn_r50_leukocyte', data, tmp_path)
    for split in ('train', 'val', 'test'):
        settings = cfg[f'{split}_dataloader'].dataset
        unread = write_tiny(innermost(settings))
        dataset = DATASETS.build(settings)
        sample = dataset[0]['data_samples']
        assert dataset.metainfo['classes'] == unread.metainfo['classes']
        check_num_classes(cfg, dataset.metainfo['classes'])
        if split != 'train':
            assert sorted(sample.gt_instances.labels.tolist()) == list(range(cfg.num_classes))
            assert max(sample.img_shape) == cfg.image_size
            [evaluator] = cfg[f'{split}_evaluator']
            metric = METRICS.build(evaluator)
            assert Path(evaluator.get('ann_file', unread.ann_file)) == Path(unread.ann_file)
            assert metric.classwise


@pytest.mark.parametrize('name', KINDS)
def test_other_kinds_of_detectors_take_another_data_set(name, tmp_path):
    cfg = switched(name, 'txl_pbc_320.py', tmp_path)
    check_num_classes(cfg, ('WBC', 'RBC', 'Platelets'))
    if 'yolov5' in name:
        assert cfg.model.bbox_head.image_size == 320


def test_no_config_repeats_what_its_data_set_says():
    for path in set(CONFIGS.glob('[!_]*/*.py')) - set(CONFIGS.glob('segmentation/*.py')):  # masks have no class list
        assert not re.search(r'num_classes=\d', path.read_text()), path


def test_every_subset_has_a_file():
    """Loaders and evaluators of a file name the same subset, and the file's own name does, too."""
    found = []
    for path in (CONFIGS / '_base_/datasets').glob('*.py'):
        name, text = path.name, path.read_text()
        if 'subset=' in text and not name.endswith(('_shift.py', '_source.py')):  # of two microscopes
            [subset] = set(re.findall(r"(?:subset='|LeukemiaAttri/)(\w+)", text))
            assert name in ('leukemia_attri_640.py', 'sparse_leukemia_attri_640.py') or name.endswith(f'_{subset}.py')
            found.append(subset)
    assert sorted(found) == sorted(SUBSETS)
