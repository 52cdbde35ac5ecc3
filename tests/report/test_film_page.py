"""The page of a film: which cells have pictures, and where its links lead."""

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
