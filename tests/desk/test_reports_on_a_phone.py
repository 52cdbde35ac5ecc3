"""Reports in headless Chromium as wide as a phone: nothing scrolls sideways, each value stands behind its name."""

import pytest
from desk_fixtures import film_run, make_bank, render_films

from mmleuk import cli
from mmleuk.pictures.crops import make_crops
from mmleuk.report.page import render_page
from mmleuk.report.statistics import morphology_bank

LONG_NAME = 'Film of a patient with a name as long as anyone_would_ever_give_to_one.tif'
# Per table: the columns' names, and those that its rows show on a phone; '' for the bar and for a sentence.
NAMES = """table => {
  const names = (row, name) => [...row.cells].slice(1).map(name);
  return [names(table.tHead.rows[0], cell => cell.textContent),
          [...table.tBodies[0].rows].map(row => names(row, cell => cell.dataset.name ?? ''))];
}"""


@pytest.fixture(scope='module')
def reports(tmp_path_factory):
    """Report of a run and of a film, with a review, that show the same cells."""
    folder = tmp_path_factory.mktemp('reports')
    run = film_run(render_films(folder / 'films'), folder / 'films/images')
    (folder / 'run.html').write_text(render_page(run, make_crops(morphology_bank(run.predictions))[0], {}))
    make_bank(folder / 'bank.db', run, LONG_NAME).close()
    words = ['review', folder / 'bank.db', 10000001, 'type=Monoblast', '--who', 'Dr. Ada']
    assert cli.main(['bank', *map(str, words)]) == 0
    words = ['report', folder / 'bank.db', LONG_NAME, '--out', folder / 'film', '--no-pdf']
    assert cli.main(['bank', *map(str, words)]) == 0
    return [folder / 'run.html', folder / 'film/report.html']


@pytest.mark.parametrize('number, n_tables', [(0, 2), (1, 3)])
@pytest.mark.parametrize('width', [390, 1280])
def test_tables_fit(reports, browser, number, n_tables, width):
    page = browser.new_page(viewport=dict(width=width, height=844))
    page.goto(reports[number].as_uri())
    assert page.evaluate('() => document.documentElement.scrollWidth') <= width
    tables = page.locator('table.stacked')
    assert tables.count() == n_tables == page.locator('table').count()
    for table in tables.all():
        assert table.evaluate('table => table.parentElement.scrollWidth <= table.parentElement.clientWidth')
        assert table.locator('thead').is_visible() is (width == 1280)
        columns, rows = table.evaluate(NAMES)
        assert rows and all(len(row) == len(columns) for row in rows)
        assert all(name in ('', column) for row in rows for name, column in zip(row, columns))
        before = table.locator('td[data-name]').first.evaluate('cell => getComputedStyle(cell, "::before").content')
        assert (before == 'none') is (width == 1280)
    page.close()
