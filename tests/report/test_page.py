import re
from dataclasses import replace
from html.parser import HTMLParser

from mmleuk.pictures.crops import make_crops
from mmleuk.report.page import render_page
from mmleuk.report.statistics import morphology_bank
from mmleuk.schema import TXL_PBC_CLASSES, WBCATT_ATTRIBUTES, WBCATT_CLASSES
from mmleuk.structures.prediction import FailedImage, Prediction, Run, RunInfo

VOID = {'meta', 'img', 'rect', 'br', 'link', 'input', 'hr'}


class Checker(HTMLParser):
    """Collects text and tags; complains about tags that are not closed in order."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self):
        return re.sub(r'\s+', ' ', ' '.join(self.words))


def page_of(run, pictures=None, **kwargs):
    return render_page(run, make_crops(morphology_bank(run.predictions))[0], pictures or {}, **kwargs)


def test_the_page_says_what_was_found(film):
    name = film.predictions[0].image
    checked = Checker(page_of(film, {name: 'pictures/a <b> & "c".jpg'}))
    assert 'Mostly myeloblasts with' in checked.text and 'Not for diagnosis' in checked.text
    assert 'Myeloblast 3 of 4 leukocytes in 1 of 2 images' in checked.text
    assert 'None 1 cell, not counted as leukocytes in 1 of 2 images' in checked.text
    assert 'Nucleus n = 3, 1 unknown' in checked.text
    assert 'No leukocyte was found.' in checked.text, 'the empty field, in the table'
    assert 'Not found: Lymphoblast, Atypical lymphocyte' in checked.text
    assert all(word in checked.text for word in ('my <config>.py', 'last.pth', '2026-01-02T03:04:05+00:00', '0.25'))
    assert [a['href'] for a in checked.all('a')] == ['pictures/a%20%3Cb%3E%20%26%20%22c%22.jpg']
    assert name in checked.text and 'sub/größe_ñ.png' in checked.text


def test_self_contained_accessible_and_the_same_each_time(film):
    page = page_of(film)
    assert page == page_of(film)
    checked = Checker(page)
    assert page.startswith('<!DOCTYPE html>') and checked.all('html') == [{'lang': 'en'}]
    assert not re.search(r'(?:https?:)?//|url\(|@import|<script|<link', re.sub(r'base64,[^"]*', '', page))
    images = checked.all('img')
    assert len(images) == 5
    assert all(i['src'].startswith('data:image/jpeg;base64,') and 'score 0.' in i['alt'] for i in images)
    assert len(checked.all('svg')) == 6
    assert all('of 4' in svg['aria-label'] or 'of 3' in svg['aria-label'] for svg in checked.all('svg'))


def test_bars_are_as_long_as_their_share(film):
    bars = [float(a['width']) for a in Checker(page_of(film)).all('rect') if a['class'] == 'bar']
    tracks = {float(a['width']) for a in Checker(page_of(film)).all('rect') if a['class'] == 'track'}
    assert len(tracks) == 1 and bars[:2] == [tracks.pop() / 2] * 2


def test_hostile_names_stay_text(cell):
    classes = ('<script>alert(1)</script>', 'a&b"c')
    run = Run(RunInfo(classes=classes, checkpoint='<i>'), (
        Prediction('<img src=x>.png', (5, 5), tuple(cell(name, classes=classes) for name in classes)),),
        (FailedImage('<b>', 'no & no'),))
    page = page_of(run)
    checked = Checker(page)
    assert '<script' not in page and '<i>' not in page and not checked.all('img')
    assert classes[0] in checked.text and '<img src=x>.png' in checked.text and 'no & no' in checked.text


def test_nothing_found_and_nothing_read(film):
    empty = replace(film, predictions=film.predictions[1:])
    checked = Checker(page_of(empty))
    assert 'No leukocyte was found. 0 leukocytes in 1 image.' in checked.text and 'No cell was found.' in checked.text
    assert 'No leukocyte here has a known value of Nuclear Chromatin' in checked.text
    assert 'No image was read.' in Checker(page_of(replace(film, predictions=()))).text


def test_a_plain_detector_and_other_leukocytes(cell):
    cells = tuple(cell(name, classes=TXL_PBC_CLASSES) for name in ('WBC', 'RBC', 'RBC'))
    run = Run(RunInfo(classes=TXL_PBC_CLASSES), (Prediction('a.png', (5, 5), cells),))
    assert 'This model predicts no morphological attributes.' in page_of(run)
    assert 'RBC 2 cells, not counted as leukocytes' in Checker(page_of(run)).text
    assert 'RBC 2 of 3 leukocytes' in Checker(page_of(run, leukocytes=['WBC', 'RBC'])).text


def test_only_leukocytes_are_described(cell):
    """A model writes attributes beside every box, red cells' too, which nobody taught it."""
    cells = tuple(cell(name, classes=WBCATT_CLASSES, schema=WBCATT_ATTRIBUTES, cell_size=1)
                  for name in ('Basophil', 'RBC'))
    run = Run(RunInfo(WBCATT_CLASSES, WBCATT_ATTRIBUTES), (Prediction('a.png', (5, 5), cells),))
    assert Checker(page_of(run)).text.count('Usually:') == 1
    assert Checker(page_of(run, leukocytes=['Basophil', 'RBC'])).text.count('Usually:') == 2


def test_eleven_attributes_of_many_values(cell):
    found = cell('Basophil', classes=WBCATT_CLASSES, schema=WBCATT_ATTRIBUTES, nucleus_shape=5, granule_type=2)
    run = Run(RunInfo(WBCATT_CLASSES, WBCATT_ATTRIBUTES), (Prediction('a.png', (5, 5), (found,)),))
    checked = Checker(page_of(run))
    assert len(checked.all('svg')) == 2 and 'Nucleus Shape n = 1' in checked.text
    assert 'No leukocyte here has a known value of Cell Size, Cell Shape,' in checked.text
    assert 'n = 0' not in checked.text


def test_attributes_that_no_leukocyte_has_have_no_chart(film):
    cells = tuple(replace(each, attributes={}) for each in film.predictions[0].cells)
    checked = Checker(page_of(replace(film, predictions=(replace(film.predictions[0], cells=cells),))))
    assert ('No leukocyte here has a known value of Nuclear Chromatin, Nuclear Shape, Nucleus, Cytoplasm, Cytoplasmic '
            'Basophilia or Cytoplasmic Vacuoles.') in checked.text
    assert checked.all('svg') == [] and 'No leukocyte here has' not in Checker(page_of(film)).text


def test_the_differential_has_intervals_and_says_what_it_is_worth(film):
    text = Checker(page_of(film)).text
    assert 'Far too few cells.' in text and 'This differential rests on 4 leukocytes.' in text
    assert 'Myeloblast 3 75 30 to 95' in text  # Wilson's interval of 3 of 4
    assert '3 of 4, 75% (95% interval 30 to 95%)' in text and 'a person has to look at these cells soon' in text
