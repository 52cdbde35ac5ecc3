"""Drawn cells, reviewed regions and answers that are taken back, in SQLite and PostgreSQL."""

import pytest
from alembic import command
from bank_fixtures import small_run
from sqlalchemy import text

from mmleuk.bank.adding import add_run
from mmleuk.bank.checks import problems
from mmleuk.bank.connection import Bank, alembic_config, upgrade
from mmleuk.bank.drawn import draw_cell
from mmleuk.bank.opinions import answers_of, costs_of, last_answers, note_work, take_back
from mmleuk.bank.queries import Wanted, count_cells, find_cells
from mmleuk.bank.regions import mark_region, regions_of, withdraw_region
from mmleuk.bank.reviews import add_review
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
        assert answers_of(connection, 'F') == {'Ada': {}, 'Bob': {10000001: {'type': 'Basophil'}}}
        assert count_cells(connection, Wanted(cells=[10000001])) == {'Basophil': 1}


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
    assert upgrade(bank.where) == ('0002', '0003')
    with Bank(bank.where).reading() as connection:
        assert problems(connection) == [] and sum(count_cells(connection, Wanted()).values()) == 4
