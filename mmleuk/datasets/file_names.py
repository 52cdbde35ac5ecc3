"""What an image's file name says about patient and diagnosis, and nothing that it doesn't say."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from mmleuk.errors import UserError

DIAGNOSES: tuple[str, ...] = ('ALL', 'AML', 'APML', 'CLL', 'CML')

RELEASE_NAME_PATTERN = rf'_(?P<diagnosis>{"|".join(DIAGNOSES)})$'
"""LeukemiaAttri's names end with the diagnosis (``15_20_1000_AML.png``). What their first numbers mean is
published nowhere, so the patient stays unknown unless a pattern of the user's own says where it stands."""


def compile_name_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern for :func:`parse_file_name`.

    Raises:
        UserError: no regular expression, or one with neither a ``patient`` nor a ``diagnosis`` group.
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
    """Patient and diagnosis that ``pattern`` finds in the name without folder and suffix; None where it doesn't.

    No pattern finds nothing.

    Example:
        >>> parse_file_name('test/15_20_1000_AML.png', compile_name_pattern(RELEASE_NAME_PATTERN))
        (None, 'AML')
    """
    match = pattern.search(PurePosixPath(file_name).stem) if pattern else None
    found = match.groupdict() if match else {}
    return found.get('patient'), found.get('diagnosis')
