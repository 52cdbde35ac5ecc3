"""Overlapping fields are found by their shift, and each of their cells is kept once."""

import argparse
import json

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmleuk.commands.dedupe import add_arguments, run
from mmleuk.datasets.check import examine_config
from mmleuk.datasets.check.fields import count_cells
from mmleuk.datasets.dedupe import choose_cells
from mmleuk.datasets.field_overlap import (
    Field,
    SharedCells,
    Shift,
    find_shared_cells,
    find_shift,
    match_cells,
    reduce_field,
)
from mmleuk.errors import UserError
from mmleuk.structures.ground_truth import ImageTruth, TrueCell

WIDTH, HEIGHT = 320, 240
FIELDS = {'1_1_400_ALL.png': (0, 0), '1_2_400_ALL.png': (240, 20), '1_3_400_ALL.png': (500, 300)}
"""Upper left corner of each field on the film, x and y in pixels. The first two share 80 x 220 px."""
CELLS = [[250, 60, 40, 40], [290, 120, 30, 50], [20, 30, 40, 40], [600, 400, 40, 40]]
"""Boxes on the film. The second ends where the first field ends; of the first one the second field has more room."""


@pytest.fixture(scope='module')
def film():
    """A film of grey blobs of many sizes, 1000 x 800 px."""
    rng = np.random.default_rng(0)
    noise = sum(cv2.GaussianBlur(rng.normal(size=(800, 1000)), (0, 0), sigma) * sigma for sigma in (2, 8))
    grey = np.clip(128 + 40 * noise, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, -1)


def cut(film, x, y):
    return film[y:y + HEIGHT, x:x + WIDTH]


def truth(name, *boxes, first_id=0):
    cells = tuple(TrueCell(first_id + index, 0, tuple(map(float, (x, y, x + w, y + h))), (), False,
                           (float(x), float(y), float(w), float(h)), float(w * h))
                  for index, (x, y, w, h) in enumerate(boxes))
    return ImageTruth(name, name, WIDTH, HEIGHT, cells=cells)


@pytest.mark.parametrize('corner', [(240, 20), (0, 200), (37, 0), (260, 100), (0, 0)])
def test_shift_is_exact(film, corner):
    one, other = reduce_field(cut(film, 300, 300)), reduce_field(cut(film, 300 + corner[0], 300 + corner[1]))
    there, back = find_shift(one, other), find_shift(other, one)
    assert (there.dx, there.dy) == corner and (back.dx, back.dy) == (-corner[0], -corner[1])
    assert there.shared == pytest.approx((WIDTH - corner[0]) * (HEIGHT - corner[1]) / (WIDTH * HEIGHT))
    assert there.correlation > 0.95


def test_light_and_noise_leave_the_shift(film):
    rng = np.random.default_rng(1)
    shaded = cut(film, 540, 320) * np.linspace(0.6, 1.0, WIDTH)[None, :, None] + rng.normal(0, 4, (HEIGHT, WIDTH, 1))
    found = find_shift(reduce_field(cut(film, 300, 300)), reduce_field(np.clip(shaded, 0, 255).astype(np.uint8)))
    assert (found.dx, found.dy) == (240, 20)


def test_fields_that_share_nothing(film):
    one = reduce_field(cut(film, 0, 0))
    assert find_shift(one, reduce_field(cut(film, 600, 500))) is None
    assert find_shift(one, reduce_field(np.full((HEIGHT, WIDTH, 3), 200, np.uint8))) is None
    assert find_shift(one, reduce_field(cut(film, 0, 0)[:200])) is None


def test_cells_are_matched_within_the_shared_area():
    """Field two starts 240 px to the right: a cell at x 250 is at 10 there; one cut at the border still matches."""
    one = truth('a', (250, 60, 40, 40), (290, 120, 30, 50), (20, 30, 40, 40))
    other = truth('b', (50, 100, 50, 50), (10, 40, 40, 40), (200, 30, 40, 40), first_id=10)
    pairs = match_cells(one, other, Shift(240, 20, 0.23, 1.0))
    assert [(left.annotation_id, right.annotation_id) for left, right in pairs] == [(0, 11), (1, 10)]
    turned = truth('c', (WIDTH - 90, HEIGHT - 150, 50, 50), (WIDTH - 50, HEIGHT - 80, 40, 40), first_id=20)
    pairs = match_cells(one, turned, Shift(240, 20, 0.23, 1.0, turned=True))
    assert [(left.annotation_id, right.annotation_id) for left, right in pairs] == [(0, 21), (1, 20)]
    assert match_cells(truth('a'), other, Shift(240, 20, 0.23, 1.0)) == ()


def test_the_most_complete_of_three_is_kept():
    """Distances to the border: 0, 5 and 40 px."""
    fields = [Field(name, truth(name, box, first_id=key)) for name, box, key in (
        ('a', (0, 50, 20, 40), 1), ('b', (275, 50, 40, 40), 2), ('c', (100, 40, 40, 40), 3))]
    cells = [field.truth.cells[0] for field in fields]
    pairs = [SharedCells(fields[i], fields[j], Shift(0, 0, 1.0, 1.0), ((cells[i], cells[j]),))
             for i, j in ((0, 1), (1, 2))]
    assert [(drop.cell.annotation_id, drop.kept.annotation_id) for drop in choose_cells(pairs)] == [(1, 3), (2, 3)]
    assert choose_cells([]) == []


@pytest.fixture
def folder(film, tmp_path):
    """Three fields of the film as COCO JSON; cells that a field's border cuts have the visible part of their box."""
    images, annotations = [], []
    for image_id, (name, (left, top)) in enumerate(FIELDS.items()):
        cv2.imwrite(str(tmp_path / name), cut(film, left, top))
        images.append(dict(id=image_id, file_name=name, width=WIDTH, height=HEIGHT))
        for x, y, width, height in CELLS:
            x1, y1 = max(x - left, 0), max(y - top, 0)
            x2, y2 = min(x - left + width, WIDTH), min(y - top + height, HEIGHT)
            if x2 - x1 > 5 and y2 - y1 > 5:
                annotations.append(dict(id=len(annotations), image_id=image_id, category_id=1, iscrowd=0,
                                        bbox=[x1, y1, x2 - x1, y2 - y1], area=(x2 - x1) * (y2 - y1)))
    content = dict(images=images, annotations=annotations, categories=[dict(id=1, name='WBC')])
    (tmp_path / 'all.json').write_text(json.dumps(content))
    return tmp_path


def dedupe(folder, *words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args([*map(str, words), '--images', str(folder)]))


def test_a_field_turned_by_half_a_turn_is_found(film, folder):
    cv2.imwrite(str(folder / '1_2_400_ALL.png'), cut(film, 240, 20)[::-1, ::-1])
    fields = [Field(str(folder / name), truth(name)) for name in FIELDS]
    pair, = find_shared_cells(fields)
    assert (pair.shift.dx, pair.shift.dy, pair.shift.turned) == (240, 20, True)
    assert 'turned by half a turn, shifted by 240, 20 px' in str(pair)


def test_dedupe_keeps_one_of_each_cell(folder, capsys):
    assert dedupe(folder, folder / 'all.json', '--out', folder / 'new.json') == 0
    before, after = (json.loads((folder / name).read_text())['annotations'] for name in ('all.json', 'new.json'))
    assert [cell['bbox'][:2] for cell in before] == [[250, 60], [290, 120], [20, 30], [10, 40], [50, 100], [100, 100]]
    assert [cell.get('duplicate_of') for cell in after] == [None, 4, None, 0, None, None]
    assert [cell.get('ignore', 0) for cell in after] == [0, 1, 0, 1, 0, 0]
    printed = capsys.readouterr().out
    assert '1_1_400_ALL.png and 1_2_400_ALL.png (23% of the area, shifted by 240, 20 px, 2 cells)' in printed
    assert 'annotation 1 of 1_1_400_ALL.png is annotation 4 of 1_2_400_ALL.png' in printed
    assert '1 pairs of 3 fields overlap; 4 of 6 cells are kept, 2 ignored' in printed
    with pytest.raises(UserError, match='new.json: is there already'):
        dedupe(folder, folder / 'all.json', '--out', folder / 'new.json')
    dedupe(folder, folder / 'new.json', '--out', folder / 'again.json')
    assert '4 of 4 cells are kept' in capsys.readouterr().out
    dedupe(folder, folder / 'all.json', '--out', folder / 'removed.json', '--remove')
    assert [cell['id'] for cell in json.loads((folder / 'removed.json').read_text())['annotations']] == [0, 2, 4, 5]


def test_a_cell_that_three_fields_show_is_one_cell():
    """Three pairs of boxes, one cell; a second file may have the same ids; the last pair is another cell."""
    box = [100, 100, 20, 20]
    fields = [Field(name, truth(name, box, [150, 100, 20, 20], first_id=first)) for name, first in (
        ('a.png', 0), ('b.png', 2), ('c.png', 0))]
    pairs = [(one, other, [0]) for one, other in ((0, 1), (0, 2), (1, 2))] + [(0, 1, [1])]
    shared = [SharedCells(fields[one], fields[other], Shift(0, 0, 1.0, 1.0), tuple(
        (fields[one].truth.cells[cell], fields[other].truth.cells[cell]) for cell in cells))
        for one, other, cells in pairs]
    assert count_cells(shared) == 2 and count_cells([]) == 0


def test_check_names_overlaps_within_and_between_splits(folder):
    content = json.loads((folder / 'all.json').read_text())
    for name, ids in (('left', {0}), ('right', {1, 2})):
        (folder / f'{name}.json').write_text(json.dumps(content | dict(
            images=[image for image in content['images'] if image['id'] in ids],
            annotations=[cell for cell in content['annotations'] if cell['image_id'] in ids])))

    def findings(train, val, overlaps=True):
        cfg = Config({f'{split}_dataloader': dict(dataset=dict(
            type='mmleuk.CellDataset', data_root=str(folder), ann_file=f'{name}.json', metainfo=dict(classes=('WBC',)),
            annotation='complete')) for split, name in (('train', train), ('val', val)) if name})
        return {(finding.severity, finding.split): finding.message
                for finding in examine_config(cfg, overlaps=overlaps).findings if finding.kind == 'overlapping fields'}

    assert findings('all', None) == {('note', 'train'): (
        '1 pairs of fields overlap, and 2 cells have a box in both: 1_1_400_ALL.png and 1_2_400_ALL.png (23% of the '
        'area, shifted by 240, 20 px, 2 cells); these cells count twice: `mmleuk data dedupe` keeps one of each')}
    (key, message), = findings('left', 'right').items()
    assert key == ('problem', 'train and val') and '2 cells have a box in both' in message
    assert findings('all', None, overlaps=False) == {}
