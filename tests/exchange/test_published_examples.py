"""Files as the tools' own documentation shows them."""

import json

import pytest

from mmleuk.cli import main
from mmleuk.errors import UserError
from mmleuk.exchange.formats import read_labels
from mmleuk.exchange.labels import Known

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><id>4</id><name>films</name><size>2</size><mode>annotation</mode><labels>
    <label><name>car</name><color>#ff0000</color><type>any</type><attributes><attribute><name>model</name>
      <mutable>False</mutable><input_type>select</input_type><default_value>a</default_value><values>a
b</values></attribute></attributes></label>
  </labels></task></meta>
  <image id="0" name="filename000.jpg" width="1600" height="1200">
    <box label="car" source="manual" occluded="0" xtl="1015.32" ytl="402.56" xbr="1102.00" ybr="522.40" z_order="0">
      <attribute name="model">a</attribute></box>
    <polygon label="car" source="manual" occluded="0" points="10.50,20.00;30.00,5.25;44.00,50.00" z_order="0">
      <attribute name="model">b</attribute></polygon>
    <ellipse label="car" source="manual" occluded="0" cx="100.0" cy="50.0" rx="20.0" ry="10.0" z_order="0"></ellipse>
    <box label="car" source="manual" occluded="0" xtl="100" ytl="100" xbr="140" ybr="120" rotation="90.0" z_order="0"/>
    <points label="car" source="manual" occluded="0" points="1.0,2.0" z_order="0"/>
  </image>
  <image id="1" name="filename001.jpg" width="640" height="480"></image>
</annotations>"""
LABEL_STUDIO = [{
    'id': 1, 'data': {'image': '/data/upload/2/7f4ea0c1-film_1.png'},
    'annotations': [{'id': 7, 'was_cancelled': True, 'updated_at': '2026-03-01', 'result': []}, {
        'id': 8, 'was_cancelled': False, 'updated_at': '2026-02-01', 'result': [
            {'id': 'Dx_aB91ISN', 'type': 'rectanglelabels', 'from_name': 'label', 'to_name': 'image',
             'original_width': 600, 'original_height': 403, 'image_rotation': 0, 'origin': 'manual',
             'value': {'x': 50.0, 'y': 10.0, 'width': 10.0, 'height': 20.0, 'rotation': 0,
                       'rectanglelabels': ['Neutrophil']}},
            {'id': 'Dx_aB91ISN', 'type': 'choices', 'from_name': 'nucleus', 'to_name': 'image', 'original_width': 600,
             'original_height': 403, 'image_rotation': 0,
             'value': {'x': 50.0, 'y': 10.0, 'width': 10.0, 'height': 20.0, 'rotation': 0, 'choices': ['lobed']}},
            {'id': 'poly', 'type': 'polygonlabels', 'from_name': 'p', 'to_name': 'image', 'original_width': 600,
             'original_height': 403, 'value': {'points': [[0, 0], [10, 0], [10, 50]], 'polygonlabels': ['Monocyte']}},
            {'id': 'key', 'type': 'keypointlabels', 'from_name': 'k', 'to_name': 'image', 'original_width': 600,
             'original_height': 403, 'value': {'x': 1, 'y': 1, 'width': 1, 'keypointlabels': ['x']}}]}],
    'predictions': []}]
QUPATH = {'type': 'FeatureCollection', 'features': [
    {'type': 'Feature', 'id': '2c3b0f63-1d24-4d5e-8c4f-0c0f3e3a1c11',
     'geometry': {'type': 'Polygon', 'coordinates': [[[10, 20], [30, 20], [30, 60], [10, 60], [10, 20]]]},
     'properties': {'objectType': 'annotation', 'name': 'x',
                    'classification': {'name': 'Tumor', 'color': [200, 0, 0]}, 'isLocked': False,
                    'measurements': [{'name': 'Area', 'value': 800.0}]}},
    {'type': 'Feature', 'geometry': {'type': 'MultiPolygon', 'coordinates': [
        [[[0, 0], [4, 0], [2, 5], [0, 0]]], [[[10, 10], [12, 10], [12, 14], [10, 10]]]]},
     'properties': {'objectType': 'detection', 'classification': {'names': ['Tumor', 'Positive']}}},
    {'type': 'Feature', 'geometry': {'type': 'Point', 'coordinates': [1, 2]}, 'properties': {}},
    {'type': 'Feature', 'geometry': {'type': 'Polygon', 'coordinates': [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]},
     'properties': {'objectType': 'annotation'}}]}
LABELME = {'version': '5.5.0', 'flags': {}, 'imagePath': '..\\images\\film.jpg', 'imageData': None, 'imageHeight': 907,
           'imageWidth': 1210, 'shapes': [
               {'label': 'cell', 'points': [[544.5, 276.25], [180.0, 519.0]], 'group_id': None, 'description': '',
                'shape_type': 'rectangle', 'flags': {'nucleus=round': True, 'nucleus=odd': False, 'big': True},
                'mask': None},
               {'label': 'cell', 'points': [[1, 2], [5, 3], [4, 9]], 'group_id': None, 'shape_type': 'polygon',
                'flags': {}},
               {'label': 'cell', 'points': [[50, 50], [50, 60]], 'group_id': None, 'shape_type': 'circle', 'flags': {}},
               {'label': 'p', 'points': [[5, 5]], 'group_id': None, 'shape_type': 'point', 'flags': {}}]}


def test_cvat(tmp_path):
    (tmp_path / 'annotations.xml').write_text(CVAT)
    labels, notes = read_labels(tmp_path, 'cvat', Known())
    assert labels.classes == ('car',) and dict(labels.values) == {'model': ('a', 'b')}
    assert [(i.file_name, i.width, i.height, i.regions) for i in labels.images] == [
        ('filename000.jpg', 1600, 1200, None), ('filename001.jpg', 640, 480, None)]
    boxes = [cell.box for cell in labels.cells]
    assert boxes[:3] == [(1015.32, 402.56, 1102.0, 522.4), (10.5, 5.25, 44.0, 50.0), (80.0, 40.0, 120.0, 60.0)]
    assert boxes[3] == pytest.approx((110, 90, 130, 130))  # 40 x 20 px, turned by 90 degrees
    assert [dict(cell.attributes) for cell in labels.cells] == [{'model': 'a'}, {'model': 'b'}, {}, {}]
    assert notes == ['1 polygons became the boxes around them', '1 ellipses became the boxes around them',
                     '1 rotated boxes became the boxes around them', '1 shapes of the kind points were left out']


def test_cvat_attributes_of_one_name_with_other_values_at_each_label(tmp_path):
    def label(name, *values):
        lines = '\n'.join(values)
        return (f'<label><name>{name}</name><attributes><attribute><name>size</name><input_type>select</input_type>'
                f'<values>{lines}</values></attribute></attributes></label>')

    def box(name, value):
        return (f'<box label="{name}" xtl="0" ytl="0" xbr="5" ybr="5"><attribute name="size">{value}</attribute>'
                '</box>')

    (tmp_path / 'a.xml').write_text(
        f'<annotations><meta><task><labels>{label("A", "unknown", "small")}{label("B", "low", "high")}</labels></task>'
        f'</meta><image name="a.png" width="9" height="9">{box("A", "unknown")}{box("A", "small")}{box("B", "low")}'
        '</image></annotations>')
    labels, _ = read_labels(tmp_path / 'a.xml', 'cvat', Known())
    assert labels.values == {'size': ('small', 'low', 'high')}
    assert [dict(cell.attributes) for cell in labels.cells] == [{}, {'size': 'small'}, {'size': 'low'}]


@pytest.mark.parametrize(('text', 'words'), [
    ('<!DOCTYPE a [<!ENTITY b "bbbb">]><annotations>&b;</annotations>', 'no XML that can be read'),
    ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotations>&x;</annotations>', 'no XML that can be read'),
    ('<annotations><track id="0"/></annotations>', 'a video'), ('<html/>', 'html'), ('<annotations', 'no XML'),
    ('<annotations><image id="0" name="a.png" width="9" height="9"><box label="x" xtl="1"/></image></annotations>',
     'image a.png, shape 1: has no whole set of numbers'),
    ('<annotations><image id="0" name="../a.png" width="9" height="9"/></annotations>', 'leads out of the folder'),
    ('<annotations><image id="0" name="a.png" width="wide" height="9"/></annotations>', 'wide and 9; export'),
    ('<annotations><image id="0" name="a.png"/></annotations>', 'give --images')])
def test_cvat_faults(tmp_path, text, words):
    (tmp_path / 'a.xml').write_text(text)
    with pytest.raises(UserError, match=words):
        read_labels(tmp_path / 'a.xml', 'cvat', Known())


def test_label_studio(tmp_path):
    (tmp_path / 'export.json').write_text(json.dumps(LABEL_STUDIO))
    labels, notes = read_labels(tmp_path / 'export.json', 'label-studio', Known())
    image = labels.images[0]
    assert (image.file_name, image.width, image.height) == ('film_1.png', 600, 403)
    assert [(c.class_name, c.box, dict(c.attributes)) for c in labels.cells] == [
        ('Neutrophil', (300.0, 40.3, 360.0, 120.9), {'nucleus': 'lobed'}), ('Monocyte', (0.0, 0.0, 60.0, 201.5), {})]
    assert notes == ['1 polygons became the boxes around them', '1 results of the type keypointlabels were left out']
    (tmp_path / 'min.json').write_text(json.dumps([{'image': 'a.png', 'label': []}]))
    with pytest.raises(UserError, match='not as JSON-MIN'):
        read_labels(tmp_path / 'min.json', 'label-studio', Known())


def test_relations_of_label_studio_are_left_out(tmp_path):
    """A relation between two cells has neither an id nor a value."""
    relation = {'from_id': 'Dx_aB91ISN', 'to_id': 'poly', 'type': 'relation', 'direction': 'right'}
    task = json.loads(json.dumps(LABEL_STUDIO[0]))
    task['annotations'][1]['result'] += [relation, relation]
    (tmp_path / 'export.json').write_text(json.dumps([task]))
    labels, notes = read_labels(tmp_path / 'export.json', 'label-studio', Known())
    assert [cell.class_name for cell in labels.cells] == ['Neutrophil', 'Monocyte']
    assert notes[2:] == ['2 results of the type relation were left out']


@pytest.mark.parametrize(('address', 'name'), [
    ('/data/local-files/?d=films/Probe%201.png', 'Probe 1.png'),
    ('/data/local-files/?d=films%2FZelle%20%C3%A4.png', 'Zelle ä.png'),
    ('data/local-files/?d=films/100%2525.png', '100%25.png'),
    ('http://localhost:8080/data/local-files/?d=films/what%3F%20100%25.png', 'what? 100%.png'),
    ('/data/upload/2/7f4ea0c1-Zelle_%C3%A4.png', 'Zelle_ä.png'),
    ('https://films.example/a%2Bb.png?token=1', 'a+b.png'),
    ('s3://films/Probe 1 100%25.png', 'Probe 1 100%25.png'), ('films/100%25?.png', '100%25?.png'),
    ('100%25.png', '100%25.png')])
def test_addresses_of_label_studio(tmp_path, address, name):
    """Its own addresses and those of the web are percent-encoded once; names and keys of a bucket are as they are."""
    task = dict(id=1, data=dict(image=address, width=9, height=9))
    (tmp_path / 'export.json').write_text(json.dumps([task]))
    assert read_labels(tmp_path / 'export.json', 'label-studio', Known())[0].images[0].file_name == name


@pytest.mark.parametrize('data', [
    dict(patient='P1', image='/data/upload/2/7f4ea0c1-film.png'), dict(patient='P1', field='s3://films/p1/film.png'),
    dict(photo='film.png', patient='P1')])
def test_more_data_of_a_task_of_label_studio(tmp_path, data):
    """What stands before the image is not its name."""
    (tmp_path / 'export.json').write_text(json.dumps([dict(id=1, data=data)]))
    labels, _ = read_labels(tmp_path / 'export.json', 'label-studio', Known(sizes=lambda name: (9, 9)))
    assert labels.images[0].file_name == 'film.png'


def test_qupath(tmp_path):
    (tmp_path / 'film.png.geojson').write_text(json.dumps(QUPATH))
    labels, notes = read_labels(tmp_path, 'qupath', Known(sizes={'film.png': (100, 90)}.get))
    assert [(c.class_name, c.box) for c in labels.cells] == [
        ('Tumor', (10.0, 20.0, 30.0, 60.0)), ('Tumor: Positive', (0.0, 0.0, 12.0, 14.0))]
    assert labels.images[0].file_name == 'film.png' and labels.images[0].width == 100
    assert notes == ['1 outlines became the boxes around them', '1 objects of the kind Point were left out',
                     '1 objects without a classification were left out']


def test_labelme(tmp_path):
    (tmp_path / 'film.json').write_text(json.dumps(LABELME))
    labels, notes = read_labels(tmp_path, 'labelme', Known())
    assert [(c.box, dict(c.attributes)) for c in labels.cells] == [
        ((180.0, 276.25, 544.5, 519.0), {'nucleus': 'round'}), ((1.0, 2.0, 5.0, 9.0), {}),
        ((40.0, 40.0, 60.0, 60.0), {})]
    assert labels.images[0].file_name == 'film.jpg' and notes == [
        '1 shapes of the kind polygon became the boxes around them',
        '1 shapes of the kind circle became the boxes around them', '1 shapes of the kind point were left out']


COCO = {'images': [{'id': 5, 'file_name': 'a/1.png', 'width': 200, 'height': 100, 'annotated_region': [0, 0, 150, 100],
                    'patient': '7'},
                   {'id': 6, 'file_name': '2.png', 'width': 200, 'height': 100, 'annotated_region': []}],
        'categories': [{'id': 1, 'name': 'WBC'}, {'id': 4, 'name': 'RBC'}],
        'attributes': {'size': ['small', 'big'], 'hue': ['red', 'blue', 'grey']},
        'annotations': [
            {'id': 2, 'image_id': 5, 'category_id': 4, 'bbox': [10.1, 20.2, 30.3, 40.4], 'iscrowd': 1},
            {'id': 9, 'image_id': 5, 'category_id': 1, 'bbox': [50, 20, 30, 40], 'iscrowd': 0,
             'attributes': {'size': 'big', 'hue': 2}}]}


@pytest.mark.parametrize('name', ['cvat', 'label-studio', 'qupath', 'labelme', 'parquet', 'csv'])
def test_the_command_there_and_back(tmp_path, name, capsys):
    (tmp_path / 'coco.json').write_text(json.dumps(COCO))
    out, back = tmp_path / f'out.{name}', tmp_path / 'back.json'
    words = ['data', 'convert', str(tmp_path / 'coco.json'), '--from', 'coco', '--to', name, '--out', str(out)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert '2 images, 2 cells' in printed and 'patient of the images are only in the COCO JSON' in printed
    more = ['--attributes', str(tmp_path / 'coco.json'), '--classes', 'WBC,RBC'] if name == 'csv' else []
    assert main(['data', 'convert', str(out), '--from', name, '--to', 'coco', '--out', str(back), *more]) == 0
    data = json.loads(back.read_text())
    names = {image['id']: image['file_name'] for image in data['images']}
    classes = {category['id']: category['name'] for category in data['categories']}
    assert list(classes.values()) == ['WBC', 'RBC'] and data['attributes'] == COCO['attributes']
    assert {image['file_name']: image['annotated_region'] for image in data['images']} == {
        'a/1.png': [[0, 0, 150, 100]], '2.png': []}
    assert [(names[c['image_id']], classes[c['category_id']], c['bbox'], c['iscrowd'], c['attributes'])
            for c in data['annotations']] == [
        ('a/1.png', 'RBC', [10.1, 20.2, 30.3, 40.4], 1, {}),
        ('a/1.png', 'WBC', [50, 20, 30, 40], 0, {'size': 'big', 'hue': 'grey'})]


@pytest.mark.parametrize('name', ['cvat-coco', 'csv', 'parquet', 'predictions', 'coco'])
def test_the_command_writes_over_no_file(tmp_path, name, capsys):
    """Least of all over its source: other formats lack ids, patients and regions."""
    path = tmp_path / 'mine.json'
    path.write_text(json.dumps(COCO))
    origin = 'label-studio' if name == 'coco' else 'coco'
    assert main(['data', 'convert', str(path), '--from', origin, '--to', name, '--out', str(path)]) == 2
    assert 'mine.json: is there already; name a new file' in capsys.readouterr().err
    assert main(['data', 'convert', str(tmp_path), str(tmp_path), str(path)]) == 2
    assert json.loads(path.read_text()) == COCO


@pytest.mark.parametrize('more, words', [
    (dict(score='high'), "annotation 9: score is 'high'; it is a number"), (dict(score=[1]), 'it is a number'),
    (dict(score=float('nan')), 'cell 1: its score or a probability is not finite'),
    (dict(attribute_probs={'size': 'p'}), "attribute_probs of size is 'p'; it is a number"),
    (dict(attribute_probs={'size': float('inf')}), 'is not finite')])
def test_numbers_of_a_model_that_are_none(tmp_path, capsys, more, words):
    data = COCO | dict(annotations=[COCO['annotations'][1] | more])
    (tmp_path / 'coco.json').write_text(json.dumps(data))
    words_of = ['data', 'convert', str(tmp_path / 'coco.json'), '--from', 'coco', '--to', 'csv', '--out']
    assert main([*words_of, str(tmp_path / 'o.csv')]) == 2
    said = capsys.readouterr().err
    assert words in said and 'coco.json' in said and not (tmp_path / 'o.csv').exists()


def test_the_command_between_two_tools_and_its_refusals(tmp_path, capsys):
    (tmp_path / 'a.xml').write_text(CVAT)
    words = ['data', 'convert', str(tmp_path / 'a.xml'), '--from', 'cvat', '--to']
    assert main([*words, 'labelme', '--out', str(tmp_path / 'lm')]) == 0
    assert 'became the boxes around them' in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / 'lm').iterdir()) == ['filename000.json', 'filename001.json']
    assert main([*words, 'yolo', '--out', str(tmp_path / 'yolo')]) == 0
    assert main([*words, 'predictions', '--out', str(tmp_path / 'p.json')]) == 2
    assert 'has no score' in capsys.readouterr().err and not (tmp_path / 'p.json').exists()
    assert main([*words, 'csv', '--out', str(tmp_path / 'c.csv'), '--attributes', 'nonsense']) == 2
    assert 'is neither a file nor one of' in capsys.readouterr().err


@pytest.mark.parametrize(('name', 'content'), [
    (name, content) for name in ('label-studio', 'qupath', 'labelme')
    for content in (3, [], {}, [3], {'features': 3}, {'features': [{'type': 'Feature'}]}, [{'data': {}}],
                    [{'data': {'image': 'a'}, 'annotations': [{'result': [{}]}]}],
                    [{'data': {'image': 'a'}, 'annotations': [{'result': 3}]}], {'shapes': [3], 'mmleuk': 3},
                    {'shapes': [{'label': 'a', 'points': []}], 'imageHeight': 9, 'imageWidth': 9},
                    {'type': 'Feature', 'geometry': None}, {'type': 'Feature', 'mmleuk': {'classes': 3}})])
def test_other_json_is_refused_or_empty(tmp_path, name, content):
    """One line says what is wrong; nothing else may come out of a file that isn't the tool's."""
    path = tmp_path / ('a.geojson' if name == 'qupath' else 'a.json')
    path.write_text(json.dumps(content))
    try:
        labels, _ = read_labels(path, name, Known(sizes=lambda _: (9, 9)))
    except UserError as error:
        assert 'a.geojson' in str(error) or 'a.json' in str(error)
    else:
        assert labels.cells == []
