"""Two images with three cells as COCO JSON, and what tests do with it."""

import argparse
import json

import cv2
import numpy as np

from mmleuk.commands.convert import add_arguments, run

SCHEMA = dict(size=['small', 'big'], hue=['red', 'blue', 'grey'])


def write_coco(folder):
    """Two images, three cells, one with attributes; the file's path."""
    data = dict(
        images=[dict(id=7, file_name='val/a.png', width=100, height=80, annotated_region=[0, 0, 50, 50], domain='pbc'),
                dict(id=3, file_name='b.png', width=40, height=30, factors=['pale'])],
        annotations=[dict(id=5, image_id=7, category_id=2, bbox=[10, 20, 30.25, 5], area=151.25, iscrowd=0,
                          attributes=dict(size='big', hue=None)),
                     dict(id=9, image_id=7, category_id=1, bbox=[0, 0, 100, 80], area=8000, iscrowd=1),
                     dict(id=2, image_id=7, category_id=1, bbox=[50, 60, 10, 10], area=100, iscrowd=0)],
        categories=[dict(id=2, name='WBC'), dict(id=1, name='RBC')], attributes=SCHEMA)
    path = folder / 'coco.json'
    path.write_text(json.dumps(data))
    for image in data['images']:
        target = folder / 'images' / image['file_name']
        target.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(target), np.zeros((image['height'], image['width'], 3), np.uint8))
    return path


def convert(*words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert run(parser.parse_args([str(word) for word in words])) == 0


def edit(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def spoil(key, index, **changes):
    def change(data):
        data[key][index].update(changes)
    return change
