import csv
import json
import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmleuk.errors import UserError
from mmleuk.schema import LEUKEMIA_ATTRIBUTES, AttributeSchema
from mmleuk.structures.prediction import Cell, FailedImage, Prediction, Run, RunInfo, run_to_dict
from mmleuk.structures.prediction_files import from_csv, from_json, to_csv, to_json
from mmleuk.utils.files import check_target, ensure_writable, write_atomic


def test_json_reads_back_equal(film, tmp_path):
    run = replace(film, failed=(FailedImage('x.png', 'gone'),))
    path = to_json(run, tmp_path / 'new' / 'predictions.json')
    assert from_json(path) == run
    first = path.read_bytes()
    assert to_json(run, path).read_bytes() == first
    cell = json.loads(first)['images'][0]['cells'][0]
    assert cell['attributes']['nuclear_shape'] == dict(value='regular', value_index=0, prob=0.8)


@pytest.mark.parametrize('case', ['whole', 'no images', 'no cells', 'names like the marks', 'bytes that are no text'])
def test_json_written_in_pieces_is_what_json_writes(film, tmp_path, case):
    first = film.predictions[0]
    marks = replace(first, image='b "images": []\n   "cells": [] ü', cells=first.cells[:1])
    run = {'whole': replace(film, failed=(FailedImage('x', 'y'),)), 'no images': replace(film, predictions=()),
           'no cells': replace(film, predictions=(replace(first, cells=()), first)),
           'names like the marks': replace(film, predictions=(marks, first), info=replace(
               film.info, model='\n "images": []')),
           'bytes that are no text': replace(film, predictions=(replace(first, image='\udce9'),))}[case]
    whole = json.dumps(run_to_dict(run), indent=1, ensure_ascii=False) + '\n'
    assert to_json(run, tmp_path / 'p.json').read_bytes() == whole.encode('utf-8', 'replace')


@pytest.mark.parametrize(('path', 'value', 'message'), [
    (('images', 0, 'cells', 1, 'box'), [1, 2, 3], 'image 0, cell 1: '),
    (('images', 0, 'cells', 1, 'box'), [1, 2, 3, 'wide'], "image 0, cell 1: .*'wide' is no float"),
    (('images', 0, 'cells', 1, 'box'), 7, 'image 0, cell 1: '), (('images', 0, 'cells'), None, 'image 0: '),
    (('images', 0, 'cells', 0, 'score'), 1.5, 'image 0, cell 0: .*1.5 is no float from 0 to 1'),
    (('images', 0, 'cells', 0, 'score'), float('nan'), 'nan is no float'),
    (('images', 0, 'cells', 0, 'label'), 0.5, '0.5 is no int'),
    (('images', 0, 'cells', 0, 'label'), -1, '-1 is no int'),
    (('images', 0, 'cells', 0, 'attributes'), [], 'image 0, cell 0: '),
    (('images', 0, 'width'), 10 ** 400, 'image 0: '),
    (('images',), {'a': 1}, 'broken'), (('run', 'classes'), 3, 'run: '), (('failed',), [3], 'failed: ')])
def test_wrong_values_in_json_are_named(film, tmp_path, path, value, message):
    data = json.loads(to_json(film, tmp_path / 'p.json').read_text(encoding='utf-8'))
    *above, last = path
    part = data
    for key in above:
        part = part[key]
    part[last] = value
    (tmp_path / 'p.json').write_text(json.dumps(data))
    with pytest.raises(UserError, match=f'p.json: .*{message}'):
        from_json(tmp_path / 'p.json')


def test_csv_reads_back_equal(film, tmp_path):
    path = to_csv(film.predictions, LEUKEMIA_ATTRIBUTES, tmp_path / 'p.csv')
    # The empty image has no row; a CSV holds no paths.
    assert from_csv(path, LEUKEMIA_ATTRIBUTES) == [replace(film.predictions[0], path=None)]
    with open(path, encoding='utf-8', newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    assert (rows[0]['image'], rows[0]['cell'], rows[0]['nucleolus'], rows[0]['nucleolus_prob']) == (
        'a <b> & "c".png', '1', 'inconspicuous', '0.8')
    assert rows[3]['nucleolus'] == 'unknown' and rows[4]['nucleolus'] == ''


numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
names = st.text(st.characters(exclude_categories=('Cs',), exclude_characters='\x00'), min_size=1)


@settings(max_examples=25)
@given(image=names, name=names, box=st.tuples(numbers, numbers, numbers, numbers), score=st.floats(0, 1))
def test_any_text_and_number_survives(tmp_path_factory, image, name, box, score):
    folder = tmp_path_factory.getbasetemp()
    predictions = (Prediction(image, (3, 4), (Cell(box, score, 0, name),)),)
    run = Run(RunInfo(classes=(name,)), predictions)
    assert from_json(to_json(run, folder / 'p.json')) == run
    assert from_csv(to_csv(predictions, AttributeSchema(), folder / 'p.csv'), AttributeSchema()) == list(predictions)


@pytest.mark.parametrize(('content', 'message'), [
    ('{"form', 'not valid JSON'), ('[' * 100000, 'cannot be read as JSON'), ('[]', 'not a predictions file'),
    ('{"format": "x"}', 'not a predictions file'),
    ('{"format": "mmleuk.predictions/1", "run": {}}', "run: broken predictions file.*'classes'")])
def test_broken_json_names_the_file(tmp_path, content, message):
    path = tmp_path / 'p.json'
    path.write_text(content)
    with pytest.raises(UserError, match=f'p.json: .*{message}'):
        from_json(path)
    with pytest.raises(UserError, match='none.json: no such file'):
        from_json(tmp_path / 'none.json')


@pytest.mark.parametrize('name', ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '\n=1', "'=1", "''=1", "'n", '＝1'])
def test_no_name_runs_as_a_formula_and_each_reads_back(tmp_path, name):
    schema = AttributeSchema.from_dict({'=hue': [name, 'blue']})
    cell = Cell((-1.5, 0, 1, 1), 1.0, 0, name, {'=hue': dict(value=name, value_index=0, prob=0.5)})
    path = to_csv([Prediction(name, (1, 1), (cell,))], schema, tmp_path / 'p.csv')
    assert from_csv(path, schema) == [Prediction(name, (1, 1), (cell,))]
    with open(path, encoding='utf-8', newline='') as file:
        head, row = csv.reader(file)
    assert "'=hue" in head and row[head.index('x1')] == '-1.5'
    assert all(text[0] not in '=+@\t\r\n＝-' for text in (*head, row[0], row[head.index('class_name')]))


def test_a_broken_csv_names_the_row(tmp_path, film):
    path = to_csv(film.predictions, LEUKEMIA_ATTRIBUTES, tmp_path / 'p.csv')
    good = path.read_text(encoding='utf-8')
    for old, new, message in (('"Neutrophil",0.8', '"Neutrophil",high', 'row 3: could not convert .*high'),
                              ('"score"', '"skore"', "has no column 'score'"),
                              ('"image"', '"image","more"', 'ends after')):
        path.write_text(good.replace(old, new), encoding='utf-8')
        with pytest.raises(UserError, match=f'p.csv: .*{message}'):
            from_csv(path, LEUKEMIA_ATTRIBUTES)
    path.write_bytes(b'\xef\xbb\xbf' + good.encode())  # as Excel saves
    assert len(from_csv(path, LEUKEMIA_ATTRIBUTES)) == 1


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = write_atomic(tmp_path / 'a.txt', 'old')

    def full(source, target):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(UserError, match='a.txt: cannot be written .No space left on device'):
        write_atomic(path, 'new')
    assert [p.name for p in tmp_path.iterdir()] == ['a.txt'] and path.read_text() == 'old'


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / 'file').write_text('kept')
    with pytest.raises(UserError, match='below.txt: cannot be written'):
        write_atomic(tmp_path / 'file' / 'below.txt', 'x')
    assert (tmp_path / 'file').read_text() == 'kept'


def test_unwritable_folder(tmp_path):
    (tmp_path / 'file').write_text('')
    for folder in (tmp_path / 'file', tmp_path / 'file' / 'below', '/proc/nowhere'):
        # Commands call the folder --out or --out-dir, so the message names neither.
        with pytest.raises(UserError, match='cannot write here.*; choose another folder$'):
            ensure_writable(folder)


def test_a_target_is_tried_before_it_is_written(tmp_path):
    (tmp_path / 'file').write_text('')
    for target, reason in ((tmp_path, 'is a folder'), (tmp_path / 'file' / 'below.png', 'cannot be written'),
                           ('/proc/nowhere/x.png', 'cannot be written')):
        with pytest.raises(UserError, match=f'{target}: {reason}'):
            check_target(target)
    check_target(tmp_path / 'new' / 'folder' / 'x.png')
    check_target(tmp_path / 'file')  # would be replaced
    assert [path.name for path in tmp_path.iterdir()] == ['file']


def test_names_that_are_no_utf8_do_not_stop_a_run(tmp_path):
    name = os.fsdecode(b'film_\xff.png')
    path = to_csv([Prediction(name, (1, 1), (Cell((0, 0, 1, 1), 1.0, 0, 'WBC'),))], AttributeSchema(), tmp_path / 'p')
    assert 'film_?.png' in path.read_text()
