"""Tiny films on disk: two images of 64 x 48 px, three cells, categories not in the order of the classes."""

import copy
import json

import cv2
import numpy as np
import pytest
from label_folders import convert, write_coco
from mmengine.registry import DefaultScope

CLASSES = ('WBC', 'RBC', 'Platelets')
SCHEMA = dict(size=['small', 'big'], hue=['red', 'blue', 'grey'])

COCO = dict(
    images=[dict(id=7, file_name='a_AML.png', width=64, height=48, annotated_region=[0, 0, 40, 40]),
            dict(id=3, file_name='b.png', width=64, height=48, annotated_region=[[0, 0, 10, 10], [20, 20, 20, 20]])],
    annotations=[
        dict(id=11, image_id=7, category_id=5, bbox=[4, 6, 10, 12], area=120, iscrowd=0,
             attributes=dict(size='big', hue=None)),
        dict(id=12, image_id=7, category_id=9, bbox=[30, 20, 8, 8], area=64, iscrowd=0, size=0, hue=2),
        dict(id=13, image_id=3, category_id=2, bbox=[1, 1, 5, 5], area=25, iscrowd=1)],
    categories=[dict(id=9, name='Platelets'), dict(id=2, name='RBC'), dict(id=5, name='WBC')])


class Film:
    """A folder with annotations that a test spoils, and their images."""

    def __init__(self, root):
        self.root = root
        self.coco = copy.deepcopy(COCO)
        (root / 'images').mkdir()
        for seed, image in enumerate(COCO['images']):
            pixels = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
            cv2.imwrite(str(root / 'images' / image['file_name']), pixels)

    def write(self, name='train.json'):
        path = self.root / name
        path.write_text(json.dumps(self.coco))
        return path

    def config(self, **changes):
        """A data set's config that reads this folder."""
        return dict(type='mmleuk.CellDataset', ann_file='train.json', data_root=str(self.root),
                    data_prefix=dict(img='images'), metainfo=dict(classes=CLASSES, attributes=SCHEMA),
                    annotation='sparse') | changes


@pytest.fixture(autouse=True)
def mmdet_scope():
    """As every config's default_scope."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


@pytest.fixture
def film(tmp_path):
    return Film(tmp_path)


@pytest.fixture
def coco(tmp_path):
    """COCO JSON of two images, three cells, one with attributes; the images beside it."""
    return write_coco(tmp_path)


@pytest.fixture
def folders(coco):
    """The same as VOC and as YOLO."""
    for name in ('voc', 'yolo'):
        convert(coco, '--from', 'coco', '--to', name, '--out', coco.parent / name)
    return coco.parent
