"""Carry records over renamed settings: ``python tools/benchmark_carry.py TABLE.yaml [--dry-run]``.

docs/benchmarking.md tells more.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed

from benchmarking.carry import main

if __name__ == '__main__':
    sys.exit(main())
