"""Images of some domains, images that are left out, and images whose labels are hidden."""

import pytest

from mmleuk.errors import UserError
from mmleuk.registry import DATASETS


@pytest.fixture
def two_domains(film):
    film.coco['images'][0]['domain'], film.coco['images'][1]['domain'] = 'near', 'far'
    film.write()
    return film


@pytest.mark.parametrize('test_mode', [False, True])
def test_only_images_of_the_named_domains(two_domains, test_mode):
    data = DATASETS.build(two_domains.config(domains=['far'], test_mode=test_mode))
    assert [(data.get_data_info(i)['img_id'], data.get_data_info(i)['domain']) for i in range(len(data))] == [
        (3, 'far')]
    assert len(DATASETS.build(two_domains.config(domains=['far', 'near']))) == 2
    assert len(DATASETS.build(two_domains.config())) == 2


def test_an_unknown_domain_is_an_error(two_domains):
    with pytest.raises(UserError, match=r"train.json: no image has the domain 'fra'; the file has near \(1 images\), "
                                        r'far \(1 images\)'):
        DATASETS.build(two_domains.config(domains=['near', 'fra']))


@pytest.mark.parametrize('domains', ['far', []])
def test_domains_are_a_list(two_domains, domains):
    with pytest.raises(UserError, match='give a list of domains'):
        DATASETS.build(two_domains.config(domains=domains))


# ---------------------------------------------------------------- images that are left out

@pytest.fixture
def two_patients(film):
    """Patient 24 by number in the file, patient 7 by the file's name, which also has the diagnosis."""
    film.coco['images'][0]['patient'] = 24
    film.coco['images'][1]['file_name'] = '7_AML.png'
    (film.root / 'images/b.png').rename(film.root / 'images/7_AML.png')
    film.write()
    return film


PATTERN = r'^(?P<patient>\d+)?.*_(?P<diagnosis>[A-Z]+)$'


@pytest.mark.parametrize('test_mode', [False, True])
@pytest.mark.parametrize(('values', 'left'), [(['24'], 3), ((24,), 3), (['7'], 7)])
def test_a_patient_is_left_out(two_patients, test_mode, values, left):
    data = DATASETS.build(two_patients.config(leave_out=dict(patient=values), name_pattern=PATTERN,
                                              test_mode=test_mode))
    assert [record['img_id'] for record in records(data)] == [left]


def test_an_image_is_left_out_for_any_of_its_facts(two_patients):
    config = two_patients.config(name_pattern=r'_(?P<diagnosis>[A-Z]+)$')
    two_patients.coco['images'].append(dict(id=9, file_name='c.png', width=64, height=48, domain='far',
                                            annotated_region=[]))
    (two_patients.root / 'images/c.png').write_bytes((two_patients.root / 'images/7_AML.png').read_bytes())
    two_patients.write()
    with pytest.raises(UserError, match='leaves no image; list fewer'):
        DATASETS.build(config | dict(leave_out=dict(diagnosis=['AML'], domain=['far'])))
    data = DATASETS.build(config | dict(leave_out=dict(patient=['24'], domain=['far'])))
    assert [record['img_id'] for record in records(data)] == [3]
    assert len(DATASETS.build(config | dict(leave_out={}))) == 3


def test_leaving_out_nothing_is_an_error(two_patients):
    """A patient that no image has: a slip of the pen would train on what should be kept out."""
    with pytest.raises(UserError, match=r"train.json: no image has the patient '42'; the file has 24 \(1 images\), 7 "
                                        r'\(1 images\). Correct leave_out, or let name_pattern read it'):
        DATASETS.build(two_patients.config(leave_out=dict(patient=['24', '42']), name_pattern=PATTERN))


@pytest.mark.parametrize('leave_out', [dict(patient='24'), dict(patient=[]), dict(patients=['24']), ['24'], '24'])
def test_what_is_left_out_is_a_dict_of_lists(two_patients, leave_out):
    with pytest.raises(UserError, match=r"leave_out=.*such as dict\(patient=\['24'\]\); keys are patient, diagnosis"):
        DATASETS.build(two_patients.config(leave_out=leave_out))


# ---------------------------------------------------------------- other class names

def one_class(film):
    return film.config()['metainfo'] | dict(classes=('Cell',))


def test_several_classes_become_one_and_others_are_left_out(film):
    film.write()
    data = DATASETS.build(film.config(metainfo=one_class(film), relabel=dict(
        WBC='Cell', RBC='Cell', Platelets=None)))
    cells = [[(cell['bbox_label'], cell['bbox'][0], cell['ignore_flag']) for cell in record['instances']]
             for record in records(data)]
    assert cells == [[(0, 4.0, 0)], [(0, 1.0, 1)]]


def test_a_class_without_a_new_name_must_be_known(film):
    film.write()
    with pytest.raises(UserError, match="unknown class 'Platelets'"):
        DATASETS.build(film.config(metainfo=one_class(film), relabel=dict(
            WBC='Cell', RBC='Cell')))


def test_a_broken_file_is_still_reported_by_the_reader(film):
    film.coco['annotations'][0].pop('category_id')
    film.write()
    with pytest.raises(UserError, match='annotation 11.*category_id'):
        DATASETS.build(film.config(relabel=dict(WBC='RBC')))


# ---------------------------------------------------------------- hidden labels

def records(data):
    return [data.get_data_info(index) for index in range(len(data))]


def test_hidden_labels_reach_no_record(film):
    """Other boxes, broken boxes or no boxes in the file: the records are the same, and nothing is known of an image."""
    film.write()
    seen = records(DATASETS.build(film.config(annotation='hidden')))
    assert len(seen) == 2
    for record in seen:
        assert record['instances'] == [] and record['annotated_regions'] == [] and record['annotation'] == 'sparse'
    for change in (dict(bbox=[1, 1, 60, 40]), dict(category_id=9), dict(bbox=[-500, 0, 1e9, 2]), dict(category_id=77)):
        film.coco['annotations'][0].update(change)
        film.write()
        assert records(DATASETS.build(film.config(annotation='hidden'))) == seen
    film.coco.update(annotations=[], categories=[])
    film.write()
    assert records(DATASETS.build(film.config(annotation='hidden'))) == seen


def test_hidden_and_complete_domains_of_one_file(two_domains):
    known = DATASETS.build(two_domains.config(domains=['near'], annotation='complete'))
    hidden = DATASETS.build(two_domains.config(domains=['far'], annotation='hidden'))
    assert len(known.get_data_info(0)['instances']) == 2 and hidden.get_data_info(0)['img_id'] == 3


def test_a_folder_of_images_is_enough(film):
    """Without an annotation file; ids count in the order of names, and sizes come from the files."""
    data = DATASETS.build(film.config(annotation='hidden', ann_file=''))
    assert [(r['file_name'], r['img_id'], r['width'], r['height'], r['instances']) for r in records(data)] == [
        ('a_AML.png', 1, 64, 48, []), ('b.png', 2, 64, 48, [])]


@pytest.mark.parametrize(('folder', 'message'), [('nowhere', 'nowhere: no such folder'), ('.', r'holds no image')])
def test_a_folder_without_images_is_an_error(film, tmp_path, folder, message):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match=message):
        DATASETS.build(film.config(annotation='hidden', ann_file='', data_prefix=dict(
            img='empty' if folder == '.' else folder)))


# ---------------------------------------------------------------- pairs

LOAD = [dict(type='mmleuk.LoadImage'), dict(type='mmleuk.LoadCellAnnotations')]
PACK = dict(type='mmleuk.PackCells')


def pairs(film, target_pipeline=(PACK,), **target):
    source = film.config(domains=['near'], pipeline=[*LOAD, PACK])
    hidden = film.config(domains=['far'], annotation='hidden', pipeline=LOAD) | target
    return DATASETS.build(dict(type='mmleuk.SourceTargetDataset', dataset=source, target=dict(
        type='MultiImageMixDataset', dataset=hidden, pipeline=list(target_pipeline))))


def test_a_pair_has_the_sources_labels_and_none_of_the_target(two_domains):
    data = pairs(two_domains)
    assert len(data) == 1 and data.metainfo['classes'] == ('WBC', 'RBC', 'Platelets')
    pair = data[0]
    assert set(pair['inputs']) == set(pair['data_samples']) == {'source', 'target'}
    source, target = pair['data_samples']['source'], pair['data_samples']['target']
    assert source.img_id == 7 and source.gt_instances.labels.tolist() == [0, 2]
    assert target.img_id == 3 and len(target.gt_instances) == 0 and len(target.ignored_instances) == 0
    assert target.annotated_regions.shape == (0, 4)


def test_the_target_may_have_two_views(two_domains):
    views = dict(type='MultiBranch', branch_field=['target', 'target_strong'], target=[PACK],
                 target_strong=[dict(type='mmleuk.HSVJitter'), PACK])
    pair = pairs(two_domains, [views])[0]
    assert set(pair['inputs']) == {'source', 'target', 'target_strong'}
    assert pair['inputs']['target'].shape == pair['inputs']['target_strong'].shape
    assert (pair['inputs']['target'] != pair['inputs']['target_strong']).any()


def test_a_target_with_labels_is_refused(two_domains):
    with pytest.raises(UserError, match="target's labels would be read; set annotation='hidden'"):
        pairs(two_domains, annotation='sparse')


def test_both_have_the_same_classes(two_domains):
    with pytest.raises(UserError, match='give both the same metainfo'):
        pairs(two_domains, metainfo=dict(classes=('Cell',)))
