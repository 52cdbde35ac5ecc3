"""What each class of cell looks like: chances of attribute values and of the features that go with them.

Morphology follows the usual descriptions of Romanowsky-stained films:

- Bain, *Blood Cells: A Practical Guide*, 5th ed. (2015), chapters 2 and 3: normal leukocytes and their precursors;
- Bennett et al., *Proposals for the classification of the acute leukaemias*, Br J Haematol 33:451 (1976): blasts
  (open chromatin, nucleoli, little cytoplasm), abnormal promyelocytes (bilobed nucleus, coarse granules, Auer rods);
- Goasguen et al., *Morphological evaluation of monocytes and their precursors*, Haematologica 94:994 (2009):
  monoblasts (round nucleus, one big nucleolus, much vacuolated cytoplasm), promonocytes (folded nucleus);
- Palmer et al., *ICSH recommendations for the standardization of nomenclature and grading of peripheral blood cell
  morphological features*, Int J Lab Hematol 37:287 (2015).

Values are a rendering's, not a population's: structure is kept bold and typical, so that few cells suffice to learn it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mmleuk.schema import LEUKEMIA_CLASSES

REGULAR_FORMS = ('round', 'oval')
"""Nuclear forms of the attribute value 'regular'; all others are drawn irregular."""


@dataclass(frozen=True)
class Granules:
    """Granules of one kind.

    Attributes:
        count: fewest and most per cell.
        radius: smallest and largest, in units of the cell's radius.
        azure, eosin: amounts of the two dyes in a granule.
        over_nucleus: whether they lie on the nucleus, too.
    """

    count: tuple[int, int]
    radius: tuple[float, float]
    azure: float
    eosin: float
    over_nucleus: bool = False


FINE = Granules((90, 160), (0.018, 0.03), 0.45, 0.25)
SPECIFIC = Granules((90, 140), (0.030, 0.042), 0.75, 0.30)
AZUROPHILIC = Granules((16, 30), (0.035, 0.05), 0.9, 0.0)
DENSE = Granules((110, 160), (0.045, 0.065), 1.2, 0.1, over_nucleus=True)
EOSINOPHILIC = Granules((70, 110), (0.085, 0.115), 0.0, 1.25)
BASOPHILIC = Granules((20, 34), (0.11, 0.16), 1.7, 0.0, over_nucleus=True)


@dataclass(frozen=True)
class CellClass:
    """One class's table row. Chances are of the attribute's value 1.

    Attributes:
        name: as in ``LEUKEMIA_CLASSES``.
        diameter: smallest and largest, pixels of a 640 px film before squeezing.
        forms: chance of each nuclear form; gives the attribute nuclear_shape.
        coarse, nucleolus, abundant, basophilia, vacuoles: chances of the other attributes' value 1.
        nucleoli: fewest and most where they are prominent; nucleolus_radius: in units of the nucleus' radius.
        granules: None or a kind.
        eccentric: how far the nucleus is off centre, 0 to 1.
        scalloped, dark_rim, blebs, auer, hof: chances of an outline with bites (it yields to red cells), a darker
            edge of the cytoplasm, pseudopods, Auer rods, a pale zone beside the nucleus.
        artifacts: chance of each kind of artifact; such cells have no attributes.
    """

    name: str
    diameter: tuple[float, float]
    forms: dict[str, float] = field(default_factory=dict)
    coarse: float = 0.0
    nucleolus: float = 0.0
    abundant: float = 1.0
    basophilia: float = 0.0
    vacuoles: float = 0.0
    nucleoli: tuple[int, int] = (2, 4)
    nucleolus_radius: tuple[float, float] = (0.2, 0.27)
    granules: Granules | None = None
    eccentric: float = 0.4
    scalloped: float = 0.0
    dark_rim: float = 0.0
    blebs: float = 0.0
    auer: float = 0.0
    hof: float = 0.0
    artifacts: dict[str, float] = field(default_factory=dict)


_ROWS = (
    CellClass('None', (62, 116), artifacts={'smudge': 0.65, 'bare': 0.1, 'broken': 0.25}),
    CellClass('Myeloblast', (80, 112), {'round': 0.45, 'oval': 0.45, 'notched': 0.1}, coarse=0.03, nucleolus=0.95,
              abundant=0.08, basophilia=0.9, vacuoles=0.04, nucleoli=(2, 4), auer=0.15),
    CellClass('Lymphoblast', (58, 84), {'round': 0.1, 'notched': 0.9}, coarse=0.1, nucleolus=0.02,
              abundant=0.03, basophilia=0.75, vacuoles=0.04),
    CellClass('Neutrophil', (68, 98), {'segmented': 1.0}, coarse=1.0, granules=FINE),
    CellClass('Atypical lymphocyte', (84, 122), {'oval': 0.7, 'notched': 0.3}, coarse=0.9, nucleolus=0.1,
              basophilia=0.95, vacuoles=0.1, eccentric=0.8, scalloped=1.0, dark_rim=1.0),
    CellClass('Promonocyte', (86, 122), {'folded': 1.0}, coarse=0.03, nucleolus=0.03, abundant=0.95, basophilia=0.7,
              vacuoles=0.05, granules=AZUROPHILIC),
    CellClass('Monoblast', (92, 130), {'round': 0.7, 'oval': 0.3}, coarse=0.0, nucleolus=0.97, abundant=0.95,
              basophilia=0.95, vacuoles=0.9, nucleoli=(1, 1), nucleolus_radius=(0.36, 0.46), blebs=0.35),
    CellClass('Lymphocyte', (58, 80), {'round': 0.9, 'oval': 0.1}, coarse=1.0, nucleolus=0.0, abundant=0.08,
              basophilia=0.25, vacuoles=0.0),
    CellClass('Myelocyte', (74, 108), {'round': 0.6, 'oval': 0.4}, coarse=0.95, nucleolus=0.02, basophilia=0.15,
              granules=SPECIFIC, eccentric=0.95, hof=0.4),
    CellClass('Abnormal promyelocyte', (84, 122), {'butterfly': 0.95, 'folded': 0.05}, coarse=0.1, nucleolus=0.02,
              basophilia=0.4, vacuoles=0.03, granules=DENSE, auer=0.9),
    CellClass('Monocyte', (84, 120), {'horseshoe': 0.9, 'indented': 0.1}, coarse=0.1, basophilia=0.15, vacuoles=0.9,
              eccentric=0.5),
    CellClass('Metamyelocyte', (70, 102), {'indented': 1.0}, coarse=0.95, granules=SPECIFIC, eccentric=0.7),
    CellClass('Eosinophil', (70, 102), {'bilobed': 0.9, 'segmented': 0.1}, coarse=1.0, granules=EOSINOPHILIC),
    CellClass('Basophil', (66, 98), {'bilobed': 0.7, 'notched': 0.3}, coarse=0.9, granules=BASOPHILIC),
)

CELL_CLASSES: tuple[CellClass, ...] = tuple({row.name: row for row in _ROWS}[name] for name in LEUKEMIA_CLASSES)
"""One row per class, in the order of ``LEUKEMIA_CLASSES``."""

PAPER_COUNTS: tuple[int, ...] = tuple({
    'Monocyte': 189, 'Basophil': 18, 'Promonocyte': 335, 'Neutrophil': 1153, 'Metamyelocyte': 133, 'Lymphocyte': 282,
    'Abnormal promyelocyte': 298, 'Monoblast': 332, 'Lymphoblast': 1588, 'Myelocyte': 329, 'Eosinophil': 95,
    'Myeloblast': 2029, 'Atypical lymphocyte': 420, 'None': 2375}[name] for name in LEUKEMIA_CLASSES)
"""Cells per class of Sparse-LeukemiaAttri (LLD, section 3)."""

CLASS_BALANCES: dict[str, tuple[float, ...]] = {
    'uniform': tuple(1 / len(LEUKEMIA_CLASSES) for _ in LEUKEMIA_CLASSES),
    'paper': tuple(count / sum(PAPER_COUNTS) for count in PAPER_COUNTS),
}
"""Chance of each class, by name of the balance."""
