"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass

PROBLEM, NOTE = 'problem', 'note'


@dataclass(frozen=True)
class Finding:
    """One finding.

    Args:
        severity: 'problem' (mend it before training) or 'note' (fine if meant so).
        split: the splits it concerns, e.g. 'train' or 'val+test'; '' for the config as a whole.
        kind: short name, e.g. 'missing image'.
        message: what, where (file and record) and how to mend it.
    """

    severity: str
    split: str
    kind: str
    message: str

    def __str__(self) -> str:
        place = f' [{self.split}]' if self.split else ''
        return f'{self.severity}{place} {self.kind}: {self.message}'


def and_more(count: int) -> str:
    """' (and 3 more)' after the first of ``count`` records; '' for a single one."""
    return f' (and {count - 1} more)' if count > 1 else ''
