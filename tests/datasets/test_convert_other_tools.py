"""Label files as other tools write them: names, sizes, polygons, class lists and folders in their own forms."""

import codecs
import json

import cv2
import numpy as np
import pytest
from label_folders import convert
from PIL import Image

from mmleuk.datasets.converters.formats import Reading, read_labels
from mmleuk.datasets.converters.labels import similar_names
from mmleuk.datasets.converters.plain_yolo import find_classes
from mmleuk.errors import UserError
from mmleuk.schema import LEUKEMIA_CLASSES

VOC = ('<annotation><filename>{name}</filename><size><width>{width}</width><height>{height}</height></size>'
       '<object><name>RBC</name><bndbox><xmin>{xmin}</xmin><ymin>5</ymin><xmax>20</xmax><ymax>24</ymax></bndbox></object>'
       '</annotation>')


def write_image(path, width=40, height=30):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


@pytest.fixture
def voc(tmp_path):
    """A VOC folder of one image, 40x30 px, and a function that writes its XML."""
    write_image(tmp_path / 'JPEGImages/f0.png')
    (tmp_path / 'Annotations').mkdir()

    def write(name='f0.png', width=40, height=30, xmin=11, stem='f0', text=VOC):
        path = tmp_path / f'Annotations/{stem}.xml'
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.format(name=name, width=width, height=height, xmin=xmin))
        return tmp_path

    return write


@pytest.mark.parametrize('name', ['f0', 'f0.png', 'f0.jpg', 'F0.PNG', '/home/me/f0.png', 'C:\\films\\f0.png',
                                  '../f0.png', 'renamed.png', 'sub/f0.png'])
def test_voc_names_are_looked_up_among_the_images(voc, name):
    root = voc(name)
    data, _ = read_labels(root, 'voc', Reading(images=root / 'JPEGImages'))
    assert [image['file_name'] for image in data['images']] == ['f0.png']
    assert data['annotations'][0]['bbox'] == [10, 4, 10, 20]


def test_voc_names_without_suffix_are_looked_up_beside_the_labels(voc):
    assert read_labels(voc('f0'), 'voc', Reading())[0]['images'][0]['file_name'] == 'f0.png'


def test_voc_file_of_a_sub_folder_means_the_image_there(voc):
    root = voc('f0', stem='sub/f0')
    write_image(root / 'JPEGImages/sub/f0.png')
    data, _ = read_labels(root, 'voc', Reading(images=root / 'JPEGImages'))
    assert [image['file_name'] for image in data['images']] == ['sub/f0.png']


def test_voc_names_of_no_image_and_of_two(voc):
    root = voc('f1.png', stem='f1')
    with pytest.raises(UserError, match=r"f1.xml: .*JPEGImages holds no image 'f1.png', and none called f1; add it"):
        read_labels(root, 'voc', Reading(images=root / 'JPEGImages'))
    (root / 'Annotations/f1.xml').unlink()
    write_image(root / 'JPEGImages/f0.jpg')
    with pytest.raises(UserError, match=r"f0.xml: <filename> 'f0' may be f0.jpg or f0.png in"):
        read_labels(voc('f0'), 'voc', Reading(images=root / 'JPEGImages'))


@pytest.mark.parametrize('sizes', [dict(width=0, height=0), dict(width=0), dict(text=VOC.replace('size>', 'sizes>')),
                                   dict(text=VOC.replace('<height>{height}</height>', '')), dict(height='')])
@pytest.mark.parametrize('named', [True, False])
def test_missing_voc_sizes_are_those_of_the_images(voc, sizes, named):
    root = voc(**sizes)
    data, _ = read_labels(root, 'voc', Reading(images=root / 'JPEGImages' if named else None))
    assert data['images'] == [dict(id=1, file_name='f0.png', width=40, height=30)]


def test_a_stated_voc_size_that_the_image_does_not_have(voc):
    root = voc(width=30, height=40)
    with pytest.raises(UserError, match=r'f0.xml: <size> is 30x40, but .*f0.png is 40x30 px'):
        read_labels(root, 'voc', Reading(images=root / 'JPEGImages'))
    exif = Image.Exif()
    exif[0x112] = 6
    Image.new('RGB', (40, 30)).save(root / 'JPEGImages/f0.jpg', exif=exif.tobytes())
    (root / 'JPEGImages/f0.png').unlink()
    with pytest.raises(UserError, match=r'f0.jpg is 30x40 px, perhaps rotated by its EXIF orientation'):
        read_labels(voc('f0.jpg'), 'voc', Reading(images=root / 'JPEGImages'))


def test_corners_from_0_are_plain_ones(voc):
    with pytest.raises(UserError, match=r"RBC starts at 0 \(1 such objects\).*--voc-corners edges .*corners='edges'"):
        read_labels(voc(xmin=0), 'voc', Reading())
    data, _ = read_labels(voc(xmin=0), 'voc', Reading(corners='edges'))
    assert data['annotations'][0]['bbox'] == [0, 5, 20, 19]
    assert read_labels(voc(xmin=1), 'voc', Reading())[0]['annotations'][0]['bbox'] == [0, 4, 20, 20]


@pytest.mark.parametrize('line', ['f0', 'f0.png', 'f0  1', '\ufefff0'])
def test_lists_of_a_voc_split(voc, line):
    root = voc()
    (root / 'ImageSets/Main').mkdir(parents=True)
    (root / 'ImageSets/Main/train.txt').write_text(f'{line}\n')
    assert len(read_labels(root, 'voc', Reading(split='train'))[0]['images']) == 1


@pytest.mark.parametrize(('text', 'ignored'), [('Unspecified', 0), ('', 0), ('True', 1), ('1', 1), ('no', 0)])
def test_spellings_of_voc_flags(voc, text, ignored):
    root = voc(text=VOC.replace('</name>', f'</name><difficult>{text}</difficult>'))
    assert read_labels(root, 'voc', Reading())[0]['annotations'][0]['iscrowd'] == ignored


def test_hidden_files_are_no_labels_and_no_images(voc, yolo):
    for root, name, where in ((voc(), 'voc', 'Annotations'), (yolo('0 .5 .5 .5 .5'), 'yolo', 'labels')):
        suffix = '.xml' if name == 'voc' else '.txt'
        (root / f'{where}/._f0{suffix}').write_bytes(b'\0\5\x16\7')
        (root / f'{where}/__MACOSX').mkdir()
        (root / f'{where}/__MACOSX/f0{suffix}').write_bytes(b'\0\5\x16\7')
        images = root / ('JPEGImages' if name == 'voc' else 'images')
        (images / '._f0.png').write_bytes(b'\0\5\x16\7')
        assert len(read_labels(root, name, Reading(images=images))[0]['images']) == 1


def test_a_harmless_document_type_is_read(voc):
    root = voc(text='<!DOCTYPE annotation>' + VOC)
    assert len(read_labels(root, 'voc', Reading())[0]['annotations']) == 1


@pytest.fixture
def yolo(tmp_path):
    """A YOLO folder of one image, 40x20 px, and a function that writes its text."""
    write_image(tmp_path / 'images/f0.png', 40, 20)
    (tmp_path / 'labels').mkdir()
    (tmp_path / 'classes.txt').write_text('WBC\nRBC\n')

    def write(text):
        (tmp_path / 'labels/f0.txt').write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize(('text', 'box'), [
    ('0 .1 .1 .3 .1 .3 .4 .1 .4', [4, 2, 8, 6]),
    ('0 .25 .5 .5 .25 .75 1.0', [10, 5, 20, 15]),
    ('1 .1 .1 .2 .1 .3 .1 .3 .4 .1 .4', [4, 2, 8, 6]),                # 11 columns, as the release's texts
    ('0 0.5 0.5 1.000001 1.000001', [0, 0, 40, 20]),
    ('0 1.0000005 0.5 0.000001 0.5', None),
    ('0 -0.000001 0 1 0 1 1.000001 0 1', [0, 0, 40, 20])])
def test_rows_of_polygons_and_rounded_shares(yolo, text, box):
    if box is None:
        with pytest.raises(UserError, match='lies wholly outside'):
            read_labels(yolo(text), 'yolo', Reading())
        return
    data, note = read_labels(yolo(text), 'yolo', Reading())
    np.testing.assert_allclose(data['annotations'][0]['bbox'], box, atol=1e-3)
    assert ('1 polygons became the boxes around them' in note) == (len(text.split()) > 5)


@pytest.mark.parametrize(('text', 'message'), [
    ('0 .5 .5 .1 .1 .9', 'a sixth column is a score'), ('0 .1 .1 .2 .2', None),
    ('0 .5 .5 .1 .1 1 0 1 0 1 2', "LeukemiaAttri's extended texts are read without --from"),
    ('0 .5 .5 .1 .1 1 0 1 0 1 2 0', "LeukemiaAttri's extended texts are read without --from"),
    ('0 .1 .1 .2 .1 .2', 'a sixth column'), ('0 .1 .1 .2 .1 .2 .2 .3', 'at least three points'),
    ('0 .1 .1 .1 .2 .1 .3', 'is no normalised'), ('0 20 10 8 6', 'seem to be pixels'),
    ('0 .1 .1 1.2 .1 .2 .2', 'is no normalised')])
def test_rows_that_are_no_boxes(yolo, text, message):
    if message is None:
        assert len(read_labels(yolo(text), 'yolo', Reading())[0]['annotations']) == 1
        return
    with pytest.raises(UserError, match=f'f0.txt:1: .*{message}'):
        read_labels(yolo(text), 'yolo', Reading())


@pytest.mark.parametrize('mark', [codecs.BOM_UTF8, b''])
def test_texts_and_class_lists_with_a_byte_order_mark(yolo, mark):
    root = yolo('0 .5 .5 .5 .5\n')
    for name in ('labels/f0.txt', 'classes.txt'):
        (root / name).write_bytes(mark + (root / name).read_bytes())
    data, _ = read_labels(root, 'yolo', Reading())
    assert [category['name'] for category in data['categories']] == ['WBC', 'RBC']
    (root / 'classes.txt').write_text('WBC\nRBC\n', encoding='utf-16')
    assert find_classes(root)[0] == ('WBC', 'RBC')
    (root / 'classes.txt').write_bytes('Zelle \xfc'.encode('latin-1'))
    with pytest.raises(UserError, match=r'classes.txt: byte 6: cannot be read as text in UTF-8; save it as UTF-8'):
        find_classes(root)


def test_coco_json_with_a_byte_order_mark(folders):
    path = folders / 'coco.json'
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    convert(path, '--from', 'coco', '--to', 'yolo', '--out', folders / 'new')
    assert (folders / 'new/classes.txt').read_text() == 'WBC\nRBC\n'


@pytest.mark.parametrize(('name', 'text'), [
    ('classes.txt', 'WBC\nRBC\n\n'), ('obj.names', 'WBC\nRBC\n'), ('blood.names', 'WBC\r\nRBC'),
    ('data.yaml', 'names: [WBC, RBC]'), ('dataset.yaml', 'nc: 2\nnames:\n- WBC\n- " RBC"'),
    ('blood.yml', 'path: .\ntrain: images\nnames:\n  0: WBC\n  1: RBC\n'),
    ('data.yaml', 'names:\n  "0": WBC\n  "1": RBC\n'), ('data.yaml', 'names:\n  1: RBC\n  0: WBC\n')])
def test_class_lists(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert find_classes(tmp_path) == (('WBC', 'RBC'), tmp_path / name)
    if name in ('classes.txt', 'obj.names', 'data.yaml', 'dataset.yaml'):
        (tmp_path / 'train/labels').mkdir(parents=True)
        assert find_classes(tmp_path / 'train/labels') == (('WBC', 'RBC'), tmp_path / name)
    (tmp_path / 'classes.txt').write_text('WBC\nRBC\n')
    assert find_classes(tmp_path) == (('WBC', 'RBC'), tmp_path / 'classes.txt')


@pytest.mark.parametrize('text', ['# of the blood\nWBC\nRBC\n', '0 WBC\n1 RBC\n', '0: WBC\n1: RBC\n', '0,WBC\n1,RBC'])
def test_comments_and_line_numbers_are_no_class_names(tmp_path, text):
    (tmp_path / 'classes.txt').write_text(text)
    assert find_classes(tmp_path)[0] == ('WBC', 'RBC')


def test_names_that_start_with_other_numbers_stay(tmp_path):
    (tmp_path / 'classes.txt').write_text('0 WBC\n2 RBC\n')
    assert find_classes(tmp_path)[0] == ('0 WBC', '2 RBC')


def test_the_class_list_may_lie_among_the_texts(tmp_path):
    (tmp_path / 'labels').mkdir()
    (tmp_path / 'labels/classes.txt').write_text('WBC\nRBC\n')
    assert find_classes(tmp_path) == (('WBC', 'RBC'), tmp_path / 'labels/classes.txt')


@pytest.mark.parametrize(('text', 'other', 'message'), [
    ('', None, 'names no class'), ('# nothing\n\n', None, 'names no class'), ('WBC,RBC\n', None, 'own line'),
    ('WBC\nRBC\n', 'names: [RBC, WBC]', 'classes.txt and data.yaml name other classes')])
def test_class_lists_that_say_nothing_or_disagree(tmp_path, text, other, message):
    (tmp_path / 'classes.txt').write_text(text)
    if other:
        (tmp_path / 'data.yaml').write_text(other)
    with pytest.raises(UserError, match=message):
        find_classes(tmp_path)


@pytest.fixture
def export(tmp_path):
    """What Roboflow hands out: a folder per split, data.yaml and READMEs above them."""
    root = tmp_path / 'export'
    for split in ('train', 'valid'):
        write_image(root / split / f'images/{split}0.png')
        (root / split / 'labels').mkdir()
        (root / split / f'labels/{split}0.txt').write_text('1 .5 .5 .5 .5\n')
    (root / 'data.yaml').write_text('train: ../train/images\nnc: 2\nnames: [WBC, RBC]\n')
    (root / 'README.roboflow.txt').write_text('about')
    return root


def test_an_export_with_a_folder_per_split(export, capsys):
    out = export / 'o.json'
    convert(export, '--from', 'yolo', '--to', 'coco', '--split', 'valid', '--out', out)
    assert f'class names are those of {export / "data.yaml"}' in capsys.readouterr().out
    assert [image['file_name'] for image in json.loads(out.read_text())['images']] == ['valid0.png']
    for source in (export / 'train', export / 'train/labels'):
        (source / 'README.dataset.txt').write_text('about')
        out.unlink()
        convert(source, '--from', 'yolo', '--to', 'coco', '--images', export / 'train/images', '--out', out)
        assert [image['file_name'] for image in json.loads(out.read_text())['images']] == ['train0.png']
    with pytest.raises(UserError, match='holds the splits train, valid; choose one, such as --split train'):
        read_labels(export, 'yolo', Reading())
    with pytest.raises(UserError, match="has no split 'test'; looked for the folders test/labels and labels/test"):
        read_labels(export, 'yolo', Reading(split='test'))


def test_splits_within_labels_and_images_beside_texts(tmp_path):
    for split in ('train', 'val'):
        write_image(tmp_path / f'a/images/{split}/{split}0.png')
        (tmp_path / f'a/labels/{split}').mkdir(parents=True)
        (tmp_path / f'a/labels/{split}/{split}0.txt').write_text('1 .5 .5 .5 .5\n')
    (tmp_path / 'a/data.yaml').write_text('names: [WBC, RBC]')
    for split, names in (('val', ['val0.png']), (None, ['train/train0.png', 'val/val0.png'])):
        data, _ = read_labels(tmp_path / 'a', 'yolo', Reading(split=split))
        assert [image['file_name'] for image in data['images']] == names
    write_image(tmp_path / 'cvat/obj_train_data/c0.png')
    (tmp_path / 'cvat/obj_train_data/c0.txt').write_text('0 .5 .5 .5 .5\n')
    (tmp_path / 'cvat/obj.names').write_text('WBC\n')
    (tmp_path / 'cvat/train.txt').write_text('data/obj_train_data/c0.png\n')
    data, _ = read_labels(tmp_path / 'cvat', 'yolo', Reading())
    assert [image['file_name'] for image in data['images']] == ['obj_train_data/c0.png']


def test_images_without_a_text(yolo):
    root = yolo('0 .5 .5 .5 .5\n')
    write_image(root / 'images/f1.png')
    with pytest.raises(UserError, match=r'image f1.png has no text in .*or give --allow-unlabelled'):
        read_labels(root, 'yolo', Reading())
    data, _ = read_labels(root, 'yolo', Reading(allow_unlabelled=True))
    assert data['images'] == [dict(id=1, file_name='f0.png', width=40, height=20),
                              dict(id=2, file_name='f1.png', width=40, height=30)]
    assert [annotation['image_id'] for annotation in data['annotations']] == [1]


def test_classes_are_counted_and_similar_names_named(voc, capsys):
    root = voc()
    voc(text=VOC.replace('RBC', 'rbc'), stem='f1', name='f1.png')
    convert(root, '--from', 'voc', '--to', 'coco', '--out', root / 'o.json')
    said = capsys.readouterr().out
    assert 'classes: RBC 1, rbc 1\n' in said and 'note: the classes RBC and rbc may be one class' in said


def test_similar_names():
    assert similar_names(LEUKEMIA_CLASSES) == []
    assert similar_names(['EG', 'NG', 'BG', 'M', 'L', 'type 1', 'type 2', 'subtype1', 'subtype2', '1', '2']) == []
    assert similar_names(['B-lymphocyte', 'T-lymphocyte', 'Segmented neutrophil', 'segmented_neutrophils']) == [
        ('Segmented neutrophil', 'segmented_neutrophils')]
