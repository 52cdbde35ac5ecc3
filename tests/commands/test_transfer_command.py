"""``mmleuk transfer`` on rendered films: files, table, exit codes."""

import csv
import json
import os

import cv2
import numpy as np
import pytest

from mmleuk import cli
from mmleuk.datasets.annotations import read_ground_truth
from mmleuk.synthetic.film import render_film
from mmleuk.transfer.registration import warp

SIZE = 400
HALF_TURN = np.array([[-1.0, 0, SIZE], [0, -1, SIZE], [0, 0, 1]])
SHIFT = np.array([[1.0, 0, 150], [0, 1, 0], [0, 0, 1]])


@pytest.fixture(scope='module')
def fields(tmp_path_factory):
    """Two annotated films; targets: one turned by half, one shifted by 150 px; COCO JSON of the films."""
    root = tmp_path_factory.mktemp('fields')
    (root / 'films').mkdir()
    (root / 'targets').mkdir()
    images, annotations = [], []
    for number, matrix in enumerate((HALF_TURN, SHIFT)):
        film = render_film(np.random.default_rng(number), [3, 4, 10, 1], SIZE)
        cv2.imwrite(str(root / f'films/f{number}.png'), film.image)
        cv2.imwrite(str(root / f'targets/t{number}.png'), warp(film.image, matrix, (SIZE, SIZE)))
        images.append(dict(id=number + 5, file_name=f'f{number}.png', width=SIZE, height=SIZE, patient=number))
        annotations += [dict(id=10 * number + index, image_id=number + 5, category_id=1, bbox=list(cell.box_xywh),
                             iscrowd=0, attributes=dict(size=index % 2), area=1) for index, cell in
                        enumerate(film.cells)]
    coco = dict(info=dict(year=2025), images=images, annotations=annotations, attributes=dict(size=['small', 'big']),
                categories=[dict(id=1, name='WBC')])
    (root / 'films.json').write_text(json.dumps(coco))
    (root / 'pairs.json').write_text(json.dumps([[f'f{number}.png', f't{number}.png'] for number in (0, 1)]))
    return root


def transfer(fields, out, *options):
    return cli.main(['transfer', str(fields / 'films.json'), str(fields / 'targets'), '--images',
                     str(fields / 'films'), '--out', str(out), *map(str, options)])


def test_every_pair_has_a_picture(fields, tmp_path):
    """Also where only suffixes or folders tell images apart."""
    from mmleuk.commands.transfer import review_names
    pairs = [('1.png', 'x.png'), ('1.jpg', 'x.tif'), ('a/b.png', 'y.png'), ('a_b.png', 'y.png'), ('2.png', 'z.png'),
             ('a_b.png', 'y.jpg')]
    names = review_names(pairs)
    assert len({name.lower() for name in names}) == len(pairs) and names[4] == '2__z.jpg'
    assert transfer(fields, tmp_path / 'out', '--pairs', fields / 'pairs.json') == 0
    assert sorted(path.name for path in (tmp_path / 'out/review').iterdir()) == ['f0__t0.jpg', 'f1__t1.jpg']


def boxes_of(coco, name):
    number, = (image['id'] for image in coco['images'] if image['file_name'] == name)
    return {entry['carried_from']: entry['bbox'] for entry in coco['annotations'] if entry['image_id'] == number}


def test_cells_come_with_all_they_have(fields, tmp_path, capsys):
    assert transfer(fields, tmp_path / 'out', '--pairs', fields / 'pairs.json', '--domain', 'lcm') == 0
    source = json.loads((fields / 'films.json').read_text())
    made = json.loads((tmp_path / 'out/annotations.json').read_text())
    assert made['attributes'] == source['attributes'] and made['categories'] == source['categories']
    assert [image['patient'] for image in made['images']] == [0, 1]
    assert {image['domain'] for image in made['images']} == {'lcm'}
    old = {entry['id']: entry for entry in source['annotations']}
    turned = boxes_of(made, 't0.png')
    assert len(turned) == sum(entry['image_id'] == 5 for entry in old.values()) >= 3
    for number, box in turned.items():
        x, y, w, h = old[number]['bbox']
        assert box == pytest.approx([SIZE - x - w, SIZE - y - h, w, h], abs=1)
    shifted = boxes_of(made, 't1.png')
    visible = {entry['id'] for entry in old.values()
               if entry['image_id'] == 6 and entry['bbox'][0] + entry['bbox'][2] / 2 <= SIZE - 150}
    assert set(shifted) == visible
    assert all(entry['attributes'] == old[entry['carried_from']]['attributes'] for entry in made['annotations'])
    # Left of the shifted field nothing is known.
    x, y, w, h = made['images'][1]['annotated_region'][0]
    assert (x, y, x + w, y + h) == pytest.approx((150, 0, SIZE, SIZE), abs=2)
    pairs = made['info']['transfer']['pairs']
    assert made['info']['year'] == 2025 and np.allclose(pairs[0]['homography'], HALF_TURN, atol=0.6)
    assert pairs[1]['dropped'] == sum(entry['image_id'] == 6 for entry in old.values()) - len(visible)
    assert len(read_ground_truth(tmp_path / 'out/annotations.json').images) == 2
    assert sorted(path.name for path in (tmp_path / 'out/review').iterdir()) == ['f0__t0.jpg', 'f1__t1.jpg']
    assert '2 of 2 pairs carried' in capsys.readouterr().out


def test_fields_are_found_by_content(fields, tmp_path):
    assert transfer(fields, tmp_path / 'out', '--no-review') == 0
    with open(tmp_path / 'out/pairs.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(row['source'], row['target'], row['found_by']) for row in rows] == [
        ('f0.png', 't0.png', 'content'), ('f1.png', 't1.png', 'content')]
    assert not (tmp_path / 'out/review').exists()


def test_names_of_bytes_that_are_no_text(fields, tmp_path, capsys):
    """Latin-1 in a file name, as old disks and archives have it: the tables show a question mark."""
    (tmp_path / 'targets').mkdir()
    odd = os.fsdecode(b't0_\xe4.png')
    (tmp_path / 'targets' / odd).write_bytes((fields / 'targets/t0.png').read_bytes())
    assert cli.main(['transfer', str(fields / 'films.json'), str(tmp_path / 'targets'), '--images',
                     str(fields / 'films'), '--out', str(tmp_path / 'out')]) == 0
    assert 't0_?.png' in capsys.readouterr().out and len(list((tmp_path / 'out/review').iterdir())) == 1
    with open(tmp_path / 'out/pairs.csv', newline='', encoding='utf-8') as file:
        assert [(row['source'], row['target']) for row in csv.DictReader(file)] == [('f0.png', 't0_?.png')]


def test_a_pair_of_different_fields_is_refused(fields, tmp_path, capsys):
    (tmp_path / 'pairs.json').write_text('[["f0.png", "t1.png"], ["f1.png", "t0.png"]]')
    assert transfer(fields, tmp_path / 'out', '--pairs', tmp_path / 'pairs.json') == 1
    assert json.loads((tmp_path / 'out/annotations.json').read_text())['images'] == []
    out = capsys.readouterr().out
    assert 'refused: f0.png -> t1.png: ' in out and 'at least 20 are needed' in out
    with open(tmp_path / 'out/pairs.csv', newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    for key in ('overlap_of_source', 'overlap_of_target', 'correlation'):
        assert [row[key] for row in rows] == ['', ''], 'a share that nobody measured is none, not 0'


def test_a_truth_that_contradicts_is_named(fields, tmp_path, capsys):
    """The targets' own boxes: right in the shifted field, 20 px off in the turned one."""
    transfer(fields, tmp_path / 'first', '--pairs', fields / 'pairs.json', '--no-review')
    truth = json.loads((tmp_path / 'first/annotations.json').read_text())
    wrong = next(image['id'] for image in truth['images'] if image['file_name'] == 't0.png')
    for entry in truth['annotations']:
        if entry['image_id'] == wrong:
            x, y, w, h = entry['bbox']
            entry['bbox'] = [min(max(x + 36, 0), SIZE - w), y, w, h]
    (tmp_path / 'truth.json').write_text(json.dumps(truth))
    capsys.readouterr()
    assert transfer(fields, tmp_path / 'out', '--pairs', fields / 'pairs.json', '--compare',
                    tmp_path / 'truth.json') == 0
    out = capsys.readouterr().out
    assert 'contradicts: t0.png' in out and 'contradicts: t1.png' not in out and '+36' in out
    with open(tmp_path / 'out/compare.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert {row['verdict'] for row in rows if row['target'] == 't1.png'} == {'agrees'}
    assert min(float(row['correlation']) for row in rows) > 0.9


@pytest.mark.parametrize('options, words', [
    (['--min-visible', '0'], '--min-visible is 0'), (['--min-inliers', '3'], 'at least 8'),
    (['--max-residual', '0'], '--max-residual is 0'), (['--match', 'name'], 'name the pairs with --pairs')])
def test_bad_options_write_nothing(fields, tmp_path, capsys, options, words):
    assert transfer(fields, tmp_path / 'out', *options) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_other_images_than_the_annotated_ones_are_refused(fields, tmp_path, capsys):
    (tmp_path / 'films').mkdir()
    for number in (0, 1):
        cv2.imwrite(str(tmp_path / f'films/f{number}.png'), np.zeros((50, 60, 3), np.uint8))
    assert cli.main(['transfer', str(fields / 'films.json'), str(fields / 'targets'), '--images',
                     str(tmp_path / 'films'), '--out', str(tmp_path / 'out'), '--pairs',
                     str(fields / 'pairs.json')]) == 2
    assert 'image f0.png is 60x50 px, the annotation says 400x400' in capsys.readouterr().err
