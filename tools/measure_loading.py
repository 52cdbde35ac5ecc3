"""How fast training samples load: MMDetection's MultiImageMixDataset beside ours, in one run.

    MMLEUK_DATA=data python tools/measure_loading.py CONFIG [--samples 100] [--mosaic 640]

Prints CPU milliseconds per sample of this process. The two take turns, so that other work on the machine slows both.
"""

from __future__ import annotations

import argparse
import sys
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed

import cv2
import numpy as np
import torch
from mmengine.registry import init_default_scope

from mmleuk.registry import DATASETS
from mmleuk.utils.config_file import read_config

WRAPPER = 'MultiImageMixDataset'


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config')
    parser.add_argument('--samples', type=int, default=100, help='per variant (default: 100)')
    parser.add_argument('--mosaic', type=int, metavar='PX', help='put a mosaic of images of PX px before the pipeline')
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    init_default_scope('mmdet')
    wanted = read_config(args.config).train_dataloader.dataset.to_dict()
    if args.mosaic:
        mosaic = dict(type='mmleuk.Mosaic', img_scale=(args.mosaic, args.mosaic), pad_val=114.0)
        wanted['pipeline'] = [mosaic, *wanted['pipeline']]
    variants = {'MMDetection': build(wanted, WRAPPER), 'mmleuk': build(wanted, f'mmleuk.{WRAPPER}')}
    spent = dict.fromkeys(variants, 0.0)
    for number in range(-5, args.samples):  # the first five warm up
        for name, dataset in variants.items():
            np.random.seed(number + 5)
            start = time.process_time()
            dataset[(number + 5) % len(dataset)]
            spent[name] += time.process_time() - start if number >= 0 else 0
    for name, seconds in spent.items():
        print(f'{name:12} {1000 * seconds / args.samples:7.2f} ms per sample')
    print(f'{"ratio":12} {spent["mmleuk"] / spent["MMDetection"]:7.2f}')
    return 0


def build(wanted: dict[str, Any], wrapper: str) -> Any:
    """The training set with this wrapper."""
    return DATASETS.build(deepcopy(wanted) | dict(type=wrapper))


if __name__ == '__main__':
    sys.exit(main())
