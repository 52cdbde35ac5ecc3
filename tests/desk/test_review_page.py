"""The review page in headless Chromium: corrections by keyboard become truth that SLA-Det trains on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from desk_fixtures import FILM, film_run, make_bank, render_films

from mmleuk import cli
from mmleuk.bank.queries import Wanted, find_cells
from mmleuk.bank.reviews import reviews_of
from mmleuk.desk.pages import served
from mmleuk.desk.review_app import review_app
from mmleuk.desk.reviewing import FilmReview
from mmleuk.schema import LEUKEMIA_CLASSES

expect = pytest.importorskip('playwright.sync_api', reason='needs Playwright (pip install playwright)').expect

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def open_page(browser):
    """Opens a page that may ask nobody but its own server, and must not fail in its scripts."""
    faults, contexts = [], []

    def opened(address, width=1280):
        contexts.append(browser.new_context(viewport=dict(width=width, height=900)))
        page = contexts[-1].new_page()
        page.on('pageerror', lambda error: faults.append(str(error)))
        page.on('console', lambda message: faults.append(message.text) if message.type == 'error' else None)
        page.on('request', lambda request: None if request.url.startswith((address, 'data:', f'blob:{address}'))
                else faults.append(request.url))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture(scope='module')
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp('films')
    return folder, render_films(folder / 'synthetic')


@pytest.fixture
def review(films, tmp_path):
    folder, truth = films
    bank = make_bank(tmp_path / 'bank.db', film_run(truth, folder / 'synthetic/images'), FILM)
    yield FilmReview(bank, FILM)
    bank.close()


def begin(page, name='Ada <b>'):
    page.locator('#name').fill(name)
    page.keyboard.press('Enter')
    expect(page.locator('body')).to_have_attribute('data-ready', 'yes')


def correct_three(page):
    """The first three of the list have the next type instead of their own: ← goes back to it."""
    for number in range(1, 4):
        page.keyboard.press('ArrowLeft')
        page.keyboard.press('Enter')
        expect(page.locator('#progress')).to_contain_text(f': {number} of')


def add_missing(page, film, box, label):
    """Draw the cell that the model missed, in the last field, by the mouse, and name it by its first letters."""
    page.locator('#fields').select_option(str(film['fields'][-1]['look']))
    page.keyboard.press('a')
    expect(page.locator('#mode')).to_contain_text('A new cell')
    corners = page.locator('#picture').bounding_box()
    field = film['fields'][-1]
    scale = min(corners['width'] / field['width'], corners['height'] / field['height'])
    left = corners['x'] + (corners['width'] - scale * field['width']) / 2
    top = corners['y'] + (corners['height'] - scale * field['height']) / 2
    page.mouse.move(left + scale * box[0], top + scale * box[1])
    page.mouse.down()
    page.mouse.move(left + scale * box[2], top + scale * box[3], steps=3)
    page.mouse.up()
    page.keyboard.press('Enter')
    page.keyboard.press('t')
    page.keyboard.type(LEUKEMIA_CLASSES[label])
    page.keyboard.press('Enter')
    expect(page.locator('button[aria-pressed="true"]').first).to_contain_text(LEUKEMIA_CLASSES[label])
    page.keyboard.press('Enter')
    expect(page.locator('#said')).to_contain_text('kept')


def mark_all(page, film):
    for number, field in enumerate(film['fields'], start=1):
        page.locator('#fields').select_option(str(field['look']))
        page.keyboard.press('r')
        page.keyboard.press('f')
        page.keyboard.press('Enter')
        if page.locator('#mode').inner_text():
            page.keyboard.press('Enter')
        expect(page.locator('#progress')).to_contain_text(f'{number} region')


def reviewed_by_browser(open_page, review, truth, folder):
    """Correct, add, mark and export; returns the exported file's path."""
    missing = [one for one in truth['annotations'] if one['image_id'] == truth['images'][-1]['id']][-1]
    x, y, width, height = missing['bbox']
    with served(review_app(review)) as address:
        page = open_page(address)
        begin(page)
        correct_three(page)
        film = review.view('Ada <b>')
        add_missing(page, film, (x, y, x + width, y + height),
                    missing['category_id'] - min(one['id'] for one in truth['categories']))
        mark_all(page, film)
        with page.expect_download() as download:
            page.keyboard.press('e')
        path = folder / 'train_reviewed.json'
        download.value.save_as(path)
        page.keyboard.press('s')
        expect(page.locator('#figures')).to_contain_text('Ada <b>')
        assert page.locator('#figures b').count() == 0, 'names are text'
    return path


def test_corrections_by_keyboard_give_the_truth(open_page, review, films, tmp_path):
    folder, truth = films
    data = json.loads(reviewed_by_browser(open_page, review, truth, tmp_path).read_text())
    names = {one['id']: one['name'] for one in data['categories']}
    known = {one['id']: one['name'] for one in truth['categories']}
    found = sorted((names[one['category_id']], one['bbox']) for one in data['annotations'])
    expected = sorted((known[one['category_id']], one['bbox']) for one in truth['annotations'])
    assert [name for name, _ in found] == [name for name, _ in expected]
    assert all(abs(a - b) < 2.5 for (_, one), (_, other) in zip(found, expected) for a, b in zip(one, other))
    with review.bank.reading() as connection:
        assert all(cell.reviews for cell in find_cells(connection, Wanted()))
    cost = review.summary()['costs'][0]
    assert cost['cells'] == 4 and cost['keys'] >= 8 and cost['seconds'] > 0


@pytest.mark.parametrize('width', [1280, 390])
def test_the_page_fits_and_undoes(open_page, review, width):
    with served(review_app(review, who='Ada')) as address:
        page = open_page(address, width)
        expect(page.locator('body')).to_have_attribute('data-ready', 'yes')
        assert page.evaluate('() => document.documentElement.scrollWidth') <= width
        assert page.locator('h1').inner_text() == FILM and page.locator('h1 i').count() == 0
        first = page.locator('#card h2').inner_text()
        page.keyboard.press('x')
        expect(page.locator('#progress')).to_contain_text('1 of')
        page.keyboard.press('u')
        expect(page.locator('#progress')).to_contain_text('0 of')
        expect(page.locator('#card h2')).to_have_text(first)
        page.keyboard.press('r')
        page.keyboard.press('Escape')
        assert page.locator('#mode').inner_text() == ''
        page.keyboard.press('?')
        expect(page.locator('#help')).to_be_visible()


def box_of(page):
    """Of the current cell, as the page draws it: x1, y1, x2, y2 on the screen."""
    return page.evaluate("""async () => {
        const { picture } = await import('/static/review.js'), { left, top, scale } = picture.frame;
        const corner = picture.canvas.getBoundingClientRect(), box = picture.on.look(picture.current).box;
        return box.map((value, n) => value * scale + (n % 2 ? top + corner.y : left + corner.x));
    }""")


def drag(page, start, by):
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + by[0] / 2, start[1] + by[1] / 2)
    page.mouse.move(start[0] + by[0], start[1] + by[1])
    page.mouse.up()


def stored(review, who='Ada'):
    """Answers of the person who has said something, by cell."""
    return {cell['id']: cell['said'] for cell in review.view(who)['cells'] if cell['said']}


def test_boxes_are_corrected_by_mouse_and_keyboard_and_undone(open_page, review):
    cell = review.view('Ada')['cells'][0]
    x1, y1, x2, y2 = cell['box']
    with served(review_app(review, who='Ada')) as address:
        page = open_page(address)
        expect(page.locator('body')).to_have_attribute('data-ready', 'yes')
        page.keyboard.press('z')
        expect(page.locator('#box')).to_have_text(f'Box {round(x2 - x1)} × {round(y2 - y1)} px')
        for keys, by in (('Shift+ArrowRight', (1, 0, 1, 0)), ('Shift+ArrowUp', (0, -1, 0, -1)),
                         ('Alt+ArrowRight', (0, 0, 1, 0)), ('Alt+ArrowUp', (0, 0, 0, -1)),
                         ('Alt+Shift+ArrowLeft', (-1, 0, 0, 0))):
            page.keyboard.press(keys)
            x1, y1, x2, y2 = (value + change for value, change in zip((x1, y1, x2, y2), by))
        expect(page.locator('#box')).to_contain_text('Enter keeps it')
        page.keyboard.press('Enter')
        expect(page.locator('#progress')).to_contain_text('1 of')
        said = stored(review)[cell['id']]
        assert [float(value) for value in said['box'].split(',')] == pytest.approx([x1, y1, x2, y2], abs=0.02)
        assert said['type'] == cell['type'], 'the type that is shown is confirmed with it'
        page.keyboard.press('u')
        expect(page.locator('#progress')).to_contain_text('0 of')
        expect(page.locator('#card h2')).to_have_text(f'Cell {cell["id"]}')
        assert stored(review) == {}

        left, top, right, bottom = box_of(page)
        drag(page, ((left + right) / 2 + 15, (top + bottom) / 2 + 15), (20, -10))
        assert box_of(page) == pytest.approx([left + 20, top - 10, right + 20, bottom - 10], abs=0.5)
        drag(page, (right + 20, bottom - 10), (30, 12))
        assert box_of(page) == pytest.approx([left + 20, top - 10, right + 50, bottom + 2], abs=0.5)
        drag(page, (left + 20, (top + bottom) / 2), (-8, 40))
        assert box_of(page) == pytest.approx([left + 12, top - 10, right + 50, bottom + 2], abs=0.5)
        page.keyboard.press('Escape')
        assert box_of(page) == pytest.approx([left, top, right, bottom], abs=0.5) and stored(review) == {}
    with review.bank.reading() as connection:
        said = [(one.subject, one.note) for one in reviews_of(connection, cell['id']) if one.subject == 'box']
    assert said == [('box', ''), ('box', 'taken back')]


def test_a_press_beside_the_box_moves_the_field_and_a_click_chooses(open_page, review):
    with served(review_app(review, who='Ada')) as address:
        page = open_page(address)
        expect(page.locator('body')).to_have_attribute('data-ready', 'yes')
        first = page.locator('#card h2').inner_text()
        here = review.view('Ada')['cells'][0]['look']
        other = next(one for one in review.view('Ada')['cells'] if one['look'] == here and f'Cell {one["id"]}' != first)
        at = page.evaluate("""async box => {
            const { picture } = await import('/static/review.js'), { left, top, scale } = picture.frame;
            const corner = picture.canvas.getBoundingClientRect();
            return [(box[0] + box[2]) / 2 * scale + left + corner.x, (box[1] + box[3]) / 2 * scale + top + corner.y];
        }""", other['box'])
        drag(page, at, (25, 0))
        expect(page.locator('#card h2')).to_have_text(first)
        page.mouse.click(at[0] + 25, at[1])
        expect(page.locator('#card h2')).to_have_text(f'Cell {other["id"]}')


def test_a_new_cell_is_adjusted_before_it_is_kept(open_page, review):
    with served(review_app(review, who='Ada')) as address:
        page = open_page(address)
        expect(page.locator('body')).to_have_attribute('data-ready', 'yes')
        page.keyboard.press('a')
        page.keyboard.press('Enter')
        page.keyboard.press('2')
        left, top, right, bottom = box_of(page)
        drag(page, (right, bottom), (20, 20))
        page.keyboard.press('Enter')
        expect(page.locator('#said')).to_contain_text('kept')
        assert box_of(page) == pytest.approx([left, top, right + 20, bottom + 20], abs=0.5)
        drawn, = [one for one in review.view('Ada')['cells'] if one['drawn']]
        assert page.locator('#box').inner_text() == (
            f'Box {round(drawn["box"][2] - drawn["box"][0])} × {round(drawn["box"][3] - drawn["box"][1])} px')
        page.keyboard.press('u')
        expect(page.locator('#said')).to_contain_text('Undone')
        assert not any(one['drawn'] for one in review.view('Ada')['cells'])


def test_undoing_a_drawn_cell_leaves_that_of_a_colleague(open_page, review):
    with served(review_app(review)) as address:
        for who in ('Ada', 'Bob'):
            page = open_page(address)
            begin(page, who)
            for key in ('a', 'Enter', '2', 'Enter'):
                page.keyboard.press(key)
            expect(page.locator('#said')).to_contain_text('kept')
        drawn, same = ({one['id'] for one in review.view(who)['cells'] if one['drawn']} for who in ('Ada', 'Bob'))
        assert drawn == same and len(drawn) == 1
        page.keyboard.press('u')
        expect(page.locator('#said')).to_contain_text('Undone')
    with review.bank.reading() as connection:
        assert {cell.id for cell in find_cells(connection, Wanted()) if cell.drawn_by} == drawn
    assert {one['id'] for one in review.view('Ada')['cells'] if one['drawn']} == drawn
    assert not any(one['drawn'] for one in review.view('Bob')['cells'])


def test_undo_says_what_was_not_kept(open_page, review):
    with served(review_app(review, who='Ada')) as address:
        page = open_page(address)
        expect(page.locator('#progress')).to_contain_text(': 0 of')
        page.keyboard.press('Enter')
        expect(page.locator('#progress')).to_contain_text(': 1 of')
        page.keyboard.press('ArrowRight')
        page.keyboard.press('u')
        expect(page.locator('#said')).to_contain_text('Undone')
        expect(page.locator('#said')).to_contain_text('Not kept: Type of cell')
        expect(page.locator('#progress')).to_contain_text(': 0 of')


def test_a_second_window_does_not_replace_newer_answers(browser, review):
    """Its server refuses with a message, which the browser's console shows as an error: so without open_page."""
    with served(review_app(review, who='Ada')) as address:
        pages = [browser.new_page(), browser.new_page()]
        for page in pages:
            page.goto(address)
            expect(page.locator('#progress')).to_contain_text(': 0 of')
        new, old = pages
        cell = int(new.locator('#card h2').inner_text().split()[-1])
        new.keyboard.press('ArrowRight')
        new.keyboard.press('Enter')
        expect(new.locator('#progress')).to_contain_text(': 1 of')
        old.keyboard.press('Enter')
        expect(old.locator('#said')).to_contain_text('in another window')
        said, = [one['said'] for one in review.view('Ada')['cells'] if one['id'] == cell]
        old.reload()
        expect(old.locator('#progress')).to_contain_text(': 1 of')
        old.keyboard.press('Enter')
        expect(old.locator('#progress')).to_contain_text(': 2 of')
        assert [one['said'] for one in review.view('Ada')['cells'] if one['id'] == cell] == [said]
        for page in pages:
            page.close()


@pytest.mark.slow
def test_sla_det_trains_on_the_result(open_page, review, films, tmp_path, monkeypatch, capsys):
    folder, truth = films
    path = reviewed_by_browser(open_page, review, truth, tmp_path)
    config = tmp_path / 'reviewed.py'
    config.write_text(f"""_base_ = {str(ROOT / "configs/sla_det/yolov5n_sla_synthetic.py")!r}
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(dataset=dict(
    data_root={str(review.images.root) + "/"!r}, ann_file={str(path)!r}, data_prefix=dict(img=''))))
train_cfg = dict(max_epochs=1, val_interval=9)
""")
    monkeypatch.setenv('MMLEUK_DATA', str(folder))
    assert cli.main(['data', 'check', str(config)]) == 0, capsys.readouterr()
    # In a process of its own: the loaders' workers would keep the browser's pipes open.
    command = [sys.executable, '-W', 'ignore', str(ROOT / 'tools/train.py'), str(config), '--work-dir',
               str(tmp_path / 'work')]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / 'work/epoch_1.pth').exists()
