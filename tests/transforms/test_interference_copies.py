"""Copies of a test set: files, ids, boxes and marks, the same for the same seed; errors before anything is written."""

import argparse
import json

import cv2
import numpy as np
import pytest

from mmleuk.commands.interfere import add_arguments, run
from mmleuk.datasets import CellDataset
from mmleuk.datasets.annotations import read_annotations
from mmleuk.datasets.interference import interfere
from mmleuk.datasets.interference.names import FACTOR_NAMES
from mmleuk.datasets.interference.preview import draw_sheet
from mmleuk.errors import UserError
from mmleuk.schema import AttributeSchema
from mmleuk.transforms.interference import FACTORS

SCHEMA = dict(size=['small', 'big'])
CLASSES = ('RBC', 'WBC')


def test_the_commands_names_are_those_of_the_transforms():
    assert FACTOR_NAMES == tuple(FACTORS)


@pytest.fixture
def films(tmp_path):
    """Three films of 160 x 120 px; the last one shows no cell, the first has a region and its own factor."""
    boxes = [[[20.25, 20, 40.5, 36], [90, 60, 40, 44]], [[50, 40, 44, 40], [100, 10, 38, 40]], []]
    images, annotations = [], []
    for index, cells in enumerate(boxes):
        name = f'val/{index}.png' if index else 'val/0.jpg'
        picture = np.full((120, 160, 3), 225, np.uint8)
        for number, (x, y, width, height) in enumerate(cells):
            centre, axes = (int(x + width / 2), int(y + height / 2)), (int(width / 2) - 1, int(height / 2) - 1)
            cv2.ellipse(picture, centre, axes, 0, 0, 360, (150, 60 + 30 * number, 110), -1)
            annotations.append(dict(id=10 + len(annotations), image_id=f'i{index}', category_id=3 + number, iscrowd=0,
                                    bbox=[x, y, width, height], area=width * height, mine=index,
                                    attributes=dict(size=number)))
        images.append(dict(id=f'i{index}', file_name=name, width=160, height=120, domain='a'))
        (tmp_path / 'images/val').mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / 'images' / name), picture)
    images[0] |= dict(annotated_region=[0, 0, 160, 118], factors='old')
    images[2] |= dict(factors={'blur': 2})
    data = dict(info=dict(year=2020), images=images, annotations=annotations, attributes=SCHEMA,
                categories=[dict(id=3, name='WBC'), dict(id=4, name='RBC')])
    (tmp_path / 'val.json').write_text(json.dumps(data))
    return tmp_path


def make(films, name, *factors, **options):
    interfere(films / 'val.json', films / 'images', films / name, factors or tuple(FACTORS), **options)
    return {factor: json.loads((films / name / factor / 'annotations.json').read_text())
            for factor in factors or FACTORS}


def test_same_seed_same_files_whatever_else_is_made(films):
    make(films, 'one', seed=4)
    make(films, 'two', 'impurities', 'overlapping_cells', seed=4)
    for path in (films / 'two').rglob('*.*'):
        assert path.read_bytes() == (films / 'one' / path.relative_to(films / 'two')).read_bytes()
    assert make(films, 'three', 'incomplete_cells', seed=5) != make(films, 'four', 'incomplete_cells', seed=6)
    assert sorted(path.name for path in films.iterdir()) == sorted(
        ['images', 'val.json', 'one', 'two', 'three', 'four'])


def test_what_the_copies_say(films):
    before = json.loads((films / 'val.json').read_text())
    for factor, data in make(films, 'out', seed=1).items():
        records = {image['id']: image for image in data['images']}
        assert set(records) == ({'i0', 'i1'} if FACTORS[factor].needs_cells else {'i0', 'i1', 'i2'})
        assert records['i0']['factors'] == ['old', factor] and records['i1']['factors'] == [factor]
        assert 'i2' not in records or records['i2']['factors'] == {'blur': 2, factor: True}
        assert data['info']['year'] == 2020 and data['info']['interference']['factor'] == factor
        assert data['info']['interference']['seed'] == 1 and data['categories'] == before['categories']
        assert all(image['domain'] == 'a' for image in data['images'])
        for image in data['images']:
            picture = cv2.imread(str(films / 'out' / factor / 'images' / image['file_name']))
            assert picture.shape == (image['height'], image['width'], 3)
        read = read_annotations(films / 'out' / factor / 'annotations.json', CLASSES, AttributeSchema.from_dict(SCHEMA))
        assert sum(len(image.cells) for image in read.images) == len(data['annotations'])
        if factor in ('over_staining', 'pale_staining', 'defocus', 'impurities'):
            marks = {} if factor == 'impurities' else dict(affected=1)
            assert data['annotations'] == [annotation | marks for annotation in before['annotations']]
        assert ('impurities' in records['i0']) == (factor == 'impurities')


def test_laid_cells_are_annotations_of_their_own(films):
    before = {a['id']: a for a in json.loads((films / 'val.json').read_text())['annotations']}
    data = make(films, 'out', 'overlapping_cells', seed=2, cell_classes=['WBC'])['overlapping_cells']
    new = [annotation for annotation in data['annotations'] if annotation['id'] not in before]
    assert len(new) == 2 and len({annotation['id'] for annotation in data['annotations']}) == 6
    for annotation in new:
        assert annotation['category_id'] == 3 and annotation['attributes'] == dict(size=0)
        assert annotation['affected'] == 1
        assert annotation['area'] == annotation['bbox'][2] * annotation['bbox'][3]
    for annotation in data['annotations']:
        if annotation['id'] in before:
            assert annotation['bbox'] == before[annotation['id']]['bbox']
            assert ('affected' in annotation) == (annotation['category_id'] == 3)


def test_cut_cells_move_with_their_picture(films):
    before = {a['id']: a for a in json.loads((films / 'val.json').read_text())['annotations']}
    data = make(films, 'out', 'incomplete_cells', seed=3)['incomplete_cells']
    sizes = {image['id']: (image['width'], image['height']) for image in data['images']}
    assert any(size != (160, 120) for size in sizes.values())
    assert any(annotation.get('affected') for annotation in data['annotations'])
    for annotation in data['annotations']:
        x, y, width, height = annotation['bbox']
        old = before[annotation['id']]
        assert x >= 0 and y >= 0 and x + width <= sizes[annotation['image_id']][0] + 1e-6
        assert width <= old['bbox'][2] and height <= old['bbox'][3]
        share = width * height / (old['bbox'][2] * old['bbox'][3])
        assert bool(annotation.get('affected')) == (0.2 <= share < 0.75) and annotation['iscrowd'] == (share < 0.2)
        assert annotation['mine'] == old['mine'] and annotation['attributes'] == old['attributes']
    region, = data['images'][0]['annotated_region']
    assert region[2] <= sizes['i0'][0] and region[3] <= min(sizes['i0'][1], 118)


@pytest.mark.parametrize('factor', [factor for factor in FACTORS if factor != 'overlapping_cells'])
def test_a_pipeline_shows_what_the_copies_show(films, factor):
    """Overlapping cells aside, whose donors come from other pictures, too. The file_name has a folder."""
    copy = make(films, 'out', factor, seed=4)[factor]
    dataset = CellDataset(
        ann_file=str(films / 'val.json'), data_prefix=dict(img=str(films / 'images')), annotation='complete',
        metainfo=dict(classes=CLASSES, attributes=SCHEMA),
        pipeline=[dict(type='mmleuk.LoadImage'), dict(type='mmleuk.LoadCellAnnotations'),
                  dict(type=f'mmleuk.{FACTORS[factor].__name__}', seed=4)])
    for index, image in enumerate(copy['images'][:2]):
        shown = dataset[index]
        assert shown['img_id'] == image['id'] and shown['img'].shape[:2] == (image['height'], image['width'])
        written = cv2.imread(str(films / 'out' / factor / 'images' / image['file_name']))
        off = np.abs(written.astype(int) - shown['img'])
        assert off.mean() < 1.5 if image['file_name'].endswith('jpg') else not off.any()
        boxes = [a['bbox'] for a in copy['annotations'] if a['image_id'] == image['id']]
        corners = np.array(boxes) + [[0, 0, x, y] for x, y, *_ in boxes]
        np.testing.assert_allclose(shown['gt_bboxes'].tensor.numpy(), corners, atol=1e-2)


@pytest.mark.parametrize('name', ['images', 'val.json/sheet.png', 'sheet.jpg'])
def test_a_sheet_that_cannot_be_written_is_told_before_the_copies(films, name):
    names = sorted(path.name for path in films.iterdir())
    with pytest.raises(UserError, match=f'{name}: '):
        command(films, '--sheet', films / name)
    assert sorted(path.name for path in films.iterdir()) == names


def test_a_sheet_needs_an_image_that_shows_every_factor(films):
    make(films, 'out', 'defocus', 'impurities')
    for factor, index in (('defocus', 0), ('impurities', 1)):
        path = films / 'out' / factor / 'annotations.json'
        data = json.loads(path.read_text())
        path.write_text(json.dumps(data | dict(images=[data['images'][index]])))
    with pytest.raises(UserError, match='val.json: no image shows every factor'):
        draw_sheet(films / 'val.json', films / 'images', films / 'out', ('defocus', 'impurities'))


def test_a_sheet_may_lie_among_the_copies(films):
    assert command(films, '--sheet', films / 'out' / 'sheets' / 'sheet.png') == 0
    assert cv2.imread(str(films / 'out/sheets/sheet.png')).shape == (262, 486, 3)


def spoil(**changes):
    def change(folder):
        data = json.loads((folder / 'val.json').read_text())
        data['images'][0] |= changes
        (folder / 'val.json').write_text(json.dumps(data))
    return change


@pytest.mark.parametrize(('change', 'options', 'message'), [
    (None, dict(factors=['rain']), "unknown factor 'rain'; known are over_staining"),
    (None, dict(factors=['defocus', 'defocus']), 'name each one once'),
    (None, dict(cell_classes=['Cat']), "unknown class 'Cat'; known are WBC, RBC"),
    (None, dict(cell_classes=['WBC'], factors=['defocus']), '--cell-classes: no cells are chosen for defocus'),
    (spoil(file_name='/0.jpg'), {}, 'a copy needs a name within the folder of images'),
    (spoil(file_name='val/0.gif'), {}, 'with one of the suffixes .bmp'),
    (spoil(file_name='../0.jpg'), {}, 'leads out of the folder of images'),
    (spoil(file_name='val/1.png'), {}, 'the image has two entries'),
    (spoil(file_name='val/gone.jpg'), {}, 'gone.jpg: cannot be read'),
    (spoil(width=170), {}, 'the image is 160x120 px, its annotation says 170x120'),
    (lambda folder: (folder / 'out').write_text(''), {}, 'exists already and is a file')])
def test_errors_leave_nothing_behind(films, change, options, message):
    if change:
        change(films)
    names = sorted(path.name for path in films.iterdir())
    with pytest.raises(UserError, match=message):
        interfere(films / 'val.json', films / 'images', films / 'out', **options)
    assert sorted(path.name for path in films.iterdir()) == names


def test_no_picture_can_show_it(films):
    data = json.loads((films / 'val.json').read_text())
    (films / 'val.json').write_text(json.dumps(data | dict(annotations=[])))
    with pytest.raises(UserError, match="no image can show 'overlapping_cells'"):
        make(films, 'out')
    assert not (films / 'out').exists()


def command(films, *more):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = [films / 'val.json', '--images', films / 'images', '--out', films / 'out', '--factors', 'defocus',
             '--limit', 1, *more]
    return run(parser.parse_args([str(word) for word in words]))


def test_command(films, capsys):
    assert command(films, '--sheet', films / 'sheet.png') == 0
    assert 'out/defocus: 1 images' in capsys.readouterr().out
    assert cv2.imread(str(films / 'sheet.png')).shape == (262, 486, 3)    # one image, without and with
    with pytest.raises(UserError, match='--seed is -1'):
        command(films, '--seed', -1)
