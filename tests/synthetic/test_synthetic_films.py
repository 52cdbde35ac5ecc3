"""Rendered data sets: files, determinism, regions, bad arguments; and that colour doesn't give a class away."""

import argparse
import json
import os
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mmleuk.commands import synthesize as cli
from mmleuk.errors import UserError
from mmleuk.schema import LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES, AttributeSchema
from mmleuk.structures.cell_parts import PARTS
from mmleuk.structures.sampled_regions import inside, sample_region
from mmleuk.synthetic.film import render_film
from mmleuk.synthetic.writer import Settings, in_parallel, make_film, synthesize

SMALL = dict(train=10, test=3, size=320, empty_share=0.3, cells=(6, 9), say=lambda line: None)


@pytest.fixture(scope='module')
def data_set(tmp_path_factory):
    return synthesize(tmp_path_factory.mktemp('films') / 'data', workers=2, **SMALL)


def annotations(folder: Path, name: str) -> dict:
    return json.loads((folder / 'annotations' / f'{name}.json').read_text())


def contents(folder: Path) -> dict:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def test_same_bytes_whatever_the_number_of_workers(data_set, tmp_path):
    again = synthesize(tmp_path / 'again', workers=1, **SMALL)
    assert contents(again) == contents(data_set)


def test_another_seed_gives_other_films(data_set, tmp_path):
    other = contents(synthesize(tmp_path / 'other', seed=1, workers=1, **SMALL | dict(train=1, test=0)))
    assert other['images/train/film_0000.jpg'] != contents(data_set)['images/train/film_0000.jpg']


def test_a_film_does_not_depend_on_how_many_there_are():
    first = make_film(Settings(train=1, size=320), 'train', 0)[0].image
    assert np.array_equal(first, make_film(Settings(train=500, size=320), 'train', 0)[0].image)


@pytest.mark.parametrize('name', ['train', 'train_sparse', 'test'])
def test_coco_reads_the_files_and_every_image_is_there(data_set, name):
    coco = COCO(str(data_set / 'annotations' / f'{name}.json'))
    assert [category['name'] for category in coco.loadCats(coco.getCatIds())] == list(LEUKEMIA_CLASSES)
    for image in coco.loadImgs(coco.getImgIds()):
        pixels = cv2.imread(str(data_set / 'images' / image['file_name']))
        assert pixels.shape == (image['height'], image['width'], 3) == (320, 320, 3)
        assert ('annotated_region' in image) == (name == 'train_sparse')
    for annotation in coco.loadAnns(coco.getAnnIds()):
        x, y, w, h = annotation['bbox']
        assert 0 <= x < x + w <= 320 and 0 <= y < y + h <= 320 and annotation['area'] == w * h
        for key, value in annotation['attributes'].items():
            assert LEUKEMIA_ATTRIBUTES.encode(key, value) == value


def test_files_carry_the_schema_and_the_arguments(data_set):
    for name in ('train', 'train_sparse', 'test'):
        data = annotations(data_set, name)
        assert AttributeSchema.from_dict(data['attributes']) == LEUKEMIA_ATTRIBUTES
        assert data['info']['arguments']['train'] == 10 and data['info']['seed'] == 0


def test_films_are_recognised_by_the_name_that_earlier_versions_wrote(data_set):
    """Another one would refuse rendered folders and end benchmark records, which count by the contents of files."""
    assert annotations(data_set, 'train')['info']['generator'] == 'mmleuk.datasets.synthetic'


def test_sparse_file_keeps_exactly_the_cells_whose_centre_lies_in_the_region(data_set):
    sparse, complete = annotations(data_set, 'train_sparse'), annotations(data_set, 'train')
    for image in sparse['images']:
        x, y, w, h = image['annotated_region']
        assert 0 <= x <= x + w <= 320 and 0 <= y <= y + h <= 320
        assert w * h / 320 ** 2 == pytest.approx(0.2, abs=0.01)
        cells = [a for a in complete['annotations'] if a['image_id'] == image['id']]
        expected = [a for a in cells if x <= a['bbox'][0] + a['bbox'][2] / 2 <= x + w
                    and y <= a['bbox'][1] + a['bbox'][3] / 2 <= y + h]
        assert [a for a in sparse['annotations'] if a['image_id'] == image['id']] == expected
        assert expected or not cells


def test_films_without_cells_exist_and_have_a_region(data_set):
    sparse = annotations(data_set, 'train_sparse')
    empty = {image['id'] for image in sparse['images']} - {a['image_id'] for a in sparse['annotations']}
    assert empty and all('annotated_region' in image for image in sparse['images'])


def test_every_class_and_unknown_attributes_appear():
    found, partly_unknown = set(), 0
    for index in range(12):
        record = make_film(Settings(size=320, cells=(10, 12), unknown_share=0.3), 'train', index)[1]
        for annotation in record.annotations:
            found.add(LEUKEMIA_CLASSES[annotation['category_id'] - 1])
            values = set(annotation['attributes'].values())
            partly_unknown += -1 in values and len(values) > 1
    assert found == set(LEUKEMIA_CLASSES) and partly_unknown


@pytest.mark.parametrize('fraction', [0.05, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize('size', [160, 640])
def test_region_area_and_centre(fraction, size):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        box = [size - 9, size - 11, 9, 11]
        x, y, w, h = region = sample_region([box], (size, size), fraction, rng)
        assert 0 <= x and x + w <= size and 0 <= y and y + h <= size
        assert w * h / size ** 2 == pytest.approx(fraction, abs=0.01)
        assert inside(np.array([[size - 4.5, size - 5.5]]), region).all()


def test_classes_are_no_colour_code():
    """Mean colour and box size, the cheapest features, leave a linear classifier under 50% on balanced classes."""
    features, labels, films = [], [], []
    for index in range(20):
        rng = np.random.default_rng([7, index])
        film = render_film(rng, rng.permutation(len(LEUKEMIA_CLASSES)), 640)
        for cell in film.cells:
            x, y, w, h = cell.box_xywh
            features.append([*film.image[y:y + h, x:x + w].mean((0, 1)), w, h])
            labels.append(cell.look.label)
            films.append(index)
    features, labels, held_out = np.array(features), np.array(labels), np.array(films) >= 13
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    model.fit(features[~held_out], labels[~held_out])
    assert model.score(features[held_out], labels[held_out]) < 0.5


def test_already_there_is_left_alone(data_set):
    said = []
    before = (data_set / 'annotations' / 'train.json').stat().st_mtime_ns
    synthesize(data_set, **SMALL | dict(say=said.append))
    assert 'already there' in said[0] and (data_set / 'annotations' / 'train.json').stat().st_mtime_ns == before


def test_other_arguments_need_overwrite(tmp_path):
    small = SMALL | dict(train=1, test=1, size=160, workers=1)
    target = synthesize(tmp_path / 'data', **small)
    with pytest.raises(UserError, match='--overwrite'):
        synthesize(target, **small | dict(seed=5))
    synthesize(target, overwrite=True, **small | dict(seed=5))
    assert annotations(target, 'train')['info']['seed'] == 5
    assert [path.name for path in tmp_path.iterdir()] == ['data']


def test_a_foreign_folder_is_never_replaced(tmp_path):
    (tmp_path / 'thesis.tex').write_text('three years of work')
    with pytest.raises(UserError, match='not rendered here'):
        synthesize(tmp_path, overwrite=True, **SMALL)
    assert (tmp_path / 'thesis.tex').exists()
    with pytest.raises(UserError, match='is a file'):
        synthesize(tmp_path / 'thesis.tex', overwrite=True, **SMALL)


@pytest.mark.parametrize('bad', [
    dict(train=-1), dict(train=0, test=0), dict(size=20), dict(seed=-1), dict(region_fraction=0), dict(workers=0),
    dict(region_fraction=1.5), dict(cells=(5, 2)), dict(cells=(0, 2)), dict(empty_share=2), dict(unknown_share=-0.1),
    dict(class_balance='fair'), dict(region_fraction=float('nan'))])
def test_bad_arguments_are_named_before_anything_is_written(tmp_path, bad):
    with pytest.raises(UserError, match='allowed'):
        synthesize(tmp_path / 'data', **SMALL | bad)
    assert not list(tmp_path.iterdir())


def test_a_target_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='cannot be written'):
        synthesize(tmp_path / 'file' / 'data', **SMALL)


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, 'write_bytes', full)
    with pytest.raises(UserError, match='No space left'):
        synthesize(tmp_path / 'data', **SMALL | dict(train=1, test=0, size=160, workers=1))
    assert not list(tmp_path.iterdir())


def _kill_second(index: int) -> int:
    if index == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return index


def test_a_killed_worker_ends_the_run():
    assert list(in_parallel(abs, 5, 2)) == [0, 1, 2, 3, 4]
    with pytest.raises(UserError, match='a worker process was killed, perhaps because the memory ran out'):
        list(in_parallel(_kill_second, 6, 2))


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return parser.parse_args(arguments)


def test_command_line_writes_films(tmp_path, capsys):
    flags = '--train 1 --test 1 --size 160 --workers 1 --cells 1 2'.split()
    assert cli.run(parsed(str(tmp_path / 'd'), *flags)) == 0
    assert '1 training and 1 test films' in capsys.readouterr().out
    assert len(annotations(tmp_path / 'd', 'test')['images']) == 1


def test_command_line_needs_something_to_do(tmp_path):
    with pytest.raises(UserError, match='--preview'):
        cli.run(parsed())
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='cannot be written'):
        cli.run(parsed('--preview', str(tmp_path / 'file' / 'sheet.png')))
    with pytest.raises(UserError, match='--region-fraction is for a folder of films, but --preview alone writes none'):
        cli.run(parsed('--preview', str(tmp_path / 'sheet.png'), '--region-fraction', '0.3'))
    assert [path.name for path in tmp_path.iterdir()] == ['file']


def test_masks_stand_beside_the_images_and_change_nothing_else(data_set, tmp_path):
    with_masks = contents(synthesize(tmp_path / 'masks', workers=2, masks=True, **SMALL))
    films = contents(data_set)
    assert {name for name in films if name.startswith('images/')} == {
        name for name in with_masks if name.startswith('images/')}
    assert all(with_masks[name] == films[name] for name in films if name.startswith('images/'))
    masks = sorted(name for name in with_masks if name.startswith('masks/'))
    assert masks == sorted(name.replace('images/', 'masks/').replace('.jpg', '.png') for name in films
                           if name.startswith('images/'))
    assert 'masks' not in annotations(data_set, 'test')['info']['arguments']
    found = set()
    for name in masks:
        mask = cv2.imread(str(tmp_path / 'masks' / name), cv2.IMREAD_UNCHANGED)
        assert mask.shape == (320, 320) and mask.dtype == np.uint8
        found |= set(np.unique(mask))
    assert found == set(range(6))


def test_a_mask_shows_the_cells_where_their_boxes_are():
    """Nothing but a cell has nucleus, cytoplasm or vacuoles, and a cell that lies free fills its box with them."""
    for index in range(4):
        film, record = make_film(Settings(size=320, cells=(4, 6), empty_share=0), 'train', index)
        inside = np.zeros((320, 320), bool)
        for cell in film.cells:
            x, y, w, h = cell.box_xywh
            inside[y:y + h, x:x + w] = True
        cell_parts = np.isin(film.parts, [PARTS.index(part) for part in ('cytoplasm', 'nucleus', 'vacuole')])
        assert not cell_parts[~inside].any()
        for number, cell in enumerate(film.cells):
            x, y, w, h = cell.box_xywh
            others = [other.box_xywh for index, other in enumerate(film.cells) if index != number]
            if any(x < a + c and a < x + w and y < b + d and b < y + h for a, b, c, d in others):
                continue
            rows, columns = np.nonzero(cell_parts[y:y + h, x:x + w])
            assert (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1) == (0, 0, h, w)


def test_vacuoles_of_the_mask_are_those_of_the_attribute():
    """A cell has vacuoles in its mask if and only if its attribute says so."""
    key, seen = LEUKEMIA_ATTRIBUTES.keys.index('cytoplasmic_vacuoles'), set()
    for index in range(30):
        film = render_film(np.random.default_rng([3, index]), [index % 13 + 1], 320, magnification=2.0, centred=True)
        if not film.cells or film.cells[0].look.artifact:
            continue
        has = (film.parts == PARTS.index('vacuole')).any()
        assert has == (film.cells[0].look.attributes[key] == 1)
        seen.add(bool(has))
    assert seen == {True, False}


def test_an_empty_film_has_no_leukocyte_in_its_mask():
    film = render_film(np.random.default_rng(0), [], 320)
    assert set(np.unique(film.parts)) <= {0, PARTS.index('RBC'), PARTS.index('platelet')}
    share = (film.parts == PARTS.index('RBC')).mean()
    assert 0.05 < share < 0.9
