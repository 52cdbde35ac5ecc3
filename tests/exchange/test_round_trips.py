"""Labels to each tool's format and back: cell by cell the same, or the loss is named."""

import json
import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmleuk.cli import main
from mmleuk.errors import UserError
from mmleuk.exchange.formats import FORMATS, read_labels, write_labels
from mmleuk.exchange.labels import Known, LabelledCell, LabelledImage, Labels, differences
from mmleuk.structures.prediction import Cell, Prediction, Run, RunInfo
from mmleuk.structures.prediction_files import from_json, to_json

VALUES = {'nuclear_chromatin': ('open', 'coarse'), 'granule <colour> & "type"': ('nil', 'pink', "=1+1 'red'")}
NAMES = {'cvat': 'out', 'cvat-coco': 'out.json', 'label-studio': 'out', 'qupath': 'out', 'labelme': 'out',
         'csv': 'o.csv', 'parquet': 'o.parquet', 'predictions': 'p.json'}
LOSSES = {
    'cvat': [], 'qupath': [], 'labelme': [], 'label-studio': [], 'parquet': [],
    'cvat-coco': ['the list of attribute values', '2 annotated regions of images'],
    'csv': ['classes without cells (Never)', 'the list of attribute values'],
}
"""What each format can't hold of the labels below."""


def people():
    """Annotations: an image without cells, an ignored cell, unknown attributes, regions, names with signs."""
    cells = (
        LabelledCell('Myeloblast', (10.25, 20.5, 60.125, 81.0), {'nuclear_chromatin': 'open'}),
        LabelledCell('<b>Red</b> & "white"', (0.0, 0.0, 33.333333, 1 / 3 + 12), {
            'nuclear_chromatin': 'coarse', 'granule <colour> & "type"': "=1+1 'red'"}, ignore=True),
        LabelledCell('Myeloblast', (100, 100, 120, 130), {}))
    regions = ((5.0, 6.5, 200.0, 300.0), (300.0, 6.0, 400.0, 90.0))
    images = (LabelledImage('a/film <1> & é.png', 640, 480, cells, regions),
              LabelledImage('b.png', 300, 301, (), ((0.0, 0.0, 300.0, 301.0),)))
    return Labels(('Myeloblast', '<b>Red</b> & "white"', 'Never'), VALUES, images)


def machines():
    """Predictions: scores and probabilities, no regions."""
    cells = (LabelledCell('Myeloblast', (10.2, 20.7, 60.9, 81.1), {'nuclear_chromatin': 'open'},
                          {'nuclear_chromatin': 0.1 + 0.7}, 1 / 3),
             LabelledCell('Never', (1.0, 2.0, 3.0, 4.0), {'granule <colour> & "type"': 'nil'},
                          {'granule <colour> & "type"': 0.123456789}, 0.99))
    return Labels(people().classes, VALUES, (LabelledImage('a/x.png', 640, 480, cells), LabelledImage('y.png', 64, 48)))


@pytest.mark.parametrize('name', LOSSES)
def test_annotations(name, tmp_path):
    labels = people()
    lost = write_labels(labels, tmp_path / NAMES[name], name)
    assert lost == LOSSES[name]
    kept, notes = read_labels(tmp_path / NAMES[name], name, Known())
    assert notes == [] and [image.file_name for image in kept.images] == [image.file_name for image in labels.images]
    for image, other in zip(labels.images, kept.images, strict=True):
        assert (other.width, other.height) == (image.width, image.height)
        for cell, same in zip(image.cells, other.cells, strict=True):
            assert same.box == pytest.approx(cell.box, abs=1e-6)
            assert (same.class_name, same.attributes, same.ignore, same.score) == (
                cell.class_name, cell.attributes, cell.ignore, None)


@pytest.mark.parametrize('name', [*LOSSES, 'predictions'])
def test_predictions(name, tmp_path):
    labels = machines()
    lost = write_labels(labels, tmp_path / NAMES[name], name)
    expected = {'cvat-coco': ['the list of attribute values'],
                'csv': ['classes without cells (<b>Red</b> & "white")', 'the list of attribute values']}
    assert lost == expected.get(name, [])
    kept, _ = read_labels(tmp_path / NAMES[name], name, Known())
    for cell, same in zip(labels.cells, kept.cells, strict=True):
        assert same.box == pytest.approx(cell.box, abs=1e-6) and same.score == cell.score
        assert same.probs == cell.probs and same.attributes == cell.attributes


@pytest.mark.parametrize('name', [*LOSSES, 'predictions', 'coco'])
def test_diameters_are_kept_or_the_loss_is_named(name, tmp_path, capsys):
    """Two cells, of which one has a diameter, on an image with a scale."""
    cells = tuple(Cell((1.0, 2.0, 31.0, 32.0 + number), 0.5, 0, 'A', diameter_um=um) for number, um in
                  enumerate((0.1 + 0.2, None)))
    image = Prediction('a.png', (48, 64), cells, um_per_px=(0.1, 0.1))
    source, out, back = tmp_path / 'source.json', tmp_path / NAMES.get(name, 'coco.json'), tmp_path / 'back.json'
    to_json(Run(RunInfo(('A',)), (image,)), source)
    labels, notes = read_labels(source, 'predictions', Known())
    assert notes == ['um_per_px of the images are only in the predictions']
    if name == 'predictions':
        assert write_labels(labels, back, 'predictions') == []
    else:
        assert main(['data', 'convert', str(source), '--from', 'predictions', '--to', name, '--out', str(out)]) == 0
        said = '1 diameters' in capsys.readouterr().out
        assert said == (name in ('cvat', 'label-studio', 'qupath', 'labelme'))
        assert main(['data', 'convert', str(out), '--from', name, '--to', 'predictions', '--out', str(back)]) == 0
    kept = [cell.diameter_um for cell in from_json(back).cells]
    assert kept == [None if name in ('cvat', 'label-studio', 'qupath', 'labelme') else 0.1 + 0.2, None]


@pytest.mark.parametrize('name', ['coco', 'voc', 'yolo', 'cvat-coco', 'csv'])
def test_predicted_cells_without_area_are_left_out(name, tmp_path, capsys):
    """Of three cells one ends where it starts, and one a ten-millionth of a pixel later."""
    boxes = (50.0, 48.0, 60.0, 48.0), (1.0, 2.0, 31.0, 32.0), (5.0, 6.0, 5.0000001, 9.0)
    cells = tuple(Cell(box, 0.5, 0, 'A') for box in boxes)
    to_json(Run(RunInfo(('A',)), (Prediction('a.png', (48, 64), cells),)), tmp_path / 'source.json')
    words = ['data', 'convert', str(tmp_path / 'source.json'), '--from', 'predictions']
    assert main([*words, '--to', name, '--out', str(tmp_path / 'out')]) == 0
    said = capsys.readouterr().out
    assert 'source.json: 2 predicted cells without area were left out' in said and '1 cell\n' in said


def test_a_persons_cell_without_area_stays():
    """It is an error of the labels, which the reader of COCO names."""
    cells = LabelledCell('A', (1.0, 2.0, 1.0, 9.0)), LabelledCell('A', (1.0, 2.0, 1.0, 9.0), score=0.5)
    labels = Labels(('A',), {}, (LabelledImage('a.png', 9, 9, cells), LabelledImage('b.png', 9, 9)))
    kept, empty = labels.with_area()
    assert empty == 1 and [image.cells for image in kept.images] == [cells[:1], ()]


BOXES = st.tuples(*[st.floats(0, 200, allow_nan=False)] * 2, *[st.floats(0.5, 100, allow_nan=False)] * 2)
CELLS = st.builds(
    lambda name, box, chosen, ignore: LabelledCell(name, (box[0], box[1], box[0] + box[2], box[1] + box[3]),
                                                   {k: v for k, v in chosen.items() if v}, ignore=ignore),
    st.sampled_from(['A', 'B b', 'ü<&>']), BOXES,
    st.fixed_dictionaries({key: st.sampled_from([None, *names]) for key, names in VALUES.items()}), st.booleans())


@pytest.mark.parametrize('name', ['cvat', 'label-studio', 'qupath', 'labelme', 'csv', 'parquet'])
@given(st.lists(st.lists(CELLS, max_size=4), min_size=1, max_size=3))
@settings(max_examples=15, deadline=None)
def test_any_labels(name, tmp_path_factory, per_image):
    labels = Labels(('A', 'B b', 'ü<&>'), VALUES, tuple(
        LabelledImage(f'{number}.png', 301, 307, tuple(cells)) for number, cells in enumerate(per_image)))
    out = tmp_path_factory.mktemp('any') / NAMES[name]
    lost = write_labels(labels, out, name)
    assert not [line for line in lost if line[0].isdigit()]  # only names without cells may be lost
    kept, _ = read_labels(out, name, Known())
    assert [c.attributes for c in kept.cells] == [c.attributes for c in labels.cells]


def test_differences_are_seen():
    labels = people()
    image = labels.images[0]
    assert differences(labels, labels) == []
    moved = LabelledCell('Never', (11.0, 20.5, 60.125, 81.0), {}, score=0.5)
    other = Labels(labels.classes[:2], {}, (LabelledImage(image.file_name, 640, 481, (moved, *image.cells[1:])),))
    assert differences(labels, other) == [
        'classes without cells (Never)', 'the list of attribute values', '1 image sizes',
        '1 annotated regions of images', '1 boxes', '1 types', '1 attribute values', '1 scores', '1 images']


@pytest.mark.parametrize('name', ['cvat', 'label-studio', 'qupath', 'labelme', 'csv'])
def test_names_of_bytes_that_are_no_text(name, tmp_path):
    """An image's name in Latin-1 has a question mark in the files, and aborts nothing."""
    images = tuple(LabelledImage(file, 9, 9, (LabelledCell('A', (1.0, 2.0, 3.0, 4.0)),))
                   for file in (os.fsdecode(b'zelle_\xe4.png'), 'b.png'))
    assert '1 images' in write_labels(Labels(('A',), {}, images), tmp_path / NAMES[name], name)
    kept, _ = read_labels(tmp_path / NAMES[name], name, Known())
    assert {image.file_name for image in kept.images} == {'b.png', 'zelle_?.png'}
    assert [cell.class_name for cell in kept.cells] == ['A', 'A']


def test_what_cannot_be_written(tmp_path):
    labels = people()
    odd = LabelledCell('A', (5.0, 1.0, float('nan'), 2.0)), LabelledCell('A', (5.0, 1.0, 4.0, 2.0)), LabelledCell('', (
        1.0, 1.0, 2.0, 2.0))
    for bad, words in (*((Labels(('A',), {}, (LabelledImage('a.png', 9, 9, (cell,)),)), 'is no cell') for cell in odd),
                       (Labels((), {}, (LabelledImage('a.png', 9, 9),) * 2), 'occurs twice'),
                       (Labels(('annotated_region',), {}, ()), 'marks annotated regions'),
                       (Labels((), {}, (LabelledImage('../a.png', 1, 1),)), 'leads out of the folder')):
        for name in FORMATS:
            with pytest.raises(UserError, match=words):
                write_labels(bad, tmp_path / 'x', name)
    twins = Labels((), {}, (LabelledImage('a.png', 9, 9), LabelledImage('a.jpg', 9, 9)))
    with pytest.raises(UserError, match='would share the file a.json'):
        write_labels(twins, tmp_path / 'x', 'labelme')
    with pytest.raises(UserError, match="called 'label'"):
        write_labels(Labels((), {'label': ('a', 'b')}, ()), tmp_path / 'x', 'label-studio')
    for name, prob in (('cvat', '.prob'), ('qupath', ' prob')):  # a type of nucleus would come back as a score
        for key in ('score', 'ignore', 'size' + prob):
            with pytest.raises(UserError, match=f"attribute '{key}'.* are what a model says; rename it"):
                write_labels(Labels((), {key: ('a', 'b')}, ()), tmp_path / 'x', name)
    with pytest.raises(UserError, match='has no score, so it is no prediction'):
        write_labels(labels, tmp_path / 'x', 'predictions')
    assert not list(tmp_path.iterdir())


def test_labels_that_exist_are_not_written_over(tmp_path):
    for name in ('cvat', 'label-studio', 'qupath', 'labelme'):
        out = tmp_path / name
        out.mkdir()
        (out / 'mine').write_text('mine')
        with pytest.raises(UserError, match='exists already'):
            write_labels(people(), out, name)
        assert (out / 'mine').read_text() == 'mine'


def test_an_image_in_which_a_model_found_nothing_is_nobodys_work(tmp_path):
    """Label Studio takes a task with an annotation for done: what the model missed would not be looked at."""
    found = LabelledImage('a.png', 9, 9, (LabelledCell('A', (1.0, 1.0, 4.0, 4.0), score=0.5),))
    labels = Labels(('A',), {}, (found, LabelledImage('b.png', 9, 9)))
    assert write_labels(labels, tmp_path / 'found', 'label-studio') == []
    tasks = json.loads((tmp_path / 'found/tasks.json').read_text())
    assert [sorted(task) for task in tasks] == [['data', 'id', 'predictions']] * 2
    people_saw = Labels(('A',), {}, (replace(found, cells=()), LabelledImage('b.png', 9, 9)))
    write_labels(people_saw, tmp_path / 'seen', 'label-studio')
    assert all('annotations' in task for task in json.loads((tmp_path / 'seen/tasks.json').read_text()))


def test_qupath_files_say_everything_twice(tmp_path):
    """QuPath drops the foreign member: its file with --attributes and --images has all of the cells."""
    write_labels(people(), tmp_path / 'out', 'qupath')
    sizes = {image.file_name: (image.width, image.height) for image in people().images}
    for path in (tmp_path / 'out').rglob('*.geojson'):
        content = json.loads(path.read_text())
        del content['mmleuk']
        for feature in content['features']:
            feature['properties'].pop('metadata', None)  # an old QuPath: measurements alone
        path.write_text(json.dumps(content))
    from mmleuk.schema import AttributeSchema
    known = Known(people().classes, AttributeSchema.from_dict({k: list(v) for k, v in VALUES.items()}), sizes.get)
    kept, _ = read_labels(tmp_path / 'out', 'qupath', known)
    assert differences(people(), kept) == ['1 marks of ignored cells']
    with pytest.raises(UserError, match='the size of image .* is needed; give --images'):
        read_labels(tmp_path / 'out', 'qupath', Known())
