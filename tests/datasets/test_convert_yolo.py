"""The release's extended YOLO texts come out as the boxes, attributes and patches that went in."""

import argparse
import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmleuk.commands.convert import add_arguments, run
from mmleuk.datasets.annotations import read_annotations
from mmleuk.datasets.converters.extended_yolo import (
    CORNER_ORDERS,
    LabelledImage,
    choose_corner_order,
    convert_yolo,
    make_coco,
    parse_row,
    patch_xyxy,
)
from mmleuk.errors import UserError
from mmleuk.schema import DECLARATIONS, LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES, AttributeSchema

CLEAR = '8 0.3 0.3 0.1 0.2 100 50 400 350 1 0 1 2 0 1 2'        # as x1 x2 y1 y2 it would be 400 > 350
AMBIGUOUS = '8 0.3 0.3 0.1 0.2 100 200 300 400 1 0 1 2 0 1 2'     # a patch either way
INVERTED = '8 0.3 0.3 0.1 0.2 400 350 100 50 1 0 1 2 0 1 2'


@pytest.fixture
def release(tmp_path):
    """Writes texts by stem, with an image of 640 x 640 px for each."""
    for folder in ('images/train', 'labels/train'):
        (tmp_path / folder).mkdir(parents=True)

    def write(size=(640, 640), **texts):
        for stem, text in texts.items():
            cv2.imwrite(str(tmp_path / f'images/train/{stem}.png'), np.zeros((*size, 3), np.uint8))
            if text is not None:
                (tmp_path / f'labels/train/{stem}.txt').write_text(text)
        return tmp_path / 'images', tmp_path / 'labels'

    return write


def convert(folders, **options):
    return convert_yolo(*folders, LEUKEMIA_CLASSES, **options)


def test_both_numbers_for_unknown_are_taken(release):
    cell, = convert(release(a='1 0.5 0.25 0.1 0.2 0 4 2 0 1 4'))['annotations']
    assert list(cell['attributes'].values()) == [0, None, None, 0, 1, None]


def test_two_is_a_large_cell_unless_the_cell_has_no_attributes(release):
    coco = convert(release(a='1 0.5 0.25 0.1 0.2 2 0 1 0 1 2 0\n0 0.5 0.75 0.1 0.2 2 2 2 2 2 2 2'))
    large, none = coco['annotations']
    assert large['attributes']['cell_size'] == 2 and set(none['attributes'].values()) == {None}
    assert coco['attributes']['cell_size']['values'] == ['small', 'medium', 'large']
    assert coco['attributes']['cell_size']['unknown'] == [4]


@pytest.mark.parametrize(('text', 'size'), [('1 0.5 0.25 0.1 0.2 2 0 1 0 1 2 0\n', {'cell_size': 2}),
                                            ('1 0.5 0.25 0.1 0.2 0 1 0 1 2 0\n\n', {})])
def test_twelve_and_eleven_columns(release, text, size):
    coco = convert(release(a=text, b=''))
    assert [image['file_name'] for image in coco['images']] == ['train/a.png', 'train/b.png']
    assert 'annotated_region' not in coco['images'][0]
    cell, = coco['annotations']
    assert cell['bbox'] == [288, 96, 64, 128] and cell['area'] == 64 * 128
    assert coco['categories'][cell['category_id'] - 1] == dict(id=2, name='Myeloblast')
    assert cell['attributes'] == size | dict(zip(LEUKEMIA_ATTRIBUTES.keys, (0, 1, 0, 1, None, 0)))


def test_sparse_patch_and_its_scale(release):
    image, = convert(release(size=(320, 1280), a=f'{CLEAR}\n{CLEAR}'))['images']
    assert image['annotated_region'] == [[200, 25, 600, 150]]     # 640 px -> 1280 x 320 px, once


def test_one_order_of_corners_for_all(release):
    """The second text decides the order of the first one; the release's page lists x1 x2 y1 y2."""
    as_page = CLEAR.replace('100 50 400 350', '100 400 50 350')
    for deciding, expected in ((CLEAR, [100, 200, 200, 200]), (as_page, [100, 300, 100, 100])):
        coco = convert(release(a=AMBIGUOUS, b=deciding))
        assert coco['images'][0]['annotated_region'] == [expected]
        assert coco['images'][1]['annotated_region'] == [[100, 50, 300, 300]]


def test_ambiguous_corners_raise_unless_told(release):
    folders = release(a=AMBIGUOUS)
    with pytest.raises(UserError, match=r'a.txt:1: patch corners 100 200 300 400 are a patch in both.*--corners'):
        convert(folders)
    assert convert(folders, corners='xxyy')['images'][0]['annotated_region'] == [[100, 300, 100, 100]]


@pytest.mark.parametrize('corners', ['auto', 'xyxy'])
def test_impossible_corners_raise(release, corners):
    with pytest.raises(UserError, match=r'b.txt:2: patch corners 400 350 100 50'):
        convert(release(a=CLEAR, b=f'{CLEAR}\n{INVERTED}'), corners=corners)


def test_orders_that_contradict_each_other_raise(release):
    as_page = CLEAR.replace('100 50 400 350', '100 400 50 350')
    with pytest.raises(UserError, match=r'b.txt:1: patch corners 100 400 50 350 fit no order.*\(xyxy\)'):
        convert(release(a=CLEAR, b=as_page))


@pytest.mark.parametrize(('text', 'message'), [
    ('1 0.5 0.5 0.1 0.2 1 0 1 0 1', 'a.txt:1: has 10 columns'),
    ('1 0.5 0.5 0.1 0.2 1 0 1 0 1 2 0\n1 0.5 0.5 0.1 0.2 1 0 1 0 1 2', 'a.txt:2: has 11 columns where 12'),
    ('14 0.5 0.5 0.1 0.2 1 0 1 0 1 2 0', 'a.txt:1: class 14 is outside 0..13'),
    ('1.5 0.5 0.5 0.1 0.2 1 0 1 0 1 2 0', 'a.txt:1: class 1.5'),
    ('1 0.5 0.5 0.1 0.2 1 0 1 0 3 2 0', "a.txt:1: attribute 'cytoplasm' has the value 3"),
    ('1 0.5 0.5 0.0 0.2 1 0 1 0 1 2 0', 'a.txt:1: box 0.5 0.5 0.0 0.2'),
    ('1 1.5 0.5 0.1 0.2 1 0 1 0 1 2 0', 'a.txt:1: box 1.5'),
    ('1 0.99 0.5 0.1 0.2 1 0 1 0 1 2 0', 'a.txt:1: bbox [601.6, 256.0, 64.0, 128.0] reaches 25.6 px out'),
    ('1 nan 0.5 0.1 0.2 1 0 1 0 1 2 0', "a.txt:1: 'nan' is no finite number"),
    ('1 x 0.5 0.1 0.2 1 0 1 0 1 2 0', "a.txt:1: 'x' is no number")])
def test_bad_rows_are_named_by_file_and_line(release, text, message):
    with pytest.raises(UserError) as caught:
        convert(release(a=text))
    assert message in str(caught.value)


def test_layout_that_does_not_fit(release):
    with pytest.raises(UserError, match=r"a.txt:1: has 16 columns.*layout 'leukemia' takes 12, 11"):
        convert(release(a=CLEAR), layout='leukemia')


def test_image_without_text_and_text_without_image(release):
    folders = release(a=CLEAR, b=None)
    with pytest.raises(UserError, match=r'b.png: has no text in .*--allow-unlabelled'):
        convert(folders)
    assert convert(folders, allow_unlabelled=True)['images'][1]['annotated_region'] == []
    (folders[1] / 'train/c.txt').write_text(CLEAR)
    with pytest.raises(UserError, match=r'c.txt: has no image in .*\(1 such texts\)'):
        convert(folders, allow_unlabelled=True)


def test_broken_image_and_missing_folders(release, tmp_path):
    folders = release(a=CLEAR)
    (folders[0] / 'train/a.png').write_bytes(b'\x89PNG\r\n\x1a\n')
    with pytest.raises(UserError, match='a.png: the end of the PNG data is missing'):
        convert(folders)
    with pytest.raises(UserError, match='gone: no such folder'):
        convert((tmp_path / 'gone', folders[1]))
    with pytest.raises(UserError, match='holds no image'):
        convert((folders[1], folders[1]))


def arguments(*words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_command_writes_what_the_data_set_reads(release, tmp_path, capsys):
    out = tmp_path / 'annotations' / 'train.json'
    assert run(arguments(*release(a=CLEAR, b=''), out)) == 0
    assert '2 images (1 without cells), 1 cell\n' in capsys.readouterr().out
    schema = AttributeSchema.from_dict(json.loads(out.read_text())['attributes'])
    assert schema.select(LEUKEMIA_ATTRIBUTES.keys) == DECLARATIONS['leukemia_attri'].attributes
    images = read_annotations(out, LEUKEMIA_CLASSES, schema, require_regions=True).images
    assert images[0].cells[0].attributes == (1, 0, 1, -1, 0, 1, -1)
    assert images[0].regions_xyxy == ((100, 50, 400, 350),) and images[1].regions_xyxy == ()
    assert [path.name for path in out.parent.iterdir()] == ['train.json']


def test_defect_leaves_the_old_file(release, tmp_path):
    out = tmp_path / 'old.json'
    out.write_text('{"old": 1}')
    with pytest.raises(UserError):
        run(arguments(*release(a='1 2 3'), out))
    assert json.loads(out.read_text()) == {'old': 1}


def test_unwritable_place_and_bad_classes(release, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='cannot be written'):
        run(arguments(*release(a=CLEAR), tmp_path / 'file' / 'out.json'))
    with pytest.raises(UserError, match='--classes'):
        run(arguments(*release(a=CLEAR), tmp_path / 'out.json', '--classes', 'a,,b'))


@st.composite
def patches_and_cells(draw):
    """A patch in whole pixels, a box in the image, and its values."""
    x1, y1 = draw(st.integers(0, 500)), draw(st.integers(0, 500))
    patch = (x1, y1, draw(st.integers(x1 + 1, 640)), draw(st.integers(y1 + 1, 640)))
    left, top = draw(st.floats(0, 600)), draw(st.floats(0, 440))
    box = (left, top, draw(st.floats(1, 640 - left)), draw(st.floats(1, 480 - top)))
    return patch, box, draw(st.integers(0, 13)), draw(st.lists(st.integers(0, 2), min_size=7, max_size=7))


@given(patches_and_cells(), st.sampled_from(sorted(CORNER_ORDERS)))
def test_round_trip(cell, order):
    patch, (x, y, width, height), label, values = cell
    corners = [0] * 4
    for index, value in zip(CORNER_ORDERS[order], patch):
        corners[index] = value
    normalised = ((x + width / 2) / 640, (y + height / 2) / 480, width / 640, height / 480)
    row = parse_row(' '.join(map(str, (label, *normalised, *corners, *values))), 'a.txt:1', 16, 14)
    assert patch_xyxy(row, order) == patch
    coco = make_coco([LabelledImage('a.png', 640, 480, (row,))], LEUKEMIA_CLASSES, order)
    found, = coco['annotations']
    np.testing.assert_allclose(found['bbox'], (x, y, width, height), atol=2e-3)
    assert found['category_id'] == label + 1
    expected = [values[0] if min(values) < 2 else None, *(None if value == 2 else value for value in values[1:])]
    assert list(found['attributes'].values()) == expected
    region = np.array(coco['images'][0]['annotated_region'][0])
    np.testing.assert_allclose(region * (1, 640 / 480, 1, 640 / 480),
                               (patch[0], patch[1], patch[2] - patch[0], patch[3] - patch[1]), atol=2e-3)


@given(st.lists(patches_and_cells(), min_size=1, max_size=6), st.sampled_from(sorted(CORNER_ORDERS)))
def test_chosen_order_is_never_the_wrong_one(cells, order):
    rows = []
    for index, (patch, _, _, _) in enumerate(cells):
        corners = [0] * 4
        for target, value in zip(CORNER_ORDERS[order], patch):
            corners[target] = value
        rows.append(parse_row('0 .5 .5 .1 .1 ' + ' '.join(map(str, (*corners, *[0] * 7))), f'a.txt:{index}', 16, 14))
    try:
        chosen = choose_corner_order(rows)
    except UserError as error:
        assert 'both orders' in str(error)
    else:
        assert [patch_xyxy(row, chosen) for row in rows] == [patch for patch, _, _, _ in cells]
