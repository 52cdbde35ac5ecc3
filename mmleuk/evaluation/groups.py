"""Groups of images that are scored separately: by domain, and by interference factor.

Legend: I images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmleuk.errors import UserError
from mmleuk.structures.ground_truth import ImageTruth

NOT_STATED = '(not stated)'
NO_FACTOR = '(none)'


@dataclass(frozen=True)
class Group:
    """Images of one domain or factor.

    Args:
        kind: 'domain' or 'factor'.
        name: of the domain or factor.
        images: (I,) bool.
    """

    kind: str
    name: str
    images: NDArray[np.bool_]


def groups_of(images: Sequence[ImageTruth], source: str) -> list[Group]:
    """One group per domain, then one per interference factor; no groups of a kind that no image states.

    An image has one domain and any number of factors, so groups of factors may share images.

    Raises:
        UserError: ``factors`` is not a text, a list of texts or a dict. The message names file and image.
    """
    domains = [(image.domain or NOT_STATED,) for image in images]
    factors = []
    for image in images:
        names = factor_names(image.factors)
        if names is None:
            raise UserError(f'{source}: image {image.file_name}: factors is {image.factors!r}; it needs a list of '
                            'names, or a dict of name: value')
        factors.append(names)
    groups = _groups('domain', domains) if any(image.domain for image in images) else []
    return groups + (_groups('factor', factors) if any(image.factors for image in images) else [])


def factor_names(raw: object) -> tuple[str, ...] | None:
    """Names of an image's factors; None for a value of the wrong type.

    >>> factor_names('blur'), factor_names(['blur', 'pale stain']), factor_names({'blur': 2, 'pale': True, 'dust': 0})
    (('blur',), ('blur', 'pale stain'), ('blur = 2', 'pale'))
    >>> factor_names(None), factor_names([]), factor_names({'blur': False})
    (('(not stated)',), ('(none)',), ('(none)',))
    """
    if raw is None:
        return (NOT_STATED,)
    if isinstance(raw, str):
        return (raw,) if raw else (NO_FACTOR,)
    if isinstance(raw, (list, tuple)) and all(isinstance(name, str) for name in raw):
        return tuple(dict.fromkeys(raw)) or (NO_FACTOR,)
    if isinstance(raw, Mapping):
        # An absent factor, or one with strength 0, has no effect on the image.
        present = {str(name): value for name, value in raw.items() if value}
        return tuple(name if value is True else f'{name} = {value:g}' if isinstance(value, (int, float))
                     else f'{name} = {value}' for name, value in present.items()) or (NO_FACTOR,)
    return None


def _groups(kind: str, names: Sequence[tuple[str, ...]]) -> list[Group]:
    special = (NO_FACTOR, NOT_STATED)
    distinct = sorted({name for of_image in names for name in of_image}, key=lambda name: (name in special, name))
    return [Group(kind, name, np.array([name in of_image for of_image in names])) for name in distinct]
