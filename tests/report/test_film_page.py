"""The page of a film: which cells have pictures, and where its links lead."""

import re

from run_fixtures import make_cell

from mmleuk.report.film import FilmFacts, film_report
from mmleuk.report.film_page import MAX_PICTURES, PER_TYPE, pictured, render_film
from mmleuk.schema import LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES
from mmleuk.structures.prediction import Prediction, Run, RunInfo


def report_of(*counts):
    """Of a film with so many cells of each type, in this order."""
    cells = tuple(make_cell(name) for name, count in counts for _ in range(count))
    return film_report(Run(RunInfo(LEUKEMIA_CLASSES, LEUKEMIA_ATTRIBUTES), (Prediction('a.png', (9, 9), cells),)),
                       FilmFacts('F'))


def test_rare_types_of_a_large_film_have_pictures():
    """The rare ones are the last, and none of them is to be looked at first."""
    report = report_of(('Neutrophil', MAX_PICTURES + 50), ('Myeloblast', 15))
    report['look_first'] = [dict(cell=1, reasons=[])]
    wanted = pictured(report)
    assert len(wanted) == len(set(wanted)) == MAX_PICTURES and wanted[0] == 1
    blasts = next(one['cells'] for one in report['types'] if one['name'] == 'Myeloblast')
    assert [cell for cell in blasts if cell in wanted] == blasts[:PER_TYPE] == list(range(451, 463))
    card = render_film(report, dict.fromkeys(wanted, 'data:,')).split('<h3>Myeloblast</h3>')[1].split('</section>')[0]
    assert card.count('<figure>') == card.count('<img') == PER_TYPE


def test_a_small_film_has_all_pictures():
    assert sorted(pictured(report_of(('Neutrophil', 30), ('Myeloblast', 1)))) == list(range(1, 32))
    assert pictured(report_of()) == []


def links_of(page):
    """Links within the page, and what they lead to."""
    return set(re.findall(r'href="#([^"]+)"', page)), set(re.findall(r' id="([^"]+)"', page))


def test_few_blasts_do_not_read_as_none():
    """Wilson's interval of 3 of 820: 0.0012 and 0.0107."""
    report = report_of(('Neutrophil', 817), ('Myeloblast', 3))
    assert '3 of 820, 0.4% (95% interval 0.1 to 1.1%).' in report['blasts']['text']
    page = render_film(report, {})
    assert '<td class="n" data-name="%">0.4</td><td class="n" data-name="95% interval, %">0.1 to 1.1</td>' in page
    links, ids = links_of(page)
    assert 'list-blasts' in links <= ids


def test_a_film_without_blasts_has_no_link_to_them():
    page = render_film(report_of(('Neutrophil', 200)), {})
    links, ids = links_of(page)
    assert 'Blasts: Cells that the model calls' in page and '0 of 200, 0% (95% interval 0 to 1.9%)' in page
    assert 'list-blasts' not in links | ids and links <= ids
