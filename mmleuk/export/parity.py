"""Whether two inferencers find the same: the check between a torch model and its exported file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmleuk.inference.base import BaseInferencer
from mmleuk.structures.prediction import Cell, FailedImage, Prediction

BOX_TOLERANCE, PROBABILITY_TOLERANCE = 0.01, 1e-4
"""Pixels of the original image; scores and probabilities."""


@dataclass(frozen=True)
class Parity:
    """The largest differences over several images.

    Args:
        images, cells: that were compared.
        box: pixels of the original image.
        score, class_prob, attribute_prob: of the same cells in both.
        novelty, scale: the same, as a share of the value; the scale is a cell's diameter by the size of its box, as
            diameters of slivers at the border differ by as much as their boxes may.
        at_threshold: cells that only one found, with a score at the lowest one.
        unmatched: other cells that only one found, 'image: class, score'.
    """

    images: int = 0
    cells: int = 0
    box: float = 0.0
    score: float = 0.0
    class_prob: float = 0.0
    attribute_prob: float = 0.0
    novelty: float = 0.0
    scale: float = 0.0
    at_threshold: int = 0
    unmatched: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether all differences are within the tolerances, and something was compared."""
        return not self.unmatched and self.cells > 0 and self.box <= BOX_TOLERANCE and max(
            self.score, self.class_prob, self.attribute_prob, self.novelty, self.scale) <= PROBABILITY_TOLERANCE

    @property
    def text(self) -> str:
        """One line for people."""
        others = f', {self.at_threshold} at the lowest score in one only' if self.at_threshold else ''
        novelty = f', novelty {self.novelty:.1e} of itself' if self.novelty else ''
        scale = f', micrometres per pixel {self.scale:.1e} of themselves' if self.scale else ''
        lost = f'; {len(self.unmatched)} cells in one only, first {self.unmatched[0]}' if self.unmatched else ''
        return (f'{self.cells} cells of {self.images} images{others}: boxes within {self.box:.1e} px, scores '
                f'{self.score:.1e}, probabilities of classes {self.class_prob:.1e}, of attributes '
                f'{self.attribute_prob:.1e}{novelty}{scale}{lost}')


def compare(one: BaseInferencer, other: BaseInferencer, paths: Sequence[Path]) -> Parity:
    """Compare what two inferencers find in images; images that can't be read are left out."""
    pairs: list[tuple[Cell, Cell]] = []
    alone: list[tuple[str, Cell]] = []
    images = 0
    for first, second in zip(one.predict(paths), other.predict(paths)):
        if isinstance(first, FailedImage) or isinstance(second, FailedImage):
            continue
        images += 1
        for mine, yours in _matched(first, second):
            if mine is not None and yours is not None:
                pairs.append((mine, yours))
            else:
                alone += [(first.image, cell) for cell in (mine, yours) if cell is not None]
    at_threshold = [cell for _, cell in alone if abs(
        cell.score - one.min_scores.get(cell.class_name, one.min_score)) <= PROBABILITY_TOLERANCE]
    return Parity(
        images, len(pairs), _largest(pairs, lambda cell: cell.box), _largest(pairs, lambda cell: [cell.score]),
        _largest(pairs, lambda cell: cell.class_probs or ()),
        _largest(pairs, lambda cell: [prob for row in cell.probabilities.values() for prob in row]),
        _largest(pairs, lambda cell: [] if cell.novelty is None else [cell.novelty], relative=True),
        _largest(pairs, _scale, relative=True),
        len(at_threshold),
        tuple(f'{image}: {cell.class_name}, {cell.score:.5f}' for image, cell in alone if cell not in at_threshold))


def _largest(pairs: Sequence[tuple[Cell, Cell]], values: Callable[[Cell], Sequence[float]],
             relative: bool = False) -> float:
    """Of the differences; infinite where one cell has a value that the other lacks, and where one is no number.

    With ``relative`` a difference is divided by the value, or by 1 where that is smaller.
    """
    worst = 0.0
    for mine, yours in pairs:
        first, second = np.array(values(mine), float), np.array(values(yours), float)
        if first.shape != second.shape:
            return np.inf
        with np.errstate(invalid='ignore'):  # of infinite numbers
            differences = np.abs(first - second) / (np.maximum(first, 1) if relative else 1)
        worst = max(worst, float(np.nan_to_num(differences, nan=np.inf).max(initial=0)))
    return worst


def _scale(cell: Cell) -> list[float]:
    x1, y1, x2, y2 = cell.box
    area = (x2 - x1) * (y2 - y1)
    return [] if cell.diameter_um is None else [cell.diameter_um / math.sqrt(area) if area > 0 else 0.0]


def _matched(first: Prediction, second: Prediction) -> Iterator[tuple[Cell | None, Cell | None]]:
    """Each cell with the nearest of the same class in the other prediction, best score first; None: there is none."""
    left = list(second.cells)
    for cell in first.cells:
        same = [other for other in left if other.label == cell.label]
        nearest = min(same, key=lambda other: _distance(cell, other), default=None)
        if nearest is None or _distance(cell, nearest) > 1:
            yield cell, None
        else:
            left.remove(nearest)
            yield cell, nearest
    for other in left:
        yield None, other


def _distance(one: Cell, other: Cell) -> float:
    """Pixels between the edges that differ most; infinite where one is no number."""
    distances = [abs(a - b) for a, b in zip(one.box, other.box)]
    return math.inf if any(map(math.isnan, distances)) else max(distances)
