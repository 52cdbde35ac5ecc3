"""CellCropDataset: single-cell images by CSV or by folders, and the cells of larger images; CropCell."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS, TRANSFORMS

from mmleuk.errors import UserError
from mmleuk.schema import IGNORE
from mmleuk.structures import CellBoxes

META = dict(classes=('Monocyte', 'Basophil'), attributes={
    'cell_type': ['Monocyte', 'Basophil'], 'size': ['small', 'big'],
    'hue': dict(values=['a', 'b', 'c'], aliases=['tint'])})
PIPELINE = [dict(type='mmleuk.LoadImage'), dict(type='mmleuk.LoadCellAnnotations'), dict(type='mmleuk.PackCells')]


@pytest.fixture
def folder(tmp_path):
    """Three images of 20 x 30 px, each of its own grey."""
    for number, name in enumerate(['Basophil/x.png', 'Monocyte/y.png', 'Monocyte/z.jpg']):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.full((20, 30, 3), 50 * (number + 1), np.uint8))
    return tmp_path


def write_csv(folder, *rows, header='img_name,label,size,tint', start=''):
    (folder / 'cells.csv').write_text(start + '\n'.join([header, *rows]) + '\n', encoding='utf-8')


def build(folder, **options):
    return DATASETS.build(dict(type='mmleuk.CellCropDataset', data_root=str(folder), pipeline=PIPELINE, metainfo=META)
                          | options)


def values(dataset):
    return [dataset[index]['data_samples'].gt_instances.attributes.tolist() for index in range(len(dataset))]


@pytest.mark.parametrize('start', ['', '\ufeff'])
def test_a_table_by_hand(folder, start):
    """Columns by key or alias, empty fields are unknown, the class is one more attribute; other columns are left."""
    write_csv(folder, 'Basophil/x.png,Basophil,big,c,1', 'Monocyte/y.png,Monocyte,,a,2',
              header='img_name,label,size,tint,age', start=start)
    dataset = build(folder, ann_file='cells.csv')
    assert values(dataset) == [[[1, 1, 2]], [[0, IGNORE, 0]]]
    sample = dataset[0]['data_samples']
    assert sample.gt_instances.labels.tolist() == [1]
    assert sample.gt_instances.bboxes.tensor.tolist() == sample.annotated_regions.tolist() == [[0, 0, 30, 20]]
    assert (dataset[0]['inputs'] == 50).all() and dataset.metainfo['described'] == META['classes']


def test_a_folder_per_class(folder):
    dataset = build(folder, metainfo=dict(META, attributes={'cell_type': ['Monocyte', 'Basophil']}))
    assert [dataset.get_data_info(index)['img_id'] for index in range(3)] == [
        'Basophil/x.png', 'Monocyte/y.png', 'Monocyte/z.jpg']
    assert values(dataset) == [[[1]], [[0]], [[0]]]
    with pytest.raises(UserError, match="Basophil.x.png: unknown class 'Basophil'; known are Monocyte"):
        build(folder, metainfo=dict(classes=('Monocyte',)))


def test_the_cells_of_larger_images(folder):
    """Every box of a described class that isn't ignored is a sample of its own, whose crop shows that cell."""
    image = np.zeros((60, 80, 3), np.uint8)
    image[10:20, 20:40], image[40:60, 60:80] = 100, 200
    cv2.imwrite(str(folder / 'film.png'), image)
    boxes = [([20, 10, 20, 10], 1, 0), ([60, 40, 20, 20], 2, 0), ([0, 0, 9, 9], 1, 1), ([0, 0, 9, 9], 3, 0)]
    (folder / 'cells.json').write_text(json.dumps(dict(
        images=[dict(id=1, file_name='film.png', width=80, height=60)],
        categories=[dict(id=1, name='Monocyte'), dict(id=2, name='Basophil'), dict(id=3, name='RBC')],
        annotations=[dict(id=index, image_id=1, bbox=box, category_id=category, iscrowd=crowd, area=1,
                          attributes=dict(size='big')) for index, (box, category, crowd) in enumerate(boxes)])))
    pipeline = [*PIPELINE[:2], dict(type='mmleuk.CropCell', size=20, margin=0), PIPELINE[2]]
    dataset = build(folder, ann_file='cells.json', pipeline=pipeline,
                    metainfo=dict(META, classes=(*META['classes'], 'RBC'), described=META['classes']))
    assert values(dataset) == [[[0, 1, IGNORE]], [[1, 1, IGNORE]]]
    first, second = (dataset[index]['inputs'] for index in range(2))
    expected = torch.zeros(20, 20, dtype=torch.uint8)
    expected[5:15] = 100  # 20 wide, 10 high, five rows of the film above and below
    assert torch.equal(first[0], expected) and (second == 200).all()
    assert not dataset[0]['data_samples'].cells_moved


def crop(box, **options):
    image = np.arange(40 * 40, dtype=np.uint8).reshape(40, 40, 1).repeat(3, 2)
    boxes = CellBoxes([box], attributes=[[1]], regions=[[0.0, 0, 40, 40]])
    return image, TRANSFORMS.build(dict(type='mmleuk.CropCell') | options)(dict(img=image, gt_bboxes=boxes))


def test_a_crop_has_a_margin_and_grey_outside():
    image, results = crop([0.0, 10, 8, 18], size=16, margin=0.5)
    assert results['img_shape'] == (16, 16) == results['img'].shape[:2]
    assert (results['img'][:, :4] == 114).all() and (results['img'][:, 4:] == image[6:22, :12]).all()
    assert results['gt_bboxes'].tensor.tolist() == [[4, 4, 12, 12]]
    assert results['gt_bboxes'].attributes.tolist() == [[1]]
    assert results['gt_bboxes'].regions.tolist() == [[4, 0, 16, 16]]


def test_a_crop_is_scaled_with_its_box():
    _, results = crop([10.0, 10, 20, 15], size=20, margin=0)
    assert results['img'].shape == (20, 20, 3)
    assert results['gt_bboxes'].tensor.tolist() == [[0, 4, 20, 14]]  # the square starts at y 8: 7.5 to the even pixel


@pytest.mark.parametrize('row, message', [
    ('Basophil/x.png,Basophil,huge,a', "cells.csv, row 2: attribute 'size' has the value 'huge'; allowed are 0"),
    ('Basophil/x.png,Blast,big,a', "cells.csv, row 2: unknown class 'Blast'; known are Monocyte, Basophil"),
    ('Basophil/none.png,Basophil,big,a', 'cells.csv, row 2: there is no image .*none.png'),
    ('Basophil/x.png,Basophil,big', 'cells.csv, row 2: has another number of fields'),
    ('Basophil/x.png,Basophil,big,a,b', 'cells.csv, row 2: has another number of fields')])
def test_a_broken_row_is_named(folder, row, message):
    write_csv(folder, row)
    with pytest.raises(UserError, match=message):
        build(folder, ann_file='cells.csv')


@pytest.mark.parametrize('header, missing', [
    ('img_name,label,size', 'hue'), ('img_name,class,size,hue', 'label'), ('name,label,size,hue', 'img_name')])
def test_a_missing_column_is_named(folder, header, missing):
    write_csv(folder, header=header)
    with pytest.raises(UserError, match=f"cells.csv: the column '{missing}' is missing; its columns are"):
        build(folder, ann_file='cells.csv')


def test_nothing_there(folder):
    with pytest.raises(UserError, match='none.csv: no such file'):
        build(folder, ann_file='none.csv')
    write_csv(folder)
    with pytest.raises(UserError, match='cells.csv: no image of a cell'):
        build(folder, ann_file='cells.csv')
    with pytest.raises(UserError, match='none: no such folder'):
        build(folder, data_prefix=dict(img='none'))
    with pytest.raises(UserError, match='has 2 boxes'):
        boxes = CellBoxes([[0.0, 0, 1, 1]] * 2)
        TRANSFORMS.build(dict(type='mmleuk.CropCell', size=9))(dict(img=np.zeros((9, 9, 3)), gt_bboxes=boxes))
    with pytest.raises(UserError, match='margin >= 0'):
        TRANSFORMS.build(dict(type='mmleuk.CropCell', size=9, margin=-1))
