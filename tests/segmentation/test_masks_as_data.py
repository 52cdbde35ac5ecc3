"""Images with masks: records, and one clear error for each fault of a folder."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from drawn_cells import THREE, draw_cells
from PIL import Image

from mmleuk.datasets import CellMaskDataset
from mmleuk.engine import PartPicturesHook
from mmleuk.errors import UserError
from mmleuk.structures.cell_parts import MERGED_AS_BEFORE, PARTS, UNKNOWN, merge_table
from mmleuk.structures.mask_files import read_mask
from mmleuk.transforms import LoadImage, LoadPartMask


def data_set(folder, **options):
    return CellMaskDataset(**dict(data_root=str(folder), data_prefix=dict(img='train/', mask='train/'),
                                  mask_suffix='_mask.png', metainfo=dict(classes=THREE)) | options)


def test_masks_in_the_folder_of_the_images(cells):
    made = data_set(cells)
    assert len(made) == 16 and made.metainfo['classes'] == THREE and len(made.metainfo['palette']) == 3
    record = made.get_data_info(0)
    assert record['file_name'] == 'd1_000.png' and record['seg_map_path'].endswith('train/d1_000_mask.png')
    assert (record['height'], record['width']) == (32, 32)


def test_masks_in_a_folder_of_their_own(tmp_path):
    (tmp_path / 'images/a').mkdir(parents=True)
    (tmp_path / 'masks/a').mkdir(parents=True)
    Image.new('RGB', (6, 4)).save(tmp_path / 'images/a/x.jpg')
    Image.new('L', (6, 4), 5).save(tmp_path / 'masks/a/x.png')
    made = CellMaskDataset(data_root=str(tmp_path), data_prefix=dict(img='images', mask='masks'))
    assert made.metainfo['classes'] == PARTS
    loaded = LoadPartMask()(LoadImage()(made.get_data_info(0)))
    assert loaded['gt_seg_map'].shape == (4, 6) and (loaded['gt_seg_map'] == 5).all()
    assert loaded['seg_fields'] == ['gt_seg_map']
    merged = LoadPartMask(merge=MERGED_AS_BEFORE)(LoadImage()(made.get_data_info(0)))
    assert (merged['gt_seg_map'] == 1).all()


def test_the_order_of_names_is_the_order_of_records(cells):
    names = [data_set(cells).get_data_info(index)['file_name'] for index in range(16)]
    assert names == sorted(names)


@pytest.mark.parametrize(('damage', 'message'), [
    (lambda path: path.unlink(), 'd1_000_mask.png: no such mask, but there is the image'),
    (lambda path: Image.new('L', (30, 32)).save(path), r'd1_000_mask.png: the mask is 30x32 px, its image .* 32x32'),
    (lambda path: path.write_bytes(b'no image'), 'd1_000_mask.png: is no image'),
])
def test_faults_of_a_mask_are_found_before_training(cells, damage, message):
    damage(cells / 'train' / 'd1_000_mask.png')
    with pytest.raises(UserError, match=message):
        data_set(cells)


def test_folders(tmp_path):
    with pytest.raises(UserError, match='no such folder of images'):
        data_set(tmp_path)
    (tmp_path / 'train').mkdir()
    with pytest.raises(UserError, match='holds no image'):
        data_set(tmp_path)


@pytest.mark.parametrize(('mask', 'message'), [
    (Image.new('L', (4, 4), 7), 'the mask has the value 7; its parts are 0 to 2'),
    (Image.new('RGB', (4, 4)), 'is a colour image'),
])
def test_a_wrong_mask_is_named(tmp_path, mask, message):
    mask.save(tmp_path / 'm.png')
    with pytest.raises(UserError, match=message):
        read_mask(str(tmp_path / 'm.png'), 3)
    (tmp_path / 'm.png').write_bytes(b'')
    with pytest.raises(UserError, match='m.png: the mask cannot be read'):
        read_mask(str(tmp_path / 'm.png'), 3)


def test_a_palette_holds_numbers_and_255_is_unknown(tmp_path):
    pixels = np.array([[0, 1], [2, UNKNOWN]], np.uint8)
    image = Image.fromarray(pixels)
    image.putpalette([9, 9, 9] * 256)
    image.save(tmp_path / 'm.png')
    assert (read_mask(str(tmp_path / 'm.png'), 3) == pixels).all()


def test_a_mask_of_another_size_than_the_loaded_image(cells):
    record = data_set(cells).get_data_info(0)
    Image.new('L', (16, 16)).save(record['seg_map_path'])
    with pytest.raises(UserError, match='the mask is 16x16 px, its image .* 32x32'):
        LoadPartMask(parts=THREE)(LoadImage()(record))


def test_masks_for_records_that_name_none(cells):
    record = dict(img_path=str(cells / 'train/d1_000.png'), file_name='train/d1_000.png')
    loaded = LoadPartMask(parts=THREE, folder=str(cells), suffix='_mask.png')(LoadImage()(record))
    assert set(np.unique(loaded['gt_seg_map'])) == {0, 1, 2}
    with pytest.raises(UserError, match='the record names no mask'):
        LoadPartMask()(LoadImage()(record))


def test_unknown_parts_are_named():
    with pytest.raises(UserError, match="unknown part 'nuclues'. Did you mean 'nucleus'"):
        merge_table(PARTS, dict(nuclues='other'))


def test_merged_as_b4_says():
    assert merge_table(PARTS, MERGED_AS_BEFORE)[[0, 1, 2, 3, 4, 5, UNKNOWN]].tolist() == [0, 1, 2, 0, 0, 1, UNKNOWN]


def test_drawn_cells_are_what_they_say(tmp_path):
    mask = np.asarray(Image.open(draw_cells(tmp_path, 1) / 'd1_000_mask.png'))
    assert set(np.unique(mask)) == {0, 1, 2}


def test_images_of_one_name_in_two_folders_have_a_picture_each(tmp_path):
    for folder in ('d1', 'd2'):
        (tmp_path / 'train' / folder).mkdir(parents=True)
        Image.new('RGB', (6, 4)).save(tmp_path / f'train/{folder}/001.png')
        Image.new('L', (6, 4), 1).save(tmp_path / f'train/{folder}/001_mask.png')
    made = data_set(tmp_path)
    runner = SimpleNamespace(test_dataloader=SimpleNamespace(dataset=made), work_dir=tmp_path, timestamp='now')
    samples = [SimpleNamespace(img_path=made.get_data_info(index)['img_path'], pred_sem_seg=SimpleNamespace(
        data=torch.zeros(1, 4, 6, dtype=torch.long))) for index in range(2)]
    PartPicturesHook(draw=True, test_out_dir='pictures').after_test_iter(runner, 0, outputs=samples)
    assert sorted(path.relative_to(tmp_path / 'now/pictures').as_posix() for path in tmp_path.rglob('*.jpg')) == [
        'd1/001.jpg', 'd2/001.jpg']
