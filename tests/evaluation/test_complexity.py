"""What a model costs: counted while it predicts, for every kind of head."""

from pathlib import Path

import numpy as np
import pytest

from mmleuk.evaluation.complexity import measure_complexity
from mmleuk.testing.tiny_run import write_tiny_run

ROOT = Path(__file__).resolve().parents[2]
PICTURE = np.full((64, 64, 3), 200, np.uint8)


def cost_of(config, picture=PICTURE):
    return measure_complexity(config, None, 'cpu', [picture], 'one picture')


def test_counts_sizes_and_times(tmp_path):
    cost = cost_of(write_tiny_run(tmp_path, [str(ROOT / 'configs/_base_/default_runtime.py'),
                                             str(ROOT / 'configs/_base_/schedules/short.py')]))
    assert cost.input_hw == (64, 64) and cost.n_timed == 3 and cost.images_per_second > 0 and cost.checkpoint == ''
    # The stem alone: 4 filters of 7 x 7 x 3 at 32 x 32 places, one multiply-add per weight and place.
    assert cost.multiply_adds > 4 * 49 * 3 * 32 * 32 and cost.parameters > 4 * 49 * 3


def test_a_convolution_counts_one_per_weight_and_place(tmp_path):
    """YOLOv5n's published figure: 4.5 x 10^9 operations at 640 px with 80 classes, two per multiply-add."""
    config = tmp_path / 'coco.py'
    config.write_text(f"_base_ = '{ROOT}/configs/yolov5/yolov5n_txl-pbc.py'\n"
                      'model = dict(bbox_head=dict(num_classes=80), test_cfg=dict(score_thr=0.9))\n')
    cost = cost_of(config)
    assert cost.input_hw == (320, 320)
    assert cost.multiply_adds * 4 * 2 == pytest.approx(4.5e9, rel=0.02)


@pytest.mark.slow
def test_heads_on_proposals_and_detections_count(tmp_path):
    """Sparse R-CNN can't be traced in mmdet's ``tensor`` mode, and AttriHead has no part in it."""
    assert cost_of(ROOT / 'configs/sparse_rcnn/sparse-rcnn_r18_txl-pbc.py').multiply_adds > 1e9
    plain = few_detections(tmp_path, 'yolov5/yolov5n_wbcatt.py', 'test_cfg={}')
    attributes = few_detections(tmp_path, 'attri_det/yolov5n_attri_wbcatt.py', 'detector=dict(test_cfg={})')
    assert attributes.multiply_adds > plain.multiply_adds


def few_detections(tmp_path, base, where):
    """Cost with random weights and five detections instead of hundreds."""
    config = tmp_path / f'few_{Path(base).name}'
    few = where.replace('{}', 'dict(nms_pre=20, max_per_img=5)')
    config.write_text(f"_base_ = '{ROOT}/configs/{base}'\nmodel = dict({few})\n")
    return cost_of(config)
