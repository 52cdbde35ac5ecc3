"""What a reviewer can do with a film: the operations behind the page, each one transaction of the bank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from mmleuk.bank.adding import cells_of
from mmleuk.bank.boxes import BOX, parse_box
from mmleuk.bank.connection import Bank
from mmleuk.bank.drawn import draw_cell
from mmleuk.bank.opinions import WITH_REGION, agreements_of, answers_of, costs_of, note_work, own_answers, take_back
from mmleuk.bank.regions import looks_of_film, mark_region, withdraw_region
from mmleuk.bank.reviews import CELL, NO_CELL, denied, note_confirmed, note_reviews, type_values, with_implied
from mmleuk.bank.tables import BankCell, Film
from mmleuk.desk.field_images import FieldImages
from mmleuk.desk.film_view import cells_of_person, film_view
from mmleuk.desk.training_file import training_file
from mmleuk.errors import UserError
from mmleuk.schema import TYPE_ATTRIBUTE
from mmleuk.structures.ground_truth import Box, in_regions

MAX_NAME = 80
MAX_SECONDS = 3600.0
"""Between two answers. The page itself counts a pause as a minute at most."""


@dataclass(frozen=True)
class Work:
    """What an answer cost since the one before: seconds of work, clicks and keys."""

    seconds: float = 0.0
    clicks: int = 0
    keys: int = 0


class FilmReview:
    """One film of a bank under review.

    Args:
        bank: open.
        film: its name.
        images: where its fields are; default: as the bank says.
        types: offered beside those that the film's models know.

    Raises:
        UserError: no such film, it has no field, or its images have no folder.
    """

    def __init__(self, bank: Bank, film: str, images: str | None = None, types: Sequence[str] = ()) -> None:
        self.bank, self.film, self.types = bank, film, tuple(types)
        with bank.reading() as connection:
            film_id = connection.scalar(select(Film.id).where(Film.name == film))
            if film_id is None:
                known = connection.scalars(select(Film.name).order_by(Film.name).limit(21)).all()
                raise UserError(f'film {film!r} is not in this bank; it has {", ".join(known[:20]) or "none"}'
                                f'{", ..." if len(known) > 20 else ""}')
            fields = [row for _, row in looks_of_film(connection, film)]
        self.film_id = film_id
        if not fields:
            raise UserError(f'film {film!r} has no fields in this bank; add predictions with mmleuk bank add')
        self.images = FieldImages(fields, images)

    def view(self, who: str) -> dict[str, Any]:
        """The film as this person sees it; see :func:`mmleuk.desk.film_view.film_view`."""
        with self.bank.reading() as connection:
            return film_view(connection, self.film, checked_name(who), self.types)

    def picture(self, look: int, window: tuple[int, int, int, int] | None = None) -> bytes:
        """JPEG of a field or a part of it."""
        with self.bank.reading() as connection:
            fields = dict(looks_of_film(connection, self.film))
        if look not in fields:
            raise UserError(f'look {look} is not of this film; load the page again')
        return self.images.jpeg(fields[look], window)

    def answer(self, who: str, cell: int, said: Mapping[str, str], work: Work, note: str = '',
               before: Mapping[str, str] | None = None) -> dict[str, str]:
        """Note what a person says about a cell: any of 'type', 'cell', 'box' and values of attributes.

        Args:
            who, cell, said, work, note: who says what about which cell, and what it cost.
            before: what the page shows that this person said; None: whatever that was.

        Returns:
            All that this person says about the cell now.

        Raises:
            UserError: nothing is said, no such cell in this film, a word that the bank doesn't know, or this person
                said something in another window that the page doesn't show.
        """
        who = checked_name(who)
        if not said:
            raise UserError(f'nothing is said about cell {cell}; confirm its type, or change something')
        with self.bank.writing() as connection:
            self._check_cells(connection, [cell])
            _check_shown(connection, cell, who, before)
            is_denied = bool(denied(connection, BankCell.id == cell))
            note_reviews(connection, cell, who, with_implied(said, is_denied, type_values(connection)), note,
                         new_type=self._knows(said))
            self._note_work(connection, who, work)
            return own_answers(connection, cell, who)

    def take_back(self, who: str, cell: int, work: Work, kept: Mapping[str, str] | None = None,
                  before: Mapping[str, str] | None = None) -> dict[str, str]:
        """Take a person's answers on a cell back; see :func:`mmleuk.bank.opinions.take_back` and :meth:`answer`."""
        who = checked_name(who)
        with self.bank.writing() as connection:
            self._check_cells(connection, [cell])
            _check_shown(connection, cell, who, before)
            take_back(connection, self.film, cell, who, with_implied(kept or {}, False, type_values(connection)))
            self._note_work(connection, who, work)
            return own_answers(connection, cell, who)

    def draw(self, who: str, look: int, box: Box, said: Mapping[str, str], work: Work) -> tuple[int, dict[str, str]]:
        """Add a cell that the model missed; returns its id, and all that this person says about it."""
        who = checked_name(who)
        with self.bank.writing() as connection:
            self._check_look(connection, look)
            cell = draw_cell(connection, look, box, who, with_implied(said, False, type_values(connection)),
                             new_type=self._knows(said))
            self._note_work(connection, who, work)
            return cell, own_answers(connection, cell, who)

    def mark(self, who: str, look: int, box: Box, work: Work) -> dict[str, Any]:
        """Mark a region as completely reviewed; its cells that this person did not answer are confirmed as shown.

        Returns:
            Its ``id``, its ``box`` within the field, and what is now said about the cells that it ``confirmed``, by id.
        """
        who = checked_name(who)
        confirmed, new = {}, {}
        with self.bank.writing() as connection:
            self._check_look(connection, look)
            region = mark_region(connection, look, box, who)
            answers = answers_of(connection, self.film).get(who, {})
            types, none = type_values(connection), denied(connection, *cells_of(look))
            for cell in cells_of_person(connection, [look], answers):
                own = answers.get(cell.id, {})
                if not _is_open(own) or not _lies_in(parse_box(own[BOX]) if BOX in own else cell.box, region.box):
                    continue
                shown = {key: value for key, (value, _) in cell.attributes.items() if key != TYPE_ATTRIBUTE}
                said = with_implied({'type': cell.type, **shown}, cell.id in none, types)
                new[cell.id] = {key: value for key, value in said.items() if key not in own}
                confirmed[cell.id] = {**own, **new[cell.id]}
            note_confirmed(connection, new, who, WITH_REGION)
            self._note_work(connection, who, work)
        return dict(id=region.id, box=list(region.box), confirmed=confirmed)

    def withdraw(self, who: str, region: int, work: Work) -> None:
        """Take one's own region back; what was said about its cells stays."""
        with self.bank.writing() as connection:
            withdraw_region(connection, region, checked_name(who))
            self._note_work(connection, checked_name(who), work)

    def summary(self) -> dict[str, Any]:
        """Agreement of the people who reviewed, and what it cost; see :func:`summary_of`."""
        with self.bank.reading() as connection:
            return summary_of(connection, self.film)

    def training_file(self, who: str | None = None) -> dict[str, Any]:
        """See :func:`mmleuk.desk.training_file.training_file`."""
        with self.bank.reading() as connection:
            return training_file(connection, [self.film], {self.film: self.images}, who=who)

    def _knows(self, said: Mapping[str, str]) -> bool:
        """Whether a type that is new to the bank was offered to the reviewer."""
        return said.get('type') in self.types

    def _note_work(self, connection: Connection, who: str, work: Work) -> None:
        note_work(connection, self.film_id, who, min(max(work.seconds, 0.0), MAX_SECONDS), max(work.clicks, 0),
                  max(work.keys, 0))

    def _check_cells(self, connection: Connection, cells: Sequence[int]) -> None:
        found = connection.scalars(select(BankCell.id).where(BankCell.id.in_(cells), BankCell.film_id == self.film_id))
        if missing := set(cells) - set(found):
            raise UserError(f'cell {min(missing)} is not of film {self.film!r}; load the page again')

    def _check_look(self, connection: Connection, look: int) -> None:
        if look not in dict(looks_of_film(connection, self.film)):
            raise UserError(f'look {look} is not of film {self.film!r}, or a newer run replaced it; load the page '
                            'again')


def checked_name(who: str) -> str:
    """A person's name without spaces around it.

    Raises:
        UserError: it is empty, too long or has control characters.
    """
    name = who.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise UserError(f'the name of a reviewer has 1 to {MAX_NAME} characters on one line; enter yours')
    return name


def summary_of(connection: Connection, film: str) -> dict[str, Any]:
    """How far the people who reviewed a film agree, and minutes and clicks per cell, for JSON."""
    pairs = [dict(people=list(pair.people), figures=[asdict(one) | dict(rate=one.rate) for one in pair.figures])
             for pair in agreements_of(answers_of(connection, film))]
    costs = [asdict(cost) | dict(minutes=cost.seconds / 60, minutes_per_cell=cost.per_cell(cost.seconds / 60),
                                 clicks_per_cell=cost.per_cell(cost.clicks), keys_per_cell=cost.per_cell(cost.keys))
             for cost in costs_of(connection, film)]
    return dict(costs=costs, agreement=pairs)


def _check_shown(connection: Connection, cell: int, who: str, before: Mapping[str, str] | None) -> None:
    if before is not None and own_answers(connection, cell, who) != dict(before):
        raise UserError(f'{who} answered cell {cell} in another window; load this page again to see it')


def _is_open(said: Mapping[str, str]) -> bool:
    """Whether this person has not said yet what a cell is."""
    return 'type' not in said and said.get(CELL) != NO_CELL


def _lies_in(box: Sequence[float], region: Box) -> bool:
    return bool(in_regions(np.array([[(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]]), [region])[0])
