"""Which cells a person should look at first: those that the model is most likely to have got wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # its parts are imported on first use
from numpy.typing import NDArray

from mmleuk.schema import AttributeSchema
from mmleuk.structures.prediction import BankEntry, Cell

_FIRST_COUNT = 1.0
"""Cells that every type has of every value before any is counted: a value that was never seen isn't impossible."""


@dataclass(frozen=True)
class Look:
    """A cell and why it should be looked at.

    Args:
        entry: the cell.
        priority: 0 to 1, largest first.
        reasons: in words, the strongest first.
    """

    entry: BankEntry
    priority: float
    reasons: tuple[str, ...]


def first_look(bank: Sequence[BankEntry], schema: AttributeSchema) -> list[Look]:
    """All cells, the ones to look at first on top.

    The priority of a cell is the mean of the signs that the model gives, each 0 to 1: its score's distance from 1, the
    entropy of its type, the doubt that its attributes raise about its type, and how unlike the training cells it is.

    Args:
        bank: the cells of a film, or of several.
        schema: the attributes that may appear.
    """
    cells = [entry.cell for entry in bank]
    signs = {'score': np.array([1 - cell.score for cell in cells])}
    if any(cell.class_probs for cell in cells):
        signs['entropy'] = np.array([type_entropy(cell) for cell in cells])
    if any(cell.attributes for cell in cells) and len({cell.class_name for cell in cells}) > 1:
        signs['attributes'] = attribute_doubt(cells, schema)
    if any(cell.novelty is not None for cell in cells):
        signs['novelty'] = novelty_rank(cells)
    priority = np.mean(list(signs.values()), axis=0)
    looks = [Look(entry, float(priority[index]), _reasons(entry.cell, {key: s[index] for key, s in signs.items()}))
             for index, entry in enumerate(bank)]
    return sorted(looks, key=lambda look: (-look.priority, look.entry.prediction.image, look.entry.index))


def type_entropy(cell: Cell) -> float:
    """Predictive entropy of the cell's type, 0 (certain) to 1 (all types equally likely); 0 where it isn't known.

    >>> type_entropy(Cell((0, 0, 1, 1), 0.9, 0, 'a', class_probs=(0.5, 0.5, 0.0, 0.0)))
    0.5
    """
    if cell.class_probs is None or len(cell.class_probs) < 2:
        return 0.0
    total = sum(cell.class_probs)
    parts = [value / total for value in cell.class_probs if value > 0] if total else []
    return -sum(part * math.log(part) for part in parts) / math.log(len(cell.class_probs))


def attribute_doubt(cells: Sequence[Cell], schema: AttributeSchema) -> NDArray[np.float64]:
    """(N,) probability, 0 to 1, that a cell's attributes are those of another type than its own.

    Naive Bayes from attributes to type, a concept bottleneck that needs no training: fitted to the types and attributes
    that the model gave the other cells, all types alike before. 0 for a cell without attributes, and where there is one
    type only.
    """
    names = sorted({cell.class_name for cell in cells})
    types = np.array([names.index(cell.class_name) for cell in cells], int)
    values = np.array([[cell.value_index(key) for key in schema.keys] for cell in cells], int).reshape(
        len(cells), len(schema))
    scores = np.zeros((len(cells), len(names)))
    everyone, own = np.arange(len(cells)), np.arange(len(names))[None] == types[:, None]
    for column, size in enumerate(schema.cardinalities):
        value = values[:, column]
        known = value >= 0
        counts = np.zeros((len(names), size))
        np.add.at(counts, (types[known], value[known]), 1)
        # Without the cell itself, else a cell would speak for its own type.
        hits = counts[:, value].T - (own & known[:, None])
        totals = counts.sum(1)[None] - (own & known[:, None])
        scores += np.where(known[:, None], np.log((hits + _FIRST_COUNT) / (totals + _FIRST_COUNT * size)), 0)
    if not cells:
        return np.zeros(0)
    likely = np.exp(scores - scores.max(1, keepdims=True))
    doubt = 1 - likely[everyone, types] / likely.sum(1)
    return np.where((values >= 0).any(1), doubt, 0.0)


def novelty_rank(cells: Sequence[Cell]) -> NDArray[np.float64]:
    """(N,) 0 for the half of the cells most like the training cells, up to 1 for the least; 0 where it isn't known.

    Equally novel cells have the mean of their ranks.
    """
    known = np.array([cell.novelty is not None for cell in cells], bool)
    ranks = np.zeros(len(cells))
    if known.sum() > 1:
        novelty = np.array([cell.novelty for cell in cells if cell.novelty is not None])
        ranks[known] = np.maximum(0, 2 * (scipy.stats.rankdata(novelty) - 1) / (len(novelty) - 1) - 1)
    return ranks


def _reasons(cell: Cell, signs: Mapping[str, float]) -> tuple[str, ...]:
    words = dict(score=f'score only {cell.score:.2f}', entropy='the type is uncertain',
                 attributes=f'its attributes are unusual for {cell.class_name}',
                 novelty='unlike the cells that the model was trained on')
    return tuple(words[name] for name, sign in sorted(signs.items(), key=lambda item: -item[1]) if sign >= 0.4)
