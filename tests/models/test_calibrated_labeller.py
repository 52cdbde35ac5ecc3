"""Thresholds measured inside the annotated regions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.structures import InstanceData

from mmleuk.errors import UserError
from mmleuk.models.labellers.calibrated import NEVER, RegionCalibration, right_predictions


def per_image(rows, width):
    """Rows by the image in their first column, as tables without it; at least one image."""
    return [torch.tensor([row[1:] for row in rows if row[0] == image], dtype=torch.float32).reshape(-1, width)
            for image in range(max([int(row[0]) + 1 for row in rows], default=1))]


def cells(*rows, images=0):
    """Per image the cells, of rows (image, label, x1, y1, x2, y2)."""
    tables = per_image(rows, 5)
    tables += [torch.zeros(0, 5)] * (images - len(tables))
    return [InstanceData(labels=table[:, 0].long(), bboxes=table[:, 1:]) for table in tables]


def predictions(*rows):
    """Per image the predictions, of rows (image, label, confidence, x1, y1, x2, y2)."""
    return [InstanceData(labels=table[:, 0].long(), scores=table[:, 1], bboxes=table[:, 2:])
            for table in per_image(rows, 6)]


def right(found, truth, min_iou):
    return [hit for image in zip(found, truth) for hit in right_predictions(*image, min_iou).tolist()]


def test_right_is_the_most_confident_of_its_cell_and_class():
    truth = cells((0, 0, 0, 0, 10, 10), (0, 1, 20, 0, 30, 10), (1, 0, 0, 0, 10, 10))
    found = predictions(
        (0, 0, 0.5, 0, 0, 10, 9),        # the cell, but another one is more confident
        (0, 0, 0.6, 0, 0, 10, 8),        # IoU 0.8
        (0, 0, 0.9, 20, 0, 30, 10),      # another class
        (1, 0, 0.3, 0, 0, 10, 6),        # IoU 0.6 in the other image
        (1, 1, 0.9, 50, 50, 60, 60))     # nothing there
    assert right(found, truth, 0.5) == [False, True, False, True, False]
    assert right(found, truth, 0.7) == [False, True, False, False, False]
    assert right(found, cells(images=2), 0.5) == [False] * 5
    assert right(predictions(), truth, 0.5) == []


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.floats(0.125, 0.875, width=32), st.integers(0, 8)),
                max_size=12))
def test_right_agrees_with_a_greedy_loop(rows):
    rows = sorted(rows, key=lambda row: row[0])
    truth = cells(*((image, label, x, 0, x + 4, 4) for image in (0, 1) for label in (0, 1) for x in (0, 6)))
    found = predictions(*((image, label, score, x, 0, x + 4, 4) for image, label, score, x in rows))
    taken, expected = set(), [False] * len(rows)
    for i in sorted(range(len(rows)), key=lambda i: (-rows[i][2], i)):
        image, label, _, x = rows[i]
        near = [start for start in (0, 6) if max(4 - abs(x - start), 0) / (4 + abs(x - start)) >= 0.5]
        if near and (image, label, near[0]) not in taken:
            taken.add((image, label, near[0]))
            expected[i] = True
    assert right(found, truth, 0.5) == expected


def filled(confidences, hits, **kwargs):
    settings = dict(num_classes=2, num_levels=1, min_ious=(0.5,), precisions=(0.9,), min_evidence=5, bins=10) | kwargs
    calibration = RegionCalibration(**settings)
    rows = [(i, 0, c, 0, 0, 10, 10) for i, c in enumerate(confidences)]
    truth = cells(*((i, 0, 0, 0, 10, 10) for i, hit in enumerate(hits) if hit), images=len(rows))
    calibration.update(predictions(*rows), truth, [torch.zeros(0)])
    return calibration


def test_threshold_worked_by_hand():
    # bins of a tenth: 20 right above 0.7, 10 of 12 right from 0.5 to 0.6: 30 of 32 + 1 are 0.909
    confidences = [0.75] * 20 + [0.55] * 12
    hits = [True] * 30 + [False] * 2
    assert filled(confidences, hits).thresholds()[0].tolist() == pytest.approx([0.5, NEVER])
    # with three wrong ones only the upper bin remains: 29 of 33 are 0.879, 20 of 21 are 0.952
    hits[-3:] = [False] * 3
    assert filled(confidences, hits).thresholds()[0, 0].item() == pytest.approx(0.7)


def test_no_evidence_is_no_trust():
    assert (RegionCalibration(num_classes=3, num_levels=2).thresholds() == NEVER).all()
    assert (RegionCalibration(num_classes=3, num_levels=2).background_thresholds() == 0).all()
    assert filled([0.9] * 4, [True] * 4).thresholds()[0, 0] == NEVER              # four are less than five
    assert filled([0.9] * 40, [False] * 40).thresholds()[0, 0] == NEVER


def test_stricter_boxes_have_higher_thresholds():
    calibration = RegionCalibration(num_classes=2, num_levels=1, min_ious=(0.5, 0.75), precisions=(0.9, 0.9),
                                    min_evidence=5, bins=10)
    rows = [(i, 0, 0.55, 0, 0, 10, 6) for i in range(20)] + [(i + 20, 0, 0.85, 0, 0, 10, 10) for i in range(20)]
    calibration.update(predictions(*rows), cells(*((i, 0, 0, 0, 10, 10) for i in range(40))), [torch.zeros(0)])
    assert calibration.thresholds()[:, 0].tolist() == pytest.approx([0.5, 0.8])


def test_background_lies_under_what_cells_get():
    calibration = RegionCalibration(num_classes=1, num_levels=2, missed=0.1, min_evidence=5)
    calibration.update(predictions(), cells(), [torch.tensor([0.001] + [0.0905] * 19), torch.zeros(0)])
    # one of 20 lies lower: the threshold ends where the bin of the others begins, 0.3 squared
    assert calibration.background_thresholds().tolist() == pytest.approx([0.09, 0.0])


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_counts_as_float32_does(dtype):
    """Heads whose scores stay in half precision under ``--amp``; 0.75 and 0.25 are exact in both."""
    both = []
    for cast in (torch.float32, dtype):
        calibration = RegionCalibration(num_classes=2, num_levels=1, bins=100)
        found = predictions((0, 0, 0.75, 0, 0, 10, 10), (0, 1, 0.25, 0, 0, 10, 10))
        found[0].scores = found[0].scores.to(cast)
        calibration.update(found, cells((0, 0, 0, 0, 10, 10)), [torch.tensor([0.25]).to(cast)])
        both.append(calibration.state_dict())
    assert both[0]['seen'].sum() == 2 and both[0]['right'].sum() == 2 and both[0]['places'][0, 50] == 1
    for name, value in both[0].items():
        assert torch.equal(value, both[1][name]) and both[1][name].dtype == torch.float32, name


def test_another_number_of_levels_is_refused():
    """Its loss would leave out the levels that have no threshold."""
    calibration = RegionCalibration(num_classes=1, num_levels=3)
    with pytest.raises(UserError, match='num_levels is 3, but the detector has 4 levels; set labeller.num_levels=4'):
        calibration.update([], [], [torch.ones(1)] * 4)


def test_old_batches_fade_and_state_is_saved():
    calibration = filled([0.9] * 10, [True] * 10, decay=0.5)
    assert calibration.thresholds()[0, 0].item() == pytest.approx(0.9)
    again = RegionCalibration(num_classes=2, num_levels=1, min_ious=(0.5,), precisions=(0.9,), min_evidence=5, bins=10)
    again.load_state_dict(calibration.state_dict())
    assert torch.equal(again.thresholds(), calibration.thresholds())
    calibration.update(predictions(), cells(), [torch.zeros(0)])
    assert calibration.seen.sum() == 5


def test_settings_are_checked():
    with pytest.raises(UserError, match='one precision per min_iou'):
        RegionCalibration(num_classes=1, num_levels=1, precisions=(0.9,))


def _process(rank, folder):
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/meeting', rank=rank, world_size=2)
    calibration = RegionCalibration(num_classes=2, num_levels=1, min_ious=(0.5,), precisions=(0.9,), bins=10)
    found = predictions(*([(0, 0, 0.75, 0, 0, 10, 10)] if rank else []))
    calibration.update(found, cells((0, 0, 0, 0, 10, 10)), [torch.full((rank + 1,), 0.25)])
    torch.save(calibration.state_dict(), f'{folder}/{rank}.pth')
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_processes_share_what_they_saw(tmp_path):
    torch.multiprocessing.spawn(_process, args=(tmp_path,), nprocs=2)
    first, second = (torch.load(tmp_path / f'{rank}.pth') for rank in range(2))
    assert first['seen'][0, 7] == 1 and first['right'][0, 0, 7] == 1 and first['places'][0, 5] == 3
    assert all(torch.equal(first[key], second[key]) for key in first)
