"""LeukemiaAttri as released, in any spelling of its folders: one field per image, one box per cell."""

import copy
import json
import random

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmleuk.datasets.annotations import read_ground_truth
from mmleuk.datasets.check import examine_config
from mmleuk.datasets.release import apply_rules, is_release
from mmleuk.errors import UserError
from mmleuk.evaluation.coco_metric import CocoMetric
from mmleuk.registry import DATASETS
from mmleuk.schema import LEUKEMIA_CLASSES

KEYS = ('cell_size', 'nuclear_chromatio', 'nuclear_shape', 'nucleolus', 'cytoplasm', 'cytoplasmic_basophilia',
        'cytoplasmic_vacuoles')
NONE, MYELOBLAST, LYMPHOBLAST, PROMYELOCYTE = 0, 1, 2, 9
TRAIN = [  # file, class, box, attributes in the order of KEYS
    ('15_20_1000_AML.png', MYELOBLAST, [10, 20, 30, 40], (2, 0, 1, 1, 0, 1, 0)),
    ('15_20_1000_AML.png', PROMYELOCYTE, [50, 10, 30, 40], (1, 1, 0, 1, 1, 1, 1)),
    ('15_20_1000_AML.png', MYELOBLAST, [10, 20, 30, 40], (2, 1, 1, 1, 0, 1, 4)),      # twice, and two opinions
    ('15_20_1000_AML.png', NONE, [50, 10, 30, 40], (4,) * 7),                          # None beside a type
    ('5_45_1000_ALL.png', MYELOBLAST, [60, 50, 20, 30], (0, 0, 0, 0, 0, 0, 0)),
    ('5_45_1000_ALL.png', LYMPHOBLAST, [60, 50, 20, 30], (0, 0, 0, 0, 0, 1, 0)),       # two types
    ('5_45_1000_ALL.png', NONE, [5, 5, 30, 30], (4,) * 7),
    ('5_45_1000_ALL.png', LYMPHOBLAST, [40, 5, 7, 30], (1, 0, 0, 0, 0, 0, 0))]         # under 8 px
TEST = [('4_7_1000_ALL.png', LYMPHOBLAST, [30, 30, 40, 40], (1, 0, 1, 0, 1, 0, 1))]


def release_json(rows):
    """The release's JSON: an image entry per box, names in lower case."""
    return dict(
        images=[dict(id=index, file_name=row[0], width=100, height=90) for index, row in enumerate(rows)],
        annotations=[dict(id=index, image_id=index, category_id=label, iscrowd=0, segmentation=[], bbox=box,
                          area=box[2] * box[3], **dict(zip(KEYS, values, strict=True)))
                     for index, (_, label, box, values) in enumerate(rows)],
        categories=[dict(id=index, name=name.lower()) for index, name in enumerate(LEUKEMIA_CLASSES)])


def write(folder, tables, labels, images):
    """A subset's folder; ``labels`` and ``images`` are the folders' names."""
    for split, content in tables.items():
        for path in (folder / labels, folder / images / split):
            path.mkdir(parents=True, exist_ok=True)
        (folder / labels / f'{split}.json').write_text(json.dumps(content))
        for seed, name in enumerate(sorted({image['file_name'] for image in content['images']})):
            pixels = np.random.default_rng(len(split) * 10 + seed).integers(0, 255, (90, 100, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / images / split / name), pixels)


def build(root, split='train', **changes):
    return DATASETS.build(dict(type='mmleuk.LeukemiaAttriDataset', data_root=str(root), subset='HCM_100x_C2',
                               split=split, pipeline=[]) | changes)


def records(dataset):
    """Records without where they were found."""
    return [{key: value for key, value in dataset.get_data_info(index).items() if key not in ('img_path', 'sample_idx')}
            for index in range(len(dataset))]


@pytest.fixture
def tables():
    return dict(train=release_json(TRAIN), test=release_json(TEST))


@pytest.fixture
def root(tmp_path, tables):
    """The folder that holds LeukemiaAttri_Dataset."""
    write(tmp_path / 'LeukemiaAttri_Dataset/H_100X_C2', tables, 'json_labels', 'Images')
    return tmp_path


def test_one_field_per_image_and_one_box_per_cell(root):
    first, second = records(build(root))
    assert (first['file_name'], first['patient'], first['diagnosis']) == ('15_20_1000_AML.png', '15', 'AML')
    assert (first['img_id'], second['img_id']) == (0, 4)
    assert first['instances'] == [
        dict(bbox=[10, 20, 40, 60], bbox_label=MYELOBLAST, ignore_flag=0, attributes=[-1, 1, 1, 0, 1, 0]),
        dict(bbox=[50, 10, 80, 50], bbox_label=PROMYELOCYTE, ignore_flag=0, attributes=[1, 0, 1, 1, 1, 1])]
    assert second['instances'] == [
        dict(bbox=[5, 5, 35, 35], bbox_label=NONE, ignore_flag=0, attributes=[-1] * 6),
        dict(bbox=[40, 5, 47, 35], bbox_label=LYMPHOBLAST, ignore_flag=1, attributes=[0] * 6),
        dict(bbox=[60, 50, 80, 80], bbox_label=MYELOBLAST, ignore_flag=1, attributes=[0, 0, 0, 0, -1, 0])]


def test_shuffled_renumbered_capitalised_and_old_layouts_are_equal(root, tables, tmp_path):
    expected = records(build(root))
    shuffled = copy.deepcopy(tables)
    for table in ('images', 'annotations', 'categories'):
        random.Random(0).shuffle(shuffled['train'][table])
    renumbered = copy.deepcopy(shuffled)
    for image in renumbered['train']['images']:
        image['id'] = 500 - image['id']
    for annotation in renumbered['train']['annotations']:
        annotation.update(id=900 - annotation['id'], image_id=500 - annotation['image_id'])
    capitals = copy.deepcopy(tables)
    for category in capitals['train']['categories']:
        category['name'] = category['name'].upper()
    write(tmp_path / 'a/leukemiaattri_DATASET/h_100x_c2', shuffled, 'JSON_Labels', 'IMAGES')
    (tmp_path / 'a/leukemiaattri_DATASET/h_100x_c2/IMAGES/train').rename(
        tmp_path / 'a/leukemiaattri_DATASET/h_100x_c2/IMAGES/Train')
    write(tmp_path / 'b/H_100X_C2', capitals, 'Json_labels', 'images')
    write(tmp_path / 'c/HCM_100x_C2', tables, 'Annotations', 'Images')
    write(tmp_path / 'd/hcm_100X_c2', renumbered, 'annotations', 'images')
    for name in 'abc':
        assert records(build(tmp_path / name)) == expected, name
    numbered = records(build(tmp_path / 'd'))
    assert [record.pop('img_id') for record in numbered] == [497, 493]
    assert numbered == [{key: value for key, value in record.items() if key != 'img_id'} for record in expected]


def test_folders_are_found_from_beside_and_within(root):
    for given, subset in ((root, 'H_100X_C2'), (root / 'LeukemiaAttri', 'hcm_100x_c2'),
                          (root / 'LeukemiaAttri_Dataset', 'HCM_100x_C2')):
        data = build(given, subset=subset)
        assert data.ann_file == str(root / 'LeukemiaAttri_Dataset/H_100X_C2/json_labels/train.json')
    with pytest.raises(UserError, match='L_10X_C1/json_labels/train.json: no such file'):
        build(root, subset='LCM_10x_C1')


def test_rules_leave_their_input_and_change_nothing_twice(tables):
    before = copy.deepcopy(tables['train'])
    once, found = apply_rules(tables['train'])
    assert tables['train'] == before
    again, left = apply_rules(once)
    assert again == once
    assert {kind: counts.total() for kind, counts in found.items()} == {
        'repeated image entry': 8, 'double box': 1, 'box of two classes': 2, 'box under 8 px': 1,
        'attribute value 4': 3}
    assert {kind for kind, counts in left.items() if counts} == {'box under 8 px'}
    assert once['annotations'][0]['cell_size'] == 2


def test_small_cells_at_10x_stay():
    rows = [('4_7_100_ALL.png', LYMPHOBLAST, [30, 30, 5, 6], (1,) * 7)]
    content, found = apply_rules(release_json(rows))
    assert 'ignore' not in content['annotations'][0] and not any(found.values())


def test_entries_that_contradict_each_other_are_refused(root, tables):
    tables['train']['images'][1]['width'] = 200
    write(root / 'LeukemiaAttri_Dataset/H_100X_C2', tables, 'json_labels', 'Images')
    with pytest.raises(UserError, match='15_20_1000_AML.png: the image has two entries'):
        build(root)


@pytest.mark.parametrize('spoil', [
    lambda data: data['annotations'].__setitem__(0, 'x'), lambda data: data['annotations'][0].pop('bbox'),
    lambda data: data['annotations'][0].update(image_id=99), lambda data: data['images'].__setitem__(0, None),
    lambda data: data['annotations'][0].update(bbox=[0, 0, 0, 0])])
def test_broken_records_are_left_to_the_reader(root, tables, spoil):
    spoil(tables['train'])
    (root / 'LeukemiaAttri_Dataset/H_100X_C2/json_labels/train.json').write_text(json.dumps(tables['train']))
    with pytest.raises(UserError, match=r'train.json: (annotation|image|bbox)'):
        build(root)


def test_other_data_keep_their_rules(tables):
    other = copy.deepcopy(tables['train'])
    assert is_release(other)
    for annotation in other['annotations']:
        annotation['nuclear_chromatin'] = annotation.pop('nuclear_chromatio')
    assert not is_release(other) and not is_release([]) and not is_release(dict(categories=[]))


def test_scores_see_the_cells_that_training_sees(root):
    """Evaluation reads the file, the metric the file or the samples: three cells count in train, two are ignored."""
    path = root / 'LeukemiaAttri_Dataset/H_100X_C2/json_labels/train.json'
    truth = read_ground_truth(path)
    dataset = build(root)
    assert [image.image_id for image in truth.images] == [0, 4] and truth.classes == LEUKEMIA_CLASSES
    assert [list(cell.box_xyxy) for image in truth.images for cell in image.cells] == [
        cell['bbox'] for record in records(dataset) for cell in record['instances']]
    metric = CocoMetric(ann_file=str(path), metric='bbox')
    metric.dataset_meta = dataset.metainfo
    for record in records(dataset):
        cells = [cell for cell in record['instances'] if not cell['ignore_flag']]
        metric.process({}, [dict(img_id=record['img_id'], ori_shape=(90, 100), pred_instances=dict(
            bboxes=torch.tensor([cell['bbox'] for cell in cells]), scores=torch.ones(len(cells)),
            labels=torch.tensor([cell['bbox_label'] for cell in cells])))])
    assert metric.evaluate(size=2)['coco/bbox_mAP'] == 1


@pytest.fixture
def config(root):
    def dataset(split):
        return dict(type='mmleuk.LeukemiaAttriDataset', data_root=str(root), subset='HCM_100x_C2', split=split,
                    pipeline=[dict(type='mmleuk.LoadImage'), dict(type='mmleuk.LoadCellAnnotations')])
    return Config(dict(train_dataloader=dict(dataset=dataset('train')), val_dataloader=dict(dataset=dataset('test'))))


def test_check_names_each_planted_defect(config):
    report = examine_config(config)
    assert report.problems == ()
    texts = {finding.kind: finding.message for finding in report.findings if finding.split == 'train'}
    for kind, expected in {
            'repeated image entry': '8 image entries repeat 2 files: 15_20_1000_AML.png (4), 5_45_1000_ALL.png (4)',
            'double box': '1 cells have the same box and class twice in 1 file: 15_20_1000_AML.png (1)',
            'box of two classes': '2 boxes have two classes in 2 files: 15_20_1000_AML.png (1), 5_45_1000_ALL.png (1)',
            'box under 8 px': 'in 1 file: 5_45_1000_ALL.png (1)',
            'attribute value 4': '3 annotations have an attribute with the value 4 in 2 files'}.items():
        assert expected in texts[kind]


def test_check_names_patients_on_both_sides(config, root, tables):
    tables['test'] = release_json([('15_21_1000_AML.png', *TEST[0][1:])])
    write(root / 'LeukemiaAttri_Dataset/H_100X_C2', tables, 'json_labels', 'Images')
    problem, = examine_config(config).problems
    assert (problem.kind, problem.split) == ('patient in two splits', 'train and val')
    assert problem.message.startswith('patient 15: 1 fields (15_20_1000_AML.png) and 1 (15_21_1000_AML.png)')
