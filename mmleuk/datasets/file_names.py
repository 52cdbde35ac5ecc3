"""Read patient and diagnosis from an image's file name."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from mmleuk.errors import UserError

DIAGNOSES: tuple[str, ...] = ('ALL', 'AML', 'APML', 'CLL', 'CML')

RELEASE_NAME_PATTERN = rf'(?:^(?P<patient>\d+)(?:_\d+)+)?_(?P<diagnosis>{"|".join(DIAGNOSES)})$'
"""LeukemiaAttri's names are PATIENT_FIELD100[_FIELD40]_MAGNIFICATION_DIAGNOSIS: ``4_7_8_400_ALL.png`` shows patient 4,
the field that is number 7 at 100x and 8 at 40x, through an objective of 40x (times an eyepiece of 10x)."""


def compile_name_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern for :func:`parse_file_name`.

    Raises:
        UserError: the text isn't a regular expression, or has no group ``patient`` or ``diagnosis``.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(f'name_pattern {pattern!r} is no regular expression ({error})') from error
    if not set(compiled.groupindex) & {'patient', 'diagnosis'}:
        raise UserError(f'name_pattern {pattern!r} captures nothing; name a group (?P<patient>...) or '
                        '(?P<diagnosis>...)')
    return compiled


def parse_file_name(file_name: str, pattern: re.Pattern[str] | None) -> tuple[str | None, str | None]:
    """Patient and diagnosis that ``pattern`` finds in the name without folder and suffix; None if it doesn't.

    Without a pattern both are None.

    Example:
        >>> parse_file_name('test/15_20_1000_AML.png', compile_name_pattern(RELEASE_NAME_PATTERN))
        ('15', 'AML')
    """
    match = pattern.search(PurePosixPath(file_name).stem) if pattern else None
    found = match.groupdict() if match else {}
    return found.get('patient'), found.get('diagnosis')


def magnification(file_name: str) -> int | None:
    """The objective's magnification that a name of LeukemiaAttri states: 100, 40 or 10; None where it doesn't.

    Example:
        >>> magnification('4_7_8_400_ALL.png'), magnification('film.png')
        (40, None)
    """
    match = re.search(rf'_(100|40|10)0_(?:{"|".join(DIAGNOSES)})$', PurePosixPath(file_name).stem)
    return int(match[1]) if match else None
