"""One cell's attributes, its type, why, and what another value would change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from mmleuk.errors import UserError
from mmleuk.explain.bottleneck import Bottleneck
from mmleuk.schema import IGNORE, AttributeSchema


def parse_edits(texts: Iterable[str], schema: AttributeSchema) -> dict[str, int]:
    """Values to set from texts like ``granule_colour=purple``.

    Raises:
        UserError: no '=', an attribute or value that the schema doesn't know (with the nearest known one), or an
            attribute named twice.

    >>> parse_edits(['hue=red'], AttributeSchema.from_dict({'hue': ['pink', 'red']}))
    {'hue': 1}
    """
    edits: dict[str, int] = {}
    for text in texts:
        key, is_there, value = text.partition('=')
        if not is_there:
            raise UserError(f'--set {text!r}: expected ATTRIBUTE=VALUE, such as '
                            f'{schema.keys[0]}={schema.attributes[0].values[-1]}')
        attribute = schema[key.strip()]
        index = schema.encode(attribute.key, value)
        if index == IGNORE:
            raise UserError(f'--set {text!r}: needs a value; {attribute.key} has {", ".join(attribute.values)}')
        if attribute.key in edits:
            raise UserError(f'--set names {attribute.key} twice; give it one value')
        edits[attribute.key] = index
    return edits


@dataclass(frozen=True)
class ExplainedCell:
    """A cell as a concept bottleneck sees it.

    Args:
        name: unique: the image's, with '#' and a number for one of several cells of an image.
        path: image file.
        box_xyxy: of the cell in pixels; None if the image is a crop of it.
        concepts: (K,) predicted probabilities of attribute values.
        bottleneck: what turns them into a type.
        edits: values set by hand, index by attribute key.
        other_type: type by another model, such as the detector that found the cell; '' if there is none.
        features: (D,) of the encoder, to find similar cells; None if there are none.

    Example::

        cell = Explainer('config.py', 'weights.pth', 'cbm/linear.json')('cell.png')[0]
        print(cell.type_name, cell.edit(granule_colour='purple').type_name)
    """

    name: str
    path: str
    box_xyxy: tuple[float, float, float, float] | None
    concepts: np.ndarray
    bottleneck: Bottleneck
    edits: Mapping[str, int] = field(default_factory=dict)
    other_type: str = ''
    features: np.ndarray | None = None

    def edit(self, edits: Mapping[str, int] | None = None, **values: str) -> ExplainedCell:
        """The same cell with other values; those that were set before stay.

        The probability of a set value becomes 1. The value that was predicted takes the edit back: its attribute has
        the predicted probabilities again.

        Args:
            edits: index of the value by attribute key.
            values: name of the value by attribute key.

        Raises:
            UserError: an attribute or value isn't in the schema.
        """
        given = {**(edits or {}), **parse_edits([f'{key}={value}' for key, value in values.items()], self.schema)}
        predicted = self.predicted
        return replace(self, edits={key: value for key, value in {**self.edits, **given}.items()
                                    if value != predicted[key]})

    @property
    def schema(self) -> AttributeSchema:
        """The attributes."""
        return self.bottleneck.schema

    @property
    def predicted(self) -> dict[str, int]:
        """Most probable value by attribute key, without edits."""
        return {key: int(self.concepts[span].argmax()) for key, span in zip(self.schema.keys, self.bottleneck.spans)}

    @property
    def values(self) -> dict[str, int]:
        """Value by attribute key, with edits."""
        return {**self.predicted, **self.edits}

    @property
    def edited_concepts(self) -> np.ndarray:
        """(K,) probabilities, with edits."""
        concepts = self.concepts.copy()
        for key, span in zip(self.schema.keys, self.bottleneck.spans):
            if key in self.edits:
                concepts[span] = 0
                concepts[span.start + self.edits[key]] = 1
        return concepts

    @property
    def type_probabilities(self) -> np.ndarray:
        """(C,) probabilities of the bottleneck's types."""
        return self.bottleneck.probabilities(self.edited_concepts[None])[0]

    @property
    def type_name(self) -> str:
        """The most probable type."""
        return self.bottleneck.types[int(self.type_probabilities.argmax())]

    def contributions(self, type_name: str | None = None) -> dict[str, float]:
        """What each attribute adds to the score of a type, by default the most probable one: weight times value.

        Raises:
            UserError: the bottleneck doesn't know the type.
        """
        name = self.type_name if type_name is None else type_name
        if name not in self.bottleneck.types:
            raise UserError(f'unknown type {name!r}; the bottleneck knows {", ".join(self.bottleneck.types)}')
        added = self.bottleneck.contributions(self.edited_concepts[None])[0, self.bottleneck.types.index(name)]
        return dict(zip(self.schema.keys, added.tolist()))
