"""``mmleuk bank`` as a user types it, and the report of a film."""

import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from alembic import command
from bank_fixtures import small_run
from PIL import Image
from pypdf import PdfReader
from run_fixtures import make_cell

from mmleuk import cli
from mmleuk.bank import same_cells
from mmleuk.bank.connection import Bank, alembic_config
from mmleuk.bank.drawn import draw_cell
from mmleuk.bank.films import film_contents
from mmleuk.commands import bank_report
from mmleuk.desk.reviewing import FilmReview
from mmleuk.report.film import FilmFacts, film_report
from mmleuk.report.film_page import pictured, render_film
from mmleuk.slides import readers
from mmleuk.structures.prediction import Prediction, Run
from mmleuk.structures.prediction_files import from_json, to_json


def pdf_obstacle():
    """Why no PDF can be made here; empty where one can."""
    try:
        import weasyprint  # noqa: F401
    except (ModuleNotFoundError, OSError) as error:
        return str(error)
    return ''


needs_pdf = pytest.mark.skipif(bool(pdf_obstacle()), reason=f'needs WeasyPrint and Pango: {pdf_obstacle()}')


@pytest.fixture
def predictions(film, tmp_path):
    """Path of a predictions file of two images on disk."""
    return str(to_json(film, tmp_path / 'predictions.json'))


def bank(capsys, *words):
    status = cli.main(['bank', *map(str, words)])
    out, err = capsys.readouterr()
    return status, out, err


def test_add_query_export_review_report(predictions, tmp_path, capsys):
    where = tmp_path / 'bank.db'
    status, out, _ = bank(capsys, 'add', where, predictions, '--film', 'F <1>', '--patient', 'P & 1')
    assert status == 0 and 'run 1, 5 cells in 2 fields of 1 film' in out
    assert 'in the bank already, as run 1' in bank(capsys, 'add', where, predictions, '--film', 'F <1>')[1]
    status, out, _ = bank(capsys, 'query', where, '--type', 'Myeloblast', '--attribute', 'nucleolus=inconspicuous')
    assert status == 0 and out.startswith('2 cells: Myeloblast 2\n') and '10000001' in out
    assert 'similarity' in bank(capsys, 'query', where, '--like', 10000001)[1]
    assert bank(capsys, 'export', where, tmp_path / 'c.csv', '--type', 'Myeloblast')[0] == 0
    assert len((tmp_path / 'c.csv').read_text().splitlines()) == 4
    assert bank(capsys, 'export', where, tmp_path / 'pictures')[1].endswith('5 pictures of 5 cells\n')
    status, out, _ = bank(capsys, 'review', where, 10000001, 'type=Monoblast', '--who', 'Ada')
    assert status == 0 and re.search(r'Ada +type +Myeloblast +Monoblast', out)
    assert bank(capsys, 'upgrade', where)[1].endswith('is up to date (0005)\n')
    status, out, _ = bank(capsys, 'report', where, 'F <1>', '--out', tmp_path / 'report', '--no-pdf')
    assert status == 0
    report = json.loads((tmp_path / 'report/report.json').read_text())
    assert {one['name']: one['count'] for one in report['types'] if one['count']} == {
        'Myeloblast': 2, 'Monoblast': 1, 'Neutrophil': 1}
    assert (report['film'], report['patient'], report['leukocytes']) == ('F <1>', 'P & 1', 4)
    assert 10000001 not in [entry['cell'] for entry in report['look_first']], 'reviewed already'
    page = (tmp_path / 'report/report.html').read_text()
    assert 'F &lt;1&gt;' in page and 'F <1>' not in page
    status, out, _ = bank(capsys, 'review', where, 10000001, 'box=1,2,50.125,60', '--who', 'Ada')
    assert status == 0 and '1.00,2.00,50.12,60.00' in out


@needs_pdf
def test_the_report_as_pdf(predictions, tmp_path, capsys):
    bank(capsys, 'add', tmp_path / 'b.db', predictions, '--film', 'F')
    assert bank(capsys, 'report', tmp_path / 'b.db', 'F', '--out', tmp_path / 'report')[0] == 0
    pages = PdfReader(tmp_path / 'report/report.pdf').pages
    text = ' '.join(page.extract_text() for page in pages)
    assert 'never a diagnosis' in text and 'Far too few cells' in text
    assert any('/Annots' in page for page in pages), 'links work on paper, too'


@pytest.mark.parametrize(('words', 'said'), [
    (['query', 'none.db'], 'no such bank'), (['report', 'BANK', 'F'], "film 'F' is not in this bank; it has film 1"),
    (['query', 'BANK', '--attribute', 'nucleolus'], 'write KEY=VALUE'), (['query', 'BANK', '--type', 'X'], "type 'X'"),
    (['export', 'BANK', 'x.xlsx'], 'end the name with'), (['export', 'BANK', 'BANK'], 'end the name with'),
    (['add', 'BANK', 'PREDICTIONS', '--film-per', 'folder'], 'is in no folder'),
    (['review', 'BANK', '1', 'type'], 'WHAT=VALUE'),
    (['query', 'BANK', '--like', str(2 ** 63)], 'cell 9223372036854775808 is not in this bank'),
    (['query', 'BANK', '--like', str(-2 ** 63 - 1)], 'cell -9223372036854775809 is not in this bank'),
    (['query', 'BANK', '--limit', '9' * 30], '--limit 99'), (['query', 'BANK', '--run', '9' * 30], 'run 99'),
    (['export', 'BANK', 'x.csv', '--limit', str(2 ** 63)], '--limit 9223372036854775808'),
    (['query', 'BANK', '--like', '10000001', '--limit', str(2 ** 63)], '--limit 9223372036854775808'),
    (['review', 'BANK', str(2 ** 63)], 'cell 9223372036854775808 is not in this bank'),
    (['review', 'BANK', '9' * 30, 'type=None', '--who', 'Ada'], 'is not in this bank'),
    (['review', 'BANK', '10000001', 'type=None'], '--who'), (['upgrade', 'none.db'], 'no such bank')])
def test_bad_input_is_one_line(predictions, tmp_path, capsys, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    assert bank(capsys, 'add', 'bank.db', predictions, '--film', 'film 1')[0] == 0
    before = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith('bank.db'))
    names = dict(BANK='bank.db', PREDICTIONS=predictions)
    status, out, err = bank(capsys, *(names.get(word, word) for word in words))
    assert (status, err.count('\n')) == (2, 1) and said in err
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith('bank.db')) == before


def test_films_per_folder_and_image(tmp_path, capsys):
    run = small_run(images=('a/1.png', 'b/2.png'))
    path = to_json(run, tmp_path / 'p.json')
    assert 'of 2 films' in bank(capsys, 'add', tmp_path / 'b.db', path, '--film-per', 'folder')[1]
    assert bank(capsys, 'query', tmp_path / 'b.db', '--film', 'b')[1].startswith('1 cell: Lymphoblast 1\n')
    bank(capsys, 'add', tmp_path / 'c.db', path, '--film-per', 'image')
    assert bank(capsys, 'query', tmp_path / 'c.db', '--film', 'a/1.png')[1].startswith('3 cells')


def test_a_report_of_something_else_is_not_replaced(predictions, tmp_path, capsys):
    bank(capsys, 'add', tmp_path / 'b.db', predictions, '--film', 'F')
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/report.html').write_text('mine')
    status, _, err = bank(capsys, 'report', tmp_path / 'b.db', 'F', '--out', tmp_path / 'out')
    assert status == 2 and 'choose another folder' in err and (tmp_path / 'out/report.html').read_text() == 'mine'


def test_a_folder_keeps_the_report_of_one_film(predictions, tmp_path, capsys, monkeypatch):
    """Film G, a film F of another bank, and a file of something else; then F again, without the PDF of before."""
    monkeypatch.chdir(tmp_path)
    for where, name in (('b.db', 'F'), ('b.db', 'G'), ('c.db', 'F')):
        path = tmp_path / f'{name}.json'
        path.write_text((tmp_path / 'predictions.json').read_text() + ' ' * (name == 'G'))
        assert bank(capsys, 'add', where, path, '--film', name)[0] == 0
    assert bank(capsys, 'report', 'b.db', 'F', '--no-pdf')[0] == 0
    out = tmp_path / 'film_report'
    (out / 'report.pdf').write_text('of F')
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    for words, said in ((['b.db', 'G'], "film_report: has the report of film 'F' of bank b.db; choose another folder"),
                        (['c.db', 'F'], "film 'F' of bank b.db")):
        status, _, err = bank(capsys, 'report', *words, '--no-pdf')
        assert (status, err.count('\n')) == (2, 1) and said in err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert bank(capsys, 'report', tmp_path / 'b.db', 'F', '--no-pdf')[0] == 0
    assert sorted(path.name for path in out.iterdir()) == ['report.html', 'report.json'], 'no PDF beside a newer report'
    for content in ('{"format": "mine/1"}', '[]', '{', '{"format": "mmleuk.film/1"}'):
        (out / 'report.json').write_text(content)
        assert bank(capsys, 'report', 'b.db', 'F', '--no-pdf')[0] == 2
        assert (out / 'report.json').read_text() == content


def test_a_drawn_cell_asks_for_another_comparison(predictions, tmp_path, capsys):
    where = tmp_path / 'b.db'

    def notes():
        assert bank(capsys, 'add', where, predictions, '--film', 'F')[0] == 0
        yield
        with Bank(where).writing() as connection:
            draw_cell(connection, 1, (10.0, 10.0, 30.0, 30.0), 'Ada', {'type': 'Myeloblast'})
        yield
        assert '0 pairs of 2 fields overlap' in bank(capsys, 'add', where, predictions, '--film', 'F')[1]
        yield

    found = []
    for _ in notes():
        assert bank(capsys, 'report', where, 'F', '--out', tmp_path / 'out', '--no-pdf')[0] == 0
        found.append([note for note in json.loads((tmp_path / 'out/report.json').read_text())['notes']
                      if 'counted twice' in note])
    assert found == [[], ['Its fields were not compared, or not since somebody drew a cell: a cell that two fields '
                          'show may be counted twice. Run mmleuk bank add on the predictions again, without '
                          '--no-overlaps.'], []]


def test_the_lowest_scores_by_class_are_stated(film, tmp_path, capsys):
    """A bank of the version before kept none, so the report says that there may be some."""
    where, own = tmp_path / 'b.db', {'Myeloblast': 0.6, 'Neutrophil': 0.5}
    run = replace(film, info=replace(film.info, min_scores=own))
    bank(capsys, 'add', where, to_json(run, tmp_path / 'p.json'), '--film', 'F')
    bank(capsys, 'add', where, to_json(film, tmp_path / 'q.json'), '--film', 'G')

    def stated(name):
        assert bank(capsys, 'report', where, name, '--out', tmp_path / name, '--no-pdf')[0] == 0
        return json.loads((tmp_path / name / 'report.json').read_text())['made']['Lowest score']

    assert (stated('F'), stated('G')) == ('Myeloblast 0.6, Neutrophil 0.5', '0.25')
    config = alembic_config()
    with Bank(where).writing() as connection:
        config.attributes['connection'] = connection
        command.downgrade(config, '0003')
    assert bank(capsys, 'upgrade', where)[1].endswith('tables 0003 -> 0005\n')
    assert stated('F') == "0.25, or the model's own by class: an earlier version put the run into the bank"


def test_a_film_of_twelve_bits_keeps_its_rule(film, tmp_path, capsys):
    """Its cells are compared, exported, reported and reviewed as those of the same film of 8 bits."""
    def films(folder, scale, rule):
        (tmp_path / folder).mkdir()
        moved = []
        for prediction in film.predictions:
            path = tmp_path / folder / Path(prediction.image).name
            pixels = cv2.imread(str(prediction.path))
            cv2.imwrite(str(path), pixels if rule is None else pixels.astype(np.uint16) * scale)
            moved.append(replace(prediction, path=str(path), intensity=rule))
        path = to_json(replace(film, predictions=tuple(moved)), tmp_path / f'{folder}.json')
        assert from_json(path).predictions[0].intensity == rule
        return path

    seen = {}
    for name, rule in (('eight', None), ('twelve', '0:4080')):
        where = tmp_path / f'{name}.db'
        assert 'of 2 fields overlap' in bank(capsys, 'add', where, films(name, 16, rule), '--film', 'F')[1]
        assert bank(capsys, 'report', where, 'F', '--out', tmp_path / f'{name}_report', '--no-pdf')[0] == 0
        assert bank(capsys, 'export', where, tmp_path / f'{name}_cells')[0] == 0
        report = json.loads((tmp_path / f'{name}_report/report.json').read_text())
        picture = Image.open(next((tmp_path / f'{name}_cells').rglob('10000001.jpg'))).convert('RGB')
        jpeg = FilmReview(Bank(where), 'F').picture(1)
        seen[name] = [{**one, 'path': ''} for one in report['fields']], picture.tobytes(), jpeg
    assert seen['eight'] == seen['twelve']


def test_a_later_run_without_a_rule_forgets_it(film, tmp_path, capsys):
    where = tmp_path / 'b.db'
    for number, rule in enumerate(('full', None)):
        run = Run(replace(film.info, created=str(number)), tuple(
            replace(prediction, intensity=rule) for prediction in film.predictions))
        assert bank(capsys, 'add', where, to_json(run, tmp_path / f'{number}.json'), '--film', 'F',
                    '--no-overlaps')[0] == 0
        with Bank(where).reading() as connection:
            assert {one.intensity for one in film_contents(connection, 'F').run.predictions} == {rule}


def test_slides_of_one_film_are_not_compared(film, tmp_path, capsys, monkeypatch):
    """Whole slides don't fit into memory; the addition says that it left them out."""
    monkeypatch.setattr(same_cells, 'COMPARED_PX', 100)
    out = bank(capsys, 'add', tmp_path / 'b.db', to_json(film, tmp_path / 'p.json'), '--film', 'F')[1]
    assert '0 pairs of 2 fields overlap' in out and '2 images too large to be compared' in out


def test_without_the_images_the_report_has_its_numbers(tmp_path, capsys):
    path = to_json(small_run(), tmp_path / 'p.json')
    bank(capsys, 'add', tmp_path / 'b.db', path, '--film', 'F')
    status, _, err = bank(capsys, 'report', tmp_path / 'b.db', 'F', '--out', tmp_path / 'out', '--no-pdf')
    assert status == 1 and 'a.png: came from no file' in err
    page = (tmp_path / 'out/report.html').read_text()
    assert '<img' not in page and 'Lymphoblast' in page and not (tmp_path / 'out/report.pdf').exists()


def test_pictures_and_report_of_a_large_film(tmp_path, capsys, monkeypatch):
    """Only windows of it are read: Pillow refuses the whole. Left is red, right is blue."""
    tifffile = pytest.importorskip('tifffile', reason='needs the extra [wsi]')
    monkeypatch.setattr(readers, 'WHOLE_SIDE_PX', 100)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 20_000)
    pixels = np.zeros((200, 400, 3), np.uint8)
    pixels[:, :200, 0], pixels[:, 200:, 2] = 255, 255
    tifffile.imwrite(tmp_path / 'film.tif', pixels, tile=(64, 64), photometric='rgb')
    # The second cell is lower, and larger: the square around it begins above the first one's.
    cells = (make_cell('Neutrophil', box=(300., 60., 320., 80.)), make_cell('Myeloblast', box=(60., 62., 140., 142.)))
    run = replace(small_run(), predictions=(Prediction('film.tif', (200, 400), cells, str(tmp_path / 'film.tif')),))
    bank(capsys, 'add', tmp_path / 'b.db', to_json(run, tmp_path / 'p.json'), '--film', 'F')
    status, out, err = bank(capsys, 'export', tmp_path / 'b.db', tmp_path / 'pictures')
    assert (status, err) == (0, '') and out.endswith('2 pictures of 2 cells\n')
    for kind, colour in (('Neutrophil', (0, 0, 255)), ('Myeloblast', (255, 0, 0))):
        picture, = (tmp_path / 'pictures' / kind).iterdir()
        assert np.abs(np.asarray(Image.open(picture)).astype(int) - colour).max() < 5
    for most, measured in ((80_000, True), (79_999, False)):
        monkeypatch.setattr(bank_report, 'MEASURED_PX', most)
        status, _, err = bank(capsys, 'report', tmp_path / 'b.db', 'F', '--out', tmp_path / 'out', '--no-pdf')
        report = json.loads((tmp_path / 'out/report.json').read_text())
        assert (status, err, report['fields'][0]['quality'] is not None) == (0, '', measured)
        assert any('1 large image without figures of focus' in note for note in report['notes']) != measured
    assert (tmp_path / 'out/report.html').read_text().count('<img') >= 2
    (tmp_path / 'film.tif').unlink()
    assert bank(capsys, 'report', tmp_path / 'b.db', 'F', '--out', tmp_path / 'out', '--no-pdf')[0] == 1


def numbers_of(report):
    """Every part of the report that counts cells."""
    parts = [*report['types'], *([report['blasts']] if report['blasts'] else [])]
    return parts + [share for one in report['types'] for attribute in one['attributes'].values()
                    for share in attribute['values'].values()]


def test_every_number_names_its_cells_and_links_to_them(film):
    facts = FilmFacts('F', notes=['a <note>'], diameters_um={(film.predictions[0].image, 0): 14.25})
    report = film_report(film, facts)
    known = {cell['id'] for cell in report['cells']}
    assert known == {1, 2, 3, 4} and report['leukocytes'] == 4
    for part in numbers_of(report):
        assert len(set(part['cells'])) == part['count'] and set(part['cells']) <= known
        assert part['interval'][0] <= (part['share'] or 0) <= part['interval'][1]
    myeloblasts = report['types'][0]
    assert myeloblasts['attributes']['nucleolus']['values']['inconspicuous']['count'] == 2
    assert myeloblasts['attributes']['nucleolus']['unknown'] == 1
    assert myeloblasts['diameter_um'] == dict(n=1, median=14.25, p10=14.25, p90=14.25)
    page = render_film(report, {1: 'data:image/jpeg;base64,AAAA'})
    ids, links = re.findall(r' id="([^"]+)"', page), re.findall(r'href="#([^"]+)"', page)
    assert len(set(ids)) == len(ids) and set(links) <= set(ids) and {f'cell-{number}' for number in known} <= set(links)
    assert 'a &lt;note&gt;' in page and 'never a diagnosis' in page
    assert page == render_film(report, {1: 'data:image/jpeg;base64,AAAA'})
    assert not re.search(r'(?:https?:)?//|@import|<script|<link', re.sub(r'base64,[^"]*', '', page))
    assert pictured(report)[0] == report['look_first'][0]['cell'] and set(pictured(report)) == known


def test_an_empty_film_and_a_plain_detector(film):
    empty = film_report(replace(film, predictions=()), FilmFacts('F'))
    assert empty['leukocytes'] == 0 and empty['look_first'] == [] and 'No leukocyte' in render_film(empty, {})
    cells = (make_cell('WBC', classes=('WBC', 'RBC')), make_cell('RBC', classes=('WBC', 'RBC')))
    plain = Run(replace(film.info, classes=('WBC', 'RBC'), schema=type(film.info.schema)()),
                (Prediction('a.png', (9, 9), cells),))
    report = film_report(plain, FilmFacts('F'))
    assert report['blasts'] is None and report['types'][0]['attributes'] == {}
    assert 'WBC' in render_film(report, {}, paper=True)


def test_hostile_names_stay_text(film):
    classes = ('<script>alert(1)</script>', 'a&b"c')
    cells = tuple(make_cell(name, classes=classes) for name in classes)
    run = Run(replace(film.info, classes=classes), (Prediction('<img src=x>.png', (9, 9), cells),))
    page = render_film(film_report(run, FilmFacts('<b>', '<i>')), {})
    assert '<script' not in page and '<img' not in page and '<b>' not in page and '<i>' not in page
