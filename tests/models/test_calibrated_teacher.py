"""A teacher whose labels are calibrated: what it adds to the annotation, and what it may not touch."""

import copy

import pytest
import torch
from mmengine.structures import InstanceData
from test_sla_det import batch, build, confident, count, images, sample

from mmleuk.errors import UserError
from mmleuk.models.labellers.calibrated import NEVER

OUTSIDE = (0, 6, 6, 6., 1)      # outside the region, confidence 0.997
INSIDE = (1, 1, 1, 6., 2)       # in the region of the second image


def plus(trusted=True, head=None, two_views=False, **labeller):
    """A model and, as its teacher, a copy; with ``trusted`` its predictions become labels from confidence 0.5 on."""
    model = build(type='mmleuk.SparseLabelDetector', head=head, asks='teacher', two_views=two_views,
                  labeller=dict(type='mmleuk.CalibratedLabeller', num_classes=3, **labeller))
    teacher = copy.deepcopy(model)
    model.set_teacher(teacher)
    if trusted:
        model.labeller.calibration.seen[:, 50:] = 100
        model.labeller.calibration.right[:, :, 50:] = 100
    return model, teacher


def plain_like(model):
    """SLA-Det at rest with the same weights: L_LR alone."""
    plain = build(active=False)
    plain.detector.load_state_dict(model.detector.state_dict())
    return plain


def test_until_it_teaches_it_is_lr():
    model, _ = plus()
    model.activity.pseudo = False
    ours, theirs = model.loss(images(), batch()), plain_like(model).loss(images(), batch())
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_a_trusted_prediction_outside_becomes_a_label():
    model, teacher = plus()
    confident(teacher, OUTSIDE)
    raw = confident(model)
    losses = model.loss(images(), batch())
    assert count(model) == dict(confidence=0, area=0, kept=1)
    sum(losses.values()).backward()
    # anchor 0 of stride 16 at row 6, column 6 learns objectness upwards, its class, and its box
    gradient = raw[1].grad.unflatten(1, (3, -1))[0, 0, :, 6, 6]
    assert gradient[4] < 0 and gradient[6] < 0 < gradient[5] and gradient[:4].abs().sum() > 0
    assert all(p.grad is None for p in teacher.parameters())


def test_images_without_a_label_can_be_left_out():
    """Of targets per location as well: the loss is that of the first image alone."""
    model, teacher = plus()
    model.skip_unlabelled = True
    for part in (model, teacher):
        part.eval()
    both = batch()
    both[1].gt_instances = both[1].gt_instances[:0]
    alone = model.loss(images()[:1], both[:1])
    for name, value in model.loss(images(), both).items():
        torch.testing.assert_close(value, alone[name])


def test_what_is_trusted_as_cell_need_not_be_trusted_as_box():
    model, teacher = plus()
    model.labeller.calibration.right[1] = 0                     # right at IoU 0.5, never at 0.75
    confident(teacher, OUTSIDE)
    raw = confident(model)
    sum(model.loss(images(), batch()).values()).backward()
    gradient = raw[1].grad.unflatten(1, (3, -1))[0, 0, :, 6, 6]
    assert gradient[4] < 0 and gradient[6] < 0 and (gradient[:4] == 0).all()


@pytest.mark.parametrize('pseudo_weight', [None, 1.0])
def test_the_teachers_objectness_is_the_target_also_in_a_loss_of_its_own(pseudo_weight):
    """The student's is higher than the teacher's and its box is the teacher's: only the IoU would call for more."""
    gradients = {}
    for soft in (True, False):
        model, teacher = plus(soft_objectness=soft)
        model.pseudo_weight = pseudo_weight
        confident(teacher, (0, 6, 6, 2., 1))
        raw = confident(model, (0, 6, 6, 6., 1))
        sum(model.loss(images(), batch()).values()).backward()
        gradients[soft] = raw[1].grad.unflatten(1, (3, -1))[0, 0, 4, 6, 6]
    assert gradients[True] > 0 > gradients[False]


def test_without_evidence_nothing_is_added():
    model, teacher = plus(trusted=False)
    confident(teacher, OUTSIDE)
    losses = model.loss(images(), batch())
    assert count(model)['kept'] == 0 and count(model)['confidence'] == 1
    for name, value in plain_like(model).loss(images(), batch()).items():
        torch.testing.assert_close(losses[name], value)


def test_background_outside_is_learnt_where_the_teacher_is_sure_of_it():
    model, teacher = plus(trusted=False)
    model.labeller.calibration.places[:, 10] = 100              # labelled cells get an objectness of 0.01 at least
    confident(teacher, *((0, 6, column, objectness, 0) for column, objectness in ((2, -6.), (4, -4.))))
    raw = confident(model)
    sum(model.loss(images(), batch()).values()).backward()
    gradient = raw[1].grad.unflatten(1, (3, -1))[0, 0, 4, 6]
    assert gradient[2] > 0 and gradient[4] == 0        # objectness 0.0025 and 0.018
    silent, teacher = plus(trusted=False, learn_background=False)
    silent.labeller.calibration.places[:, 10] = 100
    raw = confident(silent)
    sum(silent.loss(images(), batch()).values()).backward()
    assert (raw[1].grad.unflatten(1, (3, -1))[0, 0, 4, 6] == 0).all()


def test_under_an_ignored_box_the_teacher_says_nothing():
    places = OUTSIDE, INSIDE, (0, 6, 2, -6., 0)         # two candidates, and a place surely without a cell
    model, teacher = plus()
    model.labeller.calibration.places[:, 10] = 100
    confident(teacher, *places)
    raw = confident(model)
    ignoring = batch()
    for found, box in zip(ignoring, ([0., 90., 128., 128.], [0., 0., 60., 60.])):
        found.ignored_instances = InstanceData(bboxes=torch.tensor([box]), labels=torch.tensor([0]))
    seen = model.labeller.calibration.seen.clone()
    sum(model.loss(images(), ignoring).values()).backward()
    assert count(model)['kept'] == 0
    torch.testing.assert_close(model.labeller.calibration.seen, seen * model.labeller.calibration.decay)
    assert (raw[1].grad.unflatten(1, (3, -1))[0, 0, 4, 6] == 0).all()


def test_a_head_that_weighs_background_weighs_it_here_too():
    """By hand: without a cell in the image every weight is ``floor``; a floor of 1 is the plain head, to the bit."""
    found = {}
    for floor in (1.0, 0.25):
        head = dict(type='mmleuk.SoftSamplingYOLOv5Head', floor=floor, offset=1e6)
        model, teacher = plus(trusted=False, head=head)
        model.labeller.calibration.places[:, 10] = 100
        confident(teacher, (0, 6, 2, -6., 0))
        raw = confident(model)
        nothing = [sample(region=(0, 0, 64, 64)), sample(region=(0, 0, 64, 64))]
        sum(model.loss(images(), nothing).values()).backward()
        found[floor] = [level.grad.unflatten(1, (3, -1))[:, :, 4] for level in raw]
    for whole, quarter in zip(found[1.0], found[0.25]):
        assert whole.any()
        torch.testing.assert_close(quarter, whole / 4)


def test_calibration_hears_of_places_inside_alone():
    model, teacher = plus(trusted=False)
    confident(teacher, OUTSIDE, INSIDE)
    model.loss(images(), batch())
    seen = model.labeller.calibration.seen
    assert seen[1].sum() == 0 and seen[2].sum() == 1   # the one outside is of class 1
    assert (model.labeller.calibration.places.sum(1) > 0).any()
    assert (model.labeller.calibration.thresholds() == NEVER).all()


def test_no_labels_anywhere_and_calling_twice():
    model, _ = plus(trusted=False)
    nothing = [sample(region=()), sample(region=())]
    first, second = (model.loss(images(), nothing) for _ in range(2))
    assert all(value == 0 for value in first.values()) and all(value == 0 for value in second.values())


def test_a_teacher_and_regions_are_needed():
    with pytest.raises(UserError, match="truth='regions'"):
        plus(head=dict(truth='everywhere'))
    model, _ = plus()
    with pytest.raises(UserError, match='EMATeacherHook'):
        copy.deepcopy(model).loss(images(), batch())


def test_labels_say_how_far_they_count():
    model, _ = plus()
    truth = InstanceData(bboxes=torch.tensor([[4., 4, 6, 6]]), labels=torch.tensor([1]))
    found = InstanceData(
        bboxes=torch.tensor([[0., 0, 4, 6], [2, 2, 4, 4], [9, 9, 12, 12]]), labels=torch.tensor([2, 0, 0]),
        scores=torch.tensor([0.9, 0.8, 0.2]), source=torch.tensor([2, 2, 2]), criterion=torch.tensor([2, 2, 0]),
        weight=torch.tensor([1., 1, 0]), teaches_box=torch.tensor([True, False, False]),
        ignored=torch.zeros(3, dtype=torch.bool))
    joined = model.merge(truth, found)
    assert joined.labels.tolist() == [1, 2, 0] and joined.bboxes.tolist() == [[4, 4, 6, 6], [0, 0, 4, 6], [2, 2, 4, 4]]
    assert joined.teaches_box.tolist() == [True, True, False] and joined.source.tolist() == [0, 2, 2]


def test_targets_of_locations_need_one_view():
    """Another view shows a location's cell elsewhere; labels alone can move between views."""
    with pytest.raises(UserError, match='set its learn_background=False and soft_objectness=False'):
        plus(learn_background=False, two_views=True)
    model, _ = plus(learn_background=False, soft_objectness=False, two_views=True)
    assert not model.labeller.targets_per_location
