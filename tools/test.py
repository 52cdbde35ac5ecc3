"""Test: ``python tools/test.py CONFIG CHECKPOINT [--work-dir ... --out --show-dir ...]``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed

from mmleuk.engine.launch import test_main

if __name__ == '__main__':
    sys.exit(test_main())
