"""The findings of a check, as text and as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from mmleuk.utils.tables import text_table

PROBLEM, NOTE = 'problem', 'note'
MAX_SHOWN = 20


@dataclass(frozen=True)
class Finding:
    """One finding.

    Args:
        severity: 'problem' (fix it before training) or 'note' (fine if intended).
        split: the splits with the finding, e.g. 'train' or 'val+test'; '' for the whole config.
        kind: short name, e.g. 'missing image'.
        message: what is wrong, where (file and record), and how to fix it.
    """

    severity: str
    split: str
    kind: str
    message: str

    def __str__(self) -> str:
        split = f' [{self.split}]' if self.split else ''
        return f'{self.severity}{split} {self.kind}: {self.message}'


@dataclass(frozen=True)
class Summary:
    """Counts of one split; ``attributes`` counts each attribute's values by name, with 'unknown'."""

    split: str
    images: int
    images_without_cells: int
    ignored_cells: int
    classes: dict[str, int]
    attributes: dict[str, dict[str, int]]

    @property
    def cells(self) -> int:
        """Number of cells that are not ignored."""
        return sum(self.classes.values())


@dataclass(frozen=True)
class Report:
    """Findings, and the counts of every readable split."""

    findings: tuple[Finding, ...]
    summaries: tuple[Summary, ...]

    @property
    def problems(self) -> tuple[Finding, ...]:
        """Findings to fix before training."""
        return tuple(finding for finding in self.findings if finding.severity == PROBLEM)

    def to_dict(self) -> dict:
        """Plain data for a JSON file."""
        return dict(findings=[asdict(finding) for finding in self.findings],
                    splits=[{**asdict(summary), 'cells': summary.cells} for summary in self.summaries])

    def to_text(self) -> str:
        """Tables of counts, then findings, problems first; at most 20 of a kind and split are printed."""
        overview = [(s.split, s.images, s.images_without_cells, s.cells, s.ignored_cells) for s in self.summaries]
        splits = [summary.split for summary in self.summaries]
        classes = list(dict.fromkeys(name for summary in self.summaries for name in summary.classes))
        values = list(dict.fromkeys((key, value) for summary in self.summaries
                                    for key, counts in summary.attributes.items() for value in counts))
        tables = (
            (('split', 'images', 'without cells', 'cells', 'ignored'), overview),
            (('class', *splits), [(name, *(s.classes.get(name) for s in self.summaries)) for name in classes]),
            (('attribute', 'value', *splits),
             [(key, value, *(s.attributes.get(key, {}).get(value) for s in self.summaries)) for key, value in values]))
        return '\n\n'.join([*(text_table([head, *rows]) for head, rows in tables if rows), self._findings_text()])

    def _findings_text(self) -> str:
        shown: dict[tuple[str, str], int] = {}
        lines = []
        for finding in sorted(self.findings, key=lambda finding: finding.severity != PROBLEM):
            key = (finding.split, finding.kind)
            shown[key] = shown.get(key, 0) + 1
            if shown[key] <= MAX_SHOWN:
                lines.append(str(finding))
        lines += [f'... and {count - MAX_SHOWN} more: {kind} [{split}]' for (split, kind), count in shown.items()
                  if count > MAX_SHOWN]
        problems, notes = len(self.problems), len(self.findings) - len(self.problems)
        return '\n'.join([*lines, f'problems: {problems}, notes: {notes}' if problems else f'ready, notes: {notes}'])


def and_more(records: Sequence) -> str:
    """' (and 3 more)' for four records; '' for a single one."""
    return f' (and {len(records) - 1} more)' if len(records) > 1 else ''
