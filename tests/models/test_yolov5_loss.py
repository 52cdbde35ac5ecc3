import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.structures import InstanceData

from mmleuk.errors import UserError
from mmleuk.models.dense_heads.yolov5_head import YOLOv5Head
from mmleuk.models.losses.yolov5_loss import complete_iou, level_losses
from mmleuk.models.task_modules.yolov5_assigner import BatchCells, LevelAssignment, locations_in_regions

C = 3
WHOLE = [[0., 0., 64., 64.]]


def head(truth='everywhere', num_classes=C, **kwargs):
    return YOLOv5Head(num_classes=num_classes, in_channels=(4, 4, 4), truth=truth, image_size=64, **kwargs)


def outputs(batch=2, seed=0, num_classes=C):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, 3 * (5 + num_classes), n, n, generator=generator) for n in (8, 4, 2)]


def instances(boxes, labels=None):
    boxes = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    return InstanceData(bboxes=boxes, labels=torch.arange(len(boxes)) % C if labels is None else torch.tensor(labels))


CELLS = [instances([[3., 5., 20., 27.], [30., 30., 50., 44.], [4., 6., 19., 25.]]), instances([[40., 8., 60., 30.]])]


def metas(*regions):
    return [dict(annotated_regions=torch.tensor(r).view(-1, 4)) for r in regions]


# ------------------------------------------------------------------ complete IoU


def scalar_ciou(a, b):
    (x, y, w, h), (X, Y, W, H) = a, b
    overlap = max(0., min(x + w / 2, X + W / 2) - max(x - w / 2, X - W / 2))
    overlap *= max(0., min(y + h / 2, Y + H / 2) - max(y - h / 2, Y - H / 2))
    iou = overlap / (w * h + W * H - overlap)
    hull_w = max(x + w / 2, X + W / 2) - min(x - w / 2, X - W / 2)
    hull_h = max(y + h / 2, Y + H / 2) - min(y - h / 2, Y - H / 2)
    v = 4 / math.pi ** 2 * (math.atan(W / H) - math.atan(w / h)) ** 2
    alpha = v / (1 - iou + v) if v else 0.
    return iou - ((x - X) ** 2 + (y - Y) ** 2) / (hull_w ** 2 + hull_h ** 2) - alpha * v


side = st.floats(0.5, 20)
box = st.tuples(st.floats(-20, 20), st.floats(-20, 20), side, side)


@given(box, box)
def test_ciou_equals_the_scalar_formula(a, b):
    actual = complete_iou(torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64))
    assert actual.item() == pytest.approx(scalar_ciou(a, b), abs=1e-5)


def test_ciou_by_hand():
    same = torch.tensor([[1., 2., 3., 4.]])
    assert complete_iou(same, same).item() == pytest.approx(1, abs=1e-6)
    far = complete_iou(torch.tensor([[0., 0., 2., 2.]]), torch.tensor([[4., 0., 2., 2.]]))
    assert far.item() == pytest.approx(-16 / 40)


def test_ciou_gradient():
    torch.manual_seed(3)
    first = torch.rand(5, 4, dtype=torch.float64) + 1
    second = torch.cat([first[:, :2] + 0.2, first[:, 2:]], 1)  # equal aspects: alpha, a constant by definition, is 0
    assert torch.autograd.gradcheck(lambda x: complete_iou(x, second) * (1 + 0 * x.sum()), (
        first.requires_grad_(),), atol=1e-4, rtol=1e-2)


# ------------------------------------------------------------------ against loops


def bce(logit, target):
    return max(logit, 0) - logit * target + math.log1p(math.exp(-abs(logit)))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def loop_losses(logits, assigned, background):
    """One level's losses as prose, in plain floats."""
    box = cls = 0.
    targets = {}
    count = len(assigned.label)
    for k in range(count):
        where = tuple(int(t[k]) for t in (assigned.image, assigned.anchor, assigned.row, assigned.column))
        raw = logits[where].tolist()
        width, height = assigned.anchor_size[k].tolist()
        predicted = (sigmoid(raw[0]) * 2 - 0.5, sigmoid(raw[1]) * 2 - 0.5, (sigmoid(raw[2]) * 2) ** 2 * width,
                     (sigmoid(raw[3]) * 2) ** 2 * height)
        iou = scalar_ciou(predicted, assigned.boxes[k].tolist())
        box += (1 - iou) / count
        targets[where] = max(iou, targets.get(where, 0.))
        cls += sum(bce(raw[5 + c], float(c == assigned.label[k])) for c in range(C)) / count / C
    terms = []
    for b, a, r, c in torch.cartesian_prod(*[torch.arange(n) for n in logits.shape[:4]]).tolist():
        if background is None or background[b, r, c] or (b, a, r, c) in targets:
            terms.append(bce(float(logits[b, a, r, c, 4]), targets.get((b, a, r, c), 0.)))
    return box, sum(terms) / max(len(terms), 1), cls


@pytest.mark.parametrize('region', [None, [[0., 0., 30., 30.]], []])
def test_parts_equal_the_loop(region):
    model = head()
    logits = model.per_anchor(outputs())
    assigned = model.assign(BatchCells.from_instances(CELLS), logits)
    assert len({tuple(x) for x in zip(*[t.tolist() for t in (
        assigned[0].image, assigned[0].anchor, assigned[0].row, assigned[0].column)])}) < len(assigned[0].label)
    for level, a, stride in zip(logits, assigned, (8, 16, 32)):
        background = None if region is None else locations_in_regions(
            [torch.tensor(region).view(-1, 4)] * 2, level.shape[2:4], stride)
        parts = level_losses(level, a, background)
        assert (parts.box.item(), parts.objectness.item(), parts.classes.item()) == pytest.approx(
            loop_losses(level, a, background), abs=1e-5)


def test_two_cells_on_one_prediction_teach_the_larger_iou_in_either_order():
    """By hand: zero logits predict the first box to the bit; the second has an IoU of 1/4 with it."""
    place = dict(image=torch.tensor([0, 0]), anchor=torch.tensor([0, 0]), row=torch.tensor([0, 0]),
                 column=torch.tensor([0, 0]), label=torch.tensor([0, 1]), anchor_size=torch.ones(2, 2))
    boxes = torch.tensor([[0.5, 0.5, 1.0, 1.0], [0.5, 0.5, 0.5, 0.5]])
    found = []
    for order in ([0, 1], [1, 0]):
        logits = torch.zeros(1, 1, 1, 1, 7, requires_grad=True)
        parts = level_losses(logits, LevelAssignment(boxes=boxes[order], **place))
        gradient, = torch.autograd.grad(parts.objectness, logits)
        found.append(gradient[..., 4].item())
    assert found == pytest.approx([0.5 - 1, 0.5 - 1])


def test_gains_balance_and_batch_size():
    model = head()
    raw = outputs()
    losses = model.loss_by_feat(raw, CELLS, metas(WHOLE, WHOLE))
    logits = model.per_anchor(raw)
    parts = [level_losses(x, a, None) for x, a in zip(logits, model.assign(BatchCells.from_instances(CELLS), logits))]
    assert losses['loss_bbox'].item() == pytest.approx(2 * 0.05 * sum(p.box.item() for p in parts))
    assert losses['loss_cls'].item() == pytest.approx(2 * 0.5 * 3 / 80 * sum(p.classes.item() for p in parts))
    balanced = sum(w * p.objectness.item() for w, p in zip((4, 1, 0.4), parts))
    assert losses['loss_obj'].item() == pytest.approx(2 * 0.01 * balanced)


def test_single_class_has_no_class_loss():
    raw = outputs(num_classes=1)
    cells = [instances([[3., 5., 20., 27.]], [0]), instances([])]
    assert head(num_classes=1).loss_by_feat(raw, cells, metas(WHOLE, WHOLE))['loss_cls'] == 0


@pytest.mark.parametrize('truth', ['everywhere', 'regions', 'regions_strict'])
@pytest.mark.parametrize('regions', [(WHOLE, []), ([], [])])
def test_batch_without_cells_is_finite_with_gradients(truth, regions):
    raw = [o.requires_grad_() for o in outputs()]
    losses = head(truth).loss_by_feat(raw, [instances([]), instances([])], metas(*regions))
    assert losses['loss_bbox'] == 0 and losses['loss_cls'] == 0
    sum(losses.values()).backward()
    assert all(o.grad is not None and torch.isfinite(o.grad).all() for o in raw)
    if regions == ([], []) and truth != 'everywhere':
        assert losses['loss_obj'] == 0 and all((o.grad == 0).all() for o in raw)


# ------------------------------------------------------------------ where truth is known


def test_whole_image_as_region_is_everywhere():
    expected = head().loss_by_feat(outputs(), CELLS, metas([], []))
    for truth in ('regions', 'regions_strict'):
        actual = head(truth).loss_by_feat(outputs(), CELLS, metas(WHOLE, WHOLE))
        wanted = {k: v.item() for k, v in expected.items()}
        assert {k: v.item() for k, v in actual.items()} == pytest.approx(wanted, rel=1e-6)


def counted(model, raw, regions, strict):
    """Per level (B, A, H, W): places that may count, from the regions and the assignment."""
    logits = model.per_anchor(raw)
    masks = []
    for level, a, stride in zip(logits, model.assign(BatchCells.from_instances(CELLS), logits), (8, 16, 32)):
        inside = locations_in_regions([torch.tensor(r).view(-1, 4) for r in regions], level.shape[2:4], stride)
        mask = inside[:, None].expand(level.shape[:4]).clone()
        if not strict:
            mask[a.image, a.anchor, a.row, a.column] = True
        masks.append(mask)
    return masks


corner = st.floats(0, 40)
region = st.tuples(corner, corner, st.floats(4, 40), st.floats(4, 40)).map(
    lambda r: [r[0], r[1], r[0] + r[2], r[1] + r[3]])


@settings(max_examples=25)
@given(st.lists(region, max_size=2), st.lists(region, max_size=2), st.integers(0, 99),
       st.sampled_from([1., 50., 1e30]), st.sampled_from(['regions', 'regions_strict']))
def test_loss_is_blind_outside(first, second, seed, scale, truth):
    """Overwriting raw predictions that may not count changes neither the loss nor a gradient of those that may."""
    model, results = head(truth), []
    clean = outputs(seed=seed)
    masks = counted(model, clean, (first, second), truth == 'regions_strict')
    for noise in (0., scale):
        raw = []
        for level, mask in zip(clean, masks):
            other = noise * torch.randn(level.shape, generator=torch.Generator().manual_seed(seed + 1))
            keep = mask[:, :, None].expand(-1, -1, 5 + C, -1, -1).flatten(1, 2)
            raw.append(torch.where(keep, level, level + other).requires_grad_())
        losses = model.loss_by_feat(raw, CELLS, metas(first, second))
        sum(losses.values()).backward()
        results.append((losses, [o.grad for o in raw]))
    (before, grads_before), (after, grads_after) = results
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(torch.equal(a, b) for a, b in zip(grads_before, grads_after))
    for grad, mask in zip(grads_after, masks):
        assert (grad.unflatten(1, (3, -1)).movedim(2, -1)[~mask] == 0).all()


@pytest.mark.parametrize('region', [[[0., 0., 32., 32.]], [], WHOLE])
def test_with_the_mean_over_all_a_known_location_weighs_what_it_does_in_plain_training(region):
    def gradients(model):
        outs = [out.requires_grad_() for out in outputs(batch=1)]
        model.loss_by_feat(outs, [instances([[3., 5., 20., 27.]])], metas(region))['loss_obj'].backward()
        return torch.cat([level[..., 4].flatten() for level in model.per_anchor([out.grad for out in outs])])

    plain, masked = gradients(head()), gradients(head('regions', objectness_mean='all'))
    counts = masked != 0
    assert counts.any() and torch.allclose(masked[counts], plain[counts])
    assert counts.all() == (region == WHOLE)
    over_known = gradients(head('regions'))
    assert torch.equal(over_known != 0, counts) and (over_known.abs() >= 0.999 * masked.abs()).all()


def test_an_unknown_mean_is_refused():
    with pytest.raises(UserError, match="objectness_mean is 'known' or 'all', got 'some'"):
        head(objectness_mean='some')


def test_strict_drops_a_labelled_cell_outside_and_text_keeps_it():
    regions = metas([[0., 0., 30., 30.]], [])  # the second image's only cell lies nowhere
    kept = head('regions').loss_by_feat(outputs(), CELLS[1:] * 2, regions)
    strict = head('regions_strict').loss_by_feat(outputs(), CELLS[1:] * 2, regions)
    assert kept['loss_bbox'] > 0 and kept['loss_cls'] > 0
    assert strict['loss_bbox'] == 0 and strict['loss_cls'] == 0


def test_crowds_are_no_background_but_hide_no_labelled_cell():
    crowd = [instances([[0., 0., 64., 64.]]), instances([[0., 0., 64., 64.]])]
    for truth in ('everywhere', 'regions', 'regions_strict'):
        plain = head(truth).loss_by_feat(outputs(), CELLS, metas(WHOLE, WHOLE))
        crowded = head(truth).loss_by_feat(outputs(), CELLS, metas(WHOLE, WHOLE), crowd)
        assert crowded['loss_bbox'] == plain['loss_bbox'] and crowded['loss_cls'] == plain['loss_cls']
        assert crowded['loss_obj'] != plain['loss_obj']


def test_samples_without_ignored_instances_have_none():
    """MMDetection hands over None for each of them."""
    crowd = instances([[0., 0., 64., 64.]])
    for truth in ('everywhere', 'regions', 'regions_strict'):
        plain = head(truth).loss_by_feat(outputs(), CELLS, metas(WHOLE, WHOLE))
        nones = head(truth).loss_by_feat(outputs(), CELLS, metas(WHOLE, WHOLE), [None, None])
        assert all(torch.equal(nones[name], plain[name]) for name in plain)
        one = head(truth).loss_by_feat(outputs(), CELLS, metas(WHOLE, WHOLE), [crowd, None])
        empty = head(truth).loss_by_feat(outputs(), CELLS, metas(WHOLE, WHOLE), [crowd, instances([])])
        assert torch.equal(one['loss_obj'], empty['loss_obj']) and one['loss_obj'] != plain['loss_obj']


def test_missing_regions_fail_closed():
    with pytest.raises(UserError, match='film.png: the sample carries no annotated_regions'):
        head('regions').loss_by_feat(outputs(), CELLS, [dict(img_path='film.png')] * 2)


def test_call_twice_same_and_inputs_untouched():
    model, raw = head('regions'), outputs()
    first = model.loss_by_feat(raw, CELLS, metas(WHOLE, []))
    second = model.loss_by_feat(raw, CELLS, metas(WHOLE, []))
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert all(torch.equal(a, b) for a, b in zip(raw, outputs()))


def test_what_is_no_label_learns_the_objectness_that_is_advised():
    logits = torch.zeros(1, 1, 2, 2, 7, requires_grad=True)
    # One grid cell learns an annotated cell and a found label, another a found label; the rest is background.
    where = dict(image=torch.tensor([0, 0, 0]), anchor=torch.tensor([0, 0, 0]), row=torch.tensor([0, 0, 1]),
                 column=torch.tensor([0, 0, 1]))
    assigned = LevelAssignment(**where, label=torch.tensor([0, 0, 1]), boxes=torch.tensor([[0.5, 0.5, 1, 1.]] * 3),
                               anchor_size=torch.ones(3, 2), annotated=torch.tensor([True, False, False]))
    objectness_target = torch.full((1, 1, 2, 2), 0.3)
    losses = level_losses(logits, assigned, None, objectness_target=objectness_target)
    (gradient,) = torch.autograd.grad(losses.objectness, logits)
    # zero logits predict the box itself: IoU 1; the gradient is (sigmoid(0) - target) / 4 places
    expected = [(0.5 - 1) / 4, 0.5 / 4, 0.5 / 4, (0.5 - 0.3) / 4]
    assert gradient[0, 0, ..., 4].flatten().tolist() == pytest.approx(expected)
    (gradient,) = torch.autograd.grad(level_losses(logits, assigned, None).objectness, logits)
    assert gradient[0, 0, 1, 1, 4].item() == pytest.approx((0.5 - 1) / 4)


@pytest.mark.parametrize('order', [[0, 1], [1, 0]])
def test_the_larger_weight_counts_where_labels_share_a_prediction(order):
    """An annotated cell (1.0) and a found label (0.1) at one location, nothing else known: log 2, in either order."""
    where = dict(image=torch.zeros(2).long(), anchor=torch.zeros(2).long(), row=torch.zeros(2).long(),
                 column=torch.zeros(2).long(), label=torch.tensor([0, 1]), anchor_size=torch.ones(2, 2),
                 boxes=torch.tensor([[0.5, 0.5, 0.5, 1.0]] * 2))
    parts = level_losses(torch.zeros(1, 1, 2, 2, 7), LevelAssignment(**where, weight=torch.tensor([1.0, 0.1])[order]),
                         torch.zeros(1, 2, 2, dtype=torch.bool))
    assert parts.objectness.item() == pytest.approx(math.log(2))


def test_a_labels_weight_by_hand():
    """Half of the weight is half of its share in each sum; what the sums are divided by stays."""
    where = dict(image=torch.tensor([0, 0]), anchor=torch.tensor([0, 0]), row=torch.tensor([0, 1]),
                 column=torch.tensor([0, 1]), label=torch.tensor([0, 1]), anchor_size=torch.ones(2, 2),
                 boxes=torch.tensor([[0.5, 0.5, 0.5, 1.0]] * 2))
    logits = torch.linspace(-1, 1, 28).view(1, 1, 2, 2, 7)
    alone = [level_losses(logits, LevelAssignment(**{key: value[index:index + 1] for key, value in where.items()}),
                          torch.zeros(1, 2, 2, dtype=torch.bool)) for index in range(2)]
    weighed = level_losses(logits, LevelAssignment(**where, weight=torch.tensor([1.0, 0.5])),
                           torch.zeros(1, 2, 2, dtype=torch.bool))
    for name in ('box', 'objectness', 'classes'):
        first, second = (getattr(parts, name).item() for parts in alone)
        assert getattr(weighed, name).item() == pytest.approx((first + 0.5 * second) / 2)
    everywhere = level_losses(logits, LevelAssignment(**where, weight=torch.ones(2)))
    plain = level_losses(logits, LevelAssignment(**where))
    assert everywhere.objectness.item() == pytest.approx(plain.objectness.item())
