"""What is written is what the makers' own SDKs accept."""

import json

import pytest
from test_round_trips import machines, people

from mmleuk.exchange.formats import write_labels


@pytest.mark.parametrize('labels', [people(), machines()], ids=['people', 'machines'])
def test_label_studio_accepts_tasks_and_interface(labels, tmp_path):
    interface = pytest.importorskip('label_studio_sdk.label_interface', reason='needs label-studio-sdk')
    write_labels(labels, tmp_path / 'out', 'label-studio')
    checker = interface.LabelInterface((tmp_path / 'out' / 'label_config.xml').read_text(encoding='utf-8'))
    checker.validate()
    tasks = json.loads((tmp_path / 'out' / 'tasks.json').read_text(encoding='utf-8'))
    assert len(tasks) == 2
    for task in tasks:
        assert all(checker.validate_annotation(answer) for answer in task.get('annotations', ()))
        assert all(checker.validate_prediction(answer) for answer in task.get('predictions', ()))
    seen = [answer for task in tasks for answer in [*task.get('annotations', ()), *task.get('predictions', ())]]
    assert any(answer['result'] for answer in seen)
    wrong = json.loads(json.dumps(next(answer for answer in seen if answer['result'])))
    wrong['result'][0]['value']['rectanglelabels'] = ['no such class']
    assert not checker.validate_prediction(wrong)  # it does look


def test_cvat_accepts_the_labels_of_a_task(tmp_path):
    models = pytest.importorskip('cvat_sdk', reason='needs cvat-sdk').models
    write_labels(machines(), tmp_path / 'out', 'cvat')
    labels = json.loads((tmp_path / 'out' / 'labels.json').read_text(encoding='utf-8'))
    for label in labels:
        attributes = [models.AttributeRequest(**{**spec, 'input_type': models.InputTypeEnum(spec['input_type'])})
                      for spec in label['attributes']]
        models.PatchedLabelRequest(name=label['name'], type=label['type'], attributes=attributes)
    assert [label['name'] for label in labels] == list(machines().classes)


def test_qupath_files_are_geojson(tmp_path):
    """RFC 7946: closed rings of positions; shapely reads the same boxes."""
    import shapely
    write_labels(people(), tmp_path / 'out', 'qupath')
    collection = json.loads((tmp_path / 'out' / 'a' / 'film <1> & é.png.geojson').read_text(encoding='utf-8'))
    shapes = [shapely.geometry.shape(feature['geometry']) for feature in collection['features']]
    assert all(shape.is_valid for shape in shapes)
    image = people().images[0]
    expected = [*(cell.box for cell in image.cells), *image.regions]
    assert [shape.bounds for shape in shapes] == [pytest.approx(box) for box in expected]
