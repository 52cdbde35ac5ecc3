"""Run the trainings of a suite: ``python tools/benchmark.py benchmarks/SUITE.yaml [--jobs 2 --rows NAME,... --list]``.

docs/benchmarking.md tells more.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed

from benchmarking.cli import benchmark_main

if __name__ == '__main__':
    sys.exit(benchmark_main())
