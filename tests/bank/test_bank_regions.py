"""Drawn cells, reviewed regions and answers that are taken back, in SQLite and PostgreSQL."""

import pytest
from alembic import command
from bank_fixtures import small_run
from sqlalchemy import text

from mmleuk.bank.adding import add_run
from mmleuk.bank.checks import problems
from mmleuk.bank.connection import Bank, alembic_config, newest_revision, upgrade
from mmleuk.bank.drawn import draw_cell
from mmleuk.bank.films import film_contents
from mmleuk.bank.opinions import agreements_of, answers_of, costs_of, last_answers, note_work, take_back
from mmleuk.bank.queries import Wanted, count_cells, find_cells, ids_of
from mmleuk.bank.regions import mark_region, regions_of, withdraw_region
from mmleuk.bank.reviews import add_review, note_confirmed, reviews_of
from mmleuk.errors import UserError


@pytest.fixture
def bank(where):
    run = small_run()
    made = Bank(where, create=True)
    add_run(made, run, {prediction.image: 'F' for prediction in run.predictions}, 'a' * 64, 'p.json')
    yield made
    made.close()


def test_draw_mark_and_withdraw(bank):
    with bank.writing() as connection:
        cell = draw_cell(connection, 1, (150.0, 50.0, 190.0, 300.0), 'Ada',
                         {'type': 'Monocyte', 'nucleolus': 'prominent'})
        region = mark_region(connection, 1, (100.0, 0.0, 200.0, 100.0), 'Ada')
        note_work(connection, 1, 'Ada', 30.0, 2, 4)
    with bank.reading() as connection:
        found, = find_cells(connection, Wanted(cells=[cell]))
        assert (cell, found.box, found.drawn_by) == (10000004, (150.0, 50.0, 190.0, 100.0), 'Ada')
        assert found.attributes['nucleolus'] == ('prominent', None)
        assert regions_of(connection, [1]) == [region] and regions_of(connection, [1], 'Bob') == []
        cost, = costs_of(connection, 'F')
        assert (cost.cells, cost.seconds, cost.clicks, cost.keys) == (1, 30.0, 2, 4)
        assert problems(connection) == []
    with bank.writing() as connection:
        withdraw_region(connection, region.id, 'Ada')
    with bank.reading() as connection:
        assert regions_of(connection, [1]) == []
        assert connection.scalar(text('SELECT count(*) FROM reviewed_regions')) == 2, 'nothing is deleted'


def test_the_last_answer_without_those_that_were_taken_back(bank):
    for who, name in (('Ada', 'Monoblast'), ('Bob', 'Basophil'), ('Ada', 'Monocyte')):
        add_review(bank, 10000001, who, 'type', name)
    with bank.writing() as connection:
        assert last_answers(connection, 'F') == {10000001: {'type': 'Monocyte'}}
        take_back(connection, 'F', 10000001, 'Ada')
        assert last_answers(connection, 'F') == {10000001: {'type': 'Basophil'}}
        assert answers_of(connection, 'F') == {'Bob': {10000001: {'type': 'Basophil'}}}
        assert count_cells(connection, Wanted(cells=[10000001])) == {'Basophil': 1}


def test_what_everybody_took_back_is_not_reviewed(bank):
    """Ada and Bob name the first cell; Ada gives the fourth a type and a box, and takes only the box back."""
    def reviewed():
        with bank.reading() as connection:
            found = film_contents(connection, 'F')
            asked = [set(ids_of(connection, Wanted(reviewed=yes))) for yes in (True, False)]
            costs = {cost.who: cost.cells for cost in costs_of(connection, 'F')}
        assert {found.ids[key] for key in found.reviewed} == asked[0] and len(asked[0] | asked[1]) == 4
        return asked[0], costs

    for cell, who, subject, value in ((10000001, 'Ada', 'type', 'Monoblast'), (10000001, 'Bob', 'type', 'Basophil'),
                                      (20000001, 'Ada', 'type', 'Monoblast'), (20000001, 'Ada', 'box', '1,2,50,60')):
        add_review(bank, cell, who, subject, value)
    assert reviewed() == ({10000001, 20000001}, {'Ada': 2, 'Bob': 1})
    for cell, who, kept, expected in (
            (20000001, 'Ada', {'type': 'Monoblast'}, ({10000001, 20000001}, {'Ada': 2, 'Bob': 1})),
            (10000001, 'Ada', {}, ({10000001, 20000001}, {'Ada': 1, 'Bob': 1})),
            (10000001, 'Bob', {}, ({20000001}, {'Ada': 1}))):
        with bank.writing() as connection:
            take_back(connection, 'F', cell, who, kept)
        assert reviewed() == expected
    add_review(bank, 10000001, 'Bob', 'type', 'Basophil')
    assert reviewed() == ({10000001, 20000001}, {'Ada': 1, 'Bob': 1}), 'said again'
    with bank.reading() as connection:
        assert find_cells(connection, Wanted(cells=[10000001]))[0].reviews == 5, 'all is kept'


def test_a_corrected_box(bank):
    """The cell 10000002 has the box 30, 30, 60, 70 in a field of 200 x 100 px whose scale nobody knows."""
    model = (30.0, 30.0, 60.0, 70.0)
    first, second = (add_review(bank, 10000002, who, 'box', box) for who, box in (
        ('Ada', '70,20,20,250'), ('Bob', '10,10,35.5,26')))
    assert (first.old, first.new) == ('30.0,30.0,60.0,70.0', '20.0,20.0,70.0,100.0')
    assert (second.old, second.new) == (first.new, '10.0,10.0,35.5,26.0')
    with bank.writing() as connection:
        found, = find_cells(connection, Wanted(cells=[10000002]))
        assert (found.box, found.moved_from) == ((10.0, 10.0, 35.5, 26.0), model)
        assert found.size_px == pytest.approx((25.5 * 16) ** 0.5) and found.diameter_um is None
        assert find_cells(connection, Wanted(max_px=21)) and problems(connection) == []
        assert agreements_of(answers_of(connection, 'F'))[0].figures == (), 'a box has no kappa'
        take_back(connection, 'F', 10000002, 'Bob')
        assert find_cells(connection, Wanted(cells=[10000002]))[0].box == (20.0, 20.0, 70.0, 100.0)
        take_back(connection, 'F', 10000002, 'Ada')
        found, = find_cells(connection, Wanted(cells=[10000002]))
        assert (found.box, found.moved_from) == (model, model) and last_answers(connection, 'F') == {}
    for bad, words in (('1,2,3', 'four numbers'), ('a,b,c,d', 'four numbers'), ('nan,0,9,9', 'finite'),
                       ('300,0,400,50', 'less than 2 px')):
        with pytest.raises(UserError, match=words):
            add_review(bank, 10000002, 'Ada', 'box', bad)


def test_a_box_that_the_model_drew_without_area_comes_back(bank):
    add_review(bank, 10000003, 'Ada', 'box', '10,10,50,50')
    with bank.writing() as connection:
        take_back(connection, 'F', 10000003, 'Ada')
        found, = find_cells(connection, Wanted(cells=[10000003]))
    assert found.box == (50.0, 5.0, 50.0, 5.0) and found.size_px == 0


def test_the_diameter_follows_the_box(bank):
    with bank.writing() as connection:
        connection.execute(text('UPDATE fields SET um_per_px_x = 0.2, um_per_px_y = 0.1'))
    add_review(bank, 10000002, 'Ada', 'box', '0,0,60,75')
    with bank.reading() as connection:
        assert find_cells(connection, Wanted(cells=[10000002]))[0].diameter_um == pytest.approx(90 ** 0.5)


def test_a_drawn_cell_has_a_diameter_where_the_scale_is_known(bank):
    """60 x 75 px of 0.2 x 0.1 um, as above."""
    found = []
    for scale in ('um_per_px_x = NULL', 'um_per_px_x = 0.2, um_per_px_y = 0.1'):
        with bank.writing() as connection:
            connection.execute(text(f'UPDATE fields SET {scale}'))
            drawn = draw_cell(connection, 1, (10.0, 0.0, 70.0, 75.0), 'Ada', {'type': 'Monocyte'})
            cell, = find_cells(connection, Wanted(cells=[drawn]))
        found.append((cell.size_px, cell.diameter_um))
    assert found == [(pytest.approx(4500 ** 0.5), None), (pytest.approx(4500 ** 0.5), pytest.approx(90 ** 0.5))]


def test_many_cells_are_confirmed_as_one_by_one(bank):
    """The second says something new about its cell, the first and the third what the bank says already."""
    said = {10000001: {'type': 'Myeloblast', 'nucleolus': 'prominent'}, 10000002: {'type': 'Basophil'},
            20000001: {'type': 'Lymphoblast'}}
    with bank.writing() as connection:
        note_confirmed(connection, said, ' Ada ', 'with a region')
        assert answers_of(connection, 'F') == {'Ada': said}
        assert [(one.old, one.new) for cell in said for one in reviews_of(connection, cell)] == [
            ('Myeloblast', 'Myeloblast'), ('prominent', 'prominent'), ('Neutrophil', 'Basophil'),
            ('Lymphoblast', 'Lymphoblast')]
        assert count_cells(connection, Wanted(types=['Basophil'])) == {'Basophil': 1} and problems(connection) == []
        note_confirmed(connection, {}, 'Ada')
    for who, cell, words in ((' ', 10000001, 'name of the person'), ('Ada', 7, 'not in this bank')):
        with pytest.raises(UserError, match=words), bank.writing() as connection:
            note_confirmed(connection, {cell: {'type': 'Myeloblast'}}, who)


def test_answers_before_the_last_one_come_back(bank):
    for subject, value in (('type', 'Monoblast'), ('box', '10,10,50,50')):
        add_review(bank, 10000001, 'Ada', subject, value)
    with bank.writing() as connection:
        take_back(connection, 'F', 10000001, 'Ada', {'type': 'Basophil'})
        assert answers_of(connection, 'F') == {'Ada': {10000001: {'type': 'Basophil'}}}
        assert find_cells(connection, Wanted(cells=[10000001]))[0].type == 'Basophil'
        assert len(reviews_of(connection, 10000001)) == 4, 'nothing is overwritten'


@pytest.mark.parametrize('change', ['DELETE FROM reviewed_regions', "UPDATE reviewed_regions SET who = 'Bob'"])
def test_the_database_refuses_to_change_a_region(bank, change):
    with bank.writing() as connection:
        mark_region(connection, 1, (0.0, 0.0, 50.0, 50.0), 'Ada')
    with pytest.raises(UserError, match='only added'), bank.writing() as connection:
        connection.execute(text(change))


def test_a_bank_of_the_version_before(bank):
    config = alembic_config()
    with bank.engine.connect().execution_options(begin='BEGIN IMMEDIATE') as connection, connection.begin():
        config.attributes['connection'] = connection
        command.downgrade(config, '0002')
    with pytest.raises(UserError, match='mmleuk bank upgrade'):
        Bank(bank.where)
    assert upgrade(bank.where) == ('0002', newest_revision())
    with Bank(bank.where).reading() as connection:
        assert problems(connection) == [] and sum(count_cells(connection, Wanted()).values()) == 4
