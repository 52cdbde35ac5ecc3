"""Declarations of data sets: classes, attributes, which classes are leukocytes and which have attributes.

A data set has its :class:`Declaration` in its metainfo (keys ``classes``, ``attributes``, ``leukocytes`` and
``described``). Heads, metrics and reports read it there. No other module of the package lists classes or attributes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from mmleuk.errors import UserError

IGNORE = -1
"""Unknown value of an attribute: it takes part in no loss and no score."""
TYPE_ATTRIBUTE = 'cell_type'
"""Key of the attribute that is the cell's type, in models that read it as one."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for an error message at a misspelt name: the most similar known one, if any is similar.

    >>> nearest('granule_color', ['granule_colour', 'granularity'])
    " (did you mean 'granule_colour'?)"
    """
    alike = difflib.get_close_matches(name, list(known), n=1)
    return f' (did you mean {alike[0]!r}?)' if alike else ''


class SchemaError(UserError):
    """A value, name or count that the schema doesn't know."""


@dataclass(frozen=True)
class Attribute:
    """One morphological attribute and its possible values.

    Args:
        key: identifier in annotation files.
        values: names of the values 0, 1, ..., V-1; V >= 2.
        name: for people; default: the key with capitals and spaces.
        short: column header in the papers' tables; default: the key.
        aliases: other spellings of the key that files use.
        unknown: numbers that stand for an unknown value in the files of this data set, beside null and -1.
    """

    key: str
    values: tuple[str, ...]
    name: str = ''
    short: str = ''
    aliases: tuple[str, ...] = ()
    unknown: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for field_name, kind in (('values', str), ('aliases', str), ('unknown', int)):
            given = getattr(self, field_name)
            if not isinstance(given, (list, tuple)) or not all(type(entry) is kind for entry in given):
                raise SchemaError(f'attribute {self.key!r}: {field_name} is {given!r}; it needs a list of '
                                  f'{"texts" if kind is str else "whole numbers"}')
            object.__setattr__(self, field_name, tuple(getattr(self, field_name)))
        object.__setattr__(self, 'name', self.name or self.key.replace('_', ' ').title())
        object.__setattr__(self, 'short', self.short or self.key)
        if len(self.values) < 2:
            raise SchemaError(f'attribute {self.key!r} has values {self.values}; at least two are needed')
        if len(set(self.values)) != len(self.values):
            raise SchemaError(f'attribute {self.key!r} names a value twice: {self.values}')
        if any(0 <= code < len(self.values) for code in self.unknown):
            raise SchemaError(f'attribute {self.key!r}: unknown={self.unknown} names a number of a known value')


@dataclass(frozen=True)
class AttributeSchema:
    """The attributes of a data set, in the order of heads and tables.

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
                    raise SchemaError(f'attribute key {key!r} occurs twice in the schema')
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
        """Keys and value names in order: the meaning of a head's outputs. If equal, schemas are interchangeable."""
        return tuple((attribute.key, attribute.values) for attribute in self.attributes)

    def position(self, key: str) -> int | None:
        """Column of ``key`` or one of its aliases; None if the schema doesn't know it."""
        return self._index.get(key)

    def __getitem__(self, key: str) -> Attribute:
        position = self.position(key)
        if position is None:
            raise SchemaError(f'unknown attribute {key!r}{nearest(key, self._index)}; the schema knows '
                              f'{", ".join(self.keys)}')
        return self.attributes[position]

    def encode(self, key: str, value: object) -> int:
        """Integer value of ``key`` from a number or a value's name; IGNORE for None, IGNORE, '' and ``unknown``.

        Capitals and spaces around a name are ignored. The number may be a text.

        Raises:
            SchemaError: the key or the value isn't in the schema.
        """
        attribute = self[key]
        if value is None or value == '' or value == IGNORE:
            return IGNORE
        if isinstance(value, str):
            if value in attribute.values:
                return attribute.values.index(value)
            plain = value.strip().casefold()
            alike = [index for index, name in enumerate(attribute.values) if name.casefold() == plain]
            if len(alike) == 1:
                return alike[0]
            value = int(value) if re.fullmatch(r'\s*-?\d{1,9}\s*', value) else value
            if value == IGNORE:
                return IGNORE
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value == int(value):
            number = int(value)
            if 0 <= number < len(attribute.values):
                return number
            if number in attribute.unknown:
                return IGNORE
        names = ', '.join(f'{i} ({name})' for i, name in enumerate(attribute.values))
        hint = nearest(value, attribute.values) if isinstance(value, str) else ''
        raise SchemaError(f'attribute {key!r} has the value {value!r}{hint}; allowed are {names}, '
                          f'or {IGNORE} or null for unknown')

    def decode(self, key: str, value: int) -> str:
        """Name of an integer value; 'unknown' for IGNORE."""
        return 'unknown' if value == IGNORE else self[key].values[value]

    def to_dict(self) -> dict[str, dict]:
        """Plain data for a metainfo or a JSON file; :meth:`from_dict` reads it back."""
        return {a.key: dict(values=list(a.values), name=a.name, short=a.short, aliases=list(a.aliases),
                            **(dict(unknown=list(a.unknown)) if a.unknown else {}))
                for a in self.attributes}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> AttributeSchema:
        """Schema from ``{key: [value names]}`` or ``{key: {values, name, short, aliases, unknown}}``."""
        return cls(tuple(_attribute(key, spec) for key, spec in data.items()))

    def select(self, keys: Iterable[str]) -> AttributeSchema:
        """The schema with only these attributes, in this order."""
        return AttributeSchema(tuple(self[key] for key in keys))


def _attribute(key: str, spec: object) -> Attribute:
    if isinstance(spec, Mapping):
        known = {'values', 'name', 'short', 'aliases', 'unknown'}
        if set(spec) - known or 'values' not in spec:
            raise SchemaError(f'attribute {key!r}: needs values and knows name, short, aliases, unknown; got '
                              f'{sorted(spec)}')
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

LEUKEMIA_CELL_SIZE = Attribute('cell_size', ('small', 'medium', 'large'), 'Cell Size', 'CS', unknown=(4,))
"""LeukemiaAttri's seventh attribute, which is neither predicted nor scored: its 2 means large."""

TXL_PBC_CLASSES: tuple[str, ...] = ('WBC', 'RBC', 'Platelets')
WBCATT_CLASSES: tuple[str, ...] = (
    'Neutrophil', 'Eosinophil', 'Basophil', 'Lymphocyte', 'Monocyte', 'RBC', 'Platelets')
WBCATT_CLASSES_OTHER: tuple[str, ...] = (*WBCATT_CLASSES[:5], 'Other leukocyte')
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


@dataclass(frozen=True)
class Declaration:
    """The labels of a data set: the one description that heads, metrics and reports use.

    Args:
        name: in a config's ``metainfo=dict(preset=name)``.
        classes: names in label order.
        attributes: the morphological attributes; none by default.
        leukocytes: classes that count as leukocytes; default :func:`leukocyte_classes`.
        described: classes whose cells have attributes; default: all classes if there are attributes.

    Raises:
        UserError: there are no classes, a class occurs twice, or a name isn't a class.

    Example:
        >>> small = Declaration('small', ('Blast', 'RBCs'), AttributeSchema.from_dict({'size': ['small', 'big']}))
        >>> small.leukocytes, small.described
        (('Blast',), ('Blast', 'RBCs'))
    """

    name: str
    classes: tuple[str, ...]
    attributes: AttributeSchema = field(default_factory=AttributeSchema)
    leukocytes: tuple[str, ...] | None = None
    described: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        classes = self.classes
        if isinstance(classes, str) or not isinstance(classes, (list, tuple)) or not classes or not all(
                isinstance(name, str) for name in classes):
            raise UserError(f'data set {self.name!r}: the classes are {classes!r}; give a tuple of names, with a comma '
                            'after a single one')
        if len(set(classes)) != len(classes):
            raise UserError(f'data set {self.name!r}: a class occurs twice: {", ".join(classes)}')
        object.__setattr__(self, 'classes', tuple(classes))
        object.__setattr__(self, 'leukocytes', leukocyte_classes(self.classes, self.leukocytes))
        described = self.classes if self.described is None else self.described
        object.__setattr__(self, 'described', _chosen(self.classes, described) if len(self.attributes) else ())

    def metainfo(self) -> dict:
        """Plain data for a data set's metainfo: ``classes``, ``attributes``, ``leukocytes``, ``described``."""
        return dict(classes=self.classes, attributes=self.attributes.to_dict(), leukocytes=self.leukocytes,
                    described=self.described)


NOT_LEUKOCYTES = frozenset({
    'artefact', 'artifact', 'background', 'debris', 'erythroblast', 'erythrocyte', 'megakaryocyte', 'normoblast',
    'nrbc', 'platelet', 'plt', 'proerythroblast', 'rbc', 'reticulocyte', 'thrombocyte'})
"""Words that no leukocyte's name contains, in the singular and lower case."""


@cache
def normalise_class_name(name: str) -> str:
    """A class name in lower case and in the singular, with one space between words, to compare spellings.

    Example:
        >>> [normalise_class_name(name) for name in ('RBCs', 'Red_Blood-Cells', 'RedBloodCell', 'Mitosis')]
        ['rbc', 'red blood cell', 'red blood cell', 'mitosis']
    """
    words = re.findall(r'[^\W_]+', re.sub(r'(?<=[a-z])(?=[A-Z])', ' ', re.sub(r'(?<=[A-Z])s\b', '', name)).lower())
    return ' '.join(word[:-1] if re.search(r'[^siu]s$', word) else word for word in words)


def is_leukocyte(name: str) -> bool:
    """Whether a name is that of a leukocyte: all but red cells, their precursors, platelets, artifacts and 'None'."""
    normal = normalise_class_name(name)
    return normal not in ('none', 'other', 'unknown') and 'red cell' not in normal and (
        'red blood cell' not in normal) and not NOT_LEUKOCYTES & set(normal.split())


def leukocyte_classes(classes: Sequence[str], chosen: Sequence[str] | None = None) -> tuple[str, ...]:
    """The classes that count as leukocytes: ``chosen``, or those of :func:`is_leukocyte`.

    Raises:
        UserError: a chosen name isn't a class.
    """
    return tuple(filter(is_leukocyte, classes)) if chosen is None else _chosen(classes, chosen)


def _chosen(classes: Sequence[str], chosen: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in chosen if name not in classes]
    if unknown:
        raise UserError(f'{", ".join(map(repr, unknown))}: not a class of this model; known are {", ".join(classes)}')
    return tuple(name for name in classes if name in chosen)


def _types_alone(name: str, *classes: str) -> Declaration:
    """Single-cell images with a type and no attributes: the type is the one attribute that is predicted."""
    return Declaration(name, classes, AttributeSchema((Attribute('cell_type', classes),)))


_MATURE = ('Basophil', 'Band neutrophil', 'Eosinophil', 'Lymphocyte', 'Monocyte', 'Segmented neutrophil')

DECLARATIONS: dict[str, Declaration] = {declaration.name: declaration for declaration in (
    Declaration(
        'leukemia_attri', LEUKEMIA_CLASSES,
        AttributeSchema(tuple(replace(attribute, unknown=(2, 4)) for attribute in LEUKEMIA_ATTRIBUTES.attributes)),
        described=LEUKEMIA_CLASSES[1:]),  # 2 and, for class None, 4 stand for unknown in the release's files
    Declaration('lld_40x', LEUKEMIA_CLASSES, LEUKEMIA_ATTRIBUTES.select(LEUKEMIA_ATTRIBUTES.keys[:-1]),
                described=LEUKEMIA_CLASSES[1:]),
    Declaration('leukocyte', ('BG', 'EG', 'NG', 'M', 'L')),
    _types_alone('all_idb2', 'Healthy cell', 'Lymphoblast'),
    _types_alone(
        'munich_aml', 'Basophil', 'Erythroblast', 'Eosinophil', 'Smudge cell', 'Atypical lymphocyte',
        'Typical lymphocyte', 'Metamyelocyte', 'Monoblast', 'Monocyte', 'Myelocyte', 'Myeloblast', 'Band neutrophil',
        'Segmented neutrophil', 'Bilobed promyelocyte', 'Promyelocyte'),
    _types_alone('pbc_crops', 'Basophil', 'Eosinophil', 'Erythroblast', 'Immature granulocyte', 'Lymphocyte',
                 'Monocyte', 'Neutrophil', 'Platelet'),
    Declaration(
        'pbc', ('Basophil', 'Band neutrophil', 'Eosinophil', 'Erythroblast', 'Lymphocyte', 'Metamyelocyte', 'Monocyte',
                'Myelocyte', 'Platelet', 'Promyelocyte', 'RBC', 'Segmented neutrophil'),
        WBCATT_ATTRIBUTES, described=_MATURE),
    Declaration('synthetic', LEUKEMIA_CLASSES, LEUKEMIA_ATTRIBUTES),
    Declaration('synthetic_crops', LEUKEMIA_CLASSES, AttributeSchema((
        Attribute('cell_type', LEUKEMIA_CLASSES[1:]), *LEUKEMIA_ATTRIBUTES.attributes)),
                described=LEUKEMIA_CLASSES[1:]),
    Declaration('txl_pbc', TXL_PBC_CLASSES),
    Declaration('wbcatt', WBCATT_CLASSES, WBCATT_ATTRIBUTES, described=WBCATT_CLASSES[:5]),
    Declaration('wbcatt_crops', WBCATT_CLASSES[:5], AttributeSchema((
        Attribute('cell_type', WBCATT_CLASSES[:5]), *WBCATT_ATTRIBUTES.attributes))),
    Declaration('wbcatt_crops_other', WBCATT_CLASSES_OTHER, AttributeSchema((
        Attribute('cell_type', WBCATT_CLASSES_OTHER), *WBCATT_ATTRIBUTES.attributes))),
)}
"""The known data sets by name. Your own module can add one: ``DECLARATIONS['mine'] = Declaration('mine', ...)``."""

DECLARATIONS['leukemia'] = DECLARATIONS['leukemia_attri']  # the name in configs and checkpoints of earlier versions


def get_declaration(name: str) -> Declaration:
    """The declaration of that name.

    Raises:
        UserError: no such data set; the message lists the known ones.
    """
    if name not in DECLARATIONS:
        raise UserError(f'unknown data set {name!r}; known are {", ".join(DECLARATIONS)}')
    return DECLARATIONS[name]


def resolve_schema(spec: str | Mapping[str, object] | AttributeSchema) -> AttributeSchema:
    """Schema from the name of a declared data set, from the dict of :meth:`AttributeSchema.to_dict`, or unchanged.

    >>> resolve_schema('leukemia').cardinalities
    (2, 2, 2, 2, 2, 2)
    """
    if isinstance(spec, AttributeSchema):
        return spec
    if isinstance(spec, str):
        if spec not in DECLARATIONS:
            raise SchemaError(f'unknown attribute schema {spec!r}; known are {", ".join(DECLARATIONS)}, '
                              'or give a dict {attribute: [value names]}')
        return DECLARATIONS[spec].attributes
    return AttributeSchema.from_dict(spec)
