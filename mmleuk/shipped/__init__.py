"""Models in the package: weights, config, and a card with data, licences and figures.

They are made by ``tools/ship_model.py``. Weights are safetensors: reading them runs no code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmleuk.errors import UserError

FOLDER = Path(__file__).parent
DEFAULT = 'any-microscope'


@dataclass(frozen=True)
class ShippedModel:
    """The files of one model; ``summary`` is one line for a list."""

    name: str
    summary: str

    @property
    def stem(self) -> str:
        """Of its files' names."""
        return self.name.replace('-', '_')

    @property
    def config(self) -> Path:
        """The resolved config."""
        return FOLDER / f'{self.stem}.py'

    @property
    def weights(self) -> Path:
        """The weights, half precision."""
        return FOLDER / f'{self.stem}.safetensors'

    @property
    def card(self) -> Path:
        """Data, licences, recipe and figures, as Markdown."""
        return FOLDER / f'{self.stem}.md'


SHIPPED = {model.name: model for model in (
    ShippedModel(DEFAULT, 'WBC, RBC and platelets of blood films; five leukocyte types and 11 attributes'),)}
"""Models by name."""


def get_shipped(name: str = DEFAULT) -> ShippedModel:
    """The model of that name.

    Raises:
        UserError: there is none; the message names the known ones.
    """
    if name not in SHIPPED:
        raise UserError(f'there is no shipped model {name!r}; mmleuk models lists {", ".join(SHIPPED)}')
    return SHIPPED[name]
