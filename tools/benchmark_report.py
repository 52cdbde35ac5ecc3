"""Turn the trainings' JSONs into docs/benchmarks.md and its plots: ``python tools/benchmark_report.py``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed

from benchmarking.cli import report_main

if __name__ == '__main__':
    sys.exit(report_main())
