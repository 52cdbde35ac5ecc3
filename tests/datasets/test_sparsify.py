"""``mmleuk data sparsify`` keeps the cells of one random patch per image, and says where it lies."""

import copy
import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmleuk import cli
from mmleuk.datasets.cells import CellDataset
from mmleuk.datasets.converters.coco_files import check_coco
from mmleuk.datasets.sparsify import sparsify, sparsify_nested
from mmleuk.errors import UserError
from mmleuk.structures.sampled_regions import sample_region


def make_coco(images):
    """COCO JSON of [((width, height), boxes)]; ids and file names count."""
    annotations = [dict(image_id=number, category_id=1, bbox=list(box), area=box[2] * box[3], iscrowd=0, stain='pale')
                   for number, (_, boxes) in enumerate(images, 1) for box in boxes]
    return dict(
        images=[dict(id=number, file_name=f'{number}.png', width=size[0], height=size[1], domain='x')
                for number, (size, _) in enumerate(images, 1)],
        annotations=[dict(cell, id=number) for number, cell in enumerate(annotations, 1)],
        categories=[dict(id=1, name='WBC')], info=dict(year=2026))


def grid(width, height, step=10):
    return [(x, y, step - 2, step - 2) for x in range(0, width - step + 1, step)
            for y in range(0, height - step + 1, step)]


@st.composite
def films(draw):
    width, height = draw(st.integers(20, 90)), draw(st.integers(20, 90))
    box = st.tuples(st.integers(0, width - 8), st.integers(0, height - 8), st.integers(1, 8), st.integers(1, 8))
    return (width, height), draw(st.lists(box, max_size=6))


@settings(max_examples=60, deadline=None)
@given(st.lists(films(), min_size=1, max_size=3), st.floats(0.1, 1), st.integers(0, 5))
def test_a_cell_stays_if_and_only_if_its_centre_lies_in_the_region(images, fraction, seed):
    data = make_coco(images)
    before = copy.deepcopy(data)
    sparse = sparsify(check_coco(data, 'a.json'), fraction, seed)
    assert data == before
    kept = {cell['id']: cell for cell in sparse['annotations']}
    for image in sparse['images']:
        x, y, w, h = image['annotated_region']
        assert 0 <= x < x + w <= image['width'] and 0 <= y < y + h <= image['height']
        cells = [cell for cell in data['annotations'] if cell['image_id'] == image['id']]
        for cell in cells:
            left, top, width, height = cell['bbox']
            inside = x <= left + width / 2 <= x + w and y <= top + height / 2 <= y + h
            assert inside == (cell['id'] in kept)
            assert not inside or kept[cell['id']] == cell, 'not cut, no key lost'
        assert not cells or any(cell['id'] in kept for cell in cells), 'a region holds a cell where there is one'


def test_a_fifth_of_the_area_holds_about_a_fifth_of_evenly_spread_cells():
    sparse = sparsify(check_coco(make_coco([((200, 100), grid(200, 100))] * 100), 'a.json'), 0.2)
    for image in sparse['images']:
        _, _, width, height = image['annotated_region']
        assert width * height / 20000 == pytest.approx(0.2, abs=0.01)
        assert 2 / 1.6 < width / height < 2 * 1.6, 'shaped like the image'
    assert len(sparse['annotations']) / (100 * 200) == pytest.approx(0.2, abs=0.02)


def test_all_of_an_image_is_all_of_its_cells():
    data = make_coco([((50, 40), grid(50, 40))])
    sparse = sparsify(check_coco(data, 'a.json'), 1.0)
    assert sparse['annotations'] == data['annotations'] and sparse['images'][0]['annotated_region'] == [0, 0, 50, 40]


def test_an_images_region_depends_on_its_own_record_and_the_seed_alone():
    data = make_coco([((90, 90), grid(90, 90))] * 5)

    def regions(data, seed):
        return {image['file_name']: image['annotated_region'] for image in
                sparsify(check_coco(data, 'a.json'), 0.2, seed)['images']}
    first = regions(data, 0)
    assert regions(data, 0) == first and len(set(map(tuple, first.values()))) > 1
    assert regions(data, 1) != first
    fewer = dict(data, images=data['images'][:1:-1],
                 annotations=[cell for cell in data['annotations'] if cell['image_id'] > 2])
    assert regions(fewer, 0) == {name: region for name, region in first.items() if name in ('3.png', '4.png', '5.png')}


def test_a_crowd_stays_wherever_it_touches_the_region_and_holds_no_region_by_itself():
    crowded = 0
    for seed in range(40):
        data = make_coco([((100, 100), [(45, 45, 10, 10), (0, 0, 30, 100)])])
        data['annotations'][1]['iscrowd'] = 1
        sparse = sparsify(check_coco(data, 'a.json'), 0.2, seed)
        x, _, width, _ = sparse['images'][0]['annotated_region']
        kept = [cell['id'] for cell in sparse['annotations']]
        assert 1 in kept and (2 in kept) == (x < 30)
        crowded += (2 in kept) and not x <= 15 <= x + width
    assert crowded, 'some regions touch the crowd and miss its centre'


def test_wide_images_and_those_without_cells():
    rng = np.random.default_rng(0)
    corners = np.array([sample_region([], (300, 30), 0.1, rng)[:2] for _ in range(200)])
    assert corners[:, 0].max() > 150 and corners[:, 1].max() > 15 and corners.min(0).max() < 5
    sparse = sparsify(check_coco(make_coco([((30, 30), [])]), 'a.json'))
    assert sparse['annotations'] == [] and len(sparse['images'][0]['annotated_region']) == 4


def test_the_command_writes_what_the_data_set_reads(tmp_path, capsys):
    (tmp_path / 'all.json').write_text(json.dumps(make_coco([((60, 60), grid(60, 60))] * 2)))
    files = [str(tmp_path / 'all.json'), str(tmp_path / 'sparse.json')]
    assert cli.main(['data', 'sparsify', *files, '--fraction', '0.3', '--seed', '4']) == 0
    assert '2 images, ' in (said := capsys.readouterr().out) and ' of 72 cells' in said
    for name in ('1.png', '2.png'):
        cv2.imwrite(str(tmp_path / name), np.zeros((60, 60, 3), np.uint8))
    data_set = CellDataset(ann_file='sparse.json', data_root=str(tmp_path), annotation='sparse', pipeline=[],
                                    metainfo=dict(classes=('WBC',)), test_mode=True)
    written = json.loads((tmp_path / 'sparse.json').read_text())
    assert sum(len(data_set.get_data_info(index)['instances']) for index in range(2)) == len(written['annotations'])
    assert written['info'] == dict(year=2026) and written['images'][0]['domain'] == 'x'
    assert cli.main(['data', 'sparsify', *files]) == 2 and 'exists already' in capsys.readouterr().err
    assert json.loads((tmp_path / 'sparse.json').read_text()) == written
    assert cli.main(['data', 'sparsify', files[1], str(tmp_path / 'twice.json')]) == 2
    assert 'sparse already' in capsys.readouterr().err and not (tmp_path / 'twice.json').exists()


@settings(max_examples=40, deadline=None)
@given(st.lists(films(), min_size=1, max_size=2), st.integers(0, 5))
def test_regions_of_smaller_shares_lie_inside_larger_ones(images, seed):
    coco = check_coco(make_coco(images), 'a.json')
    nested = sparsify_nested(coco, [0.1, 0.5, 0.2], seed)
    assert list(nested) == [0.5, 0.2, 0.1] and nested[0.5] == sparsify(coco, 0.5, seed)
    for larger, smaller in ((0.5, 0.2), (0.2, 0.1)):
        for outer, inner in zip(nested[larger]['images'], nested[smaller]['images']):
            (x, y, w, h), (left, top, width, height) = outer['annotated_region'], inner['annotated_region']
            assert x <= left and y <= top and left + width <= x + w and top + height <= y + h
        kept = [{cell['id'] for cell in nested[share]['annotations']} for share in (larger, smaller)]
        assert kept[1] <= kept[0]
    occupied = {cell['image_id'] for cell in nested[0.5]['annotations']}
    assert {cell['image_id'] for cell in nested[0.1]['annotations']} == occupied


def test_nested_shares_have_their_areas():
    coco = check_coco(make_coco([((640, 480), grid(640, 480))] * 10), 'a.json')
    nested = sparsify_nested(coco, [1 / 5, 1 / 10, 1 / 20])
    for share, sparse in nested.items():
        for image in sparse['images']:
            assert np.prod(image['annotated_region'][2:]) / (640 * 480) == pytest.approx(share, rel=0.02)


def test_the_command_writes_a_file_per_share(tmp_path, capsys):
    (tmp_path / 'all.json').write_text(json.dumps(make_coco([((60, 60), grid(60, 60))] * 2)))
    files = [str(tmp_path / 'all.json'), str(tmp_path / 'sparse.json')]
    assert cli.main(['data', 'sparsify', *files, '--fraction', '1/5', '0.1']) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ['all.json', 'sparse_0.1.json', 'sparse_0.2.json']
    assert cli.main(['data', 'sparsify', *files, '--fraction', '0.3', '0.1']) == 2
    assert 'sparse_0.1.json: exists already' in capsys.readouterr().err
    assert cli.main(['data', 'sparsify', *files]) == 0
    assert (tmp_path / 'sparse.json').read_text() == (tmp_path / 'sparse_0.2.json').read_text()


def test_a_share_that_rounding_made_too_large_is_all():
    coco = check_coco(make_coco([((50, 40), grid(50, 40))]), 'a.json')
    assert sparsify(coco, 1.000001) == sparsify(coco, 1.0)
    with pytest.raises(UserError, match='give every share once'):
        sparsify_nested(coco, [0.2, 0.2])


@pytest.mark.parametrize('values', [dict(fraction=0), dict(fraction=1.01), dict(fraction=float('nan')), dict(seed=-1)])
def test_shares_and_seeds_have_their_range(values):
    with pytest.raises(UserError, match='--'):
        sparsify(check_coco(make_coco([((30, 30), [])]), 'a.json'), **values)


def test_a_share_divided_by_nothing_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(['data', 'sparsify', 'a.json', 'b.json', '--fraction', '1/0'])
    assert left.value.code == 2 and "'1/0' divides by 0" in capsys.readouterr().err
