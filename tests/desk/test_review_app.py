"""The interface of the review page: who may ask, what it keeps, and what it refuses."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from desk_fixtures import film_run, make_bank
from fastapi.testclient import TestClient
from PIL import Image
from sklearn.metrics import cohen_kappa_score

from mmleuk import cli
from mmleuk.bank.checks import problems
from mmleuk.bank.connection import Bank
from mmleuk.bank.queries import Wanted, count_cells, find_cells
from mmleuk.bank.regions import looks_of_film
from mmleuk.bank.reviews import reviews_of
from mmleuk.datasets.annotations import read_annotations
from mmleuk.desk import pages
from mmleuk.desk.field_images import FieldImages
from mmleuk.desk.review_app import review_app
from mmleuk.desk.reviewing import FilmReview
from mmleuk.errors import UserError
from mmleuk.schema import LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES
from mmleuk.structures.prediction_files import to_json

FILM = 'F <i>1</i>'


def truth_of(folder):
    """Two fields with three cells each, in a row; images are noise."""
    rng = np.random.default_rng(0)
    images = [dict(id=number, file_name=f'<b>{number}.png', width=200, height=100) for number in (1, 2)]
    for image in images:
        Image.fromarray(rng.integers(0, 255, (100, 200, 3), np.uint8)).save(folder / image['file_name'])
    cells = [dict(id=10 * image['id'] + n, image_id=image['id'], category_id=2 + n, bbox=[10 + 60 * n, 20, 40, 40],
                  attributes=dict(nucleolus=1, cytoplasm=0)) for image in images for n in range(3)]
    return dict(images=images, annotations=cells, categories=[
        dict(id=number, name=name) for number, name in enumerate(LEUKEMIA_CLASSES)])


@pytest.fixture
def film_folder(tmp_path):
    folder = tmp_path / 'film'
    folder.mkdir()
    return folder


@pytest.fixture
def review(film_folder, tmp_path):
    """Five cells: the sixth is missing."""
    bank = make_bank(tmp_path / 'bank.db', film_run(truth_of(film_folder), film_folder, wrong=0), FILM)
    yield FilmReview(bank, FILM)
    bank.close()


@pytest.fixture
def client(review):
    return TestClient(review_app(review), base_url='http://127.0.0.1:8710')


def view(client, who='Ada'):
    found = client.get('/api/film', params={'who': who})
    assert found.status_code == 200, found.text
    return found.json()


def post(client, path, **body):
    return client.post(f'/api/{path}', json={'who': 'Ada', **body})


def test_a_persons_answers_and_nobody_elses(client, review):
    cell = view(client)['cells'][0]['id']
    assert post(client, f'cells/{cell}', said={'type': 'Monoblast', 'nucleolus': 'inconspicuous'}).status_code == 200
    assert view(client)['cells'][0]['said'] == {'type': 'Monoblast', 'nucleolus': 'inconspicuous'}
    others = next(one for one in view(client, 'Bob')['cells'] if one['id'] == cell)
    assert others['said'] == {} and others['type'] != 'Monoblast'
    assert others['attributes']['nucleolus'] == {'value': 'prominent', 'prob': 0.9}
    with review.bank.reading() as connection:
        said = reviews_of(connection, cell)
        assert count_cells(connection, Wanted())['Monoblast'] == 1
    assert [(one.who, one.subject, one.new) for one in said] == [
        ('Ada', 'type', 'Monoblast'), ('Ada', 'nucleolus', 'inconspicuous')]


def test_taking_back_restores_what_another_person_said(client, review):
    cell, model = [(one['id'], one['type']) for one in view(client)['cells']][0]
    post(client, f'cells/{cell}', who='Bob', said={'type': 'Basophil'})
    post(client, f'cells/{cell}', said={'type': 'Monoblast'})
    assert post(client, f'cells/{cell}/undo').status_code == 200
    assert view(client)['cells'][0]['said'] == {}
    with review.bank.reading() as connection:
        assert count_cells(connection, Wanted(cells=[cell])) == {'Basophil': 1}
    post(client, f'cells/{cell}/undo', who='Bob')
    with review.bank.reading() as connection:
        assert count_cells(connection, Wanted(cells=[cell])) == {model: 1}
        assert len(reviews_of(connection, cell)) == 4, 'nothing is overwritten'
    assert 'nothing to take back' in post(client, f'cells/{cell}/undo').json()['error']


def test_a_window_that_does_not_show_an_answer_cannot_replace_it(client, review):
    cell = view(client)['cells'][0]['id']
    first = post(client, f'cells/{cell}', said={'type': 'Monoblast'}, before={}).json()['said']
    assert first == {'type': 'Monoblast'} == view(client)['cells'][0]['said']
    late = post(client, f'cells/{cell}', said={'type': 'Basophil'}, before={})
    assert late.status_code == 400 and 'in another window' in late.json()['error']
    assert post(client, f'cells/{cell}/undo', said={}, before={}).status_code == 400
    assert post(client, f'cells/{cell}', who='Bob', said={'type': 'Basophil'}, before={}).status_code == 200
    second = post(client, f'cells/{cell}', said={'type': 'Basophil', 'box': '1,2,30,40'}, before=first).json()['said']
    assert second == {'type': 'Basophil', 'box': '1.0,2.0,30.0,40.0'} == view(client)['cells'][0]['said']
    assert post(client, f'cells/{cell}/undo', said=first, before=second).json()['said'] == first
    assert post(client, f'cells/{cell}/undo', said={}, before=first).json()['said'] == {}


def test_two_people_draw_one_cell(client, review):
    look = view(client)['fields'][1]['look']
    one = post(client, 'cells', look=look, box=[130, 20, 170, 60], said={'type': 'Myelocyte'}).json()['id']
    assert [cell['id'] for cell in view(client, 'Bob')['cells']].count(one) == 0, 'Bob looks for himself'
    assert post(client, 'cells', who='Bob', look=look, box=[171, 61, 131, 21], said={'type': 'Monocyte'}
                ).json()['id'] == one
    assert post(client, 'cells', who='Bob', look=look, box=[5, 70, 30, 95], said={'type': 'Monocyte'}
                ).json()['id'] == one + 1
    with review.bank.reading() as connection:
        assert problems(connection) == []
        assert sum(count_cells(connection, Wanted()).values()) == 7
    post(client, f'cells/{one}', said={'cell': 'no cell'})
    assert one not in [cell['id'] for cell in view(client)['cells']]
    assert one in [cell['id'] for cell in view(client, 'Bob')['cells']]


def test_who_takes_a_drawing_back_leaves_the_others_cell(client, review):
    look = view(client)['fields'][1]['look']

    def draw(who, name, right=170):
        return post(client, 'cells', who=who, look=look, box=[130, 20, right, 60], said={'type': name}).json()['id']

    def shown(cell):
        with review.bank.reading() as connection:
            assert problems(connection) == []
            assert all(one.box[2] == 170 for one in find_cells(connection, Wanted(cells=[cell])))
            return count_cells(connection, Wanted(cells=[cell])), [
                who for who in ('Ada', 'Bob') if cell in [one['id'] for one in view(client, who)['cells']]]

    cell = draw('Ada', 'Myelocyte')
    assert draw('Bob', 'Monocyte', 180) == cell
    assert post(client, f'cells/{cell}/undo', who='Bob').status_code == 200
    assert shown(cell) == ({'Myelocyte': 1}, ['Ada'])
    assert draw('Bob', 'Monocyte') == cell and shown(cell) == ({'Monocyte': 1}, ['Ada', 'Bob'])
    post(client, f'cells/{cell}/undo')
    assert shown(cell) == ({'Monocyte': 1}, ['Bob'])
    post(client, f'cells/{cell}/undo', who='Bob')
    assert shown(cell) == ({}, []), 'nobody says that it is a cell'
    assert client.get('/api/summary').json() == dict(costs=[
        dict(who=who, cells=0, with_region=0, seconds=0, clicks=0, keys=0, minutes=0, minutes_per_cell=None,
             clicks_per_cell=None, keys_per_cell=None) for who in ('Ada', 'Bob')], agreement=[])
    assert draw('Bob', 'Monocyte') == cell and shown(cell) == ({'Monocyte': 1}, ['Bob'])


def test_kappa_is_that_of_scikit_learn(client):
    cells = [one['id'] for one in view(client)['cells']]
    ada = ['Myeloblast', 'Myeloblast', 'Monocyte', 'Monocyte', 'no cell']
    bob = ['Myeloblast', 'Monocyte', 'Monocyte', 'Monocyte', 'no cell']
    for who, names in (('Ada', ada), ('Bob', bob)):
        for cell, name in zip(cells, names):
            said = {'cell': name} if name == 'no cell' else {'type': name}
            assert post(client, f'cells/{cell}', who=who, said=said, cost=dict(seconds=6, clicks=2, keys=1)
                        ).status_code == 200
    summary = client.get('/api/summary').json()
    figures = summary['agreement'][0]['figures']
    assert [one['key'] for one in figures] == ['type']
    assert figures[0]['kappa'] == pytest.approx(cohen_kappa_score(ada, bob))
    assert (figures[0]['n'], figures[0]['agreed']) == (5, 4)
    assert summary['costs'][0] | dict(minutes_per_cell=0.1, clicks_per_cell=2, keys_per_cell=1, cells=5,
                                      with_region=0) == summary['costs'][0]


def test_a_region_becomes_an_annotated_region(client, review, tmp_path, film_folder):
    assert 'no region was marked' in client.get('/api/export').json()['error']
    shown = view(client)
    look = shown['fields'][0]['look']
    first, second, third = sorted((one for one in shown['cells'] if one['look'] == look), key=lambda one: one['box'])
    post(client, f'cells/{first["id"]}', said={'type': 'Monoblast', 'nucleolus': 'unknown'})
    post(client, f'cells/{second["id"]}', said={'cell': 'no cell'})
    post(client, f'cells/{third["id"]}', said={'type': 'Basophil'})
    drawn = post(client, 'cells', look=look, box=[0, 70, 20, 90], said={'type': 'Myelocyte'}).json()['id']
    marked = post(client, 'regions', look=look, box=[-50, 0, 120, 100]).json()
    assert marked['confirmed'] == {} and marked['box'] == [0, 0, 120, 100]
    data = client.get('/api/export').json()
    assert [one['annotated_region'] for one in data['images']] == [[[0, 0, 120, 100]]]
    path = tmp_path / 'train.json'
    path.write_text(json.dumps(data))
    image, = read_annotations(path, LEUKEMIA_CLASSES, LEUKEMIA_ATTRIBUTES, require_regions=True).images
    assert image.file_name == '<b>1.png' and image.regions_xyxy == ((0, 0, 120, 100),)
    found = {LEUKEMIA_CLASSES[cell.label]: cell for cell in image.cells}
    assert set(found) == {'Monoblast', 'Myelocyte'}, 'no cell is none, and nothing is known outside'
    keys = LEUKEMIA_ATTRIBUTES.keys
    assert found['Monoblast'].attributes[keys.index('nucleolus')] == -1
    assert found['Monoblast'].attributes[keys.index('cytoplasm')] == 0, 'as the model said'
    assert found['Myelocyte'].box_xyxy == (0, 70, 20, 90)
    post(client, f'cells/{drawn}', said={'cell': 'no cell'})
    assert len(client.get('/api/export').json()['annotations']) == 1
    assert post(client, f'regions/{marked["id"]}/withdraw', who='Bob').status_code == 400, "it is Ada's"
    assert post(client, f'regions/{marked["id"]}/withdraw').status_code == 200
    assert post(client, f'regions/{marked["id"]}/withdraw').status_code == 400
    assert client.get('/api/export').status_code == 400 and view(client)['regions'] == []


def test_marking_a_region_confirms_the_rest(client, review):
    look = view(client)['fields'][0]['look']
    confirmed = post(client, 'regions', look=look, box=[0, 0, 200, 100]).json()['confirmed']
    assert len(confirmed) == 3
    assert confirmed == {str(one['id']): one['said'] for one in view(client)['cells'] if one['look'] == look}
    said = list(confirmed.values())
    assert all(one['type'] and one['nucleolus'] == 'prominent' for one in said)
    cost = client.get('/api/summary').json()['costs'][0]
    assert (cost['cells'], cost['with_region'], cost['minutes_per_cell']) == (0, 3, None)


def test_a_corrected_box_is_ones_own_and_is_exported(client, review):
    cell = next(one for one in view(client)['cells'] if one['look'] == 1)
    post(client, f'cells/{cell["id"]}', said={'type': 'Monoblast'})
    assert post(client, f'cells/{cell["id"]}', said={'box': '150,60,199.5,250'}).status_code == 200
    own = next(one for one in view(client)['cells'] if one['id'] == cell['id'])
    assert (own['box'], own['said']['box']) == (cell['box'], '150.0,60.0,199.5,100.0')
    other = next(one for one in view(client, 'Bob')['cells'] if one['id'] == cell['id'])
    assert (other['box'], other['said']) == (cell['box'], {}), "Bob sees the model's"
    post(client, 'regions', look=1, box=[145, 55, 200, 100])
    assert [one['bbox'] for one in client.get('/api/export').json()['annotations']] == [[150, 60, 49.5, 40]]
    assert post(client, f'cells/{cell["id"]}/undo', said={'type': 'Monoblast'}).status_code == 200
    assert next(one['said'] for one in view(client)['cells'] if one['id'] == cell['id']) == {'type': 'Monoblast'}
    assert client.get('/api/export').json()['annotations'] == []
    with review.bank.reading() as connection:
        said = [(one.subject, one.new) for one in reviews_of(connection, cell['id'])]
        assert len(said) == 3 and len(problems(connection)) == 0
    assert said[-1] == ('box', ','.join(map(str, map(float, cell['box']))))


def test_a_region_confirms_what_is_open_of_a_cell(client):
    cell = next(one for one in view(client)['cells'] if one['look'] == 1)
    post(client, f'cells/{cell["id"]}', said={'box': '150,60,190,90', 'nucleolus': 'inconspicuous'})
    assert post(client, 'regions', look=1, box=[145, 55, 200, 100]).json()['confirmed'].keys() == {str(cell['id'])}
    said = next(one['said'] for one in view(client)['cells'] if one['id'] == cell['id'])
    assert (said['type'], said['nucleolus'], said['box']) == (cell['type'], 'inconspicuous', '150.0,60.0,190.0,90.0')


def test_disputed_cells_are_ignored_where_asked(review, client, tmp_path, capsys):
    shown = view(client)
    look = shown['fields'][0]['look']
    cell = next(one['id'] for one in shown['cells'] if one['look'] == look)
    post(client, f'cells/{cell}', said={'type': 'Monoblast'})
    post(client, 'regions', look=look, box=[0, 0, 200, 100])
    post(client, f'cells/{cell}', who='Bob', said={'cell': 'no cell'})

    def exported(name, *words):
        out = tmp_path / name
        assert cli.main(['review', 'export', FILM, '--bank', str(tmp_path / 'bank.db'), '--out', str(out), *words]) == 0
        return json.loads(out.read_text())['annotations']

    assert len(exported('last.json')) == 2, "Bob's word is the last"
    assert len(exported('ada.json', '--who', 'Ada')) == 3
    disputed = exported('disputed.json', '--ignore-disputed')
    assert len(disputed) == 3 and [one.get('ignore', 0) for one in disputed].count(1) == 1
    assert "annotation='sparse'" in capsys.readouterr().out
    assert cli.main(['review', 'export', FILM, '--bank', str(tmp_path / 'bank.db'), '--out',
                     str(tmp_path / 'ada.json')]) == 2, 'nothing is written over'
    assert cli.main(['review', 'export', 'G', '--bank', str(tmp_path / 'bank.db'), '--out',
                     str(tmp_path / 'g.json')]) == 2
    assert "film 'G' is not in this bank" in capsys.readouterr().err


@pytest.mark.parametrize(('path', 'body', 'status', 'said'), [
    ('cells/10000001', dict(said={'type': 'Wurst'}), 400, "type 'Wurst' is not in this bank"),
    ('cells/10000001', dict(said={'nucleolus': 'green'}), 400, "no value 'green'"),
    ('cells/10000001', dict(said={}), 422, 'at least 1'), ('cells/99', dict(said={'type': 'Basophil'}), 400, 'not of'),
    ('cells/10000001', dict(said={'type': 'Basophil'}, who=' '), 400, 'name of a reviewer'),
    ('cells/10000001', dict(said={'type': 'Basophil'}, who='x' * 81), 422, '80 characters'),
    ('cells/10000001', dict(said={'type': 'Basophil'}, more=1), 422, 'Extra'),
    (f'cells/{10 ** 30}', dict(said={'type': 'Basophil'}), 422, 'less than'),
    ('cells/10000001', dict(said={'box': '1,2,3'}), 400, 'four numbers'),
    ('cells/10000001', dict(said={'box': '1,2,2,60'}), 400, 'draw it larger'),
    ('cells', dict(look=1 << 40, box=[0, 0, 9, 9], said={'type': 'Basophil'}), 422, 'less than'),
    ('cells', dict(look=1, box=[0, 0, 1, 1], said={'type': 'Basophil'}), 400, 'draw it larger'),
    ('cells', dict(look=1, box=[0, 0, 'NaN', 9], said={'type': 'Basophil'}), 422, 'less than'),
    ('cells', dict(look=1, box=[0, 0, 9, 9], said={'nucleolus': 'prominent'}), 400, 'needs a type'),
    ('cells', dict(look=7, box=[0, 0, 9, 9], said={'type': 'Basophil'}), 400, 'look 7'),
    ('regions', dict(look=1, box=[300, 0, 400, 9]), 400, 'lie within')])
def test_bad_words_are_refused_and_change_nothing(client, review, path, body, status, said):
    answer = post(client, path, **body)
    assert answer.status_code == status and said in answer.json()['error']
    with review.bank.reading() as connection:
        assert not count_cells(connection, Wanted(reviewed=True)) and problems(connection) == []
    assert client.get('/api/summary').json()['costs'] == []


def test_the_films_report_says_what_the_review_cost(client, review, tmp_path):
    cell = view(client)['cells'][0]['id']
    for who, name in (('A & <b>', 'Basophil'), ('Bob', 'Monocyte')):
        post(client, f'cells/{cell}', who=who, said={'type': name}, cost=dict(seconds=90, clicks=3, keys=2))
    out = tmp_path / 'report'
    assert cli.main(['bank', 'report', str(tmp_path / 'bank.db'), FILM, '--out', str(out), '--no-pdf']) == 0
    found = json.loads((out / 'report.json').read_text())['review']
    assert [(one['minutes_per_cell'], one['clicks_per_cell']) for one in found['costs']] == [(1.5, 3), (1.5, 3)]
    page = (out / 'report.html').read_text()
    assert 'A &amp; &lt;b&gt; and Bob, type: 0 of 1 cells alike (95% interval 0 to 79%), kappa 0.00.' in page


def test_new_types_that_were_offered(review, film_folder):
    client = TestClient(review_app(FilmReview(review.bank, FILM, types=['Mast cell'])), base_url='http://localhost')
    cell = view(client)['cells'][0]['id']
    assert 'Mast cell' in [one['name'] for one in view(client)['types']]
    assert post(client, f'cells/{cell}', said={'type': 'Mast cell'}).status_code == 200


def test_images_come_from_the_films_folder_only(review, client, film_folder, tmp_path):
    assert client.get('/api/fields/1/image').headers['content-type'] == 'image/jpeg'
    assert client.get('/api/fields/1/image?window=0,0,10,10').status_code == 200
    for window in ('190,0,20,10', '0,0,9999,9999'):
        assert client.get(f'/api/fields/1/image?window={window}').status_code == 400
    for path in ('/static/../review_app.py', '/static/%2e%2e/guard.py', '/api/fields/../../etc/passwd/image',
                 '/static//etc/passwd', '/api/fields/1%2f..%2f2/image'):
        assert client.get(path).status_code in (404, 422), path
    secret = tmp_path / 'secret.png'
    Image.new('RGB', (200, 100)).save(secret)
    (film_folder / '<b>1.png').unlink()
    assert 'is gone' in client.get('/api/fields/1/image').json()['error']
    (film_folder / '<b>1.png').symlink_to(secret)
    assert 'outside of the folder' in client.get('/api/fields/1/image').json()['error']


def test_moved_images(review, film_folder, tmp_path):
    moved = tmp_path / 'moved'
    shutil.move(film_folder, moved)
    with pytest.raises(UserError, match='no such folder'):
        FilmReview(review.bank, FILM)
    assert FilmReview(review.bank, FILM, str(moved)).picture(1)[:2] == b'\xff\xd8'
    Image.new('RGB', (20, 10)).save(moved / '<b>2.png')
    with pytest.raises(UserError, match='another image'):
        FilmReview(review.bank, FILM, str(moved)).picture(2)


def test_images_without_a_common_folder():
    class Row:
        name, path = 'a.png', '/a.png'
    with pytest.raises(UserError, match='no folder in common'):
        FieldImages([Row])


def test_only_this_machine_may_ask_without_a_token(client, review):
    assert client.get('/', headers={'host': 'evil.example:8710'}).status_code == 403, 'DNS rebinding'
    assert client.get('/', headers={'host': '[::1]:8710'}).status_code == 200
    assert client.get('/', headers={'host': '[oops'}).status_code == 403
    answer = client.post('/api/cells/10000001', json=dict(who='A', said={'type': 'Basophil'}),
                         headers={'origin': 'http://evil.example'})
    assert answer.status_code == 403 and 'another site' in answer.json()['error']
    page = client.get('/')
    assert "default-src 'none'" in page.headers['content-security-policy']
    assert all(client.get(path).status_code == 404 for path in ('/docs', '/redoc', '/openapi.json'))


def test_the_token(review):
    client = TestClient(review_app(review, 'secret'), base_url='http://10.0.0.1:8710', follow_redirects=False)
    assert client.get('/').status_code == client.get('/api/film?who=A').status_code == 401
    assert client.get('/?token=wrong').status_code == 401
    opened = client.get('/?token=secret')
    assert opened.status_code == 303 and opened.headers['location'] == '/'
    assert 'HttpOnly' in opened.headers['set-cookie'] and 'SameSite=strict' in opened.headers['set-cookie']
    assert client.get('/api/film?who=A').status_code == 200, 'by its cookie'
    other = TestClient(review_app(review, 'secret'), base_url='http://10.0.0.1:8710')
    assert other.get('/api/start', headers={'authorization': 'Bearer secret'}).status_code == 200


def test_too_large(client):
    body = dict(said={'type': 'Basophil'}, note='x' * 2_000_000)
    assert post(client, 'cells/10000001', **body).status_code == 413

    def parts():
        yield b'{"note": "'
        for _ in range(30):
            yield b'x' * 100_000
    answer = client.post('/api/cells/10000001', content=parts(), headers={'content-type': 'application/json'})
    assert answer.status_code in (400, 413), 'without a stated length'


def test_the_command_refuses(tmp_path, capsys):
    Bank(tmp_path / 'b.db', create=True).close()
    for words, said in ((['F', '--bank', 'none.db'], 'no such bank'),
                        (['F', '--bank', str(tmp_path / 'b.db')], "film 'F' is not in this bank; it has none")):
        assert cli.main(['review', *words]) == 2
        assert said in capsys.readouterr().err


def test_the_next_patients_predictions_are_another_film(film_folder, tmp_path, capsys, monkeypatch):
    """Both come in mmleuk infer's own folder, outputs."""
    served, where = [], str(tmp_path / 'bank.db')
    monkeypatch.setattr(pages, 'serve', lambda app, *_: served.append(app.state.review))

    def opened(run, *words):
        to_json(run, tmp_path / 'outputs/predictions.json')
        return cli.main(['review', str(tmp_path / 'outputs'), '--bank', where, '--port', '0', *words])

    first = film_run(truth_of(film_folder), film_folder)
    (tmp_path / 'outputs').mkdir()
    assert opened(first) == 0 and opened(first) == 0, 'the same predictions open their film again'
    other = replace(first, predictions=tuple(replace(one, image=f'2_{one.image}') for one in first.predictions))
    capsys.readouterr()
    assert opened(other) == 2
    assert capsys.readouterr().err.endswith("film 'outputs' is in this bank already, and these predictions are none of "
                                            'its runs; name their film with --name\n')
    assert opened(other, '--name', 'G') == 0
    assert opened(replace(other, info=replace(other.info, min_score=0.3)), '--name', 'G') == 0, 'a second run'
    assert opened(other) == 2, "their film is G, and not the first patient's"
    with Bank(where).reading() as connection:
        films = {name: len(looks_of_film(connection, name)) for name in ('outputs', 'G')}
    assert films == {'outputs': 2, 'G': 2} and [one.film for one in served] == ['outputs', 'outputs', 'G', 'G']
