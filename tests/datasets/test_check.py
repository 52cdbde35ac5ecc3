"""``mmleuk data check`` finds before training what would spoil it."""

import argparse
import copy
import json
import shutil

import numpy as np
import pytest
from mmengine.config import Config

from mmleuk.commands.check import add_arguments, run
from mmleuk.datasets.check import (
    check_config,
    check_head_attributes,
    check_ignored,
    check_num_classes,
    examine_config,
    find_num_classes,
)
from mmleuk.engine.launch import check_data
from mmleuk.errors import UserError
from mmleuk.schema import AttributeSchema

LOAD = [dict(type='mmleuk.LoadImage'), dict(type='mmleuk.LoadCellAnnotations')]


@pytest.fixture
def splits(film):
    """Config of a sparse train split in a mosaic and a complete val and test split of other images."""
    import cv2
    import numpy as np
    film.write('train.json')
    film.val = copy.deepcopy(film.coco)
    for number, image in enumerate(film.val['images']):
        image['file_name'] = f'val_{number}.png'
        pixels = np.random.default_rng(10 + number).integers(0, 255, (48, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(film.root / 'images' / image['file_name']), pixels)
        del image['annotated_region']
    film.save = lambda: (film.write(), (film.root / 'val.json').write_text(json.dumps(film.val)))
    film.save()
    val = dict(dataset=film.config(ann_file='val.json', annotation='complete', test_mode=True))
    film.cfg = dict(
        default_scope='mmdet', model=dict(bbox_head=dict(type='mmleuk.YOLOv5Head', num_classes=3, truth='regions')),
        train_dataloader=dict(dataset=dict(
            type='RepeatDataset', times=2, dataset=dict(
                type='MultiImageMixDataset', dataset=film.config(pipeline=LOAD),
                pipeline=[dict(type='mmleuk.Mosaic', img_scale=(64, 64)), dict(type='mmleuk.PackCells')]))),
        val_dataloader=val, test_dataloader=copy.deepcopy(val),
        val_evaluator=dict(type='mmleuk.CocoMetric', ann_file=str(film.root / 'val.json')))
    return film


def problems(film):
    return [finding for finding in check_config(film.cfg) if finding.severity == 'problem']


def only_problem(film):
    found, = problems(film)
    return found


def test_clean_data(splits):
    report = examine_config(splits.cfg)
    assert report.problems == ()
    train, val = report.summaries
    assert (train.split, val.split) == ('train', 'val+test')
    assert (train.images, train.images_without_cells, train.cells, train.ignored_cells) == (2, 0, 2, 1)
    assert train.classes == dict(WBC=1, RBC=0, Platelets=1)
    assert train.attributes == dict(size=dict(small=1, big=1, unknown=0), hue=dict(red=0, blue=0, grey=1, unknown=1))
    assert check_config(splits.cfg) == list(report.findings)


def test_classes_that_do_not_match_are_noted(splits):
    splits.coco['categories'].append(dict(id=1, name='Debris'))
    splits.coco['categories'][0]['name'] = 'platelet'
    splits.save()
    kinds = {(finding.severity, finding.kind) for finding in check_config(splits.cfg) if finding.split == 'train'}
    assert {('problem', 'defect'), ('note', 'class without category'), ('note', 'category not used')} <= kinds


def test_a_misspelt_class_is_one_problem_and_not_one_per_cell(splits):
    for annotation in splits.coco['annotations']:
        annotation['category_id'] = splits.coco['categories'][0]['id']
    splits.coco['categories'][0]['name'] = 'platelet'
    splits.save()
    (found,) = [finding for finding in problems(splits) if finding.kind == 'defect']
    assert "annotation 11 of image a_AML.png (and 2 more): unknown class 'platelet' (did you mean" in found.message


def test_attribute_names_that_do_not_match(splits):
    for annotation in splits.coco['annotations']:
        annotation['attributes'] = dict(sise=1, hue=1)
        annotation.pop('hue', None)
        annotation.pop('size', None)
    splits.save()
    found = only_problem(splits)
    assert found.kind == 'attribute never known' and "'size'" in found.message
    assert any(f.kind == 'attribute not used' and "'sise' of 3 cells" in f.message for f in check_config(splits.cfg))


def test_empty_split(splits):
    splits.val['annotations'] = []
    splits.save()
    found = only_problem(splits)
    assert (found.split, found.kind) == ('val+test', 'empty split') and 'val.json' in found.message


def test_missing_and_unreadable_images(splits):
    images = splits.root / 'images'
    (images / 'a_AML.png').unlink()
    (images / 'b.png').write_bytes((images / 'b.png').read_bytes()[:-200])
    (images / 'val_0.png').write_text('no image')
    found = problems(splits)
    assert [f.kind for f in found] == ['unreadable image'] * 3
    assert [name in f.message for f, name in zip(found, ('a_AML.png', 'b.png', 'val_0.png'))] == [True] * 3


def test_image_of_another_size(splits):
    splits.coco['images'][0]['width'] = 65
    splits.save()
    assert 'the image is 64x48 px, its annotation says 65x48' in only_problem(splits).message


def test_an_image_that_its_exif_orientation_turns(splits):
    from PIL import Image
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(splits.root / 'images/turned.jpg', exif=exif.tobytes())
    splits.coco['images'][0]['file_name'] = 'turned.jpg'
    splits.save()
    message = only_problem(splits).message
    assert 'EXIF orientation 6 turns the image to 48x64 px' in message and 'as stored, 64x48 px' in message
    splits.coco['images'][0].update(width=48, height=64)
    splits.save()
    assert [(f.severity, f.kind) for f in check_config(splits.cfg) if 'turned.jpg' in f.message] == [
        ('note', 'EXIF orientation')]


def test_one_systematic_defect_is_one_finding(splits):
    for annotation in splits.coco['annotations']:
        annotation['iscrowd'] = 'maybe'
        annotation['bbox'] = [annotation['id'], 1, 900, 5]
    splits.save()
    found = only_problem(splits)
    assert found.kind == 'defect' and 'annotation 11 of image a_AML.png (and 2 more): bbox' in found.message
    for image in splits.coco['images']:
        image['width'] = 65
    splits.save()
    assert [f.message for f in problems(splits) if f.kind == 'unreadable image'] == [
        f'{splits.root}/images/a_AML.png (and 1 more): the image is 64x48 px, its annotation says 65x48; correct width '
        'and height in the annotation file, or restore the image that was annotated']


def test_tiny_boxes_are_noted(splits):
    splits.coco['annotations'][0]['bbox'] = [5, 5, 30, 2.5]
    splits.save()
    found, = [finding for finding in check_config(splits.cfg) if finding.kind == 'tiny box']
    assert found.severity == 'note' and 'annotation 11 of image a_AML.png: the box is 30x2.5 px' in found.message


def test_cells_that_are_there_twice_are_noted(splits):
    first = splits.coco['annotations'][0]
    kinds = [finding.kind for finding in check_config(splits.cfg)]
    assert 'cell twice' not in kinds
    splits.coco['annotations'].append(dict(first, id=99))
    splits.save()
    found, = [finding for finding in check_config(splits.cfg) if finding.kind == 'cell twice']
    assert found.severity == 'note' and 'annotation 99 of image a_AML.png: has the box and the class' in found.message


def test_described_classes_and_the_cells_that_have_attributes(splits):
    def kinds():
        return [(f.kind, f.message.split('.json: ')[1][:30]) for f in check_config(splits.cfg)
                if f.split == 'train' and f.kind in ('class without attributes', 'attributes not used')]
    assert kinds() == []
    for changes in (dict(size='', hue=None), dict(attributes={})):
        splits.coco['annotations'][1].update(changes)  # a cell of class Platelets
    splits.save()
    assert kinds() == [('class without attributes', 'no cell of Platelets has a kno')]
    data = splits.cfg['train_dataloader']['dataset']['dataset']['dataset']
    data['metainfo'] = data['metainfo'] | dict(described=['Platelets', 'RBC'])
    assert ('attributes not used', 'cells of WBC have attributes, ') in kinds()


def test_boxes_outside_image_and_regions(splits):
    splits.coco['annotations'][1]['bbox'] = [42, 30, 8, 8]
    splits.save()
    found = only_problem(splits)
    assert found.kind == 'cell outside regions' and 'annotation 12 of image a_AML.png' in found.message
    splits.coco['annotations'][1]['bbox'] = [60, 30, 8, 8]
    splits.save()
    found = only_problem(splits)
    assert found.kind == 'defect' and 'annotation 12 of image a_AML.png: bbox' in found.message


def test_image_in_two_splits_is_found_by_content(splits):
    shutil.copy(splits.root / 'images/b.png', splits.root / 'images/val_1.png')
    found = only_problem(splits)
    assert found.kind == 'image in two splits' and found.split == 'train and val+test'
    assert 'b.png' in found.message and 'val_1.png' in found.message


def test_same_file_for_train_and_val(splits):
    splits.cfg['val_dataloader']['dataset']['ann_file'] = 'train.json'
    assert {'image in two splits', 'evaluator', 'sparse truth'} == {finding.kind for finding in problems(splits)}


def test_image_twice_in_a_split_is_noted(splits):
    shutil.copy(splits.root / 'images/a_AML.png', splits.root / 'images/b.png')
    assert [f.kind for f in check_config(splits.cfg) if f.severity == 'note' and f.split == 'train'] == [
        'class without cells', 'image twice']


def test_broken_file_is_a_finding_and_the_rest_goes_on(splits):
    (splits.root / 'train.json').write_text('{')
    report = examine_config(splits.cfg)
    assert [f.kind for f in report.problems] == ['annotation file']
    assert [summary.split for summary in report.summaries] == ['val+test']


def test_pipeline_that_leaves_regions_behind(splits):
    splits.cfg['train_dataloader']['dataset']['dataset']['pipeline'][1] = dict(type='PackDetInputs')
    found = only_problem(splits)
    assert found.kind == 'pipeline' and 'PackDetInputs' in found.message


def test_unsaid_annotation_kind(splits):
    splits.cfg['train_dataloader']['dataset']['dataset']['dataset'].pop('annotation')
    assert only_problem(splits).kind == 'annotation kind'


def test_metric_and_data_set_that_go_by_the_files_order(splits):
    splits.cfg['val_evaluator'] = [dict(type='CocoMetric', ann_file=str(splits.root / 'val.json'))]
    assert only_problem(splits).kind == 'class order'
    splits.cfg['val_evaluator'] = []
    splits.cfg['test_dataloader']['dataset'] = dict(
        type='CocoDataset', ann_file='val.json', data_root=str(splits.root), data_prefix=dict(img='images'),
        metainfo=dict(classes=('WBC', 'RBC', 'Platelets')))
    assert 'class order' in {finding.kind for finding in problems(splits)}


def test_keys_that_only_scores_need(splits):
    del splits.val['annotations'][1]['area']
    splits.save()
    found = only_problem(splits)
    assert found.kind == 'key for scores' and "val.json: annotation 12: the key 'area' is missing" in found.message


def test_splits_with_different_classes(splits):
    splits.cfg['val_dataloader']['dataset']['metainfo'] = dict(preset='wbcatt')
    assert {'classes', 'attributes'} <= {finding.kind for finding in problems(splits)}


def test_number_of_classes(splits):
    splits.cfg['model'] = dict(
        type='mmleuk.AttriDet', backbone=dict(num_classes=80),
        detector=dict(rpn_head=dict(num_classes=1, truth='regions'),
                      roi_head=dict(bbox_head=[dict(num_classes=3), dict(num_classes=4)])))
    found = only_problem(splits)
    assert found.kind == 'number of classes'
    assert 'model.detector.roi_head.bbox_head[1].num_classes = 4, but the data have 3 classes' in found.message
    with pytest.raises(UserError, match='num_classes=2'):
        check_num_classes(splits.cfg, ('a', 'b'))
    check_num_classes({}, ('a',))
    place = 'model.detector.roi_head.bbox_head'
    assert list(find_num_classes(Config(splits.cfg).model, 'model')) == [
        (f'{place}[0].num_classes', 3), (f'{place}[1].num_classes', 4)]


def test_attributes_of_the_head(splits):
    schema = splits.config()['metainfo']['attributes']
    head = dict(type='mmleuk.AttriHead', attributes=dict(schema))
    splits.cfg['model'] = dict(attri_head=head, detector=dict(truth='regions'))
    assert problems(splits) == []
    head['attributes'] = dict(reversed(schema.items()))
    for finding in problems(splits):
        assert "model.attri_head.attributes predicts (('hue'" in finding.message and finding.kind == 'attributes'
    assert len(problems(splits)) == 2


def test_a_model_that_does_not_look_at_regions_is_noted(splits):
    assert [found for found in check_config(splits.cfg) if found.kind == 'regions'] == []
    splits.cfg['model']['bbox_head'] = dict(type='YOLOXHead', num_classes=3)
    found, = [found for found in check_config(splits.cfg) if found.kind == 'regions']
    assert found.severity == 'problem' and found.split == 'train' and "truth='regions'" in found.message
    mixed = splits.cfg['train_dataloader']['dataset']['dataset']
    mixed['pipeline'].insert(0, dict(type='mmleuk.BlankOutsideRegions'))
    assert [found for found in check_config(splits.cfg) if found.kind == 'regions'] == []


def test_a_stage_that_takes_background_from_everywhere_is_named(splits):
    """Cascades have a sampler per stage; one without it would learn the unlabelled cells as background."""
    plain, using = dict(type='RandomSampler', num=64), dict(type='mmleuk.SparseRegionSampler', num=64)
    stages = [dict(sampler=using), dict(sampler=plain), dict(sampler=using)]
    wrapped = dict(type='mmleuk.SparseRegionSampler', sampler=dict(type='PseudoSampler'))
    splits.cfg['model'] = dict(detector=dict(train_cfg=dict(rpn=dict(sampler=wrapped), rcnn=stages)))
    found, = [found for found in check_config(splits.cfg) if found.kind == 'regions']
    assert found.severity == 'problem' and 'model.detector.train_cfg.rcnn[1].sampler takes background' in found.message
    stages[1]['sampler'] = using
    assert [found for found in check_config(splits.cfg) if found.kind == 'regions'] == []


def test_a_preprocessor_that_scales_boxes_without_their_regions_is_refused(splits):
    splits.cfg['model']['data_preprocessor'] = dict(
        type='DetDataPreprocessor', batch_augments=[dict(type='BatchSyncRandomResize', random_size_range=(64, 96))])
    cfg = Config(dict(model=splits.cfg['model'], train_dataloader=splits.cfg['train_dataloader']))
    with pytest.raises(UserError, match=r'batch_augments\[0\]: .* leaves the annotated regions'):
        check_data(cfg, ['train_dataloader'])
    found, = [found for found in check_config(splits.cfg) if found.kind == 'regions']
    assert found.severity == 'problem' and 'BatchSyncRandomResize' in found.message
    cfg.model.bbox_head.truth = 'everywhere'
    check_data(cfg, ['train_dataloader'])


@pytest.mark.parametrize('wrong, remedy', [('RandomAffine', 'mmleuk.RandomAffine'), ('MixUp', 'mmleuk.MixUp'),
                                           ('PackDetInputs', 'mmleuk.PackCells')])
def test_wrappers_transforms_are_looked_at_before_training(splits, wrong, remedy):
    """A MultiImageMixDataset has its own pipeline, beside that of the data set within."""
    cfg = Config(dict(model=splits.cfg['model'], train_dataloader=splits.cfg['train_dataloader']))
    check_data(cfg, ['train_dataloader'])
    cfg.train_dataloader.dataset.dataset.pipeline.insert(0, dict(type=wrong))
    with pytest.raises(UserError, match=f'{wrong}.*use {remedy}'):
        check_data(cfg, ['train_dataloader'])
    cfg.train_dataloader.dataset.dataset.dataset.annotation = 'complete'
    check_data(cfg, ['train_dataloader'])


def test_training_on_regions_that_nobody_heeds_and_testing_on_them_is_warned_of(splits):
    cfg = Config(splits.cfg)
    _, warnings = check_data(cfg, ['train_dataloader', 'val_dataloader'])
    assert warnings == []
    cfg.model.bbox_head.truth = 'everywhere'
    cfg.val_dataloader.dataset.update(ann_file='train.json', annotation='sparse')
    _, (learnt, tested) = check_data(cfg, ['train_dataloader', 'val_dataloader'])
    assert learnt.startswith('train_dataloader: the annotation is sparse, but no part of the model')
    assert tested.startswith('val_dataloader: only regions of the images are annotated')


@pytest.mark.parametrize('model, warned', [
    (dict(type='FCOS', bbox_head=dict(type='FCOSHead')), True),
    (dict(type='FCOS', bbox_head=dict(type='mmleuk.SparseRegionFCOSHead')), False),
    (dict(type='FasterRCNN', train_cfg=dict(rpn=dict(assigner=dict(ignore_iof_thr=-1)))), True),
    (dict(type='FasterRCNN', train_cfg=dict(rpn=dict(assigner=dict(ignore_iof_thr=0.5)))), False)])
def test_ignored_cells_that_a_model_would_learn_as_background(model, warned):
    class Records(list):
        get_data_info = list.__getitem__
    ignored, kept = dict(ignore_flag=1), dict(ignore_flag=0)
    data = Records([dict(instances=[ignored, kept]), dict(instances=[ignored]), dict(img_path='a crop')])
    found = check_ignored(dict(model=model), argparse.Namespace(datasets=[argparse.Namespace(dataset=data), Records()]))
    assert [text.split(' (')[0] for text in found] == (['2 cells are ignored'] if warned else [])
    assert check_ignored(dict(model=model), Records([dict(instances=[kept])])) == []


def test_regions_that_the_config_speaks_against_or_tests_on(splits):
    def kinds():
        return [(found.split, found.severity, found.kind) for found in check_config(splits.cfg)
                if found.kind in ('annotation kind', 'sparse truth')]
    assert kinds() == []
    splits.cfg['train_dataloader']['dataset']['dataset']['dataset']['annotation'] = 'complete'
    assert kinds() == [('train', 'note', 'annotation kind')]
    splits.cfg['test_dataloader']['dataset']['ann_file'] = 'train.json'
    assert ('test', 'problem', 'sparse truth') in kinds()


def test_a_misspelt_key_is_found_here_too(splits, tmp_path):
    config = tmp_path / 'spelt.py'
    splits.cfg['model'] = dict(type='FCOS', bbox_head=dict(type='FCOSHead', num_class=3))
    Config(splits.cfg).dump(config)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(UserError, match='num_class'):
        run(parser.parse_args([str(config)]))


def test_a_head_has_nothing_to_learn_from_data_without_attributes(splits):
    model = dict(attri_head=dict(type='mmleuk.AttriHead', attributes=splits.config()['metainfo']['attributes']))
    none = AttributeSchema.from_dict({})
    check_head_attributes(dict(model=model), none)  # boxes can be tested
    with pytest.raises(UserError, match='the data have no attributes; give head and data set'):
        check_head_attributes(dict(model=model), none, training=True)
    check_head_attributes(dict(model=dict(type='FCOS')), none, training=True)
    splits.cfg['model'] = model
    splits.cfg['train_dataloader']['dataset'] = splits.config(
        metainfo=dict(classes=splits.config()['metainfo']['classes']))
    assert any('the data have no attributes' in finding.message for finding in problems(splits))


def test_unusable_configs(splits, tmp_path):
    with pytest.raises(UserError, match='has no data set'):
        check_config(dict(model=dict()))
    splits.cfg['train_dataloader']['dataset'] = splits.config(anotation='sparse')
    with pytest.raises(UserError, match='train_dataloader: .*anotation'):
        check_config(splits.cfg)
    with pytest.raises(UserError, match='gone.py: no such config file'):
        run(arguments(tmp_path / 'gone.py'))
    (tmp_path / 'bad.py').write_text('model = (')
    with pytest.raises(UserError, match='bad.py: not a usable config'):
        run(arguments(tmp_path / 'bad.py'))


def arguments(*words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_command(splits, tmp_path, capsys):
    config = tmp_path / 'config.py'
    Config(splits.cfg).dump(config)
    assert run(arguments(config, '--json', tmp_path / 'report.json')) == 0
    text = capsys.readouterr().out
    assert 'split     images  without cells  cells  ignored' in text and '\nready, notes: ' in text
    saved = json.loads((tmp_path / 'report.json').read_text())
    assert [split['cells'] for split in saved['splits']] == [2, 2]
    assert run(arguments(config, '--cfg-options', 'model.bbox_head.num_classes=5')) == 1
    assert 'problem number of classes: config: model.bbox_head.num_classes = 5' in capsys.readouterr().out
    with pytest.raises(UserError, match='--workers'):
        run(arguments(config, '--workers', 0))
