"""Cells like this one: by feature vectors where the model gave them, else by attributes and type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, case, func, select

from mmleuk.bank.queries import FoundCell, Wanted, cells_by_id, filtered
from mmleuk.bank.tables import (
    AttributeValue,
    BankAttribute,
    BankCell,
    BankRun,
    CellAttribute,
    CellType,
    Embedding,
    Look,
)
from mmleuk.errors import UserError

_AT_ONCE = 20_000


def find_similar(connection: Connection, cell: int, wanted: Wanted, limit: int = 20) -> list[tuple[FoundCell, float]]:
    """The most similar cells, most similar first, without the cell itself.

    With feature vectors the similarity is their cosine, -1 to 1, over the cells of runs with the same weights. Without,
    it is the mean over the cell's attributes of the probability that both have its value, 0 to 1, over the cells of
    its type (or of the types asked for).

    Args:
        connection: of :meth:`mmleuk.bank.connection.Bank.reading`.
        cell: id of the cell.
        wanted: conditions on the others.
        limit: how many at most.

    Raises:
        UserError: no such cell, or nothing is known of it that could be compared.
    """
    row = connection.execute(
        select(BankCell.id, Look.run_id, CellType.name).join(Look, BankCell.look_id == Look.id)
        .join(CellType, BankCell.current_type_id == CellType.id).where(BankCell.id == cell)).one_or_none()
    if row is None:
        raise UserError(f'cell {cell} is not in this bank; mmleuk bank query lists ids')
    vector = connection.scalars(select(Embedding.vector).where(Embedding.cell_id == cell)).one_or_none()
    if vector is not None:
        near = _by_vector(connection, cell, vector, _runs_alike(connection, row.run_id), wanted, limit)
    else:
        near = _by_attributes(connection, cell, wanted if wanted.types else replace(wanted, types=(row.name,)), limit)
    cells = cells_by_id(connection, [number for number, _ in near])
    return [(found, similarity) for found, (_, similarity) in zip(cells, near, strict=True)]


def _runs_alike(connection: Connection, run: int) -> list[int]:
    """Runs whose vectors mean the same: those with the same weights."""
    weights = connection.scalars(select(BankRun.weights_sha256).where(BankRun.id == run)).one()
    if weights is None:
        return [run]
    return list(connection.scalars(select(BankRun.id).where(BankRun.weights_sha256 == weights)))


def _by_vector(connection: Connection, cell: int, vector: bytes, runs: Sequence[int], wanted: Wanted, limit: int
               ) -> list[tuple[int, float]]:
    statement = filtered(connection, select(BankCell.id, Embedding.vector), wanted).join(
        Embedding, Embedding.cell_id == BankCell.id).where(BankCell.id != cell, BankCell.look_id.in_(
            select(Look.id).where(Look.run_id.in_(runs))))
    target, best = _unit(np.frombuffer(vector, '<f4')[None])[0], _nothing()
    rows = connection.execution_options(yield_per=_AT_ONCE).execute(statement)
    for ids, vectors in _blocks(rows.partitions(_AT_ONCE), len(target)):
        # The best so far compete with the next block, so memory stays the same however many cells there are.
        numbers, scores = np.concatenate([best[0], ids]), np.concatenate([best[1], _unit(vectors) @ target])
        order = np.lexsort((numbers, -scores))[:limit]
        best = numbers[order], scores[order]
    return [(int(number), float(score)) for number, score in zip(*best)]


def _nothing() -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    return np.zeros(0, np.int64), np.zeros(0, np.float32)


def _blocks(partitions: Iterator[Sequence], length: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    for rows in partitions:
        alike = [(number, data) for number, data in rows if len(data) == 4 * length]
        if alike:
            ids, data = zip(*alike)
            yield np.array(ids, np.int64), np.frombuffer(b''.join(data), '<f4').reshape(-1, length)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def _by_attributes(connection: Connection, cell: int, wanted: Wanted, limit: int) -> list[tuple[int, float]]:
    values = connection.scalars(select(AttributeValue.id).join(
        BankAttribute, AttributeValue.attribute_id == BankAttribute.id)).all()
    certainty = case((CellAttribute.value_id == CellAttribute.model_value_id, CellAttribute.prob), else_=1.0)
    own: dict[int, float] = dict(connection.execute(select(CellAttribute.value_id, certainty).where(
        CellAttribute.cell_id == cell, CellAttribute.value_id.in_(values))).all())
    if not own:
        raise UserError(f'cell {cell} has neither a feature vector nor attributes, so nothing says which cells are '
                        'like it; choose another cell')
    score = func.sum(certainty * case(*((CellAttribute.value_id == value, prob) for value, prob in own.items())))
    statement = filtered(connection, select(BankCell.id, score), wanted).join(
        CellAttribute, CellAttribute.cell_id == BankCell.id).where(CellAttribute.value_id.in_(own), BankCell.id != cell)
    rows = connection.execute(statement.group_by(BankCell.id).order_by(score.desc(), BankCell.id).limit(limit))
    return [(number, total / len(own)) for number, total in rows]
