"""The picture of what QuPath gets: outlines where the file has them, names and measurements of one object."""

import json

import numpy as np
import pytest
from PIL import Image
from test_round_trips import machines, people

from mmleuk.exchange.formats import write_labels
from mmleuk.pictures.colours import class_styles

PAPER = 210


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('draw_geojson')


@pytest.fixture
def field(tmp_path):
    """An image in one shade, as large as those of the labels."""
    Image.new('RGB', (640, 480), (PAPER,) * 3).save(tmp_path / 'field.png')
    return tmp_path / 'field.png'


def drawn(path, name, box, around=4):
    """Share of the points on an outline, drawn twice as large, that have the class's colour nearby."""
    pixels = np.asarray(Image.open(path)).astype(int)
    colour = np.array(class_styles([name], [name])[name].rgb)
    x1, y1, x2, y2 = (2 * value for value in box)
    points = [(x, y) for x in np.linspace(x1, x2, 9) for y in (y1, y2)]
    near = [pixels[max(int(y) - around, 0):int(y) + around + 1, max(int(x) - around, 0):int(x) + around + 1]
            for x, y in points]
    return np.mean([(abs(part - colour).sum(-1) < 40).any() for part in near])


def test_outlines_lie_on_the_boxes(tool, field, tmp_path, capsys):
    write_labels(machines(), tmp_path / 'out', 'qupath')
    assert tool.main([str(tmp_path / 'out/a/x.png.geojson'), str(field), '--out', str(tmp_path / 'q.jpg')]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / 'q.jpg')
    assert drawn(tmp_path / 'q.jpg', 'Myeloblast', machines().images[0].cells[0].box) == 1
    assert drawn(tmp_path / 'q.jpg', 'Myeloblast', (300, 300, 400, 400)) == 0
    assert Image.open(tmp_path / 'q.jpg').width > 2 * 640, 'the field twice as large, and the table beside it'


def test_other_outlines_are_drawn_as_they_are(tool, field, tmp_path):
    """A triangle: its long side crosses the middle of its box, where a box would have nothing."""
    ring = [[100, 100], [300, 100], [300, 300], [100, 100]]
    features = [dict(type='Feature', geometry=dict(type=kind, coordinates=coordinates),
                     properties=dict(classification=dict(name='Blast')))
                for kind, coordinates in (('Polygon', [ring]), ('Point', [20, 20]), ('MultiPolygon', [[ring]]))]
    (tmp_path / 'a.geojson').write_text(json.dumps(dict(type='FeatureCollection', features=features)))
    assert tool.main([str(tmp_path / 'a.geojson'), str(field), '--out', str(tmp_path / 'q.jpg')]) == 0
    pixels = np.asarray(Image.open(tmp_path / 'q.jpg')).astype(int)
    assert abs(pixels[400, 400] - class_styles(['Blast'], ['Blast'])['Blast'].rgb).sum() < 40
    assert abs(pixels[500, 300] - PAPER).max() < 10, 'the corner that the triangle leaves out'


def test_measurements_then_metadata(tool, tmp_path):
    write_labels(machines(), tmp_path / 'out', 'qupath')
    (_, first), (_, second) = tool.objects_of(tmp_path / 'out/a/x.png.geojson')
    assert tool.rows_of(first) == [('measurements', ''), ('score', '0.3333'), ('nuclear_chromatin', '0'),
                                   ('nuclear_chromatin prob', '0.8'), ('metadata', ''), ('nuclear_chromatin', 'open')]
    assert tool.rows_of(dict(classification=dict(name='x'))) == []
    assert first['classification'] == dict(name='Myeloblast') and second['classification'] == dict(name='Never')


@pytest.mark.parametrize('content, words', [
    ([], 'is no GeoJSON of classified objects'), (dict(features=[]), 'has no object'),
    (dict(features=[dict(geometry=dict(type='Polygon', coordinates=[[]]), properties={})]), 'classified objects')])
def test_other_files_are_refused(tool, field, tmp_path, capsys, content, words):
    (tmp_path / 'a.geojson').write_text(json.dumps(content))
    assert tool.main([str(tmp_path / 'a.geojson'), str(field), '--out', str(tmp_path / 'q.jpg')]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count('\n') == 1 and not (tmp_path / 'q.jpg').exists()


def test_the_number_of_an_object_is_checked(tool, field, tmp_path, capsys):
    write_labels(people(), tmp_path / 'out', 'qupath')
    path = tmp_path / 'out/a/film <1> & é.png.geojson'
    for number, status in ((0, 2), (6, 2), (5, 0)):  # three cells and two regions
        assert tool.main([str(path), str(field), '--out', str(tmp_path / f'{number}.jpg'), '--object', str(number)]
                         ) == status
    assert 'has the objects 1 to 5' in capsys.readouterr().err
