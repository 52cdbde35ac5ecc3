"""Is a bank consistent? Every row refers to a row that is there, and every cell that counts is of a newest look."""

from __future__ import annotations

from sqlalchemy import Connection, text

_RULES = {
    'cells without a look': 'SELECT count(*) FROM cells WHERE look_id NOT IN (SELECT id FROM looks)',
    'cells whose id is not of their look': 'SELECT count(*) FROM cells WHERE id / 10000000 <> look_id',
    'cells of another film than their field':
        'SELECT count(*) FROM cells JOIN looks ON looks.id = cells.look_id JOIN fields ON fields.id = looks.field_id '
        'WHERE fields.film_id <> cells.film_id',
    'cells without a type': 'SELECT count(*) FROM cells WHERE type_id NOT IN (SELECT id FROM types) '
                            'OR current_type_id NOT IN (SELECT id FROM types)',
    'attributes without a cell': 'SELECT count(*) FROM cell_attributes LEFT JOIN cells ON cells.id = cell_id '
                                 'WHERE cells.id IS NULL',
    'attributes without a value': 'SELECT count(*) FROM cell_attributes WHERE value_id NOT IN '
                                  '(SELECT id FROM attribute_values)',
    'embeddings without a cell': 'SELECT count(*) FROM embeddings LEFT JOIN cells ON cells.id = cell_id '
                                 'WHERE cells.id IS NULL',
    'counted cells of earlier looks': 'SELECT count(*) FROM cells JOIN looks ON looks.id = look_id '
                                      'WHERE counted AND NOT newest',
    'fields with several newest looks': 'SELECT count(*) FROM (SELECT field_id FROM looks WHERE newest '
                                        'GROUP BY field_id HAVING count(*) > 1) AS several',
    'runs that lack fields': 'SELECT count(*) FROM runs WHERE fields <> (SELECT count(*) FROM looks '
                             'WHERE run_id = runs.id)',
    'runs that lack cells': 'SELECT count(*) FROM runs WHERE cells <> (SELECT count(*) FROM cells JOIN looks '
                            'ON looks.id = look_id WHERE run_id = runs.id AND drawn_by IS NULL)',
    'withdrawals of a region of another look':
        'SELECT count(*) FROM reviewed_regions AS later JOIN reviewed_regions AS earlier '
        'ON earlier.id = later.withdraws WHERE earlier.look_id <> later.look_id'}


def problems(connection: Connection) -> list[str]:
    """What is wrong, in words; empty for a consistent bank."""
    found = {what: connection.scalar(text(question)) for what, question in _RULES.items()}
    return [f'{count} {what}' for what, count in found.items() if count]
