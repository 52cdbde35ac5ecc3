"""The most similar cell whose attributes differ in the edited ones and agree elsewhere (WBCAtt+ 5.3).

Legend: N cells of the index, A attributes, K values of all attributes together, D features.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from sklearn.neighbors import NearestNeighbors

from mmleuk.errors import UserError
from mmleuk.explain.bottleneck import Bottleneck
from mmleuk.explain.cells import ExplainedCell
from mmleuk.schema import AttributeSchema
from mmleuk.utils.files import replacing

FORMAT = 'mmleuk.cell_index/1'


@dataclass(frozen=True)
class Counterpart:
    """The cell of the index that was found for an edited cell.

    Args:
        row: of the index.
        distance: Euclidean, between the encoder's features.
        also: other attributes that differ; empty if there is an exact counterpart.
    """

    row: int
    distance: float
    also: tuple[str, ...]


@dataclass(frozen=True)
class CellIndex:
    """Cells with attributes and features, made once, to look up counterparts.

    Args:
        names, paths: N names and image files.
        boxes_xyxy: (N, 4) in pixels of the images.
        types: N true types.
        schema: the A attributes.
        concepts: (N, K) predicted probabilities of attribute values.
        features: (N, D) float32 of the encoder.
        model: SHA-256 of the weights.
    """

    names: tuple[str, ...]
    paths: tuple[str, ...]
    boxes_xyxy: np.ndarray
    types: tuple[str, ...]
    schema: AttributeSchema
    concepts: np.ndarray
    features: np.ndarray
    model: str
    values: np.ndarray = field(init=False)
    """(N, A) most probable values."""
    _neighbours: NearestNeighbors = field(init=False, repr=False)

    def __post_init__(self) -> None:
        starts = np.cumsum((0, *self.schema.cardinalities))
        columns = [self.concepts[:, start:end].argmax(1) for start, end in zip(starts, starts[1:])]
        object.__setattr__(self, 'values', np.stack(columns, 1))
        object.__setattr__(self, '_neighbours', NearestNeighbors(metric='euclidean').fit(self.features))

    def find(self, cell: ExplainedCell) -> Counterpart | None:
        """The counterpart of an edited cell.

        Of the cells that have all edited values: those that differ in the fewest other attributes, and of these the
        most similar one.

        Returns:
            None if no cell of the index has the edited values, or nothing was edited.

        Raises:
            UserError: the cell has no features, or other attributes.
        """
        if cell.features is None or cell.schema.values_by_key != self.schema.values_by_key:
            raise UserError('an index of cells serves the recogniser that it was made with; make one for this model '
                            'with mmleuk index')
        if not cell.edits:
            return None
        wanted = np.array([cell.values[key] for key in self.schema.keys])
        differs = self.values != wanted
        is_edited = np.array([key in cell.edits for key in self.schema.keys])
        differences = np.where(differs[:, is_edited].any(1), np.inf, differs[:, ~is_edited].sum(1))
        if np.isinf(differences).all():
            return None
        distances, rows = self._neighbours.kneighbors(cell.features[None], n_neighbors=len(self.names))
        ranked = rows[0]  # the nearest first; argmin takes the first of equals
        best = int(differences[ranked].argmin())
        also = tuple(key for key, other in zip(self.schema.keys, differs[ranked[best]]) if other)
        return Counterpart(int(ranked[best]), float(distances[0][best]), also)

    def save(self, path: str | Path) -> Path:
        """Write an .npz file without code in it; it appears whole or not at all."""
        about = dict(format=FORMAT, names=self.names, paths=self.paths, types=self.types, schema=self.schema.to_dict(),
                     model=self.model)
        with replacing(path) as temporary:
            np.savez_compressed(temporary, about=np.array(json.dumps(about)), boxes_xyxy=self.boxes_xyxy,
                                concepts=self.concepts, features=self.features)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> CellIndex:
        """Read a file of :meth:`save`.

        Raises:
            UserError: it is missing or something else.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                about = json.loads(str(file['about']))
                if about['format'] != FORMAT:
                    raise ValueError(about['format'])
                schema = AttributeSchema.from_dict(about['schema'])
                return cls(tuple(about['names']), tuple(about['paths']), file['boxes_xyxy'], tuple(about['types']),
                           schema, file['concepts'], file['features'], about['model'])
        except OSError as error:
            raise UserError(f'{path}: cannot be read ({error.strerror or error}); make an index with mmleuk index'
                            ) from error
        except (KeyError, ValueError, TypeError, BadZipFile, EOFError) as error:
            raise UserError(f'{path}: not an index of cells ({error}); make one with mmleuk index') from error

    def cell(self, row: int, bottleneck: Bottleneck) -> ExplainedCell:
        """A cell of the index, as one to explain."""
        x1, y1, x2, y2 = self.boxes_xyxy[row].tolist()
        return ExplainedCell(self.names[row], self.paths[row], (x1, y1, x2, y2), self.concepts[row], bottleneck,
                             other_type=self.types[row], features=self.features[row])


@dataclass(frozen=True)
class Pair:
    """An edited cell and its counterpart as the bottleneck sees it."""

    edited: ExplainedCell
    found: ExplainedCell
    also: tuple[str, ...]

    @property
    def change(self) -> str:
        """The edited attributes in words: 'granule colour pink → purple'."""
        schema, predicted = self.edited.schema, self.edited.predicted
        return ', '.join(f'{key.replace("_", " ")} {schema.decode(key, predicted[key])} → {schema.decode(key, value)}'
                         for key, value in self.edited.edits.items())

    @property
    def also_changed(self) -> str:
        """The other attributes that differ, in words; '' if there are none."""
        schema, before, after = self.edited.schema, self.edited.predicted, self.found.predicted
        return ', '.join(f'{key.replace("_", " ")} {schema.decode(key, before[key])} → {schema.decode(key, after[key])}'
                         for key in self.also)


def find_pairs(cells: Sequence[ExplainedCell], index: CellIndex) -> list[Pair]:
    """Pairs of the edited cells that have a counterpart, in order."""
    pairs = []
    for cell in cells:
        found = index.find(cell)
        if found is not None:
            pairs.append(Pair(cell, index.cell(found.row, cell.bottleneck), found.also))
    return pairs


def page_pairs(pairs: Sequence[Pair], uris: Sequence[tuple[str, str]]) -> list[Mapping[str, str]]:
    """What the page shows of each pair; ``uris`` are the pictures of both cells."""
    shown: list[Mapping[str, str]] = []
    for pair, (left, right) in zip(pairs, uris):
        before = pair.edited.edit(pair.edited.predicted)
        true = f' (true type {pair.found.other_type})' if pair.found.other_type else ''
        shown.append(dict(left=left, right=right, left_name=before.name, right_name=pair.found.name,
                          left_type=before.type_name, right_type=pair.found.type_name + true, set=pair.change,
                          also=pair.also_changed))
    return shown
