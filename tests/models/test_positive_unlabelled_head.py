"""The objectness loss outside the regions: it estimates what complete labels would give."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.structures import InstanceData

from mmleuk.errors import UserError
from mmleuk.models.dense_heads.positive_unlabelled_head import PositiveUnlabelledYOLOv5Head, unlabelled_objectness
from mmleuk.models.dense_heads.yolov5_head import YOLOv5Head
from mmleuk.models.task_modules.yolov5_assigner import BatchCells, LevelAssignment

C = 2
WHOLE, NOWHERE = torch.tensor([[0., 0., 64., 64.]]), torch.zeros(0, 4)
CELLS = [[3., 5., 20., 27.], [30., 30., 50., 44.]]


def head(kind=PositiveUnlabelledYOLOv5Head, **options):
    return kind(num_classes=C, in_channels=(4, 4, 4), image_size=64, **options).train()


def outputs(batch=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, 3 * (5 + C), n, n, generator=generator) for n in (8, 4, 2)]


def instances(boxes=()):
    return InstanceData(bboxes=torch.tensor(boxes).view(-1, 4), labels=torch.zeros(len(boxes), dtype=torch.long))


def metas(*regions):
    return [dict(annotated_regions=region) for region in regions]


def objectness(losses):
    return losses['loss_obj'] + losses.get('loss_unlabelled', 0)


boxes = st.tuples(*[st.integers(0, 40)] * 2, *[st.integers(6, 24)] * 2).map(
    lambda box: [float(value) for value in (box[0], box[1], box[0] + box[2], box[1] + box[3])])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.lists(boxes, min_size=1, max_size=5))
def test_it_is_the_loss_of_complete_labels(seed, cells):
    """Two equal images, one annotated, one not: loss and gradient are those of both annotated, on levels with a cell.

    On a level without one, nothing is known about hidden cells; there the loss outside is 0.
    """
    ours, plain = head(), head(YOLOv5Head)
    assigned = plain.assign(BatchCells.from_instances([instances(cells)]), plain.per_anchor(outputs()))
    balance = [b if len(level.label) else 0. for b, level in zip(plain.objectness_balance, assigned)]
    ours.objectness_balance = plain.objectness_balance = balance
    found = []
    for model, labels, truth in ((ours, [cells, []], (WHOLE, NOWHERE)), (plain, [cells, cells], (WHOLE, WHOLE))):
        raw = [level.requires_grad_() for level in outputs(seed=seed)]
        loss = objectness(model.loss_by_feat([torch.cat([level, level]) for level in raw],
                                             [instances(some) for some in labels], metas(*truth)))
        loss.backward()
        found.append((loss.detach(), [level.grad for level in raw]))
    torch.testing.assert_close(*[loss for loss, _ in found])
    for ours_grad, plain_grad in zip(*[grads for _, grads in found]):
        torch.testing.assert_close(ours_grad, plain_grad)


def test_by_hand():
    """Four locations: a cell with a perfect box, a known one without, and two outside; a quarter learn a cell."""
    zero = torch.zeros(1, dtype=torch.long)
    assigned = LevelAssignment(image=zero, anchor=zero, row=zero, column=zero, label=zero,
                               boxes=torch.tensor([[0.5, 0.5, 2., 2.]]), anchor_size=torch.tensor([[2., 2.]]))
    logits = torch.zeros(1, 1, 2, 2, 5 + C)
    logits[..., 4] = torch.tensor([[2., -1.], [1.5, -3.]])
    outside = torch.tensor([[[False, False], [True, True]]])
    of_cell, no_cell = math.log1p(math.exp(-2)), math.log1p(math.exp(2))
    of_outside = (math.log1p(math.exp(1.5)) + math.log1p(math.exp(-3))) / 2
    expected = 2 / 4 * (0.25 * of_cell + of_outside - 0.25 * no_cell)
    found = unlabelled_objectness(logits, assigned, outside, torch.tensor(0.25))
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_background_is_never_negative():
    """Outside there is no cell in sight, and those in the region are confident: nothing is learnt outside."""
    raw = outputs(batch=2)
    for level in raw:
        level.unflatten(1, (3, -1))[1, :, 4] = -20.
        level.unflatten(1, (3, -1))[0, :, 4] = 20.
        level.requires_grad_()
    loss = head().loss_by_feat(raw, [instances(CELLS), instances()], metas(WHOLE, NOWHERE))['loss_unlabelled']
    loss.backward()
    assert loss > 0 and not any(level.grad[1].any() for level in raw)


def test_what_it_teaches():
    """Fewer cells outside, more at labelled cells; nothing for boxes and types."""
    raw = [level.requires_grad_() for level in outputs(batch=2)]
    model = head()
    model.loss_by_feat(raw, [instances(CELLS), instances()], metas(WHOLE, NOWHERE))['loss_unlabelled'].backward()
    grads = [level.grad.unflatten(1, (3, -1)) for level in raw]
    assert all((grad[1, :, 4] > 0).all() for grad in grads[:2])
    at_cells = torch.cat([grad[0, :, 4].flatten() for grad in grads])
    assert at_cells.min() < 0 and at_cells.max() < 1e-7
    assert not any(grad[:, :, :4].any() or grad[:, :, 5:].any() for grad in grads)


def test_crowds_are_left_alone():
    raw = [level.requires_grad_() for level in outputs(batch=2)]
    crowd = InstanceData(bboxes=WHOLE, labels=torch.zeros(1, dtype=torch.long))
    loss = head().loss_by_feat(raw, [instances(CELLS), instances()], metas(WHOLE, NOWHERE), [None, crowd])
    assert loss['loss_unlabelled'] == 0
    loss['loss_unlabelled'].backward()
    assert not any(level.grad.any() for level in raw)


@pytest.mark.parametrize('regions', [(WHOLE, WHOLE), (NOWHERE, NOWHERE), (WHOLE, NOWHERE)])
def test_without_labels_nothing_is_added(regions):
    raw = [level.requires_grad_() for level in outputs(batch=2)]
    losses = head().loss_by_feat(raw, [instances(), instances()], metas(*regions))
    assert losses['loss_unlabelled'] == 0 and all(value.isfinite() for value in losses.values())
    losses['loss_unlabelled'].backward()


def test_complete_labels_leave_nothing_to_estimate():
    cells = [instances(CELLS), instances()]
    ours, plain = (head(kind).loss_by_feat(outputs(2), cells, metas(WHOLE, WHOLE))
                   for kind in (PositiveUnlabelledYOLOv5Head, YOLOv5Head))
    assert ours.pop('loss_unlabelled') == 0
    assert {k: v.item() for k, v in ours.items()} == pytest.approx({k: v.item() for k, v in plain.items()}, rel=1e-6)


def test_the_prior_is_counted_in_the_regions():
    """Level by level: predictions that learn a cell among those whose location is known; both fade."""
    model, labels = head(decay=0.5), [instances(CELLS), instances()]
    half = torch.tensor([[0., 0., 64., 32.]])
    model.loss_by_feat(outputs(2), labels, metas(half, NOWHERE))
    assigned = model.assign(BatchCells.from_instances(labels), model.per_anchor(outputs(2)))
    learning = [len({*zip(*(t.tolist() for t in (a.image, a.anchor, a.row, a.column)))}) for a in assigned]
    assert model.learning.tolist() == learning and model.known.tolist() == [3 * 32, 3 * 8, 3 * 2]
    model.loss_by_feat(outputs(2), [instances(), instances()], metas(NOWHERE, half))
    assert model.learning.tolist() == [n / 2 for n in learning] and model.known.tolist() == [144, 36, 9]
    model.eval().loss_by_feat(outputs(2), labels, metas(half, NOWHERE))
    assert model.known.tolist() == [144, 36, 9]
    again = head()
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.learning, model.learning)


def test_calling_twice_gives_the_same():
    model = head().eval()
    model.learning.fill_(3)
    model.known.fill_(100)
    first, second = (model.loss_by_feat(outputs(2), [instances(CELLS), instances()], metas(WHOLE, NOWHERE))
                     for _ in range(2))
    assert first == second and first['loss_unlabelled'] > 0


def test_a_gain_of_zero_is_lr():
    labels, regions = [instances(CELLS), instances()], metas(WHOLE, NOWHERE)
    ours = head(gain_unlabelled=0.).loss_by_feat(outputs(2), labels, regions)
    plain = head(YOLOv5Head, truth='regions', objectness_mean='all').loss_by_feat(outputs(2), labels, regions)
    assert ours.pop('loss_unlabelled') == 0 and ours == plain


@pytest.mark.parametrize('options, words', [
    (dict(truth='everywhere'), "needs truth='regions'"), (dict(objectness_mean='known'), "objectness_mean='all'"),
    (dict(gain_unlabelled=-1.), 'got -1.0 and 0.99'), (dict(decay=1.), 'decay in')])
def test_bad_arguments(options, words):
    with pytest.raises(UserError, match=words):
        head(**options)


def test_pseudo_labels_are_refused():
    found = instances(CELLS)
    found.weight = found.scores = torch.ones(2)
    found.teaches_box, found.source = torch.tensor([True, True]), torch.tensor([0, 1])
    with pytest.raises(UserError, match='annotated cells alone'):
        head().loss_by_feat(outputs(), [found], metas(WHOLE))
