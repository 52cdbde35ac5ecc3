"""A report as text and as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from mmleuk.datasets.check.examine import Report
from mmleuk.datasets.check.splits import Summary

MAX_SHOWN = 20


def to_dict(report: Report) -> dict:
    """Plain data for a JSON file."""
    return dict(findings=[asdict(finding) for finding in report.findings],
                splits=[{**asdict(summary), 'cells': summary.cells} for summary in report.summaries])


def to_text(report: Report) -> str:
    """Tables of counts, then findings, problems first; at most 20 of a kind and split are spelt out."""
    blocks = [_overview(report.summaries), _classes(report.summaries), _attributes(report.summaries),
              _findings(report)]
    return '\n\n'.join(block for block in blocks if block)


def _overview(summaries: Sequence[Summary]) -> str:
    rows = [(s.split, str(s.images), str(s.images_without_cells), str(s.cells), str(s.ignored_cells))
            for s in summaries]
    return _table(('split', 'images', 'without cells', 'cells', 'ignored'), rows)


def _classes(summaries: Sequence[Summary]) -> str:
    names = list(dict.fromkeys(name for summary in summaries for name in summary.classes))
    rows = [(name, *(str(summary.classes.get(name, '-')) for summary in summaries)) for name in names]
    return _table(('class', *(summary.split for summary in summaries)), rows)


def _attributes(summaries: Sequence[Summary]) -> str:
    pairs = list(dict.fromkeys((key, value) for summary in summaries for key, values in summary.attributes.items()
                               for value in values))
    rows = [(key, value, *(str(summary.attributes.get(key, {}).get(value, '-')) for summary in summaries))
            for key, value in pairs]
    return _table(('attribute', 'value', *(summary.split for summary in summaries)), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ''
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    numeric = [all(cell.isdigit() or cell == '-' for cell in column) for column in zip(*rows, strict=True)]
    return '\n'.join('  '.join(cell.rjust(width) if right else cell.ljust(width)
                               for cell, width, right in zip(line, widths, numeric, strict=True)).rstrip()
                     for line in lines)


def _findings(report: Report) -> str:
    ordered = sorted(report.findings, key=lambda finding: finding not in report.problems)
    shown: dict[tuple[str, str], int] = {}
    lines = []
    for finding in ordered:
        key = (finding.split, finding.kind)
        shown[key] = shown.get(key, 0) + 1
        if shown[key] <= MAX_SHOWN:
            lines.append(str(finding))
    lines += [f'... and {count - MAX_SHOWN} more: {kind} [{split}]' for (split, kind), count in shown.items()
              if count > MAX_SHOWN]
    notes = len(report.findings) - len(report.problems)
    return '\n'.join([*lines, f'problems: {len(report.problems)}, notes: {notes}'])
