"""Measure what a training iteration of each row costs: ``python tools/benchmark_cost.py SUITE --weights CHECKPOINT``.

docs/benchmarking.md tells more.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed

from benchmarking.cli import cost_main

if __name__ == '__main__':
    sys.exit(cost_main())
