"""Which images of an annotation file a data set has: those of some domains, without some patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mmleuk.datasets.annotations import Annotations
from mmleuk.errors import UserError

FACTS = ('patient', 'diagnosis', 'domain')
"""What an image can be left out by."""


def listed_domains(domains: Sequence[str] | None) -> tuple[str, ...] | None:
    """Domains of a config as a tuple; None stands for all.

    Raises:
        UserError: it is no list, or an empty one.
    """
    if isinstance(domains, str) or domains is not None and not domains:
        raise UserError(f'domains={domains!r}: give a list of domains, such as [\'pbc\'], or leave it out for all')
    return None if domains is None else tuple(domains)


def listed_facts(leave_out: Mapping[str, Sequence[str]] | None) -> dict[str, tuple[str, ...]]:
    """``leave_out`` of a config with tuples of texts, so that a patient may be written as a number.

    Raises:
        UserError: it is no dict of one of :data:`FACTS` and a list each.

    Example:
        >>> listed_facts(dict(patient=[24]))
        {'patient': ('24',)}
    """
    given = {} if leave_out is None else leave_out
    if not isinstance(given, Mapping) or not set(given) <= set(FACTS) or not all(
            isinstance(values, (list, tuple)) and values for values in given.values()):
        raise UserError(f"leave_out={leave_out!r}: give a dict with a list each, such as dict(patient=['24']); keys "
                        f'are {", ".join(FACTS)}')
    return {key: tuple(map(str, values)) for key, values in given.items()}


def choose_domains(annotations: Annotations, domains: Sequence[str]) -> Annotations:
    """The images of these domains.

    Raises:
        UserError: no image has one of them.
    """
    _check_occur(annotations, 'domain', domains, 'Correct domains, or give the images their domain')
    images = tuple(image for image in annotations.images if image.domain in domains)
    return replace(annotations, images=images)


def leave_out_images(annotations: Annotations, leave_out: Mapping[str, Sequence[str]]) -> Annotations:
    """All images except those that have one of the facts, for instance those of some patients.

    Raises:
        UserError: no image has one of them, which would leave out nothing; or no image is left.
    """
    for key, values in leave_out.items():
        _check_occur(annotations, key, values, 'Correct leave_out, or let name_pattern read it from the file names'
                     if key != 'domain' else 'Correct leave_out')
    images = tuple(image for image in annotations.images
                   if not any(getattr(image, key) in values for key, values in leave_out.items()))
    if not images:
        raise UserError(f'{annotations.path}: leave_out={dict(leave_out)} leaves no image; list fewer, or give another '
                        'file')
    return replace(annotations, images=images)


def _check_occur(annotations: Annotations, key: str, values: Sequence[str], fix: str) -> None:
    counts = Counter(getattr(image, key) for image in annotations.images)
    absent = [value for value in values if not counts[value]]
    if absent:
        known = ', '.join(f'{value} ({count} images)' for value, count in counts.items())
        raise UserError(f'{annotations.path}: no image has the {key} {absent[0]!r}; the file has {known}. {fix}')
