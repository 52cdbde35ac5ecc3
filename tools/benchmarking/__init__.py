"""Suites of trainings: read (``suite``), run (``running``), kept as one JSON per row and seed (``results``)."""

from benchmarking.suite import Case, Row, Suite, read_suite

__all__ = ['Case', 'Row', 'Suite', 'read_suite']
