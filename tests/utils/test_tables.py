"""Tables: what each kind of value becomes, and that CSV reads back."""

import pytest

from mmleuk.errors import UserError
from mmleuk.utils.tables import csv_text, markdown_table, read_csv, shown, text_table


def test_values_as_people_read_them():
    assert [shown(value) for value in (0.0, 1, True, -0.5, None, 'a', '')] == [
        '0.000', '1', 'True', '-0.500', '–', 'a', '']


def test_text_has_numbers_to_the_right():
    assert text_table([['a', 'b', 'note'], ['x', 1, ''], ['long name', 1000, 'few']]).split('\n') == [
        'a              b  note', 'x              1', 'long name  1,000  few']
    assert text_table([['a', 'b']]) == 'a  b'


def test_markdown_keeps_a_row_in_one_line():
    assert markdown_table([['a'], ['x\ny|z']]) == '| a |\n| --- |\n| x y\\|z |'


def test_csv_keeps_whole_numbers_whole_beside_unknown_ones(tmp_path):
    text = csv_text([{'n': 3, 'AP': 0.1}, {'n': None, 'AP': None}])
    assert text == '"n","AP"\n3,0.1\n"",""\n'
    (tmp_path / 't.csv').write_text(text)
    assert read_csv(tmp_path / 't.csv', ['n']) == [{'n': '3', 'AP': '0.1'}, {'n': '', 'AP': ''}]
    assert csv_text([], ['n']) == '"n"\n' and csv_text([]) == ''


@pytest.mark.parametrize(('content', 'message'), [
    (b'', 'not a CSV table'), (b'a,b\n1,2,3\n', 'not a CSV table'), (b'a,b\n1\n', 'row 1: ends after 1 of 2 columns'),
    (b'a\n"x\n', 'not a CSV table'), (b'b\n1\n', "has no column 'a'"), (b'\xff\n', 'byte 0: not UTF-8')])
def test_a_broken_table_is_named(tmp_path, content, message):
    (tmp_path / 't.csv').write_bytes(content)
    with pytest.raises(UserError, match=f't.csv: {message}'):
        read_csv(tmp_path / 't.csv', ['a'])
    with pytest.raises(UserError, match='none.csv: cannot be read'):
        read_csv(tmp_path / 'none.csv', [])
