"""Random numbers of a cell's parts, so that one part can be drawn differently while all others stay the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PartStreams:
    """A random generator of its own for each part of a cell, from one seed.

    Films draw all parts from one generator; there, one more granule changes every part that is drawn later.
    """

    seed: int

    def of(self, part: str) -> np.random.Generator:
        """The generator of a part, at its start."""
        return np.random.default_rng([self.seed, *part.encode()])


Randomness = np.random.Generator | PartStreams


def part_rng(rng: Randomness, part: str) -> np.random.Generator:
    """The part's own generator, or the one that all parts share."""
    return rng.of(part) if isinstance(rng, PartStreams) else rng
