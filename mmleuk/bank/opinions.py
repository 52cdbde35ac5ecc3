"""What each person says about a film, apart from the others, how far two of them agree, and what it cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from sqlalchemy import Connection, func, insert, select

from mmleuk.bank.boxes import BOX, box_text, first_boxes
from mmleuk.bank.connection import now
from mmleuk.bank.queries import model_attributes
from mmleuk.bank.reviews import CELL, NO_CELL, UNKNOWN, note_reviews
from mmleuk.bank.standing import TAKEN_BACK, stands
from mmleuk.bank.tables import BankCell, BankReview, CellType, Film, ReviewWork
from mmleuk.errors import UserError
from mmleuk.evaluation.agreement import Agreement, agreement_of
from mmleuk.schema import IGNORE

Answers = Mapping[int, Mapping[str, str]]
"""Last value by subject ('type', 'cell', 'box' or an attribute's key), by cell."""
WITH_REGION = 'with a region'
"""Note of a review that confirms a cell because its region was marked as reviewed."""
AGAIN = 'as before'
"""Note of a review by which a person says again what they said before their last answer."""


def answers_of(connection: Connection, film: str) -> dict[str, dict[int, dict[str, str]]]:
    """Each person's last answers, by name and cell; without those that were taken back."""
    found: dict[str, dict[int, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for who, cell, subject, value in _standing(connection, film):
        found[who][cell][subject] = value
    return {who: dict(cells) for who, cells in found.items()}


def own_answers(connection: Connection, cell: int, who: str) -> dict[str, str]:
    """One person's last answers on one cell, by subject; without those that were taken back."""
    rows = connection.execute(select(BankReview.subject, BankReview.new_value).where(
        BankReview.cell_id == cell, BankReview.who == who, stands()).order_by(BankReview.id))
    return {subject: str(value) for subject, value in rows}


def last_answers(connection: Connection, film: str) -> dict[int, dict[str, str]]:
    """The last answers by cell, whoever gave them; without those that were taken back."""
    found: dict[int, dict[str, str]] = defaultdict(dict)
    for _, cell, subject, value in _standing(connection, film):
        found[cell][subject] = value
    return dict(found)


def take_back(connection: Connection, film: str, cell: int, who: str, kept: Mapping[str, str] | None = None) -> None:
    """Take a person's answers on a cell back: what others said last counts again, else what the model said.

    A drawn cell that nobody else calls one is no cell then.

    Args:
        connection: of a transaction of :meth:`mmleuk.bank.connection.Bank.writing`.
        film, cell, who: whose answers on what.
        kept: answers by subject that stay, as they were before; the others are taken back. Default: none stays.

    Raises:
        UserError: this person said nothing about the cell.
    """
    own, kept = own_answers(connection, cell, who), kept or {}
    if not own:
        raise UserError(f'{who} said nothing about cell {cell}; there is nothing to take back')
    row = connection.execute(select(BankCell, CellType.name).join(CellType, BankCell.type_id == CellType.id).where(
        BankCell.id == cell)).one()
    box = first_boxes(connection, [cell]).get(cell, (row.x1, row.y1, row.x2, row.y2))
    attributes = {key: value for key, (value, _) in model_attributes(connection, [cell]).get(cell, {}).items()}
    nobody = CELL if row.drawn_by is None else NO_CELL  # a drawn cell is one because somebody says so
    before = {'type': row.name, CELL: nobody, BOX: box_text(box), **attributes,
              **_last_of_others(connection, film, cell, who)}
    note_reviews(connection, cell, who, {subject: before.get(subject, UNKNOWN) for subject in own
                                         if subject not in kept}, TAKEN_BACK)
    note_reviews(connection, cell, who, {subject: value for subject, value in kept.items()
                                         if own.get(subject) != value}, AGAIN)


def _last_of_others(connection: Connection, film: str, cell: int, who: str) -> dict[str, str]:
    return {subject: value for other, number, subject, value in _standing(connection, film)
            if number == cell and other != who}


def _standing(connection: Connection, film: str) -> Sequence[Any]:
    """Person, cell, subject and value of every answer that stands, the oldest first."""
    statement = (select(BankReview.who, BankReview.cell_id, BankReview.subject, BankReview.new_value)
                 .join(BankCell, BankReview.cell_id == BankCell.id).join(Film, BankCell.film_id == Film.id)
                 .where(Film.name == film, stands()).order_by(BankReview.id))
    return connection.execute(statement).all()


@dataclass(frozen=True)
class Pair:
    """How far two people agree: on the type ('no cell' is one), then on each attribute that both named."""

    people: tuple[str, str]
    figures: tuple[Agreement, ...]


def agreements_of(answers: Mapping[str, Answers]) -> list[Pair]:
    """Agreement of every two people on the cells that both answered."""
    pairs = []
    for one, other in combinations(sorted(answers), 2):
        both = sorted(set(answers[one]) & set(answers[other]))
        said = [[_flat(answers[who][cell]) for cell in both] for who in (one, other)]
        keys = dict.fromkeys(key for cells in said for cell in cells for key in cell)
        subjects = [key for key in ('type', *sorted(set(keys) - {'type'})) if all(
            any(key in cell for cell in cells) for cells in said)]
        pairs.append(Pair((one, other), tuple(_agreement(key, *said) for key in subjects)))
    return pairs


def _flat(said: Mapping[str, str]) -> dict[str, str]:
    """One type per cell, of which 'no cell' is one; attributes of what is no cell say nothing; boxes have no kappa."""
    if said.get(CELL) == NO_CELL:
        return {'type': NO_CELL}
    return {key: value for key, value in said.items() if key not in (CELL, BOX) and value != UNKNOWN}


def _agreement(key: str, first: Sequence[Mapping[str, str]], second: Sequence[Mapping[str, str]]) -> Agreement:
    names = sorted({cell[key] for cell in (*first, *second) if key in cell})
    one, other = (np.array([names.index(cell[key]) if key in cell else IGNORE for cell in cells], int)
                  for cells in (first, second))
    return agreement_of(key, one, other, len(names))


def note_work(connection: Connection, film: int, who: str, seconds: float, clicks: int, keys: int) -> None:
    """Add what an answer cost."""
    connection.execute(insert(ReviewWork).values(film_id=film, who=who.strip(), at=now(), seconds=seconds,
                                                 clicks=clicks, keys=keys))


@dataclass(frozen=True)
class Cost:
    """What one person's review of a film cost.

    Args:
        who: the person.
        cells: answered one by one, and not taken back.
        with_region: confirmed by marking a region, and not one by one.
        seconds: of work; pauses of more than a minute count as a minute.
        clicks, keys: pressed.
    """

    who: str
    cells: int
    with_region: int
    seconds: float
    clicks: int
    keys: int

    def per_cell(self, total: float) -> float | None:
        """A total per cell answered one by one; None without such cells."""
        return total / self.cells if self.cells else None


def costs_of(connection: Connection, film: str) -> list[Cost]:
    """Cost per person who answered on the page or in the shell, by name."""
    rows = connection.execute(
        select(BankReview.who, BankReview.cell_id, BankReview.note).join(BankCell, BankReview.cell_id == BankCell.id)
        .join(Film, BankCell.film_id == Film.id).where(Film.name == film, stands())).all()
    alone: dict[str, set[int]] = defaultdict(set)
    together: dict[str, set[int]] = defaultdict(set)
    for who, cell, note in rows:
        (together if note == WITH_REGION else alone)[who].add(cell)
    work = {row[0]: row[1:] for row in connection.execute(
        select(ReviewWork.who, func.sum(ReviewWork.seconds), func.sum(ReviewWork.clicks), func.sum(ReviewWork.keys))
        .join(Film, ReviewWork.film_id == Film.id).where(Film.name == film).group_by(ReviewWork.who))}
    return [Cost(who, len(alone[who]), len(together[who] - alone[who]), *work.get(who, (0.0, 0, 0)))
            for who in sorted({*alone, *together, *work})]
