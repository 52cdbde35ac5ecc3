"""A VOC folder as it is and the COCO JSON converted from it: the same records, the same scores."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from label_folders import convert, edit
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from mmleuk.datasets.annotations import read_ground_truth
from mmleuk.datasets.check import examine_config
from mmleuk.errors import UserError
from mmleuk.evaluation.samples import match_sample
from mmleuk.registry import DATASETS, METRICS

CLASSES = ('BG', 'EG', 'NG', 'M', 'L')
TEST_PIPELINE = [dict(type='mmleuk.LoadImage'), dict(type='Resize', scale=(60, 60), keep_ratio=True),
                 dict(type='mmleuk.LoadCellAnnotations'), dict(type='mmleuk.PackCells')]
OBJECT = ('<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>'
          '<ymax>{}</ymax></bndbox></object>')


def write_voc(root, images_folder='JPEGImages', sizes=((40, 30),) * 6, seed=0):
    """Images with up to four cells, every third one difficult and the last image empty; half of them in each split."""
    rng = np.random.default_rng(seed)
    for folder in ('Annotations', images_folder, 'ImageSets/Main'):
        (root / folder).mkdir(parents=True)
    names = [f'film{index}' for index in range(len(sizes))]
    for index, (name, (width, height)) in enumerate(zip(names, sizes)):
        cv2.imwrite(str(root / images_folder / f'{name}.jpg'), rng.integers(0, 255, (height, width, 3), dtype=np.uint8))
        cells = []
        for cell in range(0 if index == len(sizes) - 1 else 4):
            x, y = rng.integers(1, width - 9), rng.integers(1, height - 9)
            w, h = rng.integers(4, 9, 2)
            cells.append(OBJECT.format(CLASSES[rng.integers(5)], int(cell % 3 == 2), x, y, x + w, y + h))
        (root / f'Annotations/{name}.xml').write_text(
            f'<annotation><filename>{name}.jpg</filename><size><width>{width}</width><height>{height}</height></size>'
            f'{"".join(cells)}</annotation>')
    for split, part in (('train', names[1::2][::-1] + names[:1]), ('test', names[2::2] + names[-1:])):
        (root / f'ImageSets/Main/{split}.txt').write_text('\n'.join(part) + '\n')
    return root


@pytest.fixture
def voc(tmp_path):
    return write_voc(tmp_path / 'voc')


def voc_config(root, split='train', **changes):
    return dict(type='mmleuk.VOCCellsDataset', data_root=str(root), ann_file=f'ImageSets/Main/{split}.txt',
                metainfo=dict(classes=CLASSES), annotation='complete') | changes


def records(dataset):
    return [{key: value for key, value in dataset.get_data_info(index).items() if key != 'sample_idx'}
            for index in range(len(dataset))]


def both(voc, split, corners='pixels', side=True, **changes):
    """The data set of a VOC folder, that of the COCO JSON that the command makes of it, and the JSON."""
    out = voc.parent / f'{split}.json'
    convert(voc, '--from', 'voc', '--to', 'coco', '--split', split, '--voc-corners', corners, '--out', out,
            *(() if side else ('--no-side-file',)))
    direct = DATASETS.build(voc_config(voc, split, corners=corners, use_side_file=side, **changes))
    converted = DATASETS.build(dict(
        type='mmleuk.CellDataset', ann_file=str(out), data_root=str(voc), data_prefix=direct.data_prefix,
        metainfo=dict(classes=CLASSES), annotation='complete') | changes)
    return direct, converted, out


@pytest.mark.parametrize('corners', ['pixels', 'edges'])
@pytest.mark.parametrize('split', ['train', 'test'])
def test_records_are_those_of_the_converted_file(voc, split, corners):
    direct, converted, _ = both(voc, split, corners)
    assert records(direct) == records(converted)
    assert sum(cell['ignore_flag'] for record in records(direct) for cell in record['instances'])


def test_a_record_by_hand(tmp_path):
    root = write_voc(tmp_path / 'voc', 'images', sizes=((40, 30), (40, 30)))
    (root / 'Annotations/film0.xml').write_text(
        '<annotation><filename>film0.jpg</filename><size><height>30</height><width>40</width></size>'
        + OBJECT.format('M', 0, 1, 1, 10, 20) + OBJECT.format('EG', 1, 11, 21, 40, 30) + '</annotation>')
    (root / 'ImageSets/Main/train.txt').write_text('film1\n\nfilm0\n')
    data = DATASETS.build(voc_config(root, data_prefix=dict(img='images')))
    empty, full = records(data)
    assert (empty['instances'], empty['img_path']) == ([], str(root / 'images/film1.jpg'))
    assert full['instances'] == [
        dict(bbox=[0.0, 0.0, 10.0, 20.0], bbox_label=3, ignore_flag=0, attributes=[]),
        dict(bbox=[10.0, 20.0, 40.0, 30.0], bbox_label=1, ignore_flag=1, attributes=[])]
    assert (full['width'], full['height'], full['annotation']) == (40, 30, 'complete')
    edges = DATASETS.build(voc_config(root, data_prefix=dict(img='images'), corners='edges'))
    assert edges.get_data_info(1)['instances'][0]['bbox'] == [1.0, 1.0, 10.0, 20.0]


def detected_samples(dataset, seed=0, found=True):
    """What a detector's test step hands to metrics: jittered truth, some of it missing or of a wrong class."""
    rng = np.random.default_rng(seed)
    samples = []
    for index in range(len(dataset)):
        sample = pseudo_collate([dataset[index]])['data_samples'][0].to_dict()
        rows = [(*(np.array(cell['bbox']) + rng.normal(0, .4, 4)), rng.random(),
                 cell['bbox_label'] if rng.random() < .7 else rng.integers(5))
                for cell in dataset.get_data_info(index)['instances'] if rng.random() < .9 and found]
        table = torch.tensor(np.array(rows, np.float32).reshape(-1, 6))
        samples.append(sample | dict(pred_instances=dict(bboxes=table[:, :4], scores=table[:, 4],
                                                         labels=table[:, 5].long())))
    return samples


def score(dataset, samples, **kwargs):
    metric = METRICS.build(dict(type='mmleuk.CocoMetric', **kwargs))
    metric.dataset_meta = dataset.metainfo
    metric.process({}, samples)
    return metric.evaluate(len(samples)), metric


def test_scores_are_those_of_the_converted_file(tmp_path):
    voc = write_voc(tmp_path / 'voc', sizes=((40, 30), (61, 47)) * 10)
    direct, converted, path = both(voc, 'test', pipeline=TEST_PIPELINE, test_mode=True)
    samples = detected_samples(direct)
    without, metric = score(direct, samples)
    with_file, _ = score(converted, detected_samples(converted), ann_file=str(path))
    assert without == with_file and 0.2 < without['coco/bbox_mAP_50'] < 0.9
    metric.process({}, samples)
    assert metric.evaluate(len(samples)) == without
    metric.process({}, samples[:3])                     # another truth, not that of the evaluation before
    assert metric.evaluate(3) == pytest.approx(score(direct, samples[:3])[0], abs=0, nan_ok=True)


def test_a_difficult_object_is_neither_missed_nor_a_false_alarm(voc):
    """Detecting exactly the cells that count is perfect, and so it is with the difficult ones found as well."""
    data = DATASETS.build(voc_config(voc, pipeline=TEST_PIPELINE, test_mode=True))
    for ignored_too in (False, True):
        samples = detected_samples(data)
        for index, sample in enumerate(samples):
            cells = [cell for cell in data.get_data_info(index)['instances'] if ignored_too or not cell['ignore_flag']]
            sample['pred_instances'] = dict(
                bboxes=torch.tensor([cell['bbox'] for cell in cells]).reshape(-1, 4),
                scores=torch.tensor([.5 + .4 * cell['ignore_flag'] for cell in cells]),
                labels=torch.tensor([cell['bbox_label'] for cell in cells], dtype=torch.long))
        assert score(data, samples)[0]['coco/bbox_mAP'] == 1


def test_no_truth_at_all(voc):
    """Only difficult objects, then none: nothing to score is said as -1, not as an error."""
    data = DATASETS.build(voc_config(voc, 'test', pipeline=TEST_PIPELINE, test_mode=True))
    for sample in (samples := detected_samples(data)):
        sample['gt_instances'] = {}
    assert score(data, samples)[0]['coco/bbox_mAP'] == -1
    for sample in samples:
        del sample['ignored_instances']
    assert score(data, samples)[0]['coco/bbox_mAP'] == -1
    assert score(data, detected_samples(data, found=False))[0]['coco/bbox_mAP'] == 0
    del samples[0]['gt_instances']
    with pytest.raises(UserError, match=r'film2.jpg: comes without its cells.*ann_file, or put mmleuk.LoadCell'):
        score(data, samples)


@pytest.mark.parametrize(('order', 'moved'), [
    ('resize flip load', False), ('load', False), ('load same', False),
    ('load resize', True), ('resize load flip', True), ('load resize flip', True)])
def test_cells_in_the_pixels_of_the_input_are_no_truth(voc, order, moved):
    """Loaded before the image was scaled or flipped they would be compared with detections in original pixels."""
    image, resize, load, pack = TEST_PIPELINE
    steps = dict(load=load, resize=resize, same=resize | dict(scale=(40, 30)), flip=dict(type='RandomFlip', prob=1.0))
    pipeline = [image, *(steps[name] for name in order.split()), pack]
    data = DATASETS.build(voc_config(voc, 'test', pipeline=pipeline, test_mode=True))
    samples = detected_samples(data)
    assert [sample['cells_moved'] for sample in samples] == [moved] * 3
    if not moved:
        assert score(data, samples)[0]['coco/bbox_mAP_50'] > 0.2
        return
    refused = pytest.raises(UserError, match=r'film2.jpg: its cells were scaled or flipped.*after Resize')
    with refused:
        score(data, samples)
    with refused:
        match_sample(samples[0]['pred_instances'], samples[0], .5, True)


def test_a_flipped_sample_of_mmdetections_own_packing_is_no_truth(voc):
    data = DATASETS.build(voc_config(voc, 'test', pipeline=TEST_PIPELINE, test_mode=True))
    samples = [{key: value for key, value in sample.items() if key != 'cells_moved'} | dict(flip=True)
               for sample in detected_samples(data)]
    with pytest.raises(UserError, match='were scaled or flipped'):
        score(data, samples)


def test_what_outfile_prefix_saves_goes_with_its_truth(voc, tmp_path):
    data = DATASETS.build(voc_config(voc, 'test', pipeline=TEST_PIPELINE, test_mode=True))
    score(data, detected_samples(data), outfile_prefix=str(tmp_path / 'saved'))
    found = json.loads((tmp_path / 'saved.bbox.json').read_text())
    truth = json.loads((tmp_path / 'saved.gt.json').read_text())
    known = {(category['id'], category['name']) for category in truth['categories']}
    assert {(record['category_id'], record['category_name']) for record in found} <= known
    assert [image['file_name'] for image in truth['images']] == ['film2.jpg', 'film4.jpg', 'film5.jpg']
    assert read_ground_truth(tmp_path / 'saved.gt.json').classes == CLASSES


def test_images_of_one_name_stay_apart_in_what_is_saved(voc, tmp_path):
    data = DATASETS.build(voc_config(voc, 'test', pipeline=TEST_PIPELINE, test_mode=True))
    samples = [sample | dict(img_path=f'films/{slide}/1.jpg') for slide, sample in zip('abb', detected_samples(data))]
    samples[2]['img_path'] = 'films/b/2.jpg'
    score(data, samples, outfile_prefix=str(tmp_path / 'saved'))
    truth = json.loads((tmp_path / 'saved.gt.json').read_text())
    assert [image['file_name'] for image in truth['images']] == ['a/1.jpg', 'b/1.jpg', 'b/2.jpg']


@pytest.mark.parametrize(('where', 'before', 'after', 'message'), [
    ('Annotations/film1.xml', '</annotation>', '', r'film1.xml: line \d+, column \d+: no valid XML'),
    ('Annotations/film1.xml', '<xmin>', '<xmin>-', r'film1.xml: object \d: \w+ -\d+ .* reaches \d+ px out'),
    ('Annotations/film1.xml', '<name>', '<name>X', r"film1.xml: object 1: class 'X\w+' is not in the list; known are"),
    ('Annotations/film1.xml', '<difficult>1', '<difficult>maybe', r"film1.xml: object 3: <difficult> is 'maybe'"),
    ('Annotations/film1.xml', 'film1.jpg', 'film3.jpg', r'film1.xml: is of image film3.jpg, and so is .*film3.xml'),
    ('ImageSets/Main/train.txt', 'film3', 'film7', r"train.txt: entry 2, 'film7', has no film7.xml in .*Annotations"),
    ('ImageSets/Main/train.txt', 'film3', 'film1', r"train.txt: 'film1' occurs twice"),
    ('ImageSets/Main/train.txt', 'film5\nfilm3\nfilm1\nfilm0\n', '\n', r'train.txt: images is empty')])
def test_defects_are_named_at_the_start(voc, where, before, after, message):
    text = (voc / where).read_text()
    assert before in text
    (voc / where).write_text(text.replace(before, after))
    with pytest.raises(UserError, match=message):
        DATASETS.build(voc_config(voc))


def test_missing_parts(voc):
    with pytest.raises(UserError, match=r'val.txt: cannot be read .*lists the names of the split'):
        DATASETS.build(voc_config(voc, 'val'))
    with pytest.raises(UserError, match=r"corners='centre' is unknown; it must be 'pixels' or 'edges'"):
        DATASETS.build(voc_config(voc, corners='centre'))
    (voc / 'JPEGImages/film3.jpg').write_bytes(b'')
    with pytest.raises(UserError, match='film3.jpg: the file is empty'):
        DATASETS.build(voc_config(voc))
    with pytest.raises(UserError, match=r'nowhere: no such folder; give the folder that holds Annotations/'):
        DATASETS.build(voc_config(voc.parent / 'nowhere'))


def test_overhang_is_cut_as_far_as_it_is_allowed(voc):
    path = voc / 'Annotations/film0.xml'
    path.write_text('<annotation><filename>film0.jpg</filename><size><width>40</width><height>30</height></size>'
                    + OBJECT.format('L', 0, 31, 1, 43, 10) + '</annotation>')
    with pytest.raises(UserError, match='film0.xml: object 1: L 31 1 43 10: .* reaches 3 px out'):
        DATASETS.build(voc_config(voc))
    last = records(DATASETS.build(voc_config(voc, max_overhang_px=3)))[-1]
    assert last['instances'][0]['bbox'] == [30.0, 0.0, 40.0, 10.0]


# ---- folders that `mmleuk data convert --to voc` wrote

META = dict(classes=('WBC', 'RBC'), attributes=dict(size=['small', 'big'], hue=['red', 'blue', 'grey']))


def test_a_converted_folder_keeps_attributes_regions_and_digits(folders):
    voc, listing = folders / 'voc', folders / 'voc/ImageSets/Main/train.txt'
    listing.parent.mkdir(parents=True)
    listing.write_text('val/a\n')
    prefix = dict(img=str(folders / 'images'))
    data = DATASETS.build(voc_config(voc, data_prefix=prefix, metainfo=META, annotation='sparse'))
    [record] = records(data)
    assert record['img_id'] == 7 and record['annotated_regions'] == [[0.0, 0.0, 50.0, 50.0]]
    assert record['instances'][0] == dict(bbox=[10.0, 20.0, 40.25, 25.0], bbox_label=0, ignore_flag=0,
                                          attributes=[1, -1])
    with pytest.raises(UserError, match=r"image val/a.png: only a region.*set annotation='sparse'"):
        DATASETS.build(voc_config(voc, data_prefix=prefix, metainfo=META, annotation=None))
    labels_alone = DATASETS.build(voc_config(voc, data_prefix=prefix, metainfo=META, use_side_file=False))
    assert records(labels_alone)[0]['instances'][0] == dict(bbox=[10, 20, 40, 25], bbox_label=0, ignore_flag=0,
                                                            attributes=[-1, -1])
    edit(voc / 'Annotations/val/a.xml', '<xmin>11<', '<xmin>12<')
    with pytest.raises(UserError, match=r'other labels than those here .*use_side_file=False'):
        DATASETS.build(voc_config(voc, data_prefix=prefix, metainfo=META))


def test_converting_a_split_keeps_what_the_side_file_has(folders):
    listing = folders / 'voc/ImageSets/Main/train.txt'
    listing.parent.mkdir(parents=True)
    listing.write_text('b\n')
    convert(folders / 'voc', '--from', 'voc', '--to', 'coco', '--split', 'train', '--out', folders / 'b.json')
    whole, part = (json.loads((folders / name).read_text()) for name in ('coco.json', 'b.json'))
    assert part == whole | dict(images=whole['images'][1:], annotations=[])


# ---- checking before training

def test_data_check_reads_the_voc_config(tmp_path, monkeypatch):
    write_voc(tmp_path / 'leukocyte_voc')
    monkeypatch.setenv('MMLEUK_DATA', str(tmp_path))
    base = Path(__file__).parents[2] / 'configs/_base_/datasets/leukocyte_voc_600.py'
    report = examine_config(Config.fromfile(str(base)))
    assert [(summary.split, summary.images) for summary in report.summaries] == [('train', 4), ('val+test', 3)]
    assert {finding.kind for finding in report.problems} == {'image in two splits'}     # film5 is in both lists
    edit(tmp_path / 'leukocyte_voc/Annotations/film2.xml', '</annotation>', '<object></object></annotation>')
    findings = [str(finding) for finding in examine_config(Config.fromfile(str(base))).problems]
    assert any('[val+test]' in text and 'film2.xml: object 5: <name> is missing' in text for text in findings)
