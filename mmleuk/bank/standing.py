"""Which answers stand: the last one of each person on each subject of a cell, unless it was taken back."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import aliased

from mmleuk.bank.tables import BankReview

TAKEN_BACK = 'taken back'
"""Note of a review by which a person takes an answer back; its new value is what counts without it."""


def stands() -> ColumnElement[bool]:
    """The condition on a row of the reviews. A cell with such a row is reviewed."""
    later = aliased(BankReview)
    replaced = select(later.id).where(later.cell_id == BankReview.cell_id, later.who == BankReview.who,
                                      later.subject == BankReview.subject, later.id > BankReview.id).exists()
    return and_(BankReview.note != TAKEN_BACK, ~replaced)
