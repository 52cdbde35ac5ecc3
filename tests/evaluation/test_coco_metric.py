"""mmleuk.CocoMetric against pycocotools."""

import json
import math

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmleuk.errors import UserError
from mmleuk.evaluation.coco_metric import relabel_categories
from mmleuk.evaluation.evaluate import evaluate_files
from mmleuk.registry import DATASETS, METRICS
from mmleuk.transforms.loading import LoadCellAnnotations

CLASSES = ('WBC', 'RBC', 'Platelets')


def make_file(path, order=(2, 0, 1), crowd=False, seed=0, first_id=1):
    """Ten images whose file lists the classes in another order, with ids that aren't positions either."""
    rng = np.random.default_rng(seed)
    ids = {name: 10 * (position + 1) for position, name in enumerate(CLASSES[i] for i in order)}
    annotations = []
    for image in range(10):
        for _ in range(4):
            label = int(rng.integers(3))
            x, y, w, h = (float(v) for v in rng.uniform([0, 0, 20, 20], [60, 60, 60, 60]))
            annotations.append(dict(id=len(annotations) + first_id, image_id=image, category_id=ids[CLASSES[label]],
                                    bbox=[x, y, w, h], area=w * h, iscrowd=int(crowd and rng.random() < 0.2)))
    data = dict(images=[dict(id=image, width=128, height=128, file_name=f'{image}.png') for image in range(10)],
                categories=[dict(id=number, name=name) for name, number in ids.items()], annotations=annotations)
    path.write_text(json.dumps(data))
    return data, ids


def make_predictions(data, ids, seed=1):
    """Jittered boxes of the truth in the model's label order, some of the wrong class, some missing."""
    rng = np.random.default_rng(seed)
    names = {number: name for name, number in ids.items()}
    samples = []
    for image in data['images']:
        rows = []
        for annotation in data['annotations']:
            if annotation['image_id'] == image['id'] and rng.random() < 0.8:
                x, y, w, h = np.array(annotation['bbox']) + rng.normal(0, 2, 4)
                label = CLASSES.index(names[annotation['category_id']])
                rows.append((x, y, x + w, y + h, rng.random(), label if rng.random() < 0.8 else int(rng.integers(3))))
        table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
        samples.append(dict(img_id=image['id'], ori_shape=(128, 128),
                            pred_instances=dict(bboxes=table[:, :4], scores=table[:, 4], labels=table[:, 5].long())))
    return samples


def evaluate(path, samples, **kwargs):
    metric = METRICS.build(dict(type='mmleuk.CocoMetric', ann_file=str(path) if path else None, **kwargs))
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, samples)
    return metric.evaluate(len(samples)), metric


def by_pycocotools(path, samples, ids, categories=None):
    """mAP, mAP_50 and mAP_75, with labels translated to the file's ids by name."""
    coco = COCO(str(path))
    results = coco.loadRes([
        dict(image_id=sample['img_id'], bbox=[x1, y1, x2 - x1, y2 - y1], score=score, category_id=ids[CLASSES[label]])
        for sample in samples for (x1, y1, x2, y2), score, label in zip(
            *(sample['pred_instances'][key].tolist() for key in ('bboxes', 'scores', 'labels')))])
    evaluation = COCOeval(coco, results, 'bbox')
    evaluation.params.maxDets = [100, 300, 1000]
    if categories:
        evaluation.params.catIds = [ids[name] for name in categories]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval['precision'][:, :, :, 0, -1]
    return [float(part[part > -1].mean()) for part in (precision, precision[:1], precision[5:6])]


@pytest.mark.parametrize('order', [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize('crowd', [False, True])
def test_agrees_with_pycocotools_whatever_the_files_order(tmp_path, order, crowd):
    data, ids = make_file(tmp_path / 'test.json', order, crowd)
    samples = make_predictions(data, ids)
    scores, _ = evaluate(tmp_path / 'test.json', samples)
    expected = by_pycocotools(tmp_path / 'test.json', samples, ids)
    assert expected[1] > 0.3
    for key, value in zip(('mAP', 'mAP_50', 'mAP_75'), expected):
        assert scores[f'coco/bbox_{key}'] == pytest.approx(value, abs=6e-4)
    for name in CLASSES:  # the table's rows carry the right names
        alone = by_pycocotools(tmp_path / 'test.json', samples, ids, [name])[0]
        assert scores[f'coco/{name}_precision'] == pytest.approx(alone, abs=6e-4)


def test_images_that_were_not_tested_do_not_count(tmp_path):
    """A data set may leave images of its file out (``domains``): the scores are those of a file without them."""
    data, ids = make_file(tmp_path / 'all.json')
    samples = make_predictions(data, ids)[2:7]
    tested = {sample['img_id'] for sample in samples}
    (tmp_path / 'tested.json').write_text(json.dumps({
        **data, 'images': [image for image in data['images'] if image['id'] in tested],
        'annotations': [one for one in data['annotations'] if one['image_id'] in tested]}))
    expected = by_pycocotools(tmp_path / 'tested.json', samples, ids)
    scores, _ = evaluate(tmp_path / 'all.json', samples)
    assert [scores[f'coco/bbox_{name}'] for name in ('mAP', 'mAP_50', 'mAP_75')] == pytest.approx(expected, abs=1e-3)


def test_ids_that_start_at_zero(tmp_path):
    """pycocotools takes a match with annotation 0 for none; ours doesn't."""
    data, ids = make_file(tmp_path / 'one.json')
    make_file(tmp_path / 'zero.json', first_id=0)
    samples = make_predictions(data, ids)
    assert evaluate(tmp_path / 'zero.json', samples)[0] == evaluate(tmp_path / 'one.json', samples)[0]


def test_nothing_detected_is_zero_everywhere(tmp_path):
    data, ids = make_file(tmp_path / 'test.json')
    samples = make_predictions(data, ids)
    full, _ = evaluate(tmp_path / 'test.json', samples)
    for sample in samples:
        sample['pred_instances'] = {key: value[:0] for key, value in sample['pred_instances'].items()}
    scores, _ = evaluate(tmp_path / 'test.json', samples)
    assert set(scores) == set(full) and set(scores.values()) == {0.0}
    scores, _ = evaluate(tmp_path / 'test.json', samples, metric=['bbox', 'proposal'], metric_items=['mAP_50'],
                         classwise=False)
    assert scores == {'coco/bbox_mAP_50': 0.0, 'coco/mAP_50': 0.0}


def test_evaluating_twice_gives_the_same(tmp_path):
    data, ids = make_file(tmp_path / 'test.json')
    samples = make_predictions(data, ids)
    first, metric = evaluate(tmp_path / 'test.json', samples)
    metric.process({}, samples)
    assert metric.evaluate(len(samples)) == first


def test_without_an_annotation_file(tmp_path):
    data, ids = make_file(tmp_path / 'test.json')
    names = {number: name for name, number in ids.items()}
    samples = make_predictions(data, ids)
    for sample in samples:
        boxes = [a for a in data['annotations'] if a['image_id'] == sample['img_id']]
        sample['instances'] = [dict(bbox=[x, y, x + w, y + h], bbox_label=CLASSES.index(names[a['category_id']]))
                               for a in boxes for x, y, w, h in [a['bbox']]]
    assert evaluate(None, samples)[0] == evaluate(tmp_path / 'test.json', samples)[0]


def test_a_class_nobody_has(tmp_path):
    """A file that doesn't list a class of the model: no AP of its own, no change of the mean."""
    data, ids = make_file(tmp_path / 'test.json')
    data['annotations'] = [a for a in data['annotations'] if a['category_id'] != ids['RBC']]
    data['categories'] = [c for c in data['categories'] if c['name'] != 'RBC']
    (tmp_path / 'test.json').write_text(json.dumps(data))
    samples = make_predictions(data, ids)
    scores, _ = evaluate(tmp_path / 'test.json', samples)
    assert math.isnan(scores['coco/RBC_precision']) and scores['coco/bbox_mAP_50'] > 0.3


def test_a_class_the_model_does_not_know(tmp_path):
    data, _ = make_file(tmp_path / 'test.json')
    with pytest.raises(UserError, match=r"classes that the data set does not know: 'RBC' \(\d+ annotations\)"):
        relabel_categories(data, ('WBC', 'Platelets'))
    snapshot = json.dumps(data)
    relabel_categories(data, CLASSES)
    assert json.dumps(data) == snapshot


def truth_of_one_image(tmp_path, **stated):
    """A cell that is found, and one that isn't and carries ``stated``."""
    data = dict(images=[dict(id=1, file_name='a.png', width=128, height=128)],
                categories=[dict(id=1, name='WBC')],
                annotations=[dict(id=1, image_id=1, category_id=1, bbox=[10, 10, 20, 20]),
                             dict(id=2, image_id=1, category_id=1, bbox=[60, 60, 20, 20], **stated)])
    (tmp_path / 'truth.json').write_text(json.dumps(data))
    return tmp_path / 'truth.json'


def three_readings(path, boxes, annotation='complete'):
    """mAP of the same detections by ``evaluate``, by the metric with a file, and by the metric on a data set."""
    data = json.loads(path.read_text())
    results = [dict(image_id=1, category_id=1, bbox=[x1, y1, x2 - x1, y2 - y1], score=0.9 - i / 10)
               for i, (x1, y1, x2, y2) in enumerate(boxes)]
    with_results = path.with_name('found.json')
    with_results.write_text(json.dumps(results))
    dataset = DATASETS.build(dict(
        type='mmleuk.CellDataset', ann_file=str(path), metainfo=dict(classes=CLASSES), annotation=annotation,
        check_images=False, test_mode=True, pipeline=[]))
    boxes_of = LoadCellAnnotations()(dataset.get_data_info(0))
    cells, ignored = boxes_of['gt_bboxes'], torch.as_tensor(boxes_of['gt_ignore_flags'])
    labels = torch.as_tensor(boxes_of['gt_bboxes_labels'])
    sample = dict(img_id=1, img_path='a.png', ori_shape=(128, 128), annotated_regions=cells.regions,
                  gt_instances=dict(bboxes=cells.tensor[~ignored], labels=labels[~ignored]),
                  ignored_instances=dict(bboxes=cells.tensor[ignored], labels=labels[ignored]),
                  pred_instances=dict(bboxes=torch.tensor(boxes), scores=0.9 - torch.arange(len(boxes)) / 10,
                                      labels=torch.zeros(len(boxes), dtype=torch.int64)))
    assert len(data['annotations']) == len(labels)
    return [evaluate_files(path, with_results).scores.ap(), evaluate(path, [sample])[0]['coco/bbox_mAP'],
            evaluate(None, [sample])[0]['coco/bbox_mAP']]


FOUND, ON_THE_SECOND, ELSEWHERE = [10., 10., 30., 30.], [60., 60., 80., 80.], [100., 10., 120., 30.]


@pytest.mark.parametrize('stated', [dict(ignore=1), dict(iscrowd=1), dict(iscrowd='1'), dict(ignore=True, iscrowd=0)])
def test_an_ignored_cell_is_neither_missed_nor_found_whoever_reads_it(tmp_path, stated):
    path = truth_of_one_image(tmp_path, **stated)
    assert three_readings(path, [FOUND]) == pytest.approx([1, 1, 1])
    assert three_readings(path, [ON_THE_SECOND, ON_THE_SECOND, FOUND]) == pytest.approx([1, 1, 1])


@pytest.mark.parametrize('stated', [{}, dict(iscrowd='0'), dict(ignore=0, iscrowd=False)])
def test_a_cell_that_is_not_ignored_is_missed(tmp_path, stated):
    """Precision 1 up to a recall of 0.5: 51 of COCO's 101 recalls."""
    path = truth_of_one_image(tmp_path, **stated)
    assert three_readings(path, [FOUND]) == pytest.approx([51 / 101] * 3, abs=6e-4)


def test_a_detection_outside_the_regions_counts_neither_way_whoever_reads_them(tmp_path):
    path = truth_of_one_image(tmp_path)
    data = json.loads(path.read_text())
    data['images'][0]['annotated_region'] = [0, 0, 90, 90]
    path.write_text(json.dumps(data))
    assert three_readings(path, [ELSEWHERE, FOUND, ON_THE_SECOND], 'sparse') == pytest.approx([1, 1, 1])
    within = [60., 10., 80., 30.]  # false, and the most confident: precision 1/2, then 2/3
    assert three_readings(path, [within, FOUND, ON_THE_SECOND], 'sparse') == pytest.approx([2 / 3] * 3, abs=6e-4)


def test_the_saved_truth_keeps_the_regions(tmp_path):
    """Evaluating what ``outfile_prefix`` saved gives the metric's score."""
    path = truth_of_one_image(tmp_path)
    sample = dict(img_id=1, img_path='a.png', ori_shape=(128, 128), annotated_regions=torch.tensor([[0., 0, 90, 90]]),
                  gt_instances=dict(bboxes=torch.tensor([FOUND]), labels=torch.zeros(1, dtype=torch.int64)),
                  pred_instances=dict(bboxes=torch.tensor([ELSEWHERE, FOUND]), scores=torch.tensor([0.9, 0.8]),
                                      labels=torch.zeros(2, dtype=torch.int64)))
    scores, _ = evaluate(None, [sample], outfile_prefix=str(tmp_path / 'saved'))
    saved = evaluate_files(tmp_path / 'saved.gt.json', tmp_path / 'saved.bbox.json')
    assert saved.scores.ap() == pytest.approx(1) and scores['coco/bbox_mAP'] == 1
    del sample['annotated_regions']
    with pytest.raises(UserError, match=r'a\.png: carries no annotated_regions'):
        evaluate(None, [sample])
    with pytest.raises(UserError, match=r'nowhere\.json: no such file'):
        evaluate(path.with_name('nowhere.json'), [sample])
