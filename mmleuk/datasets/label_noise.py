"""Crops with some labels made wrong on purpose, to measure what noise costs and what a robust loss gains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmleuk.datasets.crops import CellCropDataset
from mmleuk.errors import UserError
from mmleuk.registry import DATASETS
from mmleuk.schema import IGNORE


def wrong_values(values: np.ndarray, cardinalities: Sequence[int], share: float, seed: int) -> np.ndarray:
    """A copy in which a share of all known values is replaced by other values of the same attribute.

    Args:
        values: (N, A) int, IGNORE where unknown; unknown values stay unknown.
        cardinalities: number of values of each attribute.
        share: of the known values, 0 to 1; exactly this many are replaced, rounded.
        seed: of the choice.

    Source: WBCAtt+ E.1 (6,797 of 67,969 values).

    >>> wrong_values(np.zeros((4, 1), int), [2], 0.5, seed=0).sum().item()
    2
    """
    generator = np.random.default_rng(seed)
    rows, columns = np.nonzero(values != IGNORE)
    chosen = generator.choice(len(rows), round(share * len(rows)), replace=False)
    rows, columns = rows[chosen], columns[chosen]
    counts = np.asarray(cardinalities)[columns]
    wrong = values.copy()
    # A step of 1 to V - 1 from the true value, modulo V, gives each other value with the same chance.
    wrong[rows, columns] = (values[rows, columns] + generator.integers(1, counts)) % counts
    return wrong


@DATASETS.register_module()
class NoisyCrops(CellCropDataset):
    """:class:`CellCropDataset` with wrong attribute values; a cell's type stays right.

    Args:
        label_noise: share of all known values that is replaced; see :func:`wrong_values`.
        noise_seed: of the choice; the same values are wrong in every epoch.
        kwargs: see :class:`CellCropDataset`.
    """

    def __init__(self, *, label_noise: float = 0.1, noise_seed: int = 0, **kwargs: Any) -> None:
        if not 0 <= label_noise <= 1:
            raise UserError(f'NoisyCrops: label_noise is {label_noise}; it must lie between 0 and 1')
        self.label_noise, self.noise_seed = label_noise, noise_seed
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """Records of all cells, in the same order as without noise."""
        records, schema = super().load_data_list(), self.schema
        columns = [index for index, key in enumerate(schema.keys) if key != self.type_attribute]
        values = np.array([record['instances'][0]['attributes'] for record in records])
        values[:, columns] = wrong_values(values[:, columns], [schema.cardinalities[index] for index in columns],
                                          self.label_noise, self.noise_seed)
        for record, row in zip(records, values.tolist()):
            record['instances'][0]['attributes'] = row
        return records
