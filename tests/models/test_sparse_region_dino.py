"""In training DINO's queries start where something is known; prediction is DINO's."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmleuk.errors import UserError
from mmleuk.models.detectors.sparse_region_dino import known_locations
from mmleuk.utils.config_file import read_config

CONFIG = Path(__file__).parents[2] / 'configs/dino/dino_r18_sparse-regions_txl-pbc.py'
SIZE = 128
LOCATIONS = 16 ** 2 + 8 ** 2 + 4 ** 2 + 2 ** 2  # of strides 8 to 64
QUERIES = 20


def detector(**kwargs):
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = deepcopy(read_config(CONFIG).model)
    built = MODELS.build(model | dict(num_queries=QUERIES, data_preprocessor=None,
                                      test_cfg=dict(max_per_img=QUERIES)) | kwargs)
    built.init_weights()  # mmdet leaves its level embedding unset before
    return built


def sample(*regions, cells=()):
    sample = DetDataSample(metainfo=dict(img_shape=(SIZE, SIZE), batch_input_shape=(SIZE, SIZE), img_id=0,
                                         scale_factor=(1.0, 1.0)))
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(cells, dtype=torch.float32).reshape(-1, 4), labels=torch.zeros(len(cells)).long(),
        metainfo=dict(annotated_regions=torch.tensor(regions, dtype=torch.float32).reshape(-1, 4)))
    return sample


LEFT, ALL = (0, 0, SIZE / 2, SIZE), (0, 0, SIZE, SIZE)
CELL = (96, 96, 112, 112)


def selected(model, *samples):
    """Locations in pixels (B, P or Q, 2), where queries are taken from."""
    locations = []
    generate = model.gen_encoder_output_proposals

    def spy(*args):
        features, proposals = generate(*args)
        locations.append(proposals[..., :2].sigmoid() * SIZE)
        return features, proposals

    model.gen_encoder_output_proposals = spy
    images = torch.randn(len(samples), 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        if model.training:
            model.loss(images, list(samples))
        else:
            model.predict(images, list(samples))
    return locations[0]


def test_locations_in_regions_and_in_labelled_cells_are_known():
    centres = torch.tensor([[0.25, 0.5], [0.75, 0.25], [0.8125, 0.8125]])  # in the region, outside, in the cell
    proposals = torch.cat([centres, torch.full((3, 2), 0.1)], 1).logit().expand(2, 3, 4)
    known = known_locations(proposals, [sample(LEFT, cells=[CELL]), sample()])
    assert known.tolist() == [[True, False, True], [False] * 3]
    nowhere = torch.full((1, 1, 4), torch.inf)
    assert known_locations(nowhere, [sample(ALL)]).tolist() == [[False]]


def test_queries_start_in_the_regions_and_on_labelled_cells():
    left, corner = selected(detector(), sample(LEFT, cells=[CELL]), sample((0, 0, 64, 64), cells=[(8, 8, 24, 24)]))
    assert len(left) == QUERIES
    assert ((left[:, 0] <= SIZE / 2) | ((left >= 96) & (left <= 112)).all(1)).all()
    assert (corner <= 64).all()


def test_where_the_known_locations_run_out_all_of_them_are_taken():
    few, none = selected(detector(), sample((0, 0, 14, 14), cells=[(2, 2, 12, 12)]), sample())
    assert len(few) == len(none) == QUERIES
    inside = {tuple(location) for location in few[(few <= 14).all(1)].round().int().tolist()}
    assert inside == {(4, 4), (12, 4), (4, 12), (12, 12), (8, 8)}  # of strides 8 and 16


def test_prediction_is_that_of_dino():
    ours, theirs = detector().eval(), detector(type='DINO').eval()
    theirs.load_state_dict(ours.state_dict())
    locations = selected(ours, sample(LEFT))
    assert locations.shape == (1, LOCATIONS, 2)
    images = torch.randn(1, 3, SIZE, SIZE)
    with torch.no_grad():
        one, = ours.predict(images, [sample(LEFT)])
        other, = theirs.predict(images, [sample(LEFT)])
    assert torch.equal(one.pred_instances.bboxes, other.pred_instances.bboxes)


def test_another_head_is_refused():
    model = read_config(CONFIG).model
    with pytest.raises(UserError, match="SparseRegionDINO needs bbox_head=.*SparseRegionDINOHead'.*, got DINOHead"):
        detector(bbox_head=model.bbox_head | dict(type='DINOHead'))


def test_with_all_known_the_losses_are_those_of_dino():
    ours, theirs = detector(), detector(type='DINO')
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, SIZE, SIZE)
    labels = [sample(ALL, cells=[CELL]), sample(ALL, cells=[CELL, (8, 8, 40, 40)])]
    losses = []
    for model in (ours, theirs):
        torch.manual_seed(3)  # noise of the denoising queries
        losses.append(model.loss(images, deepcopy(labels)))
    assert losses[0].keys() == losses[1].keys()
    for name, value in losses[0].items():
        assert float(value) == pytest.approx(float(losses[1][name]), rel=1e-4), name
