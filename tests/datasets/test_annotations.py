"""Every defect of an annotation file is named with file and record."""

import gzip
import json

import pytest
from growth import assert_linear

from mmleuk.datasets.annotations import AnnotationReader, read_annotations
from mmleuk.datasets.file_names import RELEASE_NAME_PATTERN, compile_name_pattern, parse_file_name
from mmleuk.datasets.validation import normalise_id, recognise_boxes
from mmleuk.errors import UserError
from mmleuk.schema import IGNORE, AttributeSchema, get_declaration

CLASSES = ('WBC', 'RBC', 'Platelets')
SCHEMA = AttributeSchema.from_dict(dict(size=['small', 'big'], hue=['red', 'blue', 'grey']))


def read(film, **options):
    return read_annotations(film.write(), CLASSES, SCHEMA, **options)


def test_labels_go_by_name_and_attributes_come_from_both_places(film):
    first, second = read(film, name_pattern=RELEASE_NAME_PATTERN).images
    assert [cell.label for cell in first.cells + second.cells] == [0, 2, 1]
    assert [cell.attributes for cell in first.cells] == [(1, IGNORE), (0, 2)]
    assert first.cells[0].box_xyxy == (4, 6, 14, 18)
    assert second.cells[0].ignore and second.cells[0].attributes == (IGNORE, IGNORE)
    assert first.regions_xyxy == ((0, 0, 40, 40),)
    assert second.regions_xyxy == ((0, 0, 10, 10), (20, 20, 40, 40))
    assert (first.diagnosis, first.patient, second.diagnosis) == ('AML', None, None)


def test_reading_twice_gives_the_same(film):
    reader = AnnotationReader(CLASSES, SCHEMA)
    path = film.write()
    assert reader.read(path) == reader.read(path)


@pytest.mark.parametrize('order', [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_order_of_categories_changes_nothing(film, order):
    expected = read(film)
    film.coco['categories'] = [film.coco['categories'][index] for index in order]
    assert read(film).images == expected.images


def test_what_is_not_asked_for_is_counted(film):
    film.coco['categories'].append(dict(id=1, name='Debris'))
    film.coco['annotations'][0]['attributes']['lustre'] = 1
    annotations = read_annotations(film.write(), (*CLASSES, 'Giant'), SCHEMA)
    assert annotations.absent_classes == ('Giant',)
    assert annotations.unused_categories == ('Debris',)
    assert annotations.left_out_attributes == {'lustre': 1}


def test_both_spellings_of_the_release(film):
    film.coco['annotations'] = [
        dict(film.coco['annotations'][0], id=number, attributes=None, **{key: 1, 'cytoplasm': 2})
        for number, key in enumerate(['nuclear_chromatio', 'nuclear_chromatin'])]
    schema = get_declaration('leukemia_attri').attributes
    cells = read_annotations(film.write(), CLASSES, schema).images[0].cells
    assert [cell.attributes for cell in cells] == [(1, -1, -1, -1, -1, -1)] * 2   # 2 means unknown


def test_a_region_list_may_be_empty_and_boxes_stick_out_by_a_pixel(film):
    film.coco['images'][1]['annotated_region'] = []
    film.coco['annotations'][0]['bbox'] = [-1, 40, 65.5, 8.5]
    first, second = read(film, require_regions=True).images
    assert second.regions_xyxy == ()
    assert first.cells[0].box_xyxy == (0, 40, 64, 48)


def in_annotation(**changes):
    return lambda coco: coco['annotations'][1].update(changes)


def in_image(**changes):
    return lambda coco: coco['images'][1].update(changes)


def without(table, key):
    return lambda coco: coco[table][1].pop(key)


def again(table):
    return lambda coco: coco[table].append(dict(coco[table][1], name='twin'))


CELL = 'annotation 12 of image a_AML.png'
DEFECTS = {
    'unknown class': (lambda coco: coco['categories'][0].update(name='Alien'), CELL, "unknown class 'Alien'; known"),
    'unknown category': (in_annotation(category_id=77), CELL, 'category_id 77'),
    'missing image': (in_annotation(image_id=99), 'annotation 12', 'image_id 99'),
    'twin annotation': (again('annotations'), 'annotation 12', 'occurs twice'),
    'twin image': (again('images'), 'image b.png', 'id 3 occurs twice'),
    'twin category': (again('categories'), 'category 3', 'occurs twice'),
    'value by number': (in_annotation(hue=3), CELL, "'hue' has the value 3"),
    'value by name': (in_annotation(size='huge'), CELL, "'size' has the value 'huge'"),
    'value NaN': (in_annotation(size=float('nan')), CELL, "'size' has the value nan"),
    'two values': (in_annotation(attributes=dict(hue=1)), CELL, "'hue' occurs twice"),
    'attributes no dict': (in_annotation(attributes=[1, 2]), CELL, 'attributes is [1, 2]'),
    'zero width': (in_annotation(bbox=[3, 3, 0, 5]), CELL, 'zero or negative'),
    'negative height': (in_annotation(bbox=[3, 3, 5, -5]), CELL, 'zero or negative'),
    'NaN': (in_annotation(bbox=[3, float('nan'), 5, 5]), CELL, 'NaN'),
    'infinite': (in_annotation(bbox=[3, 3, float('inf'), 5]), CELL, 'infinity'),
    'three numbers': (in_annotation(bbox=[3, 3, 5]), CELL, 'four numbers'),
    'text': (in_annotation(bbox=[3, 3, '5 px', 5]), CELL, 'four numbers'),
    'huge number': (in_annotation(bbox=[10 ** 400, 1, 2, 3]), CELL, 'a number too large'),
    'no flag': (in_annotation(iscrowd=2), CELL, 'iscrowd is 2; iscrowd is 0 or 1'),
    'no flag, text': (in_annotation(ignore='maybe'), CELL, "ignore is 'maybe'"),
    'another spelling of a class': (lambda coco: coco['categories'][0].update(name='platelet'), CELL,
                                    "unknown class 'platelet' (did you mean 'Platelets'?)"),
    'name of a category': (lambda coco: coco['categories'][0].update(name=['Platelets']), 'category 0',
                           "its name is ['Platelets']; a category is called by a text"),
    'web address': (in_image(file_name='https://example.org/b.png'), 'image 1 of the list', 'is a web address'),
    'NUL': (in_image(file_name='b\0.png'), 'image 1 of the list', 'no possible file name'),
    'long file name': (in_image(file_name='x' * 300 + '.png'), 'image 1 of the list', 'no possible file name'),
    'surrogate': (in_image(file_name='\ud800.png'), 'image 1 of the list', 'is no valid text'),
    'file name no text': (in_image(file_name=['b.png']), 'image 1 of the list', "file_name is ['b.png']"),
    'way out': (in_image(file_name='a/../../b.png'), 'image 1 of the list', 'leads out of the folder of images'),
    'two entries of one image': (in_image(file_name='a_AML.png'), 'image a_AML.png', 'has two entries'),
    'huge width': (in_image(width=1e300), 'image b.png', 'width is 1e+300'),
    'width beyond floats': (in_image(width=10 ** 400), 'image b.png', 'width is 1000'),
    'region beyond floats': (in_image(annotated_region=[0, 0, 10 ** 400, 5]), 'image b.png', 'a number too large'),
    'partly outside': (in_annotation(bbox=[60, 3, 8, 5]), CELL, '4 px out of the image of 64x48'),
    'wholly outside': (in_annotation(bbox=[90, 3, 8, 5]), CELL, 'out of the image'),
    'in the margin': (in_annotation(bbox=[64, 3, 0.5, 5]), CELL, 'wholly outside'),
    'region outside': (in_image(annotated_region=[0, 0, 66, 20]), 'image b.png', 'annotated_region [0, 0, 66, 20]'),
    'region inverted': (in_image(annotated_region=[20, 20, -5, 9]), 'image b.png', 'zero or negative'),
    'region of zero size': (in_image(annotated_region=[[1, 1, 0, 9]]), 'image b.png', 'zero or negative'),
    'region NaN': (in_image(annotated_region=[[1, 1, float('nan'), 9]]), 'image b.png', 'NaN'),
    'region no list': (in_image(annotated_region=5), 'image b.png', 'annotated_region is 5'),
    'region short': (in_image(annotated_region=[[1, 2, 3]]), 'image b.png', 'four numbers'),
    'no region': (without('images', 'annotated_region'), 'image b.png', 'has no annotated_region'),
    'width': (in_image(width=0), 'image b.png', 'width is 0'),
    'no width': (without('images', 'width'), 'image b.png', "'width' is missing"),
    'no file name': (without('images', 'file_name'), 'image 1 of the list', "'file_name' is missing"),
    'no image id': (without('images', 'id'), 'image b.png', "'id' is missing"),
    'no box': (without('annotations', 'bbox'), CELL, "'bbox' is missing"),
    'no id': (without('annotations', 'id'), 'annotation 1 of the list', "'id' is missing"),
    'no category id': (without('annotations', 'category_id'), CELL, "'category_id' is missing"),
    'no image of cell': (without('annotations', 'image_id'), 'annotation 12', "'image_id' is missing"),
    'no name': (without('categories', 'name'), 'category 1', "'name' is missing"),
    'no record': (lambda coco: coco['annotations'].insert(0, 5), 'annotation 0 of the list', 'is 5'),
    'other schema': (lambda coco: coco.update(attributes=dict(hue=['blue', 'red', 'grey'])), "attribute 'hue'",
                     "the file has the values ['blue', 'red', 'grey']"),
}


@pytest.mark.parametrize('name', DEFECTS)
def test_defect_names_file_and_record(film, name):
    spoil, record, what = DEFECTS[name]
    spoil(film.coco)
    with pytest.raises(UserError) as caught:
        read(film, require_regions=True)
    assert str(caught.value).startswith(f'{film.root / "train.json"}: {record}: ')
    assert what in str(caught.value)


def test_a_broken_image_is_one_defect_and_not_one_per_cell(film):
    film.coco['images'][0]['annotated_region'] = [0, 0, 1000, 10]
    found = AnnotationReader(CLASSES, SCHEMA).read(film.write()).defects
    assert len(found) == 1 and 'image ' in found[0].record and 'no image of the file' not in found[0].what


def test_says_how_many_more_defects(film):
    for annotation in film.coco['annotations']:
        annotation['bbox'] = [0, 0, 0, 0]
    with pytest.raises(UserError, match=r'annotation 11 of image a_AML.png.*\(and 2 more in this file\)'):
        read(film)


def test_every_spelling_of_a_value_is_read_as_one(film):
    expected = read(film).images
    film.coco['images'][0].update(id='7', width='64', height=48.0, file_name='./a_AML.png')
    film.coco['images'][1].update(annotated_region=[['0', 0.0, '10', 10], [20, 20, 20, 20]])
    film.coco['categories'][0].update(id=str(film.coco['categories'][0]['id']))
    for annotation, flag in zip(film.coco['annotations'], ('0', False, 'true'), strict=True):
        annotation.update(id=float(annotation['id']), image_id=str(annotation['image_id']), iscrowd=flag,
                          category_id=str(annotation['category_id']), bbox=[str(n) for n in annotation['bbox']])
    film.coco['annotations'][0]['attributes'] = dict(size=' Big', hue='-1')
    film.coco['annotations'][1].update(size='0', hue='2')
    assert read(film).images == expected
    path = film.write()
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())  # as Windows editors write it
    assert read_annotations(path, CLASSES, SCHEMA).images == expected


def test_ids_that_only_look_like_numbers_stay_texts():
    assert [normalise_id(value) for value in ('7', ' 7 ', '7.0', 7.0, '007', '7a', 'a', '', True)] == [
        7, 7, 7, 7, '007', '7a', 'a', '', True]


def test_windows_paths(film):
    film.coco['images'][0]['file_name'] = '.\\day 1\\a.png'
    assert read(film).images[0].file_name == 'day 1/a.png'


def test_the_mistake_behind_all_boxes_is_named_once(film):
    for annotation, corners in zip(film.coco['annotations'], ([40, 6, 50, 18], [30, 20, 38, 28], [21, 22, 31, 34]),
                                   strict=True):
        annotation['bbox'] = corners
    with pytest.raises(UserError, match=r'annotation 11 of image a_AML.png \(and 2 more\): bbox .* holds the corners '
                                        r'x1, y1, x2, y2.*here \[40, 6, 10, 12\]$'):
        read(film)
    for annotation in film.coco['annotations']:
        annotation['bbox'] = [0.2, 0.3, 0.1, 0.1]
    with pytest.raises(UserError, match=r'\(and 2 more\): bbox .* holds shares of the image.*here 64 and 48'):
        read(film)


@pytest.mark.parametrize('boxes', [
    [[4, 6, 10, 12], [30, 20, 8, 8], [60, 22, 10, 12]],  # one box sticks out, the others don't fit as corners
    [[4, 6, 10, 12], [3, 2, 8, 8], [1, 2, 10, 12]],  # all would fit as corners, and all fit as they are
])
def test_right_boxes_are_not_taken_for_corners(boxes):
    records = [('', box, (64, 48)) for box in boxes]
    assert recognise_boxes(records, 1.0) is None and recognise_boxes([], 1.0) is None


@pytest.mark.parametrize('values', [['red', 1, 'grey'], ['red', None], 'red', 5, ['red', ['blue']]])
def test_values_of_the_files_schema_are_texts(film, values):
    film.coco['attributes'] = dict(hue=values)
    with pytest.raises(UserError, match="attribute 'hue'"):
        read(film)


def test_the_mistake_behind_many_boxes_is_found_once():
    def work(count):
        data = dict(images=[dict(id=1, file_name='a.png', width=640, height=640)], categories=[dict(id=1, name='WBC')],
                    annotations=[dict(id=number, image_id=1, category_id=1, bbox=[400, 400, 500 + number % 7, 500])
                                 for number in range(count)])
        return lambda: AnnotationReader(CLASSES, SCHEMA).parse(data, 'many.json')

    defect, = work(2000)().defects
    assert defect.kind == 'bbox as corners'
    assert_linear(work, 1000)


@pytest.mark.parametrize('key', ['images', 'annotations', 'categories'])
def test_missing_table(film, key):
    del film.coco[key]
    with pytest.raises(UserError, match=rf"train.json: the key '{key}' is missing"):
        read(film)


def test_no_image_at_all(film):
    film.coco['images'] = []
    with pytest.raises(UserError, match='train.json: images is empty'):
        read(film)


@pytest.mark.parametrize(('content', 'message'), [
    (b'{"images": [],\n "annotations" []}', 'line 2, column 16: not valid JSON'),
    (b'', 'line 1, column 1'), (b'\xff\xd8\xff\xe0', 'not UTF-8'), (b'[1]', 'holds a list'),
    (b'[' * 100000, 'cannot be read as JSON'), (b'{"a": ' + b'1' * 5000 + b'}', 'cannot be read as JSON')])
def test_broken_json(tmp_path, content, message):
    path = tmp_path / 'broken.json'
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_annotations(path, CLASSES, SCHEMA)
    assert str(path) in str(caught.value) and message in str(caught.value)


def test_missing_json(tmp_path):
    with pytest.raises(UserError, match='gone.json: no such file; set data_root'):
        read_annotations(tmp_path / 'gone.json', CLASSES, SCHEMA)


def test_file_with_its_own_equal_schema(film):
    film.coco['attributes'] = dict(hue=['red', 'blue', 'grey'], lustre=['dull', 'bright'])
    assert len(read(film).images) == 2


@pytest.mark.parametrize(('name', 'pattern', 'expected'), [
    ('15_20_1000_AML.png', RELEASE_NAME_PATTERN, ('15', 'AML')),
    ('x/23_40_1000_APML.png', RELEASE_NAME_PATTERN, ('23', 'APML')),
    ('4_7_8_400_ALL.png', RELEASE_NAME_PATTERN, ('4', 'ALL')),
    ('a_15_20_1000_AML.png', RELEASE_NAME_PATTERN, (None, 'AML')),
    ('train/018239dc-02bb.jpg', RELEASE_NAME_PATTERN, (None, None)),
    ('20_BALL.png', RELEASE_NAME_PATTERN, (None, None)),
    ('15_20_1000_AML.png', r'^(?P<patient>\d+)_.*_(?P<diagnosis>\w+)$', ('15', 'AML')),
])
def test_patient_and_diagnosis_only_where_the_name_says_so(name, pattern, expected):
    assert parse_file_name(name, compile_name_pattern(pattern)) == expected


@pytest.mark.parametrize('pattern', ['(', r'\d+'])
def test_useless_name_pattern(pattern):
    with pytest.raises(UserError, match='name_pattern'):
        compile_name_pattern(pattern)


def test_stated_patient_wins(film):
    film.coco['images'][0].update(patient=4, diagnosis='CML')
    image = read(film).images[0]
    assert (image.patient, image.diagnosis) == ('4', 'CML')


def test_labels_agree_with_pycocotools(film):
    from pycocotools.coco import COCO
    path = film.write()
    oracle = COCO(str(path))
    for image in read_annotations(path, CLASSES, SCHEMA).images:
        anns = oracle.loadAnns(oracle.getAnnIds(imgIds=[image.image_id]))
        assert [CLASSES[cell.label] for cell in image.cells] == [oracle.cats[a['category_id']]['name'] for a in anns]
        assert [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in (c.box_xyxy for c in image.cells)] == \
            [a['bbox'] for a in anns]


def test_cells_of_many_images_are_read_once(tmp_path):
    def work(count):
        images = [dict(id=i, file_name=f'{i}.png', width=640, height=640) for i in range(count // 20)]
        annotations = [dict(id=i, image_id=i % len(images), category_id=1, bbox=[1, 1, 20, 20], size=1, hue=0)
                       for i in range(count)]
        path = tmp_path / f'{count}.json'
        path.write_text(json.dumps(dict(images=images, annotations=annotations, categories=[dict(id=1, name='WBC')])))
        return lambda: read_annotations(path, CLASSES, SCHEMA)

    assert_linear(work, 1000)


def test_cells_with_polygons_alone_or_with_corners_by_declaration(film):
    """The box around all polygons of a cell; Detectron2's ``bbox_mode`` 0 means x1, y1, x2, y2."""
    first, second = film.coco['annotations'][:2]
    expected = read(film)
    for empty in (None, []):
        first['segmentation'] = [[4, 6, 14, 6, 9, 18], [5, 7, 6, 8, 7, 9]]
        first['bbox'] = empty
        x, y, width, height = second['bbox']
        second.update(bbox=[x, y, x + width, y + height], bbox_mode=0)
        assert read(film).images == expected.images
        second.update(bbox=[x, y, width, height], bbox_mode=1)
        assert read(film).images == expected.images


@pytest.mark.parametrize('name', ['W\nBC', '\ud800', ''])
def test_class_names_are_printable(film, name):
    film.coco['categories'][0]['name'] = name
    with pytest.raises(UserError, match='a name is one line of printable text'):
        read(film)


def test_spaces_around_class_names_are_no_part_of_them(film):
    expected = read(film)
    film.coco['categories'][0]['name'] = f" {film.coco['categories'][0]['name']} "
    assert read(film).images == expected.images


@pytest.mark.parametrize(('content', 'message'), [
    (gzip.compress(b'{}', mtime=0), 'is compressed; unpack it'), (b'{"id": 1}\n{"id": 2}\n', 'line 2: .* JSON Lines'),
    ('{"a": "Zellen ä"}'.encode('cp1252'), 'byte 14: not UTF-8 text, so not JSON; save it as UTF-8')])
def test_json_in_another_container_is_named(tmp_path, content, message):
    (tmp_path / 'a.json').write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_annotations(tmp_path / 'a.json', CLASSES, SCHEMA)
