"""The scripts of the pages with Node in place of a browser: what keys do, what is said, what is sent."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import mmleuk.desk

pytestmark = pytest.mark.skipif(shutil.which('node') is None, reason='needs node to run the scripts of the pages')
STATIC = Path(mmleuk.desk.__file__).parent / 'static'
PAGE = Path(__file__).with_name('fake_page.mjs')


def cell(number, name, look=1):
    return dict(id=number, look=look, box=[10, 10, 50, 50], type=name, score=0.9, diameter_um=None, drawn=False,
                attributes={}, elsewhere=None, said={}, reasons=[])


def film(*cells):
    """A film of one field; red cells are no leukocytes."""
    types = [dict(name='Blast', leukocyte=True, colour='#0072b2', dashed=False),
             dict(name='Red cell', leukocyte=False, colour='#d55e00', dashed=True)]
    return dict(film='F', fields=[dict(look=1, name='f1.png', width=400, height=300)], types=types, attributes=[],
                cells=list(cells), regions=[dict(id=7, look=1, box=[0, 0, 100, 100])])


def in_page(folder, page, answers, steps):
    """Run steps, which fill ``found``, in a page whose server gives these answers by path; what was found and sent."""
    shutil.copytree(STATIC, folder / 'page')
    shutil.copy(PAGE, folder / 'page')
    (folder / 'page/package.json').write_text('{"type": "module"}')
    (folder / 'page/run.js').write_text(f"""
import {{ asksBeforeLeaving, open, press, idle, text }} from './fake_page.mjs';
const answers = {json.dumps(answers)}, byId = id => document.getElementById(id), found = {{}};
const answer = (path, body) => answers[path.split('?')[0]] ?? {{ id: 1, said: body?.said ?? {{}} }};
const sent = open(new URL('{page}.html', import.meta.url), answer);
const script = await import('./{page}.js');
await idle();
{steps}
console.log(JSON.stringify({{ ...found, sent }}));
process.exit(0);
""")
    done = subprocess.run(['node', 'run.js'], cwd=folder / 'page', capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def review(folder, steps, *cells):
    answers = {'/api/start': dict(film='F', who='Ada'), '/api/film': film(*cells)}
    return in_page(folder, 'review', answers, steps)


@pytest.mark.parametrize(('button', 'said'), [
    ('#no-cell', [dict(cell='no cell')]), ('#next', []), ('#zoom', []), ('[data-value=Blast]', []),
    ('#confirm', [dict(type='Blast')])])
def test_enter_on_a_button_does_what_the_button_says(tmp_path, button, said):
    found = review(tmp_path, f"document.querySelector('{button}').focus(); await press('Enter');",
                   cell(1, 'Blast'), cell(2, 'Blast'))
    assert [one['body']['said'] for one in found['sent']] == said


def test_enter_elsewhere_confirms(tmp_path):
    found = review(tmp_path, "await press('Enter'); found.card = text('card');", cell(1, 'Blast'), cell(2, 'Blast'))
    assert [one['path'] for one in found['sent']] == ['/api/cells/1'] and 'Cell 2' in found['card']


SHOWN = """
found.progress = text('progress'), found.card = text('card'), found.said = text('said');
found.boxes = script.picture.cells.length, found.regions = script.picture.regions.length;
"""


def test_a_list_without_cells_shows_the_field(tmp_path):
    found = review(tmp_path, SHOWN, cell(1, 'Red cell'), cell(2, 'Red cell'))
    assert found['progress'] == 'Ada: 0 of 0 cells answered, 1 region reviewed'
    assert found['card'].startswith('No cell of this kind') and found['said'] == ''
    assert (found['boxes'], found['regions']) == (2, 1)


def test_the_last_cell_of_the_list_becomes_a_red_cell(tmp_path):
    found = review(tmp_path, f"await press('2'); await press('Enter'); {SHOWN}", cell(1, 'Blast'), cell(2, 'Red cell'))
    assert [one['body']['said'] for one in found['sent']] == [dict(type='Red cell')]
    assert found['progress'].startswith('Ada: 0 of 0 cells') and 'Cell 1: answered' in found['card']


MOVE = "await press('Shift+ArrowRight');"
RESIZE = "await press('Alt+ArrowDown');"
SAID = "found.asks = asksBeforeLeaving(), found.before = text('said');"
LOST = "found.said = text('said'), found.after = asksBeforeLeaving();"


def of_cells(folder, steps):
    return review(folder, steps, cell(1, 'Blast'), cell(2, 'Blast'), cell(3, 'Blast'))


@pytest.mark.parametrize('leave', [
    "await press('k');", "await press('x');", "await press(']');", "await press('n');",
    'script.picture.on.chosen(2);', "document.querySelector('#order').children[1].click();"])
def test_who_goes_on_without_enter_is_told(tmp_path, leave):
    found = of_cells(tmp_path, f"{RESIZE} await press('2'); {SAID} {leave} {LOST}")
    assert found['asks'] and not found['before'] and not found['after']
    assert found['said'] == 'Not kept: Box, Type of cell 1. Enter keeps what is shown.'
    assert [one['body']['said'] for one in found['sent']] in ([], [dict(cell='no cell')])


@pytest.mark.parametrize(('change', 'lost'), [(MOVE, 'Box'), ("await press('2');", 'Type')])
def test_what_was_not_kept_is_named(tmp_path, change, lost):
    found = of_cells(tmp_path, f"{change} {SAID} await press('j'); {LOST}")
    assert found['asks'] and found['said'] == f'Not kept: {lost} of cell 1. Enter keeps what is shown.'


@pytest.mark.parametrize('steps', [
    '', "await press('1');", f"{MOVE} await press('Shift+ArrowLeft');", f"{MOVE} await press('Escape');",
    f"{MOVE} await press('Enter');", f"{RESIZE} await press('2'); await press('Enter');",
    f"{MOVE} await press('Enter'); await press('k'); {MOVE} await press('Shift+ArrowLeft');"])
def test_what_is_kept_or_is_no_change_is_not_named(tmp_path, steps):
    found = of_cells(tmp_path, f"{steps} {SAID} await press('j'); {LOST}")
    assert (found['said'], found['asks'], found['after']) == ('', False, False)


DRAW = "await press('a'); await press('Enter'); await press('2');"


@pytest.mark.parametrize('leave', ["await press('j');", "await press('a');", "await press('r');"])
def test_a_new_cell_that_was_not_kept_is_named(tmp_path, leave):
    found = review(tmp_path, f"{DRAW} {SAID} {leave} {LOST} await press('Escape'); await press('Enter');",
                   cell(1, 'Blast'), cell(2, 'Blast'))
    assert found['asks'] and not found['after']
    assert found['said'] == 'Not kept: the new cell. Enter keeps what is shown.'
    assert [one['body']['said'] for one in found['sent']] == [dict(type='Blast')], 'as the model said'


def test_a_new_cell_takes_the_place_of_a_change(tmp_path):
    found = review(tmp_path, f"await press('2'); {DRAW} {LOST} await press('Enter'); found.kept = text('said');",
                   cell(1, 'Blast'))
    assert found['said'] == 'Not kept: Type of cell 1. Enter keeps what is shown.'
    assert found['kept'] == 'The cell is kept.'
    assert [one['path'] for one in found['sent']] == ['/api/cells']


def test_a_new_cells_type_goes_with_it(tmp_path):
    found = review(tmp_path, f"{DRAW} await press('Escape'); {SAID} await press('Enter');", cell(1, 'Blast'))
    assert [one['body']['said'] for one in found['sent']] == [dict(type='Blast')] and not found['asks']


@pytest.mark.parametrize(('cells', 'leukocytes', 'said'), [
    (1, 1, '1 cell, 1 leukocyte'), (1, 0, '1 cell, 0 leukocytes'), (12, 2, '12 cells, 2 leukocytes')])
def test_the_page_to_try_a_model_counts_in_words(tmp_path, cells, leukocytes, said):
    field = dict(name='a.png', picture='a.jpg', cells=cells, leukocytes=leukocytes)
    answers = {'/api/start': dict(model='m.py', limits=dict(images=1, megabytes=5, megapixels=4)),
               '/api/films/1': dict(id=1, state='done', sentence='', evidence='', fields=[field])}
    found = in_page(tmp_path, 'serve', answers, """
byId('choose').hear('change', { target: { files: [new File(['x'], 'a.png')] } });
await idle();
found.jobs = text('jobs'), found.limits = text('limits');
""")
    assert f'a.png: {said}' in found['jobs'] and found['limits'].startswith('At most 1 image, 5 MB')
