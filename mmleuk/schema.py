"""Classes and attribute schemas: the one source of names, values and counts.

A data set carries its classes and its :class:`AttributeSchema` in its metainfo (keys ``classes`` and
``attributes``); from there they reach the head, the metric and the report. Nothing else in the package
spells out how many classes or attributes there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mmleuk.errors import UserError

IGNORE = -1
"""Value of an attribute that nobody could tell: it takes part in no loss and no score."""


class SchemaError(UserError):
    """A value, name or count that the schema doesn't know."""


@dataclass(frozen=True)
class Attribute:
    """One morphological attribute and its possible values.

    Args:
        key: identifier in annotation files.
        values: names of the values 0, 1, ..., V-1; V >= 2.
        name: for people; defaults to the key with capitals and spaces.
        short: column head of the papers' tables; defaults to the key.
        aliases: other spellings of the key that files use.
    """

    key: str
    values: tuple[str, ...]
    name: str = ''
    short: str = ''
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, 'values', tuple(self.values))
        object.__setattr__(self, 'aliases', tuple(self.aliases))
        object.__setattr__(self, 'name', self.name or self.key.replace('_', ' ').title())
        object.__setattr__(self, 'short', self.short or self.key)
        if len(self.values) < 2:
            raise SchemaError(f'attribute {self.key!r} has values {self.values}; at least two are needed')
        if len(set(self.values)) != len(self.values):
            raise SchemaError(f'attribute {self.key!r} names a value twice: {self.values}')


@dataclass(frozen=True)
class AttributeSchema:
    """The attributes of a data set, in the order in which heads predict and tables print them.

    Example:
        >>> schema = AttributeSchema.from_dict({'size': ['small', 'big'], 'hue': ['red', 'blue', 'grey']})
        >>> len(schema), schema.cardinalities, schema.encode('hue', 'blue'), schema.decode('hue', 2)
        (2, (2, 3), 1, 'grey')
    """

    attributes: tuple[Attribute, ...] = ()
    _index: Mapping[str, int] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, 'attributes', tuple(self.attributes))
        index: dict[str, int] = {}
        for position, attribute in enumerate(self.attributes):
            for key in (attribute.key, *attribute.aliases):
                if key in index:
                    raise SchemaError(f'attribute key {key!r} stands twice in the schema')
                index[key] = position
        object.__setattr__(self, '_index', index)

    def __len__(self) -> int:
        return len(self.attributes)

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys in order."""
        return tuple(attribute.key for attribute in self.attributes)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Number of values of each attribute, in order."""
        return tuple(len(attribute.values) for attribute in self.attributes)

    @property
    def values_by_key(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """What a head's outputs mean: keys and value names in order. Two schemas that agree in it can be swapped."""
        return tuple((attribute.key, attribute.values) for attribute in self.attributes)

    def position(self, key: str) -> int | None:
        """Column of ``key`` or one of its aliases; None where the schema doesn't know it."""
        return self._index.get(key)

    def __getitem__(self, key: str) -> Attribute:
        position = self.position(key)
        if position is None:
            raise SchemaError(f'unknown attribute {key!r}; the schema knows {", ".join(self.keys)}')
        return self.attributes[position]

    def encode(self, key: str, value: object) -> int:
        """Integer value of ``key`` from an integer or a value's name; IGNORE for None, IGNORE and '' .

        A binary attribute's 2 means unknown, as in the LeukemiaAttri release.

        Raises:
            SchemaError: the key or the value isn't in the schema.
        """
        attribute = self[key]
        if value is None or value == '' or value == IGNORE:
            return IGNORE
        if isinstance(value, str) and value in attribute.values:
            return attribute.values.index(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value == int(value):
            number = int(value)
            if 0 <= number < len(attribute.values):
                return number
            if number == 2 and len(attribute.values) == 2:
                return IGNORE
        names = ', '.join(f'{i} ({name})' for i, name in enumerate(attribute.values))
        raise SchemaError(f'attribute {key!r} has the value {value!r}; allowed are {names}, '
                          f'or {IGNORE} or null for unknown')

    def decode(self, key: str, value: int) -> str:
        """Name of an integer value; 'unknown' for IGNORE."""
        return 'unknown' if value == IGNORE else self[key].values[value]

    def to_dict(self) -> dict[str, dict]:
        """Plain data for a metainfo or a JSON file; :meth:`from_dict` reads it back."""
        return {a.key: dict(values=list(a.values), name=a.name, short=a.short, aliases=list(a.aliases))
                for a in self.attributes}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> AttributeSchema:
        """Schema from ``{key: [value names]}`` or ``{key: {values, name, short, aliases}}``."""
        return cls(tuple(_attribute(key, spec) for key, spec in data.items()))

    def select(self, keys: Iterable[str]) -> AttributeSchema:
        """The schema with only these attributes, in this order."""
        return AttributeSchema(tuple(self[key] for key in keys))


def _attribute(key: str, spec: object) -> Attribute:
    if isinstance(spec, Mapping):
        unknown = set(spec) - {'values', 'name', 'short', 'aliases'}
        if unknown or 'values' not in spec:
            raise SchemaError(f'attribute {key!r}: needs values and knows name, short, aliases; got {sorted(spec)}')
        return Attribute(key, **spec)
    if isinstance(spec, (list, tuple)):
        return Attribute(key, tuple(spec))
    raise SchemaError(f'attribute {key!r}: expected a list of value names or a dict, got {spec!r}')


LEUKEMIA_CLASSES: tuple[str, ...] = (
    'None', 'Myeloblast', 'Lymphoblast', 'Neutrophil', 'Atypical lymphocyte', 'Promonocyte', 'Monoblast',
    'Lymphocyte', 'Myelocyte', 'Abnormal promyelocyte', 'Monocyte', 'Metamyelocyte', 'Eosinophil', 'Basophil')
"""LeukemiaAttri's 14 classes in the label order of the authors' release (LLD, section 3)."""

LEUKEMIA_ATTRIBUTES = AttributeSchema((
    Attribute('nuclear_chromatin', ('open', 'coarse'), 'Nuclear Chromatin', 'NC', ('nuclear_chromatio',)),
    Attribute('nuclear_shape', ('regular', 'irregular'), 'Nuclear Shape', 'NS'),
    Attribute('nucleolus', ('inconspicuous', 'prominent'), 'Nucleus', 'N'),
    Attribute('cytoplasm', ('scanty', 'abundant'), 'Cytoplasm', 'C'),
    Attribute('cytoplasmic_basophilia', ('slight', 'moderate'), 'Cytoplasmic Basophilia', 'CB'),
    Attribute('cytoplasmic_vacuoles', ('absent', 'prominent'), 'Cytoplasmic Vacuoles', 'CV'),
))
"""The six attributes that LLD predicts and scores, in the order of its Tables 5 and 9 (Cell Size is left out)."""

TXL_PBC_CLASSES: tuple[str, ...] = ('WBC', 'RBC', 'Platelets')
WBCATT_CLASSES: tuple[str, ...] = (
    'Neutrophil', 'Eosinophil', 'Basophil', 'Lymphocyte', 'Monocyte', 'RBC', 'Platelets')
WBCATT_ATTRIBUTES = AttributeSchema.from_dict({
    'cell_size': ['small', 'big'],
    'cell_shape': ['round', 'irregular'],
    'nucleus_shape': ['unsegmented-round', 'unsegmented-indented', 'unsegmented-band', 'segmented-bilobed',
                      'segmented-multilobed', 'irregular'],
    'nuclear_cytoplasmic_ratio': ['low', 'high'],
    'chromatin_density': ['loosely', 'densely'],
    'cytoplasm_vacuole': ['no', 'yes'],
    'cytoplasm_texture': ['clear', 'frosted'],
    'cytoplasm_colour': ['light blue', 'blue', 'purple blue'],
    'granule_type': ['nil', 'small', 'round', 'coarse'],
    'granule_colour': ['nil', 'pink', 'red', 'purple'],
    'granularity': ['no', 'yes'],
})
"""WBCAtt's 11 attributes (Tsutsui et al., NeurIPS 2023)."""

SCHEMA_PRESETS: Mapping[str, AttributeSchema] = {'leukemia': LEUKEMIA_ATTRIBUTES, 'wbcatt': WBCATT_ATTRIBUTES}
"""Schemas that a config may call by name."""


def resolve_schema(spec: str | Mapping[str, object] | AttributeSchema) -> AttributeSchema:
    """Schema from a preset's name, from :meth:`AttributeSchema.to_dict`'s form, or as it is.

    >>> resolve_schema('leukemia').cardinalities
    (2, 2, 2, 2, 2, 2)
    """
    if isinstance(spec, AttributeSchema):
        return spec
    if isinstance(spec, str):
        if spec not in SCHEMA_PRESETS:
            raise SchemaError(f'unknown attribute schema {spec!r}; known are {", ".join(SCHEMA_PRESETS)}, '
                              'or give a dict {attribute: [value names]}')
        return SCHEMA_PRESETS[spec]
    return AttributeSchema.from_dict(spec)


NOT_LEUKOCYTES = frozenset({
    'none', 'artifact', 'artifacts', 'artefact', 'artefacts', 'rbc', 'red blood cell', 'erythrocyte',
    'platelet', 'platelets', 'thrombocyte'})
"""Lower-case names of classes that are no leukocytes; 'None' holds artifacts and cells nobody could name."""


def leukocyte_classes(classes: Sequence[str], chosen: Sequence[str] | None = None) -> tuple[str, ...]:
    """The classes that count as leukocytes: ``chosen``, or all but artifacts, red cells and platelets.

    Raises:
        UserError: a chosen name is no class.
    """
    if chosen is None:
        return tuple(name for name in classes if name.strip().lower() not in NOT_LEUKOCYTES)
    unknown = [name for name in chosen if name not in classes]
    if unknown:
        raise UserError(f'{", ".join(map(repr, unknown))}: no class of this model; it knows {", ".join(classes)}')
    return tuple(name for name in classes if name in chosen)
