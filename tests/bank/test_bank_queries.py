"""Questions, similar cells, exports, reviews and cells that two fields show."""

import csv
from dataclasses import replace

import cv2
import numpy as np
import pytest
from bank_fixtures import small_run
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from run_fixtures import make_cell

from mmleuk.bank import same_cells
from mmleuk.bank.adding import add_run
from mmleuk.bank.checks import problems
from mmleuk.bank.connection import Bank
from mmleuk.bank.drawn import draw_cell
from mmleuk.bank.exporting import write_csv, write_parquet, write_pictures
from mmleuk.bank.films import film_contents
from mmleuk.bank.queries import Wanted, count_cells, find_cells, ids_of
from mmleuk.bank.regions import looks_of_film
from mmleuk.bank.reviews import add_review, reviews_of
from mmleuk.bank.same_cells import compare_fields, films_to_compare
from mmleuk.bank.similar import find_similar
from mmleuk.datasets.field_overlap import find_shared_cells
from mmleuk.errors import UserError
from mmleuk.schema import LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES, Attribute, AttributeSchema
from mmleuk.structures.prediction import Prediction, Run, RunInfo
from mmleuk.synthetic.film import render_film

TYPES, VALUES = LEUKEMIA_CLASSES[1:5], (-1, 0, 1)


def add(bank, run, digest='d', film='film 1', **kwargs):
    return add_run(bank, run, {p.image: film for p in run.predictions}, digest, 'p.json', **kwargs)


def random_cells(n, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(make_cell(str(rng.choice(TYPES)), score=float(rng.integers(0, 101) / 100),
                           box=(0., 0., float(rng.integers(1, 60)), float(rng.integers(1, 60))),
                           nucleolus=int(rng.choice(VALUES)), cytoplasm=int(rng.choice(VALUES))) for _ in range(n))


@pytest.fixture
def bank(where):
    """Two films with 150 random cells."""
    made = Bank(where, create=True)
    info = small_run().info
    for number in range(2):
        cells = random_cells(150, number)
        add(made, Run(info, (Prediction('a.png', (90, 90), cells[:90]), Prediction('b.png', (90, 90), cells[90:]))),
            f'{number}', f'film {number}', patient=f'P {number}')
    yield made
    made.close()


def said_of(cell):
    return {key: value for key, (value, _) in cell.attributes.items()}


@given(types=st.lists(st.sampled_from(TYPES), unique=True, max_size=2), low=st.integers(0, 100) | st.none(),
       size=st.integers(1, 60) | st.none(), value=st.sampled_from([None, 'prominent', 'inconspicuous']),
       film=st.sampled_from([None, 'film 0']), patient=st.sampled_from([None, 'P 1']),
       field=st.sampled_from([None, 'b.png']), order=st.sampled_from(['score', 'uncertain', 'large', 'small', None]),
       limit=st.integers(1, 400))
def test_answers_equal_a_loop_over_all_cells(small_bank, types, low, size, value, film, patient, field, order, limit):
    """Every combination of conditions against plain Python."""
    wanted = Wanted(types=types, attributes={} if value is None else dict(nucleolus=value), film=film, patient=patient,
                    min_score=None if low is None else low / 100, max_px=size, field=field)
    with small_bank.reading() as connection:
        everything = find_cells(connection, Wanted())
        found, counts = find_cells(connection, wanted, order=order, limit=limit), count_cells(connection, wanted)
    right = [cell for cell in everything if (not types or cell.type in types) and (
        low is None or cell.score >= low / 100) and (size is None or cell.size_px <= size) and (
        value is None or said_of(cell).get('nucleolus') == value) and (film in (None, cell.film)) and (
        patient in (None, cell.patient)) and (field in (None, cell.field))]
    keys = dict(score=lambda c: -c.score, uncertain=lambda c: c.score, large=lambda c: -c.size_px,
                small=lambda c: c.size_px)
    key = keys[order or ('score' if size is None else 'small')]
    assert found == sorted(right, key=lambda cell: (key(cell), -cell.id))[:limit]
    assert counts == {name: sum(cell.type == name for cell in right) for name in counts} and (
        sum(counts.values()) == len(right))


@pytest.fixture(scope='module')
def small_bank(tmp_path_factory):
    made = Bank(tmp_path_factory.mktemp('bank') / 'bank.db', create=True)
    info = small_run().info
    for number in range(2):
        cells = random_cells(60, number)
        add(made, Run(info, (Prediction('a.png', (90, 90), cells[:30]), Prediction('b.png', (90, 90), cells[30:]))),
            f'{number}', f'film {number}', patient=f'P {number}')
    yield made
    made.close()


def test_the_same_on_both_databases(bank):
    """The loop again, for one question of each kind; the property above runs on a file."""
    with bank.reading() as connection:
        everything = find_cells(connection, Wanted())
        assert len(everything) == 300
        for wanted in (Wanted(types=['Myeloblast'], min_px=20), Wanted(attributes=dict(cytoplasm='scanty')),
                       Wanted(film='film 1', types=['Neutrophil']), Wanted(run=2, field='a.png'),
                       Wanted(max_score=0.2)):
            found = find_cells(connection, wanted)
            assert found and {cell.id for cell in found} == {
                cell.id for cell in everything if
                (not wanted.types or cell.type in wanted.types) and (wanted.min_px or 0) <= cell.size_px and
                all(said_of(cell).get(key) == value for key, value in wanted.attributes.items()) and
                wanted.film in (None, cell.film) and wanted.run in (None, cell.run) and
                wanted.field in (None, cell.field) and cell.score <= (wanted.max_score or 1)}


@pytest.mark.parametrize(('wanted', 'words'), [
    (dict(types=['Blob']), "type 'Blob' is not in this bank; it has Abnormal"), (dict(film='x'), 'film 0, film 1'),
    (dict(patient='x'), 'P 0, P 1'), (dict(run=9), 'it has 1, 2'), (dict(attributes={'hue': 'red'}), "attribute 'hue'"),
    (dict(attributes={'cytoplasm': 'red'}), 'it has scanty, abundant')])
def test_an_unknown_name_lists_the_known_ones(bank, wanted, words):
    with bank.reading() as connection, pytest.raises(UserError) as caught:
        find_cells(connection, Wanted(**wanted))
    assert words in str(caught.value)


def test_similar_by_attributes_is_the_mean_probability_of_agreement(bank):
    with bank.reading() as connection:
        everything = find_cells(connection, Wanted())
        target = next(cell for cell in everything if len(cell.attributes) == 2)
        near = find_similar(connection, target.id, Wanted(), limit=400)
    mates = [cell for cell in everything if cell.type == target.type and cell.id != target.id]
    expected = {cell.id: sum(0.8 * 0.8 for key, value in said_of(target).items() if said_of(cell).get(key) == value) / 2
                for cell in mates}
    assert {cell.id: score for cell, score in near} == pytest.approx({k: v for k, v in expected.items() if v})
    assert [score for _, score in near] == sorted((score for _, score in near), reverse=True)


def test_similar_by_vectors_is_the_cosine(where):
    bank, rng = Bank(where, create=True), np.random.default_rng(0)
    vectors = rng.normal(size=(30, 4)).astype(np.float32)
    cells = tuple(replace(cell, embedding=tuple(vector.tolist())) for cell, vector in zip(random_cells(30), vectors))
    add(bank, Run(small_run().info, (Prediction('a.png', (90, 90), cells),)))
    add(bank, small_run(), 'other', 'film 2')  # without vectors
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit[1:] @ unit[0]
    first, neutrophils = 10_000_001, Wanted(types=['Neutrophil'])
    with bank.reading() as connection:
        near = find_similar(connection, first, Wanted(), limit=5)
        assert [cell.id - 10_000_001 for cell, _ in near] == (np.argsort(-cosine)[:5] + 1).tolist()
        assert [score for _, score in near] == pytest.approx(np.sort(cosine)[::-1][:5].tolist(), abs=1e-6)
        assert {cell.type for cell, _ in find_similar(connection, first, neutrophils)} == {'Neutrophil'}
        with pytest.raises(UserError, match='neither a feature vector nor attributes'):
            find_similar(connection, 20_000_003, Wanted())  # the artifact
        with pytest.raises(UserError, match='not in this bank'):
            find_similar(connection, 5, Wanted())


def test_tables_hold_what_the_bank_holds(bank, tmp_path):
    with bank.reading() as connection:
        ids = ids_of(connection, Wanted(film='film 0'))
        cells = find_cells(connection, Wanted(film='film 0'))
        assert write_csv(connection, ids, tmp_path / 'a.csv') == 150
        assert write_parquet(connection, ids, tmp_path / 'a.parquet') == 150
    with open(tmp_path / 'a.csv', newline='', encoding='utf-8') as file:
        from_csv = list(csv.DictReader(file))
    from_parquet = parquet.read_table(tmp_path / 'a.parquet').to_pylist()
    assert len(from_csv) == len(from_parquet) == 150
    for cell, one, other in zip(cells, from_csv, from_parquet):
        assert (other['id'], other['type'], other['score'], other['film'], other['counted']) == (
            cell.id, cell.type, cell.score, 'film 0', True)
        assert (other['x1'], other['y1'], other['x2'], other['y2']) == cell.box
        assert (int(one['id']), float(one['score']), one['type']) == (cell.id, cell.score, cell.type)
        assert other['nucleolus'] == said_of(cell).get('nucleolus') == (one['nucleolus'] or None)
        assert other['diameter_um'] is None and one['diameter_um'] == ''


def test_pictures_in_a_folder_per_type(where, film, tmp_path):
    bank = Bank(where, create=True)
    add(bank, film)
    with bank.reading() as connection:
        ids = ids_of(connection, Wanted(types=['Myeloblast']))
        count, failed = write_pictures(connection, ids, tmp_path / 'out')
    assert (count, failed) == (3, [])
    files = sorted(path.relative_to(tmp_path / 'out').as_posix() for path in (tmp_path / 'out').rglob('*.*'))
    assert files == [*(f'Myeloblast/{number}.jpg' for number in sorted(ids)), 'cells.csv']
    (tmp_path / 'a <b> & "c".png').unlink()
    with bank.reading() as connection:
        count, failed = write_pictures(connection, ids, tmp_path / 'again')
    assert count == 0 and len(failed) == 1


def test_reviews_are_kept_and_the_last_counts(bank):
    with bank.reading() as connection:
        cell = find_cells(connection, Wanted(types=['Myeloblast'], attributes=dict(nucleolus='prominent')))[0]
    add_review(bank, cell.id, 'Ada', 'type', 'Lymphoblast', 'large nucleolus')
    add_review(bank, cell.id, 'Bo', 'type', 'Neutrophil')
    add_review(bank, cell.id, 'Bo', 'nucleolus', 'inconspicuous')
    add_review(bank, cell.id, 'Bo', 'cytoplasmic_vacuoles', 'prominent')
    add_review(bank, cell.id, 'Bo', 'nucleolus', 'unknown')
    with bank.reading() as connection:
        said = [(r.who, r.subject, r.old, r.new, r.note) for r in reviews_of(connection, cell.id)]
        found, = find_cells(connection, Wanted(cells=[cell.id]))
        assert problems(connection) == []
        assert cell.id not in ids_of(connection, Wanted(types=['Myeloblast']))
        assert ids_of(connection, Wanted(reviewed=True)) == [cell.id]
        assert len(ids_of(connection, Wanted(reviewed=False))) == 299
    assert said == [('Ada', 'type', 'Myeloblast', 'Lymphoblast', 'large nucleolus'),
                    ('Bo', 'type', 'Lymphoblast', 'Neutrophil', ''),
                    ('Bo', 'nucleolus', 'prominent', 'inconspicuous', ''),
                    ('Bo', 'cytoplasmic_vacuoles', None, 'prominent', ''),
                    ('Bo', 'nucleolus', 'inconspicuous', 'unknown', '')]
    assert (found.type, found.model_type, found.reviews) == ('Neutrophil', 'Myeloblast', 5)
    assert found.attributes['nucleolus'] == ('unknown', None)
    assert found.attributes['cytoplasmic_vacuoles'] == ('prominent', None)


def test_a_type_says_what_the_attribute_of_that_name_is(tmp_path):
    schema = AttributeSchema([Attribute('cell_type', ('Monocyte', 'Basophil'))])
    cell = make_cell('Monocyte', classes=('Monocyte', 'Basophil', 'Blast'), schema=schema, cell_type=0)
    bank = Bank(tmp_path / 'bank.db', create=True)
    add(bank, Run(RunInfo(('Monocyte', 'Basophil', 'Blast'), schema), (Prediction('a.png', (60, 80), (cell,)),)))
    for name, expected in (('Basophil', 'Basophil'), ('Blast', 'unknown')):
        review = add_review(bank, 10000001, 'Ada', 'type', name)
        assert (review.subject, review.new) == ('type', name)
        with bank.reading() as connection:
            assert find_cells(connection, Wanted())[0].attributes['cell_type'] == (expected, None)


def test_no_cell_is_not_counted_until_somebody_disagrees(bank):
    with bank.reading() as connection:
        cell = find_cells(connection, Wanted())[0]
    add_review(bank, cell.id, 'Ada', 'cell', 'no cell')
    with bank.reading() as connection:
        assert sum(count_cells(connection, Wanted()).values()) == 299
        contents = film_contents(connection, cell.film)
        assert cell.id not in contents.ids.values() and len(contents.run.cells) == 149
    assert add_review(bank, cell.id, 'Bo', 'cell', 'cell').old == 'no cell'
    with bank.reading() as connection:
        assert sum(count_cells(connection, Wanted()).values()) == 300
    for words in (('Ada', 'type', 'Blob'), ('Ada', 'hue', 'red'), ('Ada', 'cell', 'maybe'), (' ', 'cell', 'cell')):
        with pytest.raises(UserError):
            add_review(bank, cell.id, *words)
    with pytest.raises(UserError, match='not in this bank'):
        add_review(bank, 3, 'Ada', 'cell', 'cell')
    with bank.reading() as connection:
        assert len(reviews_of(connection, cell.id)) == 2


def test_a_type_says_that_it_is_a_cell_after_all(bank):
    with bank.reading() as connection:
        cell = find_cells(connection, Wanted(types=['Myeloblast']))[0].id
    add_review(bank, cell, 'Ada', 'type', 'Lymphoblast')
    add_review(bank, cell, 'Ada', 'cell', 'no cell')
    add_review(bank, cell, 'Bo', 'nucleolus', 'unknown')
    with bank.reading() as connection:
        assert find_cells(connection, Wanted(cells=[cell])) == [], 'an attribute does not say so'
    assert add_review(bank, cell, 'Bo', 'type', 'Neutrophil').subject == 'type'
    with bank.reading() as connection:
        assert count_cells(connection, Wanted(cells=[cell])) == {'Neutrophil': 1}
        said = [(one.who, one.subject, one.new) for one in reviews_of(connection, cell)]
    assert said == [('Ada', 'type', 'Lymphoblast'), ('Ada', 'cell', 'no cell'), ('Bo', 'nucleolus', 'unknown'),
                    ('Bo', 'cell', 'cell'), ('Bo', 'type', 'Neutrophil')]


@pytest.fixture
def overlapping(tmp_path):
    """A rendered film cut into two fields that share a part: the true boxes as predictions, and the number of cells."""
    film = render_film(np.random.default_rng(5), [3, 5, 7, 1, 2, 6], 700)
    boxes = [(x, y, x + w, y + h) for x, y, w, h in (cell.box_xywh for cell in film.cells)]
    predictions = []
    for number, left in enumerate((0, 300)):
        cv2.imwrite(str(tmp_path / f'{number}.png'), film.image[:, left:left + 400])
        inside = [(max(x1 - left, 0.), y1, min(x2 - left, 400.), y2) for x1, y1, x2, y2 in boxes
                  if x1 - left < 380 and x2 - left > 20]
        cells = tuple(make_cell('Myeloblast', box=tuple(map(float, box)), score=0.9) for box in inside)
        predictions.append(Prediction(f'{number}.png', film.image[:, left:left + 400].shape[:2], cells,
                                      str(tmp_path / f'{number}.png')))
    return Run(small_run().info, tuple(predictions)), len(boxes)


def test_a_cell_that_two_fields_show_counts_once(where, overlapping):
    run, n_cells = overlapping
    seen = len(run.cells)
    assert seen > n_cells
    bank = Bank(where, create=True)
    added = add(bank, run)
    with bank.reading() as connection:
        assert films_to_compare(connection, added.film_ids) == {added.film_ids[0]: 'film 1'}
        assert not film_contents(connection, 'film 1').compared
    for _ in range(2):  # once more changes nothing
        found = compare_fields(bank, added.film_ids[0])
        assert (found.fields, found.overlaps, found.same) == (2, 1, seen - n_cells)
        with bank.reading() as connection:
            contents = film_contents(connection, 'film 1')
            assert len(contents.run.cells) == n_cells and contents.compared
            assert contents.second_views == seen - n_cells
            hidden = [cell for cell in find_cells(connection, Wanted(uncounted=True)) if not cell.counted]
            assert {cell.same_as for cell in hidden} <= set(contents.ids.values())
            assert films_to_compare(connection, added.film_ids) == {} and problems(connection) == []


def test_a_newer_look_is_compared_again(where, overlapping):
    run, n_cells = overlapping
    bank = Bank(where, create=True)
    film = add(bank, run).film_ids[0]
    compare_fields(bank, film)
    add(bank, Run(run.info, run.predictions[:1]), 'newer')
    with bank.reading() as connection:
        assert films_to_compare(connection, [film]) == {film: 'film 1'}
        assert sum(count_cells(connection, Wanted()).values()) == len(run.cells), 'none is lost meanwhile'
    compare_fields(bank, film)
    with bank.reading() as connection:
        assert sum(count_cells(connection, Wanted()).values()) == n_cells and problems(connection) == []


def test_a_cell_that_is_drawn_in_two_fields_counts_once_again(where, overlapping):
    """The model misses a cell that both fields show, and a person draws it in both."""
    run, n_cells = overlapping
    bank = Bank(where, create=True)
    film = add(bank, run).film_ids[0]
    compare_fields(bank, film)
    with bank.reading() as connection:
        seen = {cell.id: cell for cell in find_cells(connection, Wanted(uncounted=True))}
    second = next(cell for cell in seen.values() if cell.same_as)
    missed = {one.field: one.box for one in (second, seen[second.same_as])}
    less = tuple(replace(p, cells=tuple(cell for cell in p.cells if cell.box != missed[p.image]))
                 for p in run.predictions)
    film = add(bank, Run(run.info, less), 'less').film_ids[0]
    compare_fields(bank, film)
    with bank.writing() as connection:
        assert film_contents(connection, 'film 1').compared
        for look, row in looks_of_film(connection, 'film 1'):
            draw_cell(connection, look, missed[row.name], 'Ada', {'type': 'Myeloblast'})
    with bank.reading() as connection:
        contents = film_contents(connection, 'film 1')
        assert (len(contents.run.cells), contents.compared) == (n_cells + 1, False)
        assert films_to_compare(connection, [film]) == {film: 'film 1'}
    compare_fields(bank, film)
    with bank.reading() as connection:
        contents = film_contents(connection, 'film 1')
        assert (len(contents.run.cells), contents.compared) == (n_cells, True) and problems(connection) == []


def test_a_cell_that_is_drawn_during_a_comparison_waits_for_the_next(where, overlapping, monkeypatch):
    run, _ = overlapping
    bank = Bank(where, create=True)
    film = add(bank, run).film_ids[0]

    def compare(fields, workers):
        with bank.writing() as connection:
            draw_cell(connection, 1, (5.0, 5.0, 40.0, 40.0), 'Ada', {'type': 'Myeloblast'})
        return find_shared_cells(fields, workers)

    with monkeypatch.context() as patched:
        patched.setattr(same_cells, 'find_shared_cells', compare)
        compare_fields(bank, film)
    for compared in (False, True):
        with bank.reading() as connection:
            assert film_contents(connection, 'film 1').compared == compared
        compare_fields(bank, film)


def test_a_film_as_reviewed(where):
    bank = Bank(where, create=True)
    add(bank, small_run(leukocytes=('Myeloblast', 'Neutrophil', 'Lymphoblast')), patient='P')
    with bank.reading() as connection:
        cell = find_cells(connection, Wanted(types=['Neutrophil']))[0]
    add_review(bank, cell.id, 'Ada', 'type', 'Monocyte')
    with bank.reading() as connection:
        contents = film_contents(connection, 'film 1')
    assert (contents.patient, contents.runs, contents.run.info.schema) == ('P', (1,), LEUKEMIA_ATTRIBUTES)
    types = {(p.image, index): c.class_name for p in contents.run.predictions for index, c in enumerate(p.cells)}
    key, = contents.reviewed
    assert types[key] == 'Monocyte' and contents.ids[key] == cell.id
    assert [p.image for p in contents.run.predictions] == ['a.png', 'b.png']


def test_a_type_that_no_model_knows(where):
    bank = Bank(where, create=True)
    add(bank, small_run())
    with pytest.raises(UserError, match='--new-type'):
        add_review(bank, 10_000_002, 'Ada', 'type', 'Plasma cell')
    add_review(bank, 10_000_002, 'Ada', 'type', 'Plasma cell', new_type=True)
    with bank.reading() as connection:
        assert count_cells(connection, Wanted())['Plasma cell'] == 1
        contents = film_contents(connection, 'film 1')
    assert 'Plasma cell' in {cell.class_name for cell in contents.run.cells} & set(contents.run.info.classes)
