"""Splits that keep the images of a patient or slide together."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mmleuk.errors import UserError


class GroupSplit:
    """Assigns every group of images to one part, by the group's name.

    A group goes where a hash of its name lies among the shares. So it stays in its part when images or groups are
    added, no file has to record the split, and a part gets about its share of the groups, not of the images.

    Args:
        parts: share of the groups by part, such as ``dict(train=0.7, val=0.1, test=0.2)``; they add up to 1.
        part: the one to read.
        pattern: regular expression that is searched in an image's name; what its group ``patient`` (or its first one)
            matches names the group. None: every image is a group of its own.
        salt: another text gives another split.

    Raises:
        UserError: the shares or the pattern are wrong, or the part isn't one of them.

    Example:
        >>> split = GroupSplit(parts=dict(train=0.5, test=0.5), part='train', pattern=r'UID_(\\d+)_')
        >>> [split.group_of(name) for name in ('UID_7_1_1_all.bmp', 'UID_7_1_2_all.bmp')]
        ['7', '7']
    """

    def __init__(self, *, parts: Mapping[str, float], part: str, pattern: str | None = None, salt: str = '') -> None:
        shares = list(parts.values())
        if not shares or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
            raise UserError(f'split: the shares of the parts are {dict(parts)}; they have to be above 0 and add up to '
                            '1')
        if part not in parts:
            raise UserError(f'split: part {part!r} is none of {", ".join(parts)}')
        try:
            self.pattern = None if pattern is None else re.compile(pattern)
        except re.error as error:
            raise UserError(f'split: the pattern {pattern!r} is no regular expression ({error})') from error
        if self.pattern is not None and not self.pattern.groups:
            raise UserError(f'split: the pattern {pattern!r} has no group; put brackets around what names the patient')
        self.parts, self.part, self.salt = dict(parts), part, salt

    def group_of(self, name: str) -> str:
        """Patient or slide of an image.

        Raises:
            UserError: the name doesn't carry one.
        """
        if self.pattern is None:
            return name
        found = self.pattern.search(name)
        group = found and (found['patient'] if 'patient' in self.pattern.groupindex else found[1])
        if not group:
            raise UserError(f'{name}: the split pattern {self.pattern.pattern!r} finds no patient in the name; correct '
                            'it, or leave the pattern out to split by image')
        return group

    def part_of(self, group: str) -> str:
        """The part that a group belongs to."""
        digest = hashlib.sha256(f'{self.salt}\n{group}'.encode()).digest()
        draw, total = int.from_bytes(digest[:8], 'big') / 2 ** 64, 0.0
        for part, share in self.parts.items():
            total += share
            if draw < total:
                return part
        return part  # the shares add up to a bit less than 1

    def keep(self, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The records of the part; with a pattern each carries its ``patient``.

        Raises:
            UserError: a name carries no patient, or the part gets no group.
        """
        kept, groups = [], set()
        for record in records:
            group = self.group_of(record['file_name'])
            groups.add(group)
            if self.part_of(group) == self.part:
                kept.append(record if self.pattern is None else record | dict(patient=group))
        if records and not kept:
            raise UserError(f'split: none of the {len(groups)} groups falls into the part {self.part!r}; give it a '
                            'larger share, or another salt')
        return kept
