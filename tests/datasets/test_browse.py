"""``mmleuk data browse``: pictures of what the network gets, and where nothing is known."""

import json

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData
from PIL import Image

from mmleuk.cli import main
from mmleuk.pictures.samples import View, describe_view, draw_view, known_places, labelled_cells, views_of
from mmleuk.schema import AttributeSchema

SCHEMA = AttributeSchema.from_dict({'size': ['small', 'big'], 'hue': ['red', 'blue', 'grey']})
CLASSES = ('WBC', 'RBC')
PIPELINE = [dict(type='mmleuk.LoadImage'), dict(type='mmleuk.LoadCellAnnotations'),
            dict(type='RandomFlip', prob=0.5), dict(type='mmleuk.PackCells')]


def sample(regions=None, **truth):
    truth = dict(bboxes=torch.tensor([[10., 20., 50., 60.]]), labels=torch.tensor([1])) | truth
    found = DetDataSample(gt_instances=InstanceData(**truth))
    found.set_metainfo(dict(img_path='films/a.png'))
    if regions is not None:
        found.set_metainfo(dict(annotated_regions=torch.tensor(regions).reshape(-1, 4)))
    return found


def test_cells_have_their_class_and_known_attributes():
    cell, = labelled_cells(sample(attributes=torch.tensor([[-1, 2]])), CLASSES, SCHEMA)
    assert cell.box == (10, 20, 50, 60) and cell.class_name == 'RBC' and set(cell.attributes) == {'hue'}
    assert cell.attributes['hue']['value'] == 'grey'
    plain, = labelled_cells(sample(), CLASSES, AttributeSchema())
    assert plain.attributes == {}


def test_colours_are_those_of_the_file_and_unknown_places_dark():
    """The network's channels are blue, green, red."""
    image = torch.zeros(3, 100, 200, dtype=torch.uint8)
    image[2] = 200
    view, = views_of(dict(inputs=image, data_samples=sample([[100., 0., 200., 50.]])))
    assert view.picture.size == (200, 100) and view.picture.getpixel((0, 0)) == (200, 0, 0)
    drawn = np.array(draw_view(view, CLASSES, AttributeSchema()))
    factor = 6  # enlarged to 1200 pixels
    assert drawn[10 * factor, 150 * factor].tolist() == [200, 0, 0]
    assert drawn[90 * factor, 150 * factor].tolist() == [90, 0, 0]
    assert describe_view(view) == 'a.png, 1 labelled, 25% annotated'


def test_no_region_is_nothing_known_and_none_told_is_not_judged():
    assert not known_places(sample([]), (200, 100)).any()
    assert known_places(sample(), (200, 100)) is None
    view = View('', Image.new('RGB', (200, 100), (9, 9, 9)), sample())
    assert describe_view(view) == 'a.png, 1 labelled'


def test_each_branch_is_a_view():
    image, found = torch.zeros(3, 8, 8, dtype=torch.uint8), sample()
    views = views_of(dict(inputs=dict(weak=image, strong=image + 1), data_samples=dict(weak=found, strong=found)))
    assert [(view.name, view.picture.getpixel((0, 0))[0]) for view in views] == [('weak', 0), ('strong', 1)]


@pytest.fixture
def config(film, tmp_path):
    film.write('train.json')
    path = tmp_path / 'config.py'
    Config(dict(default_scope='mmdet', train_dataloader=dict(dataset=film.config(pipeline=PIPELINE)))).dump(path)
    return path


def browse(config, out, *more):
    return main(['data', 'browse', str(config), '--out-dir', str(out), *more])


def test_the_command_draws_the_same_again(config, tmp_path, capsys):
    assert browse(config, tmp_path / 'one') == browse(config, tmp_path / 'two') == 0
    assert 'annotated' in capsys.readouterr().out
    names = sorted(path.name for path in (tmp_path / 'one').iterdir())
    assert names == ['000000.jpg', '000001.jpg']
    assert all((tmp_path / 'one' / name).read_bytes() == (tmp_path / 'two' / name).read_bytes() for name in names)


def test_bad_input_writes_nothing(config, film, tmp_path, capsys):
    out = tmp_path / 'out'
    assert browse(config, out, '--count', '0') == 2
    assert browse(config, out, '--cfg-options', 'train_dataloader.dataset.pipeline=[]') == 2
    assert 'end it with mmleuk.PackCells' in capsys.readouterr().err
    film.coco['annotations'][0]['bbox'] = [0, 0, -1, 5]
    (film.root / 'train.json').write_text(json.dumps(film.coco))
    assert browse(config, out) == 2
    assert not out.exists()
    out.mkdir()
    (out / 'mine.txt').write_text('mine')
    assert browse(config, out) == 2
    assert [path.name for path in out.iterdir()] == ['mine.txt']
