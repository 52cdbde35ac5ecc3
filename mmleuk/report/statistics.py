"""Counts over predicted cells. Every number travels with its n; the morphology bank is the paper's (LLD 4.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mmleuk.schema import IGNORE, Attribute, AttributeSchema
from mmleuk.structures.prediction import BankEntry, Cell, Prediction


@dataclass(frozen=True)
class TypeCount:
    """How often one class was found: ``n_cells`` in ``n_images`` of the run's images."""

    class_name: str
    label: int
    n_cells: int
    n_images: int


@dataclass(frozen=True)
class Distribution:
    """How often each value of one attribute was predicted.

    Args:
        attribute: the attribute.
        counts: cells per value, in the schema's order.
        unknown: cells without a value; they are no part of n.
    """

    attribute: Attribute
    counts: tuple[int, ...]
    unknown: int

    @property
    def n(self) -> int:
        """Cells with a known value."""
        return sum(self.counts)

    @property
    def most_frequent(self) -> tuple[str, ...]:
        """The most frequent value; several when they tie, none when nothing is known."""
        best = max(self.counts, default=0)
        return tuple(value for value, count in zip(self.attribute.values, self.counts) if count == best and best > 0)


def morphology_bank(predictions: Iterable[Prediction], classes: Sequence[str] | None = None) -> list[BankEntry]:
    """Every cell of every image (LLD 4.2), in order; only of ``classes`` when given."""
    return [BankEntry(prediction, index) for prediction in predictions
            for index, cell in enumerate(prediction.cells) if classes is None or cell.class_name in classes]


def count_types(predictions: Sequence[Prediction], classes: Sequence[str]) -> list[TypeCount]:
    """Cells and images per class, in the order of ``classes``, zeros included; the cells add up to all cells."""
    n_cells: Counter[str] = Counter()
    n_images: Counter[str] = Counter()
    for prediction in predictions:
        names = [cell.class_name for cell in prediction.cells]
        n_cells.update(names)
        n_images.update(set(names))
    return [TypeCount(name, label, n_cells[name], n_images[name]) for label, name in enumerate(classes)]


def attribute_distributions(cells: Sequence[Cell], schema: AttributeSchema) -> list[Distribution]:
    """One distribution per attribute, in the schema's order; ``n + unknown`` is the number of cells."""
    distributions = []
    for attribute in schema.attributes:
        counts = Counter(cell.value_index(attribute.key) for cell in cells)
        known = tuple(counts[value] for value in range(len(attribute.values)))
        distributions.append(Distribution(attribute, known, counts[IGNORE]))
    return distributions


def typical_cells(bank: Sequence[BankEntry], schema: AttributeSchema, limit: int) -> list[BankEntry]:
    """The ``limit`` cells that look most like all of ``bank`` (one type's cells).

    First those that share most attribute values with the most frequent ones, then the highest score, then the
    order of the bank: without attributes these are simply the most confident cells.
    """
    usual = {d.attribute.key: d.most_frequent for d in attribute_distributions([e.cell for e in bank], schema)}

    def unlikeness(entry: BankEntry) -> tuple[int, float]:
        shared = sum(entry.cell.attributes[key]['value'] in values
                     for key, values in usual.items() if key in entry.cell.attributes)
        return -shared, -entry.cell.score

    return sorted(bank, key=unlikeness)[:limit]


def typical_by_type(predictions: Sequence[Prediction], classes: Sequence[str], schema: AttributeSchema,
                    limit: int) -> dict[str, list[BankEntry]]:
    """:func:`typical_cells` of every class that was found."""
    banks = {name: morphology_bank(predictions, [name]) for name in classes}
    return {name: typical_cells(bank, schema, limit) for name, bank in banks.items() if bank}
