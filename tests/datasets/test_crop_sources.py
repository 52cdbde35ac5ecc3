"""Folders with other names than the classes, classes in file names, and splits that keep patients together."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmdet.registry import DATASETS, TRANSFORMS
from mmengine.config import Config

from mmleuk.datasets.group_split import GroupSplit
from mmleuk.errors import UserError

HALVES = dict(train=0.5, test=0.5)


def paint(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), np.zeros((6, 8, 3), np.uint8))


def build(root, **options):
    return DATASETS.build(dict(type='mmleuk.CellCropDataset', data_root=str(root), pipeline=[],
                               metainfo=dict(classes=('Blast', 'Mature'))) | options)


def found(dataset):
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    return [(info['file_name'], info['instances'][0]['bbox_label']) for info in infos]


def test_folders_have_names_of_their_own(tmp_path):
    paint(tmp_path, 'MYO/a.png', 'LYT/deep/b.tiff', 'odd/c.png')
    dataset = build(tmp_path, class_names=dict(MYO='Blast', LYT='Mature'))
    assert found(dataset) == [('MYO/a.png', 0), ('LYT/deep/b.tiff', 1)]
    with pytest.raises(UserError, match="has no folder 'NGS', which class_names names; its folders are LYT, MYO, odd"):
        build(tmp_path, class_names=dict(NGS='Mature'))


def test_the_name_carries_the_class(tmp_path):
    paint(tmp_path, 'Im001_1.tif', 'Im002_0.tif', 'more/Im003_2.tif')
    dataset = build(tmp_path, class_pattern=r'_(\d)\.', class_names={'1': 'Blast', '0': 'Mature'})
    assert found(dataset) == [('Im001_1.tif', 0), ('Im002_0.tif', 1)]
    with pytest.raises(UserError, match='Im001_1.tif: unknown class .1.'):
        build(tmp_path, class_pattern=r'_(\d)\.')
    with pytest.raises(UserError, match='finds no class in the name'):
        build(tmp_path, class_pattern=r'_([01])\.', class_names={'1': 'Blast', '0': 'Mature'})
    for pattern, message in (('_(', 'is no regular expression'), (r'_\d', 'has 0 groups')):
        with pytest.raises(UserError, match=message):
            build(tmp_path, class_pattern=pattern)


def test_a_file_that_is_no_image_is_named(tmp_path):
    paint(tmp_path, 'Blast/a.png')
    (tmp_path / 'Blast/b.png').write_text('no image')
    with pytest.raises(UserError, match='b.png is no image that can be read'):
        build(tmp_path)


def test_an_image_has_one_row(tmp_path):
    paint(tmp_path, 'a.png')
    (tmp_path / 'cells.csv').write_text('img_name,label\na.png,Blast\na.png,Mature\n')
    with pytest.raises(UserError, match='cells.csv, row 3: a.png has a row already'):
        build(tmp_path, ann_file='cells.csv')


def test_a_patient_is_in_one_part(tmp_path):
    names = [f'Blast/UID_{patient}_{image}.bmp' for patient in range(12) for image in range(3)]
    paint(tmp_path, *names)
    parts = {part: build(tmp_path, split=dict(parts=HALVES, part=part, pattern=r'UID_(\d+)_')) for part in HALVES}
    patients = {part: {dataset.get_data_info(index)['patient'] for index in range(len(dataset))}
                for part, dataset in parts.items()}
    assert not patients['train'] & patients['test']
    assert patients['train'] | patients['test'] == {str(patient) for patient in range(12)}
    assert sum(map(len, parts.values())) == len(names)


@given(names=st.lists(st.text(min_size=1, max_size=8), max_size=30, unique=True), extra=st.text(max_size=5))
def test_more_images_move_no_other(names, extra):
    split = GroupSplit(parts=dict(train=0.999, val=0.001), part='train')
    before = split.keep([dict(file_name=name) for name in names])
    after = split.keep([dict(file_name=name) for name in [extra, *names]])
    assert before == after[len(after) - len(before):]


def test_parts_get_their_shares():
    split = GroupSplit(parts=dict(train=0.7, val=0.1, test=0.2), part='train')
    parts = [split.part_of(f'patient {number}') for number in range(5000)]
    shares = [parts.count(part) / len(parts) for part in ('train', 'val', 'test')]
    assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.02)
    other = GroupSplit(parts=dict(train=0.7, val=0.1, test=0.2), part='train', salt='1')
    assert [other.part_of(f'patient {number}') for number in range(5000)] != parts


@pytest.mark.parametrize('options, message', [
    (dict(parts=dict(train=0.7), part='train'), 'add up to 1'),
    (dict(parts=dict(train=1.0, val=0.0), part='train'), 'above 0'),
    (dict(parts=HALVES, part='val'), "part 'val' is none of train, test"),
    (dict(parts=HALVES, part='train', pattern='('), 'is no regular expression'),
    (dict(parts=HALVES, part='train', pattern='UID'), 'has no group')])
def test_bad_splits(options, message):
    with pytest.raises(UserError, match=message):
        GroupSplit(**options)


def test_a_name_without_patient_and_an_empty_part_are_errors():
    split = GroupSplit(parts=HALVES, part='train', pattern=r'(?:UID|B)_(?P<patient>\d+)')
    with pytest.raises(UserError, match='x.png: the split pattern .* finds no patient'):
        split.keep([dict(file_name='x.png')])
    alone = GroupSplit(parts=HALVES, part='train')
    name = next(f'{number}' for number in range(99) if alone.part_of(f'{number}') == 'test')
    with pytest.raises(UserError, match='none of the 1 groups falls into the part'):
        alone.keep([dict(file_name=name)])
    assert alone.keep([]) == []


@pytest.mark.parametrize('name, files', [
    ('pbc', ['basophil/BA_1.jpg', 'ig/MMY_2.jpg', 'neutrophil/BNE_3.jpg', 'platelet/PLATELET_4.jpg',
             'eosinophil/EO_5.jpg', 'erythroblast/ERB_6.jpg', 'lymphocyte/LY_7.jpg', 'monocyte/MO_8.jpg']),
    ('all_idb2', ['Im001_1.tif', 'Im200_0.tif'])])
def test_released_data_sets_are_read(tmp_path, name, files):
    """In their own layout, all three parts together hold every image once."""
    paint(tmp_path, *files)
    cfg = Config.fromfile(f'configs/_base_/datasets/{name}_crops.py')
    read = []
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        options = dict(loader.dataset, data_root=str(tmp_path), pipeline=[], split=None)
        dataset = DATASETS.build(options)
        assert len(dataset) == len(files)
        read = [label for _, label in found(dataset)]
    assert sorted(read) == list(range(len(files)))


def test_masks_stand_beside_the_images(tmp_path):
    """The mask is cropped with its image: its value is 10 times the column, as is the image's grey."""
    (tmp_path / 'Blast').mkdir()
    columns = np.tile(np.arange(8, dtype=np.uint8) * 10, (8, 1))
    cv2.imwrite(str(tmp_path / 'Blast/a.png'), np.dstack([columns] * 3))
    cv2.imwrite(str(tmp_path / 'Blast/a_mask.png'), columns)
    dataset = build(tmp_path, mask_suffix='_mask.png', pipeline=[
        dict(type='mmleuk.LoadImage'), dict(type='mmleuk.LoadCellAnnotations', with_seg=True),
        dict(type='mmleuk.CenterCrop', crop_size=(4, 4))])
    assert len(dataset) == 1
    cropped = dataset[0]
    assert cropped['gt_seg_map'].tolist() == cropped['img'][..., 0].tolist() == [[20, 30, 40, 50]] * 4
    assert cropped['gt_bboxes'].tensor.tolist() == [[0, 0, 4, 4]]


@pytest.mark.parametrize('mask, message', [
    (None, 'a_mask.png: no such mask'), ((9, 8), 'a_mask.png: the mask is 8x9 px, its image .*a.png 8x6')])
def test_a_mask_is_missing_or_of_another_size(tmp_path, mask, message):
    paint(tmp_path, 'Blast/a.png')
    if mask:
        cv2.imwrite(str(tmp_path / 'Blast/a_mask.png'), np.zeros(mask, np.uint8))
    with pytest.raises(UserError, match=message):
        build(tmp_path, mask_suffix='_mask.png')


def test_the_middle_is_cropped_in_either_unit():
    image = np.arange(10 * 12, dtype=np.uint8).reshape(10, 12, 1).repeat(3, 2)
    for options in (dict(crop_size=(6, 4)), dict(crop_size=(0.5, 0.4), crop_type='relative')):
        cropped = TRANSFORMS.build(dict(type='mmleuk.CenterCrop', **options))(dict(img=image))
        assert np.array_equal(cropped['img'], image[3:7, 3:9])
    whole = TRANSFORMS.build(dict(type='mmleuk.CenterCrop', crop_size=(20, 20)))(dict(img=image))
    assert np.array_equal(whole['img'], image)
