"""Why a cell gets its type: attributes, what each contributes, and what would change with another value."""

from mmleuk.explain.bottleneck import Bottleneck
from mmleuk.explain.cells import ExplainedCell, parse_edits

__all__ = ['Bottleneck', 'ExplainedCell', 'parse_edits']
