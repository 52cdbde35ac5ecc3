"""Testing on overlapping tiles."""

import copy
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmleuk.errors import UserError
from mmleuk.models.detectors.tiled import cut_by_border, tile_starts

PLAIN = Config.fromfile(str(Path(__file__).resolve().parents[2] / 'configs/_base_/models/yolov5n.py')).model


@given(st.integers(1, 2000), st.integers(2, 300), st.data())
def test_tiles_cover_every_pixel_and_overlap(length, tile, data):
    overlap = data.draw(st.integers(0, tile - 1))
    starts = tile_starts(length, tile, overlap)
    assert starts[0] == 0 and max(starts[-1] + tile, tile) >= length
    assert all(start + tile <= max(length, tile) for start in starts)
    assert all(0 < b - a <= tile - overlap for a, b in zip(starts, starts[1:]))


def build(**tiling):
    init_default_scope('mmdet')
    cfg = copy.deepcopy(PLAIN)
    cfg.bbox_head.update(num_classes=3)
    cfg.test_cfg.update(score_thr=0.01)
    if tiling:
        cfg.update(type='mmleuk.TiledDetector', **tiling)
    torch.manual_seed(0)
    return MODELS.build(cfg).eval()


def samples(count, scale=1.0):
    return [DetDataSample(metainfo=dict(img_shape=(64, 96), scale_factor=(scale, scale))) for _ in range(count)]


def test_one_tile_is_the_plain_detector():
    plain, tiled = build(), build(tile_size=96, overlap=32)
    tiled.load_state_dict(plain.state_dict())
    images = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        expected, found = plain.predict(images, samples(2, 0.5)), tiled.predict(images, samples(2, 0.5))
    for one, other in zip(expected, found):
        assert len(one.pred_instances) > 0
        torch.testing.assert_close(other.pred_instances.bboxes, one.pred_instances.bboxes)
        torch.testing.assert_close(other.pred_instances.scores, one.pred_instances.scores)


def test_boxes_come_back_where_their_tile_lies():
    """A tile's detections are those of the tile alone, moved by its corner; without those that its left border cuts."""
    tiled = build(tile_size=64, overlap=32)
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        right = tiled._predict_tile(image, 0, 32)[0]
        alone = build(tile_size=64, overlap=32)._predict_tile(image[..., 32:], 0, 0)[0].bboxes
    cut = cut_by_border(alone, 64, (True, False, False, False), 32)
    assert 0 < cut.sum() < len(alone)
    torch.testing.assert_close(right.bboxes - right.bboxes.new_tensor([32, 0, 32, 0]), alone[~cut])


@given(st.integers(70, 300), st.integers(64, 70), st.integers(8, 56), st.data())
def test_a_cut_box_lies_in_a_neighbour_as_a_whole(length, tile, overlap, data):
    starts = tile_starts(length, tile, overlap)
    index = data.draw(st.integers(0, len(starts) - 1))
    first, last = sorted(data.draw(st.tuples(st.integers(0, tile), st.integers(0, tile))))
    inner = (index > 0, False, index < len(starts) - 1, False)
    cut = cut_by_border(torch.tensor([[first, 0., last, 10.]]), tile, inner, overlap)
    placed = (starts[index] + first, starts[index] + last)
    whole = [start <= placed[0] and placed[1] <= start + tile for start in starts]
    if cut.item():
        assert sum(whole) >= 2
    elif first < 4 and index > 0:
        assert last > overlap  # left out only where the neighbour doesn't hold it


def test_a_cell_on_the_border_is_found_once():
    """Two tiles, a cell over the border of the left one: its part there is no detection of its own."""
    tiled = build(tile_size=64, overlap=32)
    cell, part = [40., 10., 70., 40.], [40., 10., 64., 40.]

    def predict_by_feat(*outputs, batch_img_metas, rescale):
        left, seen = tiles.pop(0)
        box = torch.tensor([seen]) - torch.tensor([left, 0., left, 0.])
        return [InstanceData(bboxes=box, scores=torch.tensor([0.9]), labels=torch.tensor([0]))]
    tiles = [(0., part), (32., cell)]
    tiled.bbox_head.predict_by_feat = predict_by_feat
    with torch.no_grad():
        found, = tiled.predict(torch.rand(1, 3, 64, 96), samples(1))
    assert found.pred_instances.bboxes.tolist() == [cell] and not tiles


def test_tiles_must_be_larger_than_their_overlap():
    with pytest.raises(UserError, match='overlap < tile_size'):
        build(tile_size=32, overlap=32)


def test_attributes_of_tiles_are_refused():
    """Only the last tile's maps would be left when the boxes of all are read."""
    init_default_scope('mmdet')
    tiled = dict(copy.deepcopy(PLAIN), type='mmleuk.TiledDetector', tile_size=64, overlap=32)
    tiled['bbox_head'].update(num_classes=3, truth='regions')
    for detector in (tiled, dict(type='mmleuk.SLADet', detector=tiled)):
        with pytest.raises(UserError, match='tile by tile'):
            MODELS.build(dict(type='mmleuk.AttriDet', detector=detector, feature_layers=('backbone.stage1',),
                              attri_head=dict(type='mmleuk.AttriHead', attributes='leukemia')))
