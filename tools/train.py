"""Train: ``python tools/train.py CONFIG [--work-dir ... --resume --amp ...]``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed

from mmleuk.engine.launch import train_main

if __name__ == '__main__':
    sys.exit(train_main())
