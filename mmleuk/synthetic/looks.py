"""From a class's table row to one cell: which attribute values it shows, and how."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmleuk.schema import IGNORE, LEUKEMIA_ATTRIBUTES
from mmleuk.synthetic.classes import CELL_CLASSES, REGULAR_FORMS, CellClass, Granules

SCANTY = (0.68, 0.84)
"""Share of the cell's area that its nucleus takes where the cytoplasm is scanty."""
ABUNDANT = (0.28, 0.46)


@dataclass(frozen=True)
class Look:
    """One cell to draw; amounts are in units of a dye, lengths in units of the cell's radius.

    ``attributes`` are the values that get drawn, in the order of ``LEUKEMIA_ATTRIBUTES``; IGNORE throughout for
    artifacts, whose kind stands in ``artifact`` ('' for cells).
    """

    label: int
    artifact: str
    attributes: tuple[int, ...]
    diameter: float
    form: str = 'round'
    nucleus_share: float = 0.6
    nucleoli: int = 0
    nucleolus_radius: tuple[float, float] = (0.2, 0.2)
    basophilic: float = 0.3
    eosin: float = 0.1
    vacuoles: int = 0
    granules: Granules | None = None
    eccentric: float = 0.4
    scalloped: bool = False
    dark_rim: bool = False
    blebs: bool = False
    auer_rods: int = 0
    hof: bool = False

    @property
    def coarse(self) -> bool:
        """Whether the chromatin is drawn coarse."""
        return self.attributes[LEUKEMIA_ATTRIBUTES.keys.index('nuclear_chromatin')] == 1


def sample_look(label: int, rng: np.random.Generator) -> Look:
    """Draw one cell's features from its class's table row."""
    row = CELL_CLASSES[label]
    diameter = rng.uniform(*row.diameter)
    if row.artifacts:
        kind = str(rng.choice(list(row.artifacts), p=list(row.artifacts.values())))
        return Look(label, kind, (IGNORE,) * len(LEUKEMIA_ATTRIBUTES), diameter)
    form = str(rng.choice(list(row.forms), p=list(row.forms.values())))
    values = _sample_values(row, form, rng)
    nucleoli = int(rng.integers(row.nucleoli[0], row.nucleoli[1] + 1)) if values['nucleolus'] else 0
    moderate = values['cytoplasmic_basophilia']
    return Look(
        label, '', tuple(values[key] for key in LEUKEMIA_ATTRIBUTES.keys), diameter, form=form,
        nucleus_share=rng.uniform(*(ABUNDANT if values['cytoplasm'] else SCANTY)),
        nucleoli=nucleoli, nucleolus_radius=row.nucleolus_radius,
        basophilic=rng.uniform(0.62, 0.95) if moderate else rng.uniform(0.14, 0.28),
        eosin=rng.uniform(0.0, 0.08) if moderate else rng.uniform(0.05, 0.22),
        vacuoles=int(rng.integers(4, 10)) if values['cytoplasmic_vacuoles'] else 0,
        granules=row.granules, eccentric=row.eccentric * rng.uniform(0.6, 1.0),
        scalloped=rng.uniform() < row.scalloped, dark_rim=rng.uniform() < row.dark_rim,
        blebs=rng.uniform() < row.blebs, hof=rng.uniform() < row.hof,
        auer_rods=int(rng.integers(2, 7)) if rng.uniform() < row.auer else 0)


def _sample_values(row: CellClass, form: str, rng: np.random.Generator) -> dict[str, int]:
    chances = dict(nuclear_chromatin=row.coarse, nuclear_shape=float(form not in REGULAR_FORMS),
                   nucleolus=row.nucleolus, cytoplasm=row.abundant, cytoplasmic_basophilia=row.basophilia,
                   cytoplasmic_vacuoles=row.vacuoles)
    return {key: int(rng.uniform() < chances[key]) for key in LEUKEMIA_ATTRIBUTES.keys}
