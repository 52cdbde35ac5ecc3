"""Conditions that make detection harder, for any test set: seeded, and boxes stay correct.

``scene.py`` is what they change and the transform that wires them; each other file holds one condition, or what it
draws with.
"""

from mmleuk.transforms.interference.defocus import Defocus
from mmleuk.transforms.interference.impurities import Impurities
from mmleuk.transforms.interference.incomplete import IncompleteCells
from mmleuk.transforms.interference.overlap import Donor, OverlappingCells, cut_donors
from mmleuk.transforms.interference.scene import Interference, Scene, make_rng
from mmleuk.transforms.interference.staining import OverStaining, PaleStaining

FACTORS: dict[str, type[Interference]] = {
    kind.factor: kind for kind in (OverStaining, PaleStaining, OverlappingCells, Impurities, IncompleteCells, Defocus)}
"""Factor -> its transform."""

__all__ = ['FACTORS', 'Defocus', 'Donor', 'Impurities', 'IncompleteCells', 'Interference', 'OverStaining',
           'OverlappingCells', 'PaleStaining', 'Scene', 'cut_donors', 'make_rng']
