import pytest
import torch
from mmcv.ops import RoIAlign

from mmleuk.errors import UserError
from mmleuk.models.losses.triplet_loss import TripletLoss, cosine_similarity, similarity_extremes
from mmleuk.models.task_modules.roi_features import RoIFeatures
from mmleuk.registry import MODELS

# cosines with [1, 0]: 0.8 and 0.6 of class 0, 0 of class 1
CELLS = torch.tensor([[4., 3.], [3., 4.], [0., 2.]])
LABELS = torch.tensor([0, 0, 1])
UNSURE = torch.tensor([[5., 0.]])


def test_extremes_by_hand():
    low, high, defined = similarity_extremes(UNSURE, torch.tensor([0]), CELLS, LABELS)
    assert (low.tolist(), high.tolist(), defined.tolist()) == ([pytest.approx(0.6)], [0.], [True])
    low, high, _ = similarity_extremes(UNSURE, torch.tensor([1]), CELLS, LABELS)
    assert (low.tolist(), high.tolist()) == ([0.], [pytest.approx(0.8)])


@pytest.mark.parametrize(('reading', 'label', 'expected'), [
    ('text', 0, 0.), ('text', 1, 0.85), ('printed', 0, 0.55), ('printed', 1, 0.)])
def test_readings_by_hand(reading, label, expected):
    loss = TripletLoss(reading=reading, loss_weight=1.)(UNSURE, torch.tensor([label]), CELLS, LABELS)
    assert loss.item() == pytest.approx(expected)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_autocast_changes_nothing(dtype):
    """Of long vectors the undivided products exceed float16's range."""
    long = torch.linspace(1, 4, 24000).repeat(2, 1)
    with torch.autocast('cpu', dtype=dtype):
        assert cosine_similarity(long, long).tolist() == [[pytest.approx(1), pytest.approx(1)]] * 2
        assert cosine_similarity(long.to(dtype), long.to(dtype)).dtype == torch.float32
        low, high, _ = similarity_extremes(UNSURE, torch.tensor([0]), CELLS, LABELS)
    assert (low.tolist(), high.tolist()) == ([pytest.approx(0.6)], [0.])


def test_mean_runs_over_what_can_be_compared():
    labels = torch.tensor([1, 0, 7])  # class 7 has no labelled cell: left out, not counted as 0
    loss = TripletLoss(loss_weight=0.1)(UNSURE.repeat(3, 1), labels, CELLS, LABELS)
    assert loss.item() == pytest.approx(0.1 * (0.85 + 0.) / 2)


@pytest.mark.parametrize(('reading', 'direction'), [('text', 1), ('printed', -1)])
def test_direction_of_the_gradient(reading, direction):
    """Along -grad the least similar cell of the same class comes nearer ('text') or goes away ('printed')."""
    label, cells, cell_labels = torch.tensor([0]), torch.eye(3)[:2], torch.tensor([0, 1])
    features = torch.tensor([[1., 2., 1.] if reading == 'text' else [2., 1., 1.]], requires_grad=True)
    TripletLoss(reading=reading)(features, label, cells, cell_labels).backward()
    before = similarity_extremes(features, label, cells, cell_labels)
    after = similarity_extremes(features - features.grad, label, cells, cell_labels)
    assert direction * (after[0] - before[0]).item() > 1e-4
    assert direction * (after[1] - before[1]).item() < -1e-4


@pytest.mark.parametrize(('features', 'labels', 'cells', 'cell_labels'), [
    (torch.zeros(0, 2), [], CELLS, [0, 0, 1]),
    (UNSURE, [0], torch.zeros(0, 2), []),
    (UNSURE, [7], CELLS, [0, 0, 1]),
    (UNSURE, [0], CELLS, [0, 0, 0]),
])
def test_undefined_is_zero_with_a_gradient_path(features, labels, cells, cell_labels):
    features, cells = features.clone().requires_grad_(), cells.clone().requires_grad_()
    labels, cell_labels = (torch.tensor(x, dtype=torch.long) for x in (labels, cell_labels))
    loss = TripletLoss()(features, labels, cells, cell_labels)
    assert loss == 0
    loss.backward()
    assert (features.grad == 0).all() and (cells.grad == 0).all()


def test_zero_features_stay_finite():
    features = torch.zeros(1, 2, requires_grad=True)
    loss = TripletLoss()(features, torch.tensor([0]), CELLS, LABELS)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(features.grad).all()


def test_cosine_equals_torchs():
    torch.manual_seed(0)
    first, second = torch.randn(4, 7), torch.randn(3, 7)
    expected = torch.nn.functional.cosine_similarity(first[:, None], second[None], dim=2)
    assert torch.allclose(cosine_similarity(first, second), expected, atol=1e-6)


def test_registered_under_our_scope_only():
    assert isinstance(MODELS.build(dict(type='mmleuk.TripletLoss')), TripletLoss)
    with pytest.raises(UserError, match="'text' or 'printed', got 'release'"):
        TripletLoss(reading='release')


def test_roi_features_equal_roi_align():
    torch.manual_seed(0)
    feat = torch.randn(2, 5, 9, 12, requires_grad=True)
    corner = torch.rand(40, 2) * 120 - 20
    boxes = torch.cat([corner, corner + torch.rand(40, 2) * 60], 1)
    image = torch.randint(0, 2, (40,))
    ours = RoIFeatures((8,), 3)([feat], image, boxes)
    theirs = RoIAlign(3, spatial_scale=1 / 8, sampling_ratio=1)(feat, torch.cat([image[:, None].float(), boxes], 1))
    ordered = ours.view(40, 9, 5).transpose(1, 2).reshape(40, 5, 3, 3)
    assert torch.allclose(ordered, theirs, atol=1e-4)
    grads = [torch.autograd.grad(x.sin().sum(), feat)[0] for x in (ordered, theirs)]
    assert torch.allclose(*grads, atol=1e-3)


def test_roi_features_of_two_levels_and_of_no_box():
    feats = [torch.randn(1, 4, 8, 8, requires_grad=True), torch.randn(1, 6, 4, 4)]
    found = RoIFeatures((8, 16), 2)(feats, torch.tensor([0]), torch.tensor([[0., 0., 32., 32.]]))
    assert found.shape == (1, 4 * 4 + 6 * 4)
    none = RoIFeatures((8, 16), 2)(feats, torch.zeros(0, dtype=torch.long), torch.zeros(0, 4))
    assert none.shape == (0, 40) and none.requires_grad


def test_maps_of_other_strides_are_refused():
    """The pyramid of a Faster R-CNN may start at stride 4: box coordinates would be halved."""
    feats, nothing = [torch.randn(1, 4, 16, 16), torch.randn(1, 4, 8, 8)], torch.zeros(0, dtype=torch.long)
    for size in (64, 61):  # of 61 px the last grid cell is not whole
        RoIFeatures((4, 8), 2)(feats, nothing, torch.zeros(0, 4), (size, size))
    with pytest.raises(UserError, match=r'set roi_features=dict\(strides=\(4, 8\)\)'):
        RoIFeatures((8, 16), 2)(feats, nothing, torch.zeros(0, 4), (64, 64))
