"""Inferencer with a small detector of random weights."""

import cv2
import numpy as np
import pytest
import torch
from mmdet.apis import inference_detector, init_detector
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from small_attri_det import CLASSES, DETECTOR, SCHEMA, make_config, save, write_attri_det, write_films

from mmleuk.apis import FailedImage, Inferencer, Prediction, lift_cell_limit, raise_score_threshold
from mmleuk.errors import UserError
from mmleuk.structures.detections import Detections
from mmleuk.structures.prediction_files import from_csv, from_json


@pytest.fixture(scope='module')
def attri(tmp_path_factory):
    return write_attri_det(tmp_path_factory.mktemp('attri'))


@pytest.fixture(scope='module')
def inferencer(attri):
    return Inferencer(*attri, device='cpu', min_score=0.05, max_overlap=1)


@pytest.fixture
def films(tmp_path):
    return write_films(tmp_path / 'films')


def test_a_folder_gives_cells_with_attributes(inferencer, films):
    predictions = inferencer(films)
    assert [p.image for p in predictions] == ['a/c.jpg', 'a/x & <y>.bmp', 'b.png']
    assert [p.size_hw for p in predictions] == [(50, 64), (80, 64), (40, 64)]
    cells = [cell for p in predictions for cell in p.cells]
    assert cells and inferencer.classes == CLASSES
    for cell in cells:
        assert cell.score >= 0.05 and CLASSES[cell.label] == cell.class_name
        assert list(cell.attributes) == ['shape', 'hue']
        for key, reading in cell.attributes.items():
            assert reading['value'] == SCHEMA[key][reading['value_index']] and 0 < reading['prob'] <= 1
    for p in predictions:
        assert [c.score for c in p.cells] == sorted((c.score for c in p.cells), reverse=True)
    assert inferencer(films) == predictions, 'a second call says the same'


def test_mmdetections_own_inference_says_the_same(attri, inferencer, films):
    """Its pipeline gets a picture without annotations. AttriDet has no backbone of its own: ``cfg_options={}``."""
    model = init_detector(*map(str, attri), device='cpu', cfg_options={})
    path = films / 'b.png'
    expected, = inferencer(path)
    for picture in (str(path), cv2.imread(str(path))):
        found = inference_detector(model, picture).pred_instances
        found = found[found.scores >= 0.05]
        assert len(expected.cells) == len(found) > 0
        assert found.scores.tolist() == pytest.approx([cell.score for cell in expected.cells], abs=1e-5)


def test_numbers_are_the_models_own(inferencer, films):
    path = films / 'b.png'
    prediction = inferencer(path)[0]
    data = inferencer._prepared(inferencer._load(path)).data
    with torch.no_grad():
        instances = inferencer.model.test_step(
            dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))[0].pred_instances
    for cell in prediction.cells:
        i = int(np.flatnonzero(instances.scores.numpy() == np.float32(cell.score))[0])
        assert cell.box == tuple(instances.bboxes[i].tolist()) and cell.label == int(instances.labels[i])
        values = [reading['value_index'] for reading in cell.attributes.values()]
        probs = [reading['prob'] for reading in cell.attributes.values()]
        assert values == instances.attributes[i].tolist()
        assert probs == instances.attribute_probs[i].max(-1).values.tolist()


def test_arrays_equal_files_and_stay_as_they_are(inferencer, films):
    path = films / 'b.png'
    array = cv2.imread(str(path))
    before = array.copy()
    from_file, from_array = inferencer([array, path])
    assert (from_array.image, from_array.path) == ('array_0001', None)
    assert from_array.cells == from_file.cells and np.array_equal(array, before)
    assert inferencer.draw(from_array, array).size == inferencer.draw(from_file).size
    with pytest.raises(UserError, match='array_0001: came from an array'):
        inferencer.draw(from_array)


def test_globs_lists_and_batches(attri, inferencer, films):
    several = inferencer([films / 'b.png', films / 'a' / '*.jpg', films / 'b.png'])
    assert [p.image for p in several] == ['b.png', 'a/c.jpg']
    batched = Inferencer(*attri, device='cpu', min_score=0.05, batch_size=2, max_overlap=1)(films)
    assert [p.image for p in batched] == [p.image for p in inferencer(films)]


def test_min_score_only_leaves_out(attri, inferencer, films):
    cells = [c for p in inferencer(films) for c in p.cells]
    middle = sorted(c.score for c in cells)[len(cells) // 2]
    strict = Inferencer(*attri, device='cpu', min_score=middle, max_overlap=1)(films)
    assert [c for p in strict for c in p.cells] == [c for c in cells if c.score >= middle]


@pytest.mark.parametrize('config', ['yolov5/yolov5n', 'faster_rcnn/faster-rcnn_r18', 'cascade_rcnn/cascade-rcnn_r18',
                                    'fcos/fcos_r18'])
def test_the_heads_threshold_follows_min_score_and_changes_no_cell(config, tmp_path, films, monkeypatch):
    """With random weights many boxes overlap, so that the suppression has much to do."""
    def fresh():
        model = Config.fromfile(f'configs/{config}_txl-pbc.py').model
        model.get('backbone', {}).update(init_cfg=None)
        return make_config(model, metainfo=dict(classes=('WBC', 'RBC', 'Platelets')))

    init_default_scope('mmdet')
    built = MODELS.build(fresh().model)
    for name, parameter in built.named_parameters():  # the prior says 'no cell' everywhere
        if name.endswith('bias') and name.startswith('bbox_head'):
            torch.nn.init.normal_(parameter, std=0.3)
        elif 'yolo' in config and name.startswith('bbox_head'):
            torch.nn.init.normal_(parameter, std=1e-4)  # else all scores are 0 or 1
    torch.save(dict(state_dict=built.state_dict()), tmp_path / 'w.pth')

    def cells(min_score):
        found = Inferencer(fresh(), tmp_path / 'w.pth', device='cpu', min_score=min_score, max_overlap=1)
        return found(films / 'b.png')[0].cells

    every = cells(0)
    middle = every[len(every) // 2].score
    expected = tuple(cell for cell in every if cell.score >= middle)
    assert 0 < len(expected) and cells(middle) == expected
    raised = []
    monkeypatch.setattr('mmleuk.apis.raise_score_threshold', lambda *args: raised.append(args))
    assert cells(middle) == expected and len(raised) == 1
    raise_score_threshold(raised[0][0], 0.5)
    thresholds = {module.test_cfg['score_thr'] for module in raised[0][0].modules()
                  if 'score_thr' in (getattr(module, 'test_cfg', None) or {})}
    assert thresholds == {0.5 * (1 - 1e-6)}


@pytest.mark.parametrize('config, path, own', [
    ('yolov5/yolov5n', 'bbox_head', 300), ('faster_rcnn/faster-rcnn_r18', 'roi_head', 100)])
def test_the_limit_of_evaluations_is_lifted(config, path, own):
    model = MODELS.build(Config.fromfile(f'configs/{config}_txl-pbc.py').model)
    proposals = model.rpn_head.test_cfg.max_per_img if path == 'roi_head' else 0
    head = model.get_submodule(path)
    assert head.test_cfg.max_per_img == own
    lift_cell_limit(model)
    assert head.test_cfg.max_per_img == 100_000
    assert not proposals or model.rpn_head.test_cfg.max_per_img == proposals
    head.test_cfg = head.test_cfg | dict(max_per_img=9)  # the user's
    lift_cell_limit(model)
    assert head.test_cfg['max_per_img'] == 9


def test_boxes_without_an_area_are_no_cells(inferencer, films):
    found = Detections(np.array([[0, 0, 9, 9], [0, 0, 0, 9], [0, 40, 9, 40]], np.float32), np.ones(3, np.float32),
                       np.zeros(3, np.int64))
    image = inferencer._prepared(inferencer._load(films / 'b.png'))
    assert [cell.box for cell in inferencer._prediction(found, image, 'b.png', None).cells] == [(0, 0, 9, 9)]


def test_leukocytes_are_those_that_the_data_set_declares(tmp_path, films):
    meta = dict(dataset_meta=dict(classes=CLASSES, leukocytes=['Blast']))
    inferencer = Inferencer(make_config(DETECTOR), save(tmp_path, DETECTOR, meta), device='cpu')
    assert inferencer.run_info().leukocytes == ('Blast',)
    assert from_json(inferencer.to_json([], tmp_path / 'p.json')).info.leukocytes == ('Blast',)
    named = Inferencer(make_config(DETECTOR), save(tmp_path, DETECTOR, dict(dataset_meta=dict(classes=CLASSES))))
    assert named.run_info().leukocytes is None


@pytest.mark.parametrize('stated', ['checkpoint', 'config'])
@pytest.mark.parametrize('described', [CLASSES[:2], CLASSES[2:]])
def test_undescribed_classes_have_no_attributes(attri, tmp_path, films, stated, described):
    """The checkpoint says which classes are described; where it doesn't, the config does. The cells are neutrophils."""
    config, said = Config.fromfile(str(attri[0])), dict(described=described)
    meta = dict(classes=CLASSES, attributes=SCHEMA)
    config.test_dataloader.dataset.metainfo = dict(classes=CLASSES, **(said if stated == 'config' else {}))
    checkpoint = save(tmp_path, config.model, dict(dataset_meta=meta | (said if stated == 'checkpoint' else {})))
    cells = [cell for prediction in Inferencer(config, checkpoint, device='cpu', min_score=0)(films)
             for cell in prediction.cells]
    assert cells and {cell.class_name for cell in cells} == {'Neutrophil'}
    unknown = [reading['value'] == 'unknown' for cell in cells for reading in cell.attributes.values()]
    assert len(unknown) == 2 * len(cells) and set(unknown) == {'Neutrophil' not in described}


def test_written_files_read_back(inferencer, films, tmp_path):
    predictions = inferencer(films)
    run = from_json(inferencer.to_json(predictions, tmp_path / 'p.json'))
    assert list(run.predictions) == predictions and run.info.model == 'mmleuk.AttriDet'
    rows = from_csv(inferencer.to_csv(predictions, tmp_path / 'p.csv'), inferencer.schema)
    assert [(p.image, p.cells) for p in rows] == [(p.image, p.cells) for p in predictions if p.cells]


def test_a_plain_detector_with_names_from_the_config(tmp_path, films):
    config = make_config(DETECTOR, metainfo=dict(classes=CLASSES))
    plain = Inferencer(config, save(tmp_path, DETECTOR, {}), device='cpu', min_score=0, max_overlap=1)
    cells = plain(films / 'b.png')[0].cells
    assert plain.classes == CLASSES and cells and all(cell.attributes == {} for cell in cells)


@pytest.mark.parametrize(('argument', 'message'), [
    ('nowhere', 'nowhere: no such file or folder'), ('*.png', 'matches no image file'),
    ('empty', 'empty: no image in this folder'), ('text.png', 'text.png: .*no image'),
    ('cut.jpg', 'cut.jpg: .*end of the JPEG'), ('cut.png', 'cut.png: .*end of the PNG')])
def test_bad_files_are_named(inferencer, tmp_path, monkeypatch, argument, message):
    monkeypatch.chdir(tmp_path)
    if argument == 'empty':
        (tmp_path / 'empty').mkdir()
    if argument == 'text.png':
        (tmp_path / argument).write_text('hello')
    if argument.startswith('cut'):
        whole = cv2.imencode(argument[3:], np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))[1]
        (tmp_path / argument).write_bytes(whole.tobytes()[:-500])
    with pytest.raises(UserError, match=message):
        inferencer(argument)


@pytest.mark.parametrize(('array', 'message'), [
    (np.zeros((4, 4), np.uint8), r'shape \(4, 4\)'), (np.zeros((4, 4, 4), np.uint8), r'shape \(4, 4, 4\)'),
    (np.zeros((4, 4, 3), np.float32), 'type float32'), (np.zeros((0, 4, 3), np.uint8), r'shape \(0, 4, 3\)'),
    (3, 'input 2 is a int')])
def test_bad_arrays_are_named(inferencer, array, message):
    with pytest.raises(UserError, match=message):
        inferencer([np.zeros((40, 40, 3), np.uint8), array])
    with pytest.raises(UserError, match='no input'):
        inferencer([])


def test_a_file_that_vanishes_does_not_stop_the_others(inferencer, films):
    results = list(inferencer.predict([films / 'gone.png', films / 'b.png']))
    assert isinstance(results[0], FailedImage) and results[0].image == 'gone.png' and 'could not be read' in \
        results[0].error
    assert isinstance(results[1], Prediction) and results[1].image == 'b.png'


def test_bad_settings_checkpoints_and_configs(attri, tmp_path):
    config, checkpoint = attri
    for kwargs, message in [(dict(min_score=1.5), 'min_score is 1.5'), (dict(batch_size=0), 'batch_size is 0'),
                            (dict(device='toaster'), "device 'toaster' cannot be used"),
                            (dict(device='meta'), "device 'meta' cannot be used"),
                            (dict(image_size=10**8), 'image_size is 100000000; images of more than')]:
        with pytest.raises(UserError, match=message):
            Inferencer(config, checkpoint, **kwargs)
    with pytest.raises(UserError, match='no.py: no such config file'):
        Inferencer(tmp_path / 'no.py', checkpoint)
    (tmp_path / 'bad.py').write_text('model = dict(')
    with pytest.raises(UserError, match='bad.py: not a usable config'):
        Inferencer(tmp_path / 'bad.py', checkpoint)
    plain = save(tmp_path, DETECTOR, {})
    with pytest.raises(UserError, match="last.pth: lacks 6 of the model's 153 tensors"):
        Inferencer(config, plain, device='cpu')
    loaded = torch.load(plain, weights_only=True)
    loaded['state_dict']['neck.extra'] = torch.zeros(1)
    torch.save(loaded, tmp_path / 'more.pth')
    with pytest.raises(UserError, match="more.pth: holds 1 tensors that the model lacks, first 'neck.extra'"):
        Inferencer(make_config(DETECTOR), tmp_path / 'more.pth', device='cpu')
    (tmp_path / 'cut.pth').write_bytes(plain.read_bytes()[:1000])
    with pytest.raises(UserError, match='cut.pth'):
        Inferencer(config, tmp_path / 'cut.pth', device='cpu')


def test_too_little_memory_is_one_line(attri, films, monkeypatch):
    """Torch's own error, as it allocates an exabyte."""
    model = Inferencer(*attri, device='cpu')
    monkeypatch.setattr(model.model, 'test_step', lambda data: torch.empty(2**60))
    with pytest.raises(UserError, match='cpu: not enough memory for 1 image of .* px at once; choose a smaller batch'):
        list(model.predict(sorted(films.rglob('*.*'))[:1]))


def test_attributes_in_another_order_are_refused(attri, tmp_path):
    Config.fromfile(attri[0]).dump(tmp_path / 'dumped.py')
    with pytest.raises(UserError, match=r"was trained on .*\(\('shape'.*config has \(\('hue'.*pass the config"):
        Inferencer(tmp_path / 'dumped.py', attri[1], device='cpu')


def test_too_few_class_names(tmp_path, films):
    short = Inferencer(make_config(DETECTOR), save(tmp_path, DETECTOR, dict(dataset_meta=dict(classes=('WBC',)))),
                       device='cpu', min_score=0, max_overlap=1)
    with pytest.raises(UserError, match='only 1 class names are known'):
        short(films)
