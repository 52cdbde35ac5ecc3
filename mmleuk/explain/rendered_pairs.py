"""What a predictor says of cells that were drawn twice, with one attribute changed (WBCAtt+ 5.3).

Legend: P pairs, A attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mmleuk.errors import UserError
from mmleuk.evaluation.proportions import wilson_interval
from mmleuk.explain.reading import ConceptReader
from mmleuk.explain.sheet import PairPicture
from mmleuk.pictures.crops import CROP_PX
from mmleuk.schema import LEUKEMIA_ATTRIBUTES, AttributeSchema
from mmleuk.synthetic.pairs import CellImage, RenderedPair
from mmleuk.utils.square_crops import square_crop
from mmleuk.utils.tables import Row


@dataclass(frozen=True)
class PairAnswers:
    """Predicted values of P pairs.

    Args:
        schema: the A attributes, those of rendered films.
        keys: P edited attributes.
        before, after: (P, A) predicted values.
        drawn_before, drawn_after: (P, A) values as drawn.
    """

    schema: AttributeSchema
    keys: tuple[str, ...]
    before: np.ndarray
    after: np.ndarray
    drawn_before: np.ndarray
    drawn_after: np.ndarray


def answer_pairs(reader: ConceptReader, pairs: Sequence[RenderedPair]) -> PairAnswers:
    """Predict both cells of each pair, as the model sees crops.

    Raises:
        UserError: the model finds cells itself, or predicts other attributes than rendered films have.
    """
    if reader.detector is not None or reader.schema.values_by_key != LEUKEMIA_ATTRIBUTES.values_by_key:
        raise UserError('rendered pairs need an AttributeRecognizer of the attributes of rendered films: '
                        f'{", ".join(LEUKEMIA_ATTRIBUTES.keys)}')
    values = [_values(reader, [getattr(pair, side) for pair in pairs]) for side in ('before', 'after')]
    drawn = [np.array([getattr(pair, side).look.attributes for pair in pairs]) for side in ('before', 'after')]
    return PairAnswers(reader.schema, tuple(pair.key for pair in pairs), *values, *drawn)


def _values(reader: ConceptReader, cells: Sequence[CellImage]) -> np.ndarray:
    concepts, _ = reader.read_arrays([square_crop(cell.image, cell.box_xyxy, reader.margin()) for cell in cells])
    starts = np.cumsum((0, *reader.schema.cardinalities))
    return np.stack([concepts[:, start:end].argmax(1) for start, end in zip(starts, starts[1:])], 1)


def pair_rows(answers: PairAnswers) -> list[Row]:
    """Per edited attribute, then for all: how often the answer changed in it, and how often in each other attribute.

    Columns: edited, pairs, changed (share of pairs whose answer for the edited attribute differs), low and high
    (Wilson's 95% interval), right_before and right_after (shares of right answers for it), others (mean share of
    changes over the other attributes), then the share of changes of each attribute.
    """
    rows = []
    changed = answers.before != answers.after
    columns = np.array([answers.schema.keys.index(key) for key in answers.keys])
    for key in (*answers.schema.keys, 'all'):
        chosen = np.flatnonzero(columns == answers.schema.keys.index(key)) if key != 'all' else np.arange(len(columns))
        rows.append(_row(key, answers, changed, columns, chosen))
    return rows


def _row(key: str, answers: PairAnswers, changed: np.ndarray, columns: np.ndarray, chosen: np.ndarray) -> Row:
    n, edited = len(chosen), columns[chosen]
    own = changed[chosen, edited]
    low, high = wilson_interval(int(own.sum()), n) or (None, None)
    others = np.ones((n, len(answers.schema)), bool)
    others[np.arange(n), edited] = False

    def share(hits: np.ndarray) -> float | None:
        return float(hits.mean()) if hits.size else None

    return dict(
        edited=key, pairs=n, changed=share(own), low=low, high=high,
        right_before=share(answers.before[chosen, edited] == answers.drawn_before[chosen, edited]),
        right_after=share(answers.after[chosen, edited] == answers.drawn_after[chosen, edited]),
        others=share(changed[chosen][others]),
        **{name: share(changed[chosen, column]) for column, name in enumerate(answers.schema.keys)})


def pair_pictures(pairs: Sequence[RenderedPair], answers: PairAnswers) -> list[PairPicture]:
    """The pairs for :func:`mmleuk.explain.sheet.pair_sheet`, with the answers in words."""
    pictures = []
    for number, pair in enumerate(pairs):
        schema, column = answers.schema, answers.schema.keys.index(pair.key)
        before, after = (schema.decode(pair.key, int(drawn[number, column]))
                         for drawn in (answers.drawn_before, answers.drawn_after))
        said = [schema.decode(pair.key, int(values[number, column])) for values in (answers.before, answers.after)]
        also = [schema.keys[other].replace('_', ' ') for other in np.flatnonzero(
            answers.before[number] != answers.after[number]) if other != column]
        pictures.append(PairPicture(_picture(pair.before), _picture(pair.after),
                                    f'{pair.key.replace("_", " ")} {before} → {after}', (
            f'predicted: {said[0]} → {said[1]}', *([f'also: {", ".join(also)}'] if also else []))))
    return pictures


def _picture(cell: CellImage) -> Image.Image:
    side = len(cell.image)
    start = side // 2 - CROP_PX // 2 - 10
    crop = cell.image[start:side - start, start:side - start, ::-1]
    return Image.fromarray(np.ascontiguousarray(crop)).resize((CROP_PX, CROP_PX), Image.Resampling.BICUBIC)
