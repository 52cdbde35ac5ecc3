"""Every bad input of a conversion between formats is one error, before anything is written."""

import json
import shutil
from pathlib import Path

import pytest
from label_folders import convert, edit, spoil

from mmleuk.datasets.converters.coco_files import SIDE_FILE
from mmleuk.datasets.converters.formats import Reading, read_labels
from mmleuk.errors import UserError


@pytest.mark.parametrize(('before', 'after', 'message'), [
    ('</annotation>', '', r'a.xml: line \d+, column \d+: no valid XML'),
    ('<annotation>', '<!DOCTYPE a [<!ENTITY b "c">]><annotation>', 'a.xml: declares entities'),
    ('<annotation>', '<?xml version="1.0" encoding="gbk"?><annotation>', 'a.xml: its encoding cannot be read'),
    ('annotation>', 'labels>', 'its root is <labels>'),
    ('<filename>a.png</filename>', '', "a.xml: <filename> 'a' is no name of an image file .*; give --images"),
    ('<filename>a.png</filename>', '<filename>a</filename>', "a.xml: <filename> 'a' is no name of an image file"),
    ('>a.png<', '>../../a.png<', "a.xml: <filename> '../../a.png' is no name of an image file in a folder of images"),
    ('>a.png<', '>/etc/a.png<', "a.xml: <filename> '/etc/a.png' is no name of an image file in a folder of images"),
    ('>a.png<', r'>C:\a.png<', r"a.xml: <filename> 'C:.*a.png' is no name of an image file in a folder of images"),
    ('<width>100</width>', '', 'a.xml: the size of its image is needed; give --images'),
    ('<width>100</width>', '<width>0</width>', 'a.xml: the size of its image is needed; give --images'),
    ('<xmin>11</xmin>', '<xmin>0</xmin>', r'a.xml: object 1: WBC starts at 0 \(1 such objects\), .*-corners edges'),
    ('<width>100</width>', '<width>1e9999</width>', '<width> is .1e9999., no finite number'),
    ('<width>100</width>', '<width>-3</width>', '<width> is .-3.; it needs a positive'),
    ('size>', 'sizes>', 'a.xml: the size of its image is needed; give --images'),
    ('bndbox>', 'box>', r'object 1 \(WBC\): has no <bndbox>'),
    ('<xmin>11</xmin>', '', r'object 1 \(WBC\): <xmin>|object 1: <xmin> is missing'),
    ('<xmin>11</xmin>', '<xmin>eleven</xmin>', r'object 1 \(WBC\): <xmin> is .eleven., no number'),
    ('<xmin>11</xmin>', '<xmin>nan</xmin>', 'no finite number'),
    ('<xmin>11</xmin>', '<xmin>400</xmin>', r'a.xml: object 1 \(WBC\): its corners are swapped'),
    ('<xmax>40</xmax>', '<xmax>400</xmax>', r'a.xml: object 1: WBC 11 21 400 25: .* reaches 300 px out of the image'),
    ('<name>WBC</name>', '<name></name>', 'object 1: <name> is missing'),
    ('<name>WBC</name>', '<name>Cat</name>', "a.xml: object 1: class 'Cat' is not in the list; known are WBC, RBC"),
    ('<difficult>0</difficult>', '<difficult>maybe</difficult>', '<difficult> is .maybe.')])
def test_bad_voc(folders, before, after, message):
    edit(folders / 'voc/Annotations/val/a.xml', before, after)
    out = folders / 'never.json'
    words = ['--from', 'voc', '--to', 'coco', '--no-side-file', '--classes', 'WBC,RBC', '--out']
    with pytest.raises(UserError, match=message):
        convert(folders / 'voc', *words, out)
    assert not out.exists()


def test_entities_do_not_grow(folders):
    layers = ''.join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    (folders / 'voc/Annotations/b.xml').write_text(
        f'<!DOCTYPE lolz [<!ENTITY l0 "lol">{layers}]><annotation>&l9;</annotation>')
    with pytest.raises(UserError, match='b.xml: declares entities'):
        read_labels(folders / 'voc', 'voc', Reading())


@pytest.mark.parametrize(('text', 'message'), [
    ('0 0.5 0.5 0.1', r'a.txt:1: has 4 columns where YOLO has 5'),
    ('0 0.5 0.5 0.1 0.1 0.9', 'a.txt:1: has 6 columns'),
    ('\n2 0.5 0.5 0.1 0.1', 'a.txt:2: class 2 is outside 0..1'),
    ('0.5 0.5 0.5 0.1 0.1', 'a.txt:1: class 0.5'),
    ('0 0.5 x 0.1 0.1', "a.txt:1: 'x' is no number"),
    ('0 0.5 nan 0.1 0.1', 'no finite number'),
    ('0 0.5 0.5 0 0.1', 'is no normalised centre and size'),
    ('0 0.9 0.5 0.5 0.1', r'a.txt:1: WBC 0.9 0.5 0.5 0.1: .* reaches 15 px out of the image')])
def test_bad_yolo(folders, text, message):
    (folders / 'yolo/labels/val/a.txt').write_text(text)
    with pytest.raises(UserError, match=message):
        read_labels(folders / 'yolo', 'yolo', Reading(images=folders / 'images', side_file=''))


@pytest.mark.parametrize(('change', 'message'), [
    (spoil('images', 0, file_name='../../a.png'), r'leads out of the folder of images'),
    (spoil('images', 0, file_name='/a.png'), r'is no path within a folder of images'),
    (spoil('images', 0, file_name='b.jpg'), r'images b.jpg and b.png would share the labels'),
    (spoil('images', 0, file_name='b.png'), r'image b.png: the image has two entries'),
    (spoil('images', 0, width=None), "the key 'width' is missing"),
    (spoil('annotations', 0, bbox=[90, 0, 20, 5]), 'annotation 5 of image val/a.png: bbox .* reaches 10 px out'),
    (spoil('annotations', 0, id=2), 'annotation 2: its id occurs twice'),
    (spoil('annotations', 0, attributes=dict(size='huge')), "attribute 'size' has the value 'huge'"),
    (spoil('categories', 0, name='RBC'), "the name 'RBC' occurs twice"),
    (spoil('categories', 0, name='W\nBC'), r"its name is 'W\\nBC'; a name is one line"),
    (lambda data: data.update(attributes=[1]), 'attributes is no dict'),
    (lambda data: data.update(categories=None), "the key 'categories' is missing")])
@pytest.mark.parametrize('name', ['voc', 'yolo'])
def test_bad_coco_writes_nothing(coco, name, change, message):
    data = json.loads(coco.read_text())
    change(data)
    coco.write_text(json.dumps(data))
    with pytest.raises(UserError, match=message):
        convert(coco, '--from', 'coco', '--to', name, '--out', coco.parent / 'out')
    assert sorted(path.name for path in coco.parent.iterdir()) == ['coco.json', 'images']


@pytest.mark.parametrize('name', ['classes.jpg', 'val/classes.png'])
def test_an_image_called_like_the_list_of_classes(coco, name):
    data = json.loads(coco.read_text())
    spoil('images', 0, file_name=name)(data)
    coco.write_text(json.dumps(data))
    with pytest.raises(UserError, match=f'labels of image {name} would be labels/.*classes.txt, and YOLO lists'):
        convert(coco, '--from', 'coco', '--to', 'yolo', '--out', coco.parent / 'out')
    assert not (coco.parent / 'out').exists()
    convert(coco, '--from', 'coco', '--to', 'voc', '--out', coco.parent / 'out')
    assert (coco.parent / 'out/Annotations' / name).with_suffix('.xml').is_file()


def test_texts_of_an_image_called_like_the_list_of_classes(folders):
    yolo, images = folders / 'yolo', folders / 'images'
    (images / 'b.png').rename(images / 'classes.png')
    (yolo / 'labels/b.txt').rename(yolo / 'labels/classes.txt')
    with pytest.raises(UserError, match='image classes.png is called like classes.txt'):
        read_labels(yolo, 'yolo', Reading(side_file='', images=images))


def test_two_files_for_one_image(folders):
    shutil.copy(folders / 'voc/Annotations/val/a.xml', folders / 'voc/Annotations/val/z.xml')
    with pytest.raises(UserError, match=r'z.xml: is of image val/a.png, and so is .*a.xml'):
        read_labels(folders / 'voc', 'voc', Reading(side_file=''))


def test_missing_things(folders):
    yolo, images = folders / 'yolo', folders / 'images'
    with pytest.raises(UserError, match=r'b.txt: has no image; .*--images'):
        read_labels(yolo, 'yolo', Reading(side_file='', classes=('WBC', 'RBC')))
    (images / 'c.png').write_bytes(b'')
    with pytest.raises(UserError, match=r'image c.png has no text'):
        read_labels(yolo, 'yolo', Reading(side_file='', images=images))
    (images / 'c.png').rename(images / 'b.jpg')
    with pytest.raises(UserError, match=r'image b.\w+ and another are both called b'):
        read_labels(yolo, 'yolo', Reading(side_file='', images=images))
    (yolo / 'classes.txt').write_text('WBC\n\nRBC\n\n')
    with pytest.raises(UserError, match=r'classes.txt: line 2 is empty, yet lines number the classes'):
        read_labels(yolo, 'yolo', Reading(side_file='', images=images))
    (yolo / 'classes.txt').unlink()
    with pytest.raises(UserError, match=r'only number their classes, and there is no list'):
        read_labels(yolo, 'yolo', Reading(side_file='', images=images))
    with pytest.raises(UserError, match=r'nowhere: no such folder'):
        read_labels(Path('nowhere'), 'voc', Reading())
    with pytest.raises(UserError, match=r'holds no .xml file'):
        read_labels(images, 'voc', Reading())


@pytest.mark.parametrize(('words', 'message'), [
    (['a', 'b', '--from', 'voc', '--to', 'coco', '--out', 'c'], '--from takes one PATH'),
    (['a', '--from', 'voc'], '--from takes one PATH'),
    (['a', 'b'], 'give either IMAGES LABELS OUT'),
    (['a', '--from', 'voc', '--to', 'voc', '--out', 'c'], 'nothing to convert'),
    (['a', '--from', 'coco', '--to', 'voc', '--out', 'c', '--classes', 'x'], '--classes is for --from voc'),
    (['a', '--from', 'coco', '--to', 'voc', '--out', 'c', '--split', 'x'], '--split is for --from voc and'),
    (['a', '--from', 'voc', '--to', 'coco', '--out', 'c', '--allow-unlabelled'], '--allow-unlabelled is for --from'),
    (['a', '--from', 'coco', '--to', 'voc', '--out', 'c', '--images', 'x'], '--images is for --from voc and'),
    (['a', '--from', 'coco', '--to', 'voc', '--out', 'c', '--no-side-file'], '--no-side-file is for --from voc and'),
    (['a', '--from', 'yolo', '--to', 'coco', '--out', 'c', '--layout', 'auto'], '--layout is for the release'),
    (['a', '--from', 'yolo', '--to', 'coco', '--out', 'c', '--corners', 'xxyy'], '--corners is for the release'),
    (['a', '--from', 'yolo', '--to', 'coco', '--out', 'c', '--voc-corners', 'edges'], '--voc-corners is for'),
    (['a', '--from', 'voc', '--to', 'coco', '--out', 'c', '--no-side-file', '--changed-labels', 'keep'], 'side file'),
    (['a', 'b', 'c', '--images', 'x'],
     '--images is for --from voc and --from yolo and --from cvat and --from cvat-coco and --from label-studio and '
     '--from qupath and --from labelme and --from csv and --from parquet and --from predictions; leave it out'),
    (['a', 'b', 'c', '--changed-labels', 'refuse'], '--changed-labels is for')])
def test_usage(words, message):
    with pytest.raises(UserError, match=message):
        convert(*words)


def test_a_folder_that_holds_something_stays(folders):
    with pytest.raises(UserError, match='voc: exists already'):
        convert(folders / 'coco.json', '--from', 'coco', '--to', 'voc', '--out', folders / 'voc')
    with pytest.raises(UserError, match=r'is the side file of labels; convert these: --from voc'):
        convert(folders / 'voc' / SIDE_FILE, '--from', 'coco', '--to', 'yolo', '--out', folders / 'new')
