"""COCO -> VOC -> COCO and COCO -> YOLO -> COCO give back the parsed JSON; without the side file, boxes to the stated
precision."""

import json
import shutil

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_folders import SCHEMA, convert, edit

from mmleuk.datasets.converters.coco_files import SIDE_FILE, check_coco
from mmleuk.datasets.converters.formats import Reading, read_labels, write_labels
from mmleuk.datasets.converters.plain_yolo import find_classes
from mmleuk.errors import UserError


@st.composite
def rectangles(draw, width, height, whole=False):
    """[x, y, width, height] inside an image; x is above 1, so that the box cannot be taken for shares."""
    if whole:
        x, y = draw(st.integers(2, width - 1)), draw(st.integers(0, height - 1))
        return [x, y, draw(st.integers(1, width - x)), draw(st.integers(1, height - y))]
    x, y = draw(st.floats(1.25, width - 0.5)), draw(st.floats(0, height - 0.5))
    return [x, y, draw(st.floats(0.25, width - x)), draw(st.floats(0.25, height - y))]


@st.composite
def coco_files(draw, max_side=3000):
    """A valid COCO JSON: any ids, categories in any order, images without cells, all the keys that we know."""
    identities = st.one_of(st.integers(-5, 10 ** 12), st.text('abc-_', min_size=1, max_size=6))
    names = draw(st.lists(st.sampled_from(['WBC', 'RBC', 'Atypical lymphocyte', '<&">', 'ß 1']), min_size=1,
                          unique=True))
    category_ids = draw(st.lists(identities, min_size=len(names), max_size=len(names), unique=True))
    image_ids = draw(st.lists(identities, min_size=1, max_size=4, unique=True))
    images, annotations = [], []
    for index, image_id in enumerate(image_ids):
        width, height = draw(st.integers(4, max_side)), draw(st.integers(1, max_side))
        folder = draw(st.sampled_from(['', 'val/', 'a b/ü/']))
        image = dict(id=image_id, file_name=f'{folder}f{index}.x.png', width=width, height=height)
        extra = dict(domain='pbc', factors=['pale'], patient=7, pbc_name='x',
                     annotated_region=draw(st.one_of(rectangles(width, height),
                                                     st.lists(rectangles(width, height), max_size=2))))
        images.append(image | draw(st.fixed_dictionaries({}, optional={key: st.just(extra[key]) for key in extra})))
        for _ in range(draw(st.integers(0, 4))):
            box = draw(rectangles(width, height, draw(st.booleans())))
            annotations.append(dict(image_id=image_id, category_id=draw(st.sampled_from(category_ids)), bbox=box))
    ids = draw(st.lists(identities, min_size=len(annotations), max_size=len(annotations), unique=True))
    attributes = st.fixed_dictionaries({}, optional=dict(size=st.sampled_from(['small', 1, None, -1]),
                                                         hue=st.sampled_from([-1, 0, 2, 'grey'])))
    extras = st.fixed_dictionaries({}, optional=dict(
        attributes=attributes, iscrowd=st.integers(0, 1), area=st.floats(0, 1e6),
        segmentation=st.just([[1.5, 2, 3, 4]]), truncated=st.integers(0, 1), ignore=st.integers(0, 1)))
    annotations = [dict(id=identity) | annotation | draw(extras) for identity, annotation in
                   zip(ids, draw(st.permutations(annotations)))]
    top = draw(st.fixed_dictionaries({}, optional=dict(info=st.just(dict(a=[1, None])), attributes=st.just(SCHEMA))))
    return top | dict(images=images, annotations=annotations,
                      categories=[dict(id=i, name=name) for i, name in zip(category_ids, names)])


def there_and_back(data, name, folder, reading=None, corners='pixels'):
    out = folder / 'out'
    shutil.rmtree(out, ignore_errors=True)
    write_labels(check_coco(data, 'x.json'), name, out, corners)
    return read_labels(out, name, reading or Reading(corners=corners))


@pytest.mark.parametrize('name', ['voc', 'yolo'])
@given(data=coco_files())
@settings(max_examples=25)
def test_round_trip_is_the_same_json(tmp_path_factory, name, data):
    text = json.dumps(data)
    folder = tmp_path_factory.getbasetemp() / f'round_trip_{name}'
    back, note = there_and_back(json.loads(text), name, folder)
    assert back == json.loads(text) and note == ''
    assert json.dumps(back) == text      # to the last digit, and in the same order


@given(data=coco_files(), corners=st.sampled_from(['pixels', 'edges']))
@settings(max_examples=25)
def test_voc_alone_keeps_boxes_to_half_a_pixel(tmp_path_factory, data, corners):
    folder = tmp_path_factory.getbasetemp() / 'voc_alone'
    back, note = there_and_back(data, 'voc', folder, Reading(corners=corners, side_file=''), corners)
    assert 'no side file' in note
    for before, after in pairs(data, back):
        edges = [np.array([x, y, x + width, y + height]) for x, y, width, height in (before['bbox'], after['bbox'])]
        small = np.tile(np.array(before['bbox'][2:]) < 1, 2)       # those become a whole pixel
        assert (np.abs(edges[0] - edges[1]) <= np.where(small, 1, 0.5) + 1e-9).all()
        assert after['iscrowd'] == int(bool(before.get('iscrowd') or before.get('ignore')))
        assert after.get('truncated', 0) == before.get('truncated', 0)
        if all(value == int(value) for value in before['bbox']):
            assert before['bbox'] == after['bbox']


@given(data=coco_files(max_side=64))
@settings(max_examples=20)
def test_yolo_alone_keeps_boxes_to_a_millionth(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / 'yolo_alone'
    images = folder / 'images'
    shutil.rmtree(images, ignore_errors=True)
    for image in data['images']:
        path = images / image['file_name']
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((image['height'], image['width'], 3), np.uint8))
    back, _ = there_and_back(data, 'yolo', folder, Reading(images=images, side_file=''))
    for before, after in pairs(data, back):
        np.testing.assert_allclose(after['bbox'], before['bbox'], atol=1e-6, rtol=0)
        if all(value == int(value) for value in before['bbox']):
            assert after['bbox'] == before['bbox']


def pairs(data, back):
    """Annotations before and after, class and image compared on the way."""
    names = {category['id']: category['name'] for category in data['categories']}
    names_back = {category['id']: category['name'] for category in back['categories']}
    files = {image['file_name']: image for image in back['images']}
    assert sorted(files) == sorted(image['file_name'] for image in data['images'])
    found = []
    for image in data['images']:
        assert (files[image['file_name']]['width'], files[image['file_name']]['height']) == (image['width'],
                                                                                               image['height'])
        before = [a for a in data['annotations'] if a['image_id'] == image['id']]
        after = [a for a in back['annotations'] if a['image_id'] == files[image['file_name']]['id']]
        assert [names[a['category_id']] for a in before] == [names_back[a['category_id']] for a in after]
        found += zip(before, after, strict=True)
    return found


def test_what_the_label_files_say(folders, capsys):
    assert (folders / 'yolo/labels/val/a.txt').read_text().splitlines() == [
        '0 0.251250 0.281250 0.302500 0.062500', '1 0.500000 0.500000 1.000000 1.000000',
        '1 0.550000 0.812500 0.100000 0.125000']
    assert (folders / 'yolo/labels/b.txt').read_text() == ''
    assert (folders / 'yolo/classes.txt').read_text() == 'WBC\nRBC\n'
    voc = (folders / 'voc/Annotations/val/a.xml').read_text()
    assert '<folder>val</folder>' in voc and '<filename>a.png</filename>' in voc
    corners = [[f'<{side}>{value}</{side}>' for side, value in zip(('xmin', 'ymin', 'xmax', 'ymax'), box)]
               for box in ((11, 21, 40, 25), (1, 1, 100, 80), (51, 61, 60, 70))]
    lines = [line.strip() for line in voc.splitlines()]
    assert [line for line in lines if line[:5] in ('<xmin', '<ymin', '<xmax', '<ymax')] == sum(corners, [])
    assert [line for line in lines if 'difficult' in line] == [f'<difficult>{n}</difficult>' for n in (0, 1, 0)]
    assert sorted(path.name for path in (folders / 'voc').iterdir()) == ['Annotations', SIDE_FILE]


def test_every_way_by_the_command(folders, capsys):
    convert(folders / 'voc', '--from', 'voc', '--to', 'yolo', '--out', folders / 'yolo2')
    convert(folders / 'yolo2', '--from', 'yolo', '--to', 'voc', '--out', folders / 'voc2')
    convert(folders / 'voc2', '--from', 'voc', '--to', 'coco', '--out', folders / 'back.json')
    assert json.loads((folders / 'back.json').read_text()) == json.loads((folders / 'coco.json').read_text())
    assert (folders / 'yolo2/labels/val/a.txt').read_text() == (folders / 'yolo/labels/val/a.txt').read_text()
    assert 'no side file' not in capsys.readouterr().out


def test_another_tools_yolo_texts_come_back_as_they_were(folders):
    root = folders / 'theirs'
    (root / 'labels/val').mkdir(parents=True)
    (root / 'classes.txt').write_text('WBC\nRBC\n')
    text = '1 0.123457 0.500001 0.100003 0.333333\n0 0.5 0.5 0.25 0.75\n'
    (root / 'labels/val/a.txt').write_text(text)
    (root / 'labels/b.txt').write_text('')
    convert(root, '--from', 'yolo', '--to', 'coco', '--out', folders / 'c.json', '--images', folders / 'images')
    convert(folders / 'c.json', '--from', 'coco', '--to', 'yolo', '--out', folders / 'again')
    again = (folders / 'again/labels/val/a.txt').read_text().split()
    assert list(map(float, again)) == list(map(float, text.split()))


@pytest.mark.parametrize('text', ['names: [1, 2]', 'names: {1: WBC}', 'nc: 2', 'names: []', 'names: [', '- WBC',
                                  'names: {0: A, 2: B}', 'names: {0: A, "0": B}', 'nc: 3\nnames: [A, B]'])
def test_a_data_yaml_without_names_is_refused(tmp_path, text):
    (tmp_path / 'data.yaml').write_text(text)
    with pytest.raises(UserError, match='data.yaml: .*give --classes'):
        find_classes(tmp_path)


def test_the_folder_is_named_and_not_its_yaml(tmp_path):
    (tmp_path / 'data.yaml').write_text('names: [WBC]')
    with pytest.raises(UserError, match='is a file; name the folder'):
        read_labels(tmp_path / 'data.yaml', 'yolo', Reading())


def test_plain_voc_with_a_split_and_unsorted_tags(tmp_path):
    (tmp_path / 'Annotations').mkdir()
    (tmp_path / 'ImageSets/Main').mkdir(parents=True)
    (tmp_path / 'ImageSets/Main/test.txt').write_text('2\n')
    for name in '12':
        (tmp_path / f'Annotations/{name}.xml').write_text(
            f'<annotation><filename>{name}.jpg</filename><object><bndbox><ymax>9</ymax><xmin>1.5</xmin><ymin>3</ymin>'
            '<xmax>8</xmax></bndbox><name> Monocyte </name><truncated>1</truncated></object>'
            '<size><height>10</height><width>20</width></size></annotation>')
    data, note = read_labels(tmp_path, 'voc', Reading(listing=tmp_path / 'ImageSets/Main/test.txt'))
    assert data == dict(
        images=[dict(id=1, file_name='2.jpg', width=20, height=10)], categories=[dict(id=1, name='Monocyte')],
        annotations=[dict(id=1, image_id=1, category_id=1, bbox=[0.5, 2, 7.5, 7], area=52.5, iscrowd=0, truncated=1)])
    with pytest.raises(UserError, match=r'train.txt: cannot be read'):
        read_labels(tmp_path, 'voc', Reading(listing=tmp_path / 'ImageSets/Main/train.txt'))
    (tmp_path / 'ImageSets/Main/test.txt').write_text('2\n3\n')
    with pytest.raises(UserError, match=r"test.txt: entry 2, '3', has no 3.xml"):
        read_labels(tmp_path, 'voc', Reading(listing=tmp_path / 'ImageSets/Main/test.txt'))
    assert read_labels(tmp_path, 'voc', Reading(corners='edges'))[0]['annotations'][0]['bbox'] == [1.5, 3, 6.5, 6]


# ---- labels that were changed since


def test_changed_labels_are_refused_and_kept_on_demand(folders, capsys):
    edit(folders / 'voc/Annotations/val/a.xml', '<xmin>51</xmin>', '<xmin>52</xmin>')
    back = ['--from', 'voc', '--to', 'coco', '--out', folders / 'back.json']
    with pytest.raises(UserError, match=r'mmleuk_side.json: was written for other labels than those here \(1 cells '
                                        r'new or moved, 1 cells gone or moved; first: .*a.xml: RBC 52 61 60 70 is'):
        convert(folders / 'voc', *back)
    assert not (folders / 'back.json').exists()
    convert(folders / 'voc', *back, '--changed-labels', 'keep')
    assert 'labels were changed' in capsys.readouterr().out
    data, before = (json.loads((folders / name).read_text()) for name in ('back.json', 'coco.json'))
    assert data['annotations'][:2] == before['annotations'][:2] and data['images'] == before['images']
    assert data['annotations'][2:] == [dict(id=10, image_id=7, category_id=1, bbox=[51, 60, 9, 10], area=90, iscrowd=0)]


def test_another_order_in_the_file_is_no_change(folders):
    path = folders / 'yolo/labels/val/a.txt'
    path.write_text('\n'.join(reversed(path.read_text().splitlines())))
    data, note = read_labels(folders / 'yolo', 'yolo', Reading())
    assert note == '' and data == json.loads((folders / 'coco.json').read_text())


def test_images_that_came_and_went(folders):
    (folders / 'yolo/labels/b.txt').rename(folders / 'yolo/labels/c.txt')
    (folders / 'images/b.png').rename(folders / 'images/c.png')
    (folders / 'yolo/labels/c.txt').write_text('1 0.5 0.5 0.5 0.5\n')
    with pytest.raises(UserError, match=r'c.txt: has no image; add it'):
        read_labels(folders / 'yolo', 'yolo', Reading())
    with pytest.raises(UserError, match=r'1 images more, 1 images less, 1 cells new'):
        read_labels(folders / 'yolo', 'yolo', Reading(images=folders / 'images'))
    data, note = read_labels(folders / 'yolo', 'yolo', Reading(images=folders / 'images', keep_changed=True))
    assert '1 images more, 1 images less' in note
    assert data['images'][1] == dict(id=8, file_name='c.png', width=40, height=30)
    assert data['annotations'][3] == dict(id=10, image_id=8, category_id=1, bbox=[10, 7.5, 20, 15], area=300, iscrowd=0)


def test_swapped_class_names_are_a_change(folders):
    (folders / 'yolo/classes.txt').write_text('RBC\nWBC\n')
    with pytest.raises(UserError, match='other labels than those here'):
        read_labels(folders / 'yolo', 'yolo', Reading())


def test_side_file_of_other_labels(folders):
    with pytest.raises(UserError, match=r'is no side file of VOC labels'):
        read_labels(folders / 'voc', 'voc', Reading(side_file=folders / 'yolo' / SIDE_FILE))
    with pytest.raises(UserError, match=r'is no side file of VOC labels \(its label_files is None\)'):
        read_labels(folders / 'voc', 'voc', Reading(side_file=folders / 'coco.json'))
    with pytest.raises(UserError, match='has the classes WBC, RBC, not those of --classes'):
        read_labels(folders / 'voc', 'voc', Reading(classes=('WBC',)))
    with pytest.raises(UserError, match='written with --voc-corners pixels'):
        read_labels(folders / 'voc', 'voc', Reading(corners='edges'))
    edit(folders / 'voc/Annotations/b.xml', '<width>40</width>', '<width>41</width>')
    with pytest.raises(UserError, match=r'b.xml: is of image b.png of \(41, 30\) px'):
        read_labels(folders / 'voc', 'voc', Reading())
