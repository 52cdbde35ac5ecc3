"""The data set as MMDetection's pipelines and wrappers see it."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmleuk.datasets.file_names import RELEASE_NAME_PATTERN
from mmleuk.datasets.presets import make_metainfo
from mmleuk.datasets.subsets import SUBSETS, get_subset
from mmleuk.errors import UserError
from mmleuk.registry import DATASETS
from mmleuk.schema import (
    DECLARATIONS,
    LEUKEMIA_ATTRIBUTES,
    LEUKEMIA_CLASSES,
    TXL_PBC_CLASSES,
    WBCATT_CLASSES,
    AttributeSchema,
    SchemaError,
    get_declaration,
)

LOAD = [dict(type='mmleuk.LoadImage'), dict(type='mmleuk.LoadCellAnnotations')]


def build(film, **changes):
    film.write()
    return DATASETS.build(film.config(**changes))


def test_record_of_a_sparse_film(film):
    data = build(film, name_pattern=RELEASE_NAME_PATTERN)
    record = data.get_data_info(0)
    assert record['img_path'] == str(film.root / 'images' / 'a_AML.png')
    assert (record['img_id'], record['height'], record['width']) == (7, 48, 64)
    assert record['instances'] == [
        dict(bbox=[4.0, 6.0, 14.0, 18.0], bbox_label=0, ignore_flag=0, attributes=[1, -1]),
        dict(bbox=[30.0, 20.0, 38.0, 28.0], bbox_label=2, ignore_flag=0, attributes=[0, 2])]
    assert record['annotated_regions'] == [[0.0, 0.0, 40.0, 40.0]]
    assert (record['annotation'], record['num_attributes']) == ('sparse', 2)
    assert (record['diagnosis'], record['patient'], record['domain'], record['factors']) == ('AML', None, None, None)
    assert data.get_data_info(1)['instances'][0]['ignore_flag'] == 1
    assert [data.get_cat_ids(index) for index in (0, 1)] == [[0, 2], [1]]
    assert data.get_data_info(0) == record


def test_complete_means_known_everywhere(film):
    assert build(film, annotation='complete').get_data_info(1)['annotated_regions'] == [[0.0, 0.0, 64.0, 48.0]]


def test_sparse_without_region_raises(film):
    del film.coco['images'][1]['annotated_region']
    with pytest.raises(UserError, match=r"train.json: image b.png: has no annotated_region.*annotation='complete'"):
        build(film)
    assert len(build(film, annotation='complete')) == 2


def test_known_nowhere_is_an_empty_list(film):
    film.coco['images'][1]['annotated_region'] = []
    assert build(film).get_data_info(1)['annotated_regions'] == []


def test_regions_without_a_word_on_their_meaning_raise(film):
    with pytest.raises(UserError, match=r"image a_AML.png: only a region.*2 images; set annotation='sparse'"):
        build(film, annotation=None)
    for image in film.coco['images']:
        image['annotated_region'] = [0, 0, 64, 48]
    assert build(film, annotation=None).get_data_info(0)['annotation'] == 'complete'


def test_unknown_annotation_kind(film):
    with pytest.raises(UserError, match="annotation='full' is unknown"):
        build(film, annotation='full')


def test_missing_images_are_named_and_counted(film):
    for image in film.coco['images']:
        (film.root / 'images' / image['file_name']).unlink()
    with pytest.raises(UserError, match=r'images/a_AML.png: image of .*train.json is missing \(and 1 more\)'):
        build(film)


def test_filter_keeps_empty_images_unless_told(film):
    film.coco['annotations'] = film.coco['annotations'][:2]
    assert len(build(film)) == 2
    assert len(build(film, filter_cfg=dict(filter_empty_gt=True))) == 1
    assert len(build(film, filter_cfg=dict(filter_empty_gt=True), test_mode=True)) == 2


def test_nothing_left_after_filtering(film):
    with pytest.raises(UserError, match=r"train.json: no image is left after filtering with {'min_size': 50}"):
        build(film, filter_cfg=dict(min_size=50))


def test_misspelt_filter(film):
    with pytest.raises(UserError, match="unknown key 'filter_empty'"):
        build(film, filter_cfg=dict(filter_empty=True))


def test_sparse_refuses_transforms_that_leave_regions_behind(film):
    with pytest.raises(UserError, match='PackDetInputs'):
        build(film, pipeline=[*LOAD, dict(type='PackDetInputs')])


def test_defaults_of_leukemia_attri_and_of_nobody_else():
    data = DATASETS.build(dict(type='mmleuk.LeukemiaAttriDataset', ann_file='a.json', lazy_init=True))
    assert data.metainfo['classes'] == LEUKEMIA_CLASSES and data.schema.keys == LEUKEMIA_ATTRIBUTES.keys
    assert data.metainfo['leukocytes'] == data.metainfo['described'] == LEUKEMIA_CLASSES[1:]
    assert len(set(data.metainfo['palette'])) == 14
    for metainfo in (None, {}, dict(attributes={})):
        with pytest.raises(UserError, match='metainfo names no classes'):
            DATASETS.build(dict(type='mmleuk.CellDataset', ann_file='a.json', metainfo=metainfo, lazy_init=True))


def test_twos_and_fours_are_unknown_in_the_release_alone():
    released = get_declaration('leukemia_attri').attributes
    assert [released.encode('cytoplasm', value) for value in (0, 1, 2, 4, -1)] == [0, 1, -1, -1, -1]
    assert AttributeSchema.from_dict(released.to_dict()) == released
    for schema in (get_declaration('wbcatt').attributes, AttributeSchema.from_dict(dict(cell_size=['small', 'big']))):
        with pytest.raises(SchemaError, match="'cell_size' has the value 2"):
            schema.encode('cell_size', 2)
    with pytest.raises(SchemaError, match='known value'):
        AttributeSchema.from_dict(dict(hue=dict(values=['red', 'blue'], unknown=[1])))


def test_metainfo_rules():
    assert make_metainfo(dict(classes=['a', 'b']))['attributes'] == {}
    assert make_metainfo(dict(classes=['a', 'RBCs']))['leukocytes'] == ('a',)
    two = make_metainfo(dict(classes=['a', 'b'], attributes=dict(hue=['red', 'blue']), described=['b']))
    assert (two['described'], two['leukocytes']) == (('b',), ('a', 'b'))
    assert make_metainfo(dict(preset='wbcatt', leukocytes=['Monocyte']))['leukocytes'] == ('Monocyte',)
    assert make_metainfo(dict(preset='wbcatt', classes=['a', 'b']))['described'] == ('a', 'b')
    assert make_metainfo(dict(preset='txl_pbc', attributes=dict(hue=['red', 'blue'])))['described'] == TXL_PBC_CLASSES
    assert len(make_metainfo(dict(preset='wbcatt'))['attributes']) == 11
    assert make_metainfo(dict(preset='wbcatt', attributes={}))['attributes'] == {}
    for wrong, message in ((dict(preset='wbcat'), "unknown data set 'wbcat'; known are leukemia_attri"),
                           (dict(classes='WBC'), "classes are 'WBC'"), (dict(classes=()), 'give a tuple of names'),
                           (dict(classes=('a', 'a')), 'a class occurs twice'),
                           (dict(classes=('a',), described=('b',), attributes=dict(hue=['red', 'blue'])), "'b'")):
        with pytest.raises(UserError, match=message):
            make_metainfo(wrong)


def test_every_declared_data_set():
    assert set(DECLARATIONS) >= {'leukemia_attri', 'lld_40x', 'leukocyte', 'pbc', 'synthetic', 'txl_pbc', 'wbcatt'}
    pbc, wbcatt = get_declaration('pbc'), get_declaration('wbcatt')
    assert len(pbc.classes) == 12 and len(pbc.attributes) == 11
    assert set(pbc.classes) - set(pbc.leukocytes) == {'Erythroblast', 'Platelet', 'RBC'}
    assert set(pbc.leukocytes) - set(pbc.described) == {'Metamyelocyte', 'Myelocyte', 'Promyelocyte'}
    assert wbcatt.described == wbcatt.leukocytes == WBCATT_CLASSES[:5]
    assert get_declaration('leukemia') is get_declaration('leukemia_attri')
    assert get_declaration('txl_pbc').described == ()


def test_unknown_attributes_of_an_artefact_and_of_everything(film):
    for annotation in film.coco['annotations']:
        for key in ('attributes', 'size', 'hue'):
            annotation.pop(key, None)
    values = [cell['attributes'] for record in map(build(film).get_data_info, (0, 1)) for cell in record['instances']]
    assert values == [[-1, -1]] * 3


def test_through_loading_and_a_mosaic(film):
    film.coco['annotations'] = film.coco['annotations'][:2]      # the second image holds no cell
    film.write()
    mixed = DATASETS.build(dict(
        type='MultiImageMixDataset', dataset=film.config(pipeline=LOAD),
        pipeline=[dict(type='mmleuk.Mosaic', img_scale=(32, 32)), dict(type='mmleuk.PackCells')]))
    assert mixed.metainfo['classes'] == ('WBC', 'RBC', 'Platelets')
    for index in (0, 1):
        sample = mixed[index]['data_samples']
        assert sample.gt_instances.attributes.shape == (len(sample.gt_instances.bboxes), 2)
        assert sample.metainfo['annotated_regions'].shape[0] > 1


@pytest.mark.parametrize(('content', 'message'), [
    (b'', 'the file is empty'), (b'no image', 'no image that can be decoded'), (None, 'the end of the PNG data')])
def test_broken_image_is_named_at_the_start_and_in_loading(film, content, message):
    path = film.root / 'images' / 'a_AML.png'
    path.write_bytes(path.read_bytes()[:-500] if content is None else content)
    for broken in (lambda: build(film), lambda: build(film, check_images=False, pipeline=LOAD)[0]):
        with pytest.raises(UserError) as caught:
            broken()
        assert str(path) in str(caught.value) and message in str(caught.value)


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.bmp'])
def test_large_images_are_looked_at_from_their_ends(film, suffix):
    path = film.root / 'images' / f'large{suffix}'
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8))
    whole = path.read_bytes()
    film.coco['images'][0].update(file_name=path.name, width=128, height=96)
    assert len(whole) > 8192 and len(build(film)) == 2
    for content in (whole[:-1000], b'GIF9' + whole[4:], whole[:5000]):
        path.write_bytes(content)
        with pytest.raises(UserError, match=f'large{suffix}: .*restore or convert'):
            build(film)


def test_truncated_jpeg_is_named(film):
    path = film.root / 'images' / 'a.jpg'
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8))
    film.coco['images'][0]['file_name'] = 'a.jpg'
    assert build(film, pipeline=LOAD)[0]['img'].shape == (48, 64, 3)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r'a.jpg: the end of the JPEG data is missing; restore'):
        build(film)


def test_image_deleted_after_the_start_is_named(film):
    data = build(film, pipeline=LOAD)
    (film.root / 'images' / 'a_AML.png').unlink()
    with pytest.raises(UserError, match=r'a_AML.png: cannot be read'):
        data[0]


def test_image_of_another_size_is_named(film):
    film.coco['images'][0].update(width=128)
    with pytest.raises(UserError, match='a_AML.png: the image is 64x48 px, its annotation says 128x48'):
        build(film)
    with pytest.raises(UserError, match='a_AML.png: the image is 64x48 px, its annotation says 128x48'):
        build(film, pipeline=LOAD, check_images=False)[0]


def test_thirteen_subsets():
    assert len(SUBSETS) == 13
    sparse = get_subset('HCM_40x_C2_Sparse')
    assert (sparse.microscope, sparse.magnification, sparse.camera, sparse.images) == ('HCM', 40, 'HD1500T', 1731)
    assert (sparse.annotation('train'), sparse.annotation('test')) == ('sparse', 'complete')
    assert get_subset('LCM_10x_C2').camera == 'ZZCAT-5MP'
    with pytest.raises(UserError, match='HCM_100x_C1.*LCM_10x_C2.*HCM_40x_C2_Sparse'):
        get_subset('HCM_20x_C1')
    for subset in SUBSETS.values():
        assert get_subset(subset.release_name) == get_subset(subset.name.upper()) == subset
    assert get_subset('HCM_40x_C1').release_name == 'H_40X_C1'
    with pytest.raises(UserError, match='train and test'):
        sparse.ann_file('val')


def test_subset_gives_the_releases_paths():
    data = DATASETS.build(dict(type='mmleuk.LeukemiaAttriDataset', data_root='/d', subset='HCM_40x_C2_Sparse',
                               split='train', lazy_init=True))
    assert data.ann_file == '/d/H_40X_C2_Sparse/json_labels/train.json'
    assert data.data_prefix == dict(img='/d/H_40X_C2_Sparse/Images/train/')
    assert data.annotation == 'sparse'
    with pytest.raises(UserError, match='goes with subset'):
        DATASETS.build(dict(type='mmleuk.LeukemiaAttriDataset', split='train', lazy_init=True))


def test_coco_metric_scores_perfect_predictions_as_one(film):
    """The metric without a file converts the records itself: labels must fit its categories."""
    from mmdet.evaluation import CocoMetric
    data = build(film, annotation='complete')
    metric = CocoMetric(metric='bbox')
    metric.dataset_meta = data.metainfo
    for index in range(2):
        info = data.get_data_info(index)
        boxes = np.array([cell['bbox'] for cell in info['instances']])
        labels = np.array([cell['bbox_label'] for cell in info['instances']])
        metric.results.append((
            dict(anns=info['instances'], width=64, height=48, img_id=info['img_id']),
            dict(img_id=info['img_id'], bboxes=boxes, labels=labels, scores=np.ones(len(labels)))))
    assert metric.compute_metrics(metric.results)['bbox_mAP'] == 1.0


TXL_PBC = Path(os.environ.get('MMLEUK_DATA', 'absent')) / 'txl_pbc'


@pytest.mark.skipif(not TXL_PBC.is_dir(), reason='needs the real data: MMLEUK_DATA with txl_pbc/')
@pytest.mark.parametrize(('name', 'preset', 'annotation', 'images', 'boxes', 'ignored'), [
    ('train', 'txl_pbc', 'complete', 998, 18373, 0), ('train_sparse', 'txl_pbc', 'sparse', 998, 2999, 0),
    ('val', 'txl_pbc', 'complete', 281, 5162, 0), ('attri_train', 'wbcatt', 'complete', 350, 6437, 85)])
def test_real_data_loads_whole(name, preset, annotation, images, boxes, ignored):
    data = DATASETS.build(dict(
        type='mmleuk.CellDataset', data_root=str(TXL_PBC), ann_file=f'annotations/{name}.json',
        data_prefix=dict(img='images'), metainfo=dict(preset=preset), annotation=annotation))
    cells = [cell for index in range(len(data)) for cell in data.get_data_info(index)['instances']]
    assert (len(data), len(cells), sum(cell['ignore_flag'] for cell in cells)) == (images, boxes, ignored)
