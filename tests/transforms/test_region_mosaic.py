"""Windows around annotated regions, tiled."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmleuk.errors import UserError
from mmleuk.structures import CellBoxes, points_in_regions
from mmleuk.transforms import RegionMosaic, check_pipeline_moves_regions, region_mosaic
from mmleuk.transforms.region_mosaic import window_start


def sample(value, boxes, regions, size=(40, 40)):
    return dict(
        img=np.full((*size, 3), value, dtype=np.uint8), img_shape=size,
        gt_bboxes=CellBoxes(np.asarray(boxes, dtype=np.float32).reshape(-1, 4), regions=regions,
                            attributes=np.full((len(boxes), 1), value)),
        gt_bboxes_labels=np.full(len(boxes), value), gt_ignore_flags=np.zeros(len(boxes), dtype=bool))


def tiled(parts, draws, **kwargs):
    mosaic = RegionMosaic(img_scale=(40, 40), **kwargs)
    mosaic._draw = lambda: np.array([0.0, *draws])
    return mosaic(parts[0] | dict(mix_results=parts[1:]))


def test_four_windows_worked_by_hand():
    parts = [
        sample(1, [[12, 12, 16, 16], [30, 30, 39, 39]], [[10., 10, 20, 20]]),        # the second cell is out of sight
        sample(2, [[0, 0, 8, 8]], [[0., 0, 30, 10]]),                                # a region wider than the window
        sample(3, [], []),                                                           # nothing known
        sample(4, [[40, 40, 80, 80]], [[40., 40, 80, 80]], size=(80, 80)),           # shown at half its size
    ]
    out = tiled(parts, [0, 0, 0,  0, 0, 0,  0, 0.5, 0.5,  0, 0, 0])
    assert [out['img'][y, x, 0] for y, x in ((0, 0), (0, 39), (39, 0), (39, 39))] == [1, 2, 3, 4]
    # windows begin at (0, 0): the earliest that holds region 1; (0, 0); (10, 10); (20, 20) of the halved image
    assert out['gt_bboxes'].tensor.tolist() == [[12, 12, 16, 16], [20, 0, 28, 8], [20, 20, 40, 40]]
    assert out['gt_bboxes'].regions.tolist() == [[10, 10, 20, 20], [20, 0, 40, 10], [20, 20, 40, 40]]
    assert out['gt_bboxes_labels'].tolist() == out['gt_bboxes'].attributes.flatten().tolist() == [1, 2, 4]
    assert parts[0]['gt_bboxes'].tensor[0].tolist() == [12, 12, 16, 16]              # parts are only read


def test_an_ignored_box_stays_where_it_reaches_into_the_window():
    """Its centre may lie outside; without it, what shows of it would be background."""
    part = sample(1, [[10, 0, 40, 20], [22, 0, 40, 20]], [[0., 0, 20, 20]])
    part['gt_ignore_flags'] = np.array([True, True])
    out = tiled([part, *[sample(2, [], [])] * 3], [0] * 12)
    assert out['gt_bboxes'].tensor.tolist() == [[10, 0, 20, 20]] and out['gt_ignore_flags'].tolist() == [True]
    part['gt_ignore_flags'] = np.array([False, True])
    assert len(tiled([part, *[sample(2, [], [])] * 3], [0] * 12)['gt_bboxes']) == 0


def test_an_image_smaller_than_its_window_is_padded():
    out = tiled([sample(1, [[0, 0, 8, 4]], [[0., 0, 80, 10]], size=(10, 80))] * 4, [0] * 12, pad_val=9)
    assert (out['img'][:5, :20] == 1).all() and (out['img'][5:20, :20] == 9).all()   # halved: 40 x 5 pixels
    assert out['gt_bboxes'].tensor[0].tolist() == [0, 0, 4, 2]
    assert out['gt_bboxes'].regions[0].tolist() == [0, 0, 20, 5]


@given(st.floats(0, 80), st.floats(0, 60), st.integers(5, 50), st.floats(0, 0.999))
def test_windows_show_all_of_a_region_or_nothing_but_it(low, length, size, draw):
    limit = 100
    high = min(low + length, limit)
    start = window_start(low, high, size, limit, draw)
    assert 0 <= start <= limit - size
    if high - low <= size:
        assert start <= low + 0.5 and start + size >= high - 0.5
    else:
        assert start >= low - 0.5 and start + size <= high + 0.5


@given(st.integers(0, 2 ** 31 - 1))
def test_cells_and_regions_follow_the_pixels(seed):
    rng = np.random.default_rng(seed)
    parts = []
    for value in range(1, 5):
        height, width = rng.integers(24, 90, 2)
        corner = rng.uniform(0, 0.6, 2) * (width, height)
        region = [*corner, *(corner + rng.uniform(0.2, 0.4, 2) * (width, height))]
        centres = rng.uniform(region[:2], region[2:], (3, 2))
        part = sample(0, np.hstack([centres - 1, centres + 1]), [region], size=(height, width))
        part['gt_bboxes_labels'][:] = value
        part['img'][:] = value
        parts.append(part)
    np.random.seed(seed % 1000)
    out = RegionMosaic(img_scale=(40, 40))(parts[0] | dict(mix_results=parts[1:]))
    boxes = out['gt_bboxes']
    assert points_in_regions(boxes.centers, boxes.regions.new_tensor([[0, 0, 40, 40]])).all()
    for (x, y), label in zip(boxes.centers.tolist(), out['gt_bboxes_labels']):
        assert out['img'][int(y), int(x), 0] == label
    tiles = (boxes.regions[:, :2] + boxes.regions[:, 2:]) / 2 // 20
    assert (boxes.regions[:, :2] >= tiles * 20 - 1e-4).all() and (boxes.regions[:, 2:] <= tiles * 20 + 20 + 1e-4).all()


def test_a_window_grows_until_its_cells_are_whole():
    """Region and cell reach over 30 px, so a window of 30 x 30 px from (0, 0) is shown at two thirds of its size."""
    part = sample(1, [[0, 8, 30, 20], [24, 20, 38, 26]], [[10., 10, 20, 20]])      # the second lies in no region
    part['img'][:30, :30] = 7
    out = tiled([part, *[sample(2, [], [])] * 3], [0] * 12, whole_cells=True)
    assert (out['img'][:20, :20] == 7).all()
    assert out['gt_bboxes'].tensor[0].tolist() == pytest.approx([0, 16 / 3, 20, 40 / 3], abs=1e-5)
    assert out['gt_bboxes'].regions[0].tolist() == pytest.approx([20 / 3, 20 / 3, 40 / 3, 40 / 3], abs=1e-5)
    assert len(out['gt_bboxes']) == 1
    clipped = tiled([part, *[sample(2, [], [])] * 3], [0] * 12)
    assert clipped['gt_bboxes'].tensor[0].tolist() == [0, 8, 20, 20]


def test_what_fits_is_shown_as_without_growing():
    parts = [sample(value, [[6, 12, 16, 18]], [[10., 10, 20, 20]]) for value in range(1, 5)]
    one, other = (tiled(parts, [0.999] * 12, whole_cells=whole) for whole in (True, False))
    assert np.array_equal(one['img'], other['img'])
    assert (one['gt_bboxes'].widths == 10).all()           # a window does not begin right of the cell's left border
    assert (other['gt_bboxes'].widths == 6).all()


@given(st.integers(0, 2 ** 31 - 1))
def test_labelled_cells_are_whole_in_windows_that_grow(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(24, 90, 2)
    corner = rng.uniform(0, 0.6, 2) * (width, height)
    region = np.array([*corner, *(corner + rng.uniform(0.2, 0.4, 2) * (width, height))])
    centres = rng.uniform(region[:2], region[2:], (3, 2))
    half = rng.uniform(1, np.maximum(np.minimum(centres, (width, height) - centres), 1.001))  # inside the image
    part = sample(1, np.hstack([centres - half, centres + half]), [region.tolist()], size=(height, width))
    out = tiled([part, *[sample(2, [], [])] * 3], [0, *rng.uniform(size=2), *[0] * 9], whole_cells=True)
    boxes = out['gt_bboxes']
    sides = torch.stack([boxes.widths, boxes.heights], 1)
    scale = (sides / torch.from_numpy(2 * half)).numpy()
    assert len(boxes) == 3 and scale == pytest.approx(np.full((3, 2), scale.mean()), rel=0.1)  # one scale, nothing cut
    assert scale.mean() >= 0.45 * 40 / max(height, width)                 # the whole image in a tile is the most


def test_probability_zero_changes_nothing():
    results = sample(1, [], []) | dict(mix_results=[])
    assert RegionMosaic(img_scale=(40, 40), prob=0.0)(results) is results


def test_seed_and_indexes():
    mosaic = RegionMosaic(img_scale=(40, 40), tiles=3)
    np.random.seed(3)
    first = mosaic.get_indexes(range(50))
    np.random.seed(3)
    assert mosaic.get_indexes(range(50)) == first and len(first) == 8 and max(first) < 50


class Labels(list):
    """Images by the types of their cells."""

    metainfo = dict(classes=('common', 'rare', 'absent'))

    def get_data_info(self, index):
        return dict(instances=[dict(bbox_label=label, ignore_flag=ignored) for label, ignored in self[index]])


def test_rare_types_are_drawn_more_often(monkeypatch):
    said = []
    monkeypatch.setattr(region_mosaic, 'print_log', lambda words, logger: said.append(words))
    labels = Labels([[(0, 0), (0, 0)]] * 15 + [[(0, 0), (1, 0)]] + [[(1, 1)]] * 4)  # four images with an ignored cell
    mosaic = RegionMosaic(img_scale=(40, 40), tiles=2, oversample_thr=0.8)
    mosaic.prepare(labels)
    np.random.seed(0)
    drawn = np.bincount(np.ravel([mosaic.get_indexes(labels) for _ in range(4000)]), minlength=20) / 12000
    assert drawn[15] == pytest.approx(4 / 23, abs=0.01)      # in one of 20 images: sqrt(0.8 / 0.05) = 4 times
    assert drawn[:15] == pytest.approx(np.full(15, 1 / 23), abs=0.01)
    assert said[0].endswith('common 155.0 -> 147.8, rare 5.0 -> 17.4, absent 0.0 -> 0.0')
    even = RegionMosaic(img_scale=(40, 40), tiles=2)
    even.prepare(None)                                       # looks at nothing
    unprepared = RegionMosaic(oversample_thr=1.0)
    with pytest.raises(UserError, match=r'mmleuk.MultiImageMixDataset'):
        unprepared.get_indexes(labels)


def test_settings_are_checked_and_regions_are_known_to_move():
    with pytest.raises(UserError, match='tiles=0'):
        RegionMosaic(tiles=0)
    with pytest.raises(UserError, match='oversample_thr=2'):
        RegionMosaic(oversample_thr=2)
    check_pipeline_moves_regions([dict(type='mmleuk.RegionMosaic')])
    assert torch.equal(*[tiled([sample(1, [[1, 1, 9, 9]], [[0., 0, 10, 10]])] * 4, [0.3] * 12)['gt_bboxes'].tensor
                         for _ in range(2)])
