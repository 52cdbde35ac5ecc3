"""Pseudo-labels whose attributes contradict their type: the bottleneck by hand, and the check inside a training."""

import copy
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from sklearn.naive_bayes import CategoricalNB
from test_sla_det import images, sample

from mmleuk.engine.pseudo_label_hook import PseudoLabelHook, judged_sums
from mmleuk.errors import UserError
from mmleuk.models.data_preprocessors.two_views import TwoViewsDataPreprocessor
from mmleuk.models.labellers import AttributeCheckLabeller, ReadingBottleneck
from mmleuk.schema import IGNORE

CONFIG = Path(__file__).parents[2] / 'configs' / '_base_' / 'models' / 'yolov5n.py'
COLOURS = dict(colour=['red', 'blue', 'grey'], granules=['no', 'yes'])
"""Three values and two: probabilities are padded to three."""
FAR = (0., 0., 10., 10.)


def read(*probabilities):
    """Readings of COLOURS (K, 2, 3) from lists of [colour probabilities, granule probabilities]."""
    rows = [[list(colour), [*granules, 0.]] for colour, granules in probabilities]
    return torch.tensor(rows).reshape(-1, 2, 3)


RED, BLUE, UNREAD = ((1., 0., 0.), (0., 1.)), ((0., 1., 0.), (1., 0.)), ((0., 0., 0.), (0., 0.))


def counted(**arguments):
    """Four classes: 30 cells of class 0 are red with granules, 30 of 1 blue without, 5 of 2; class 3 has none."""
    bottleneck = ReadingBottleneck(num_classes=4, attributes=COLOURS, **arguments)
    bottleneck.readings[0] = 30 * read(RED)[0]
    bottleneck.readings[1] = 30 * read(BLUE)[0]
    bottleneck.readings[2] = 5 * read(BLUE)[0]
    bottleneck.described[:3] = torch.tensor([30., 30., 5.])
    return bottleneck


# ------------------------------------------------------------------ the bottleneck

def test_probability_by_hand():
    """Red with granules: 31/33 x 31/32 for class 0, 1/33 x 1/32 for class 1; class 2 has too few cells to be judged."""
    found = counted().probabilities(read(RED))
    assert found[0].tolist() == pytest.approx([961 / 962, 1 / 962, 0, 0], rel=1e-4)
    doubtful = counted().probabilities(read(((0.5, 0.5, 0.), (0.5, 0.5))))
    assert doubtful[0].tolist() == pytest.approx([0.5, 0.5, 0, 0])


def test_the_bottleneck_is_naive_bayes():
    """Readings without doubt: scikit-learn's classifier with equal priors gives the same."""
    rng = torch.Generator().manual_seed(0)
    values = torch.stack([torch.randint(0, count, (90,), generator=rng) for count in (3, 2)], 1)
    labels = torch.randint(0, 3, (90,), generator=rng)
    probs = torch.nn.functional.one_hot(values, 3).float()
    bottleneck = ReadingBottleneck(num_classes=3, attributes=COLOURS, min_evidence=1)
    bottleneck.readings.index_add_(0, labels, probs)
    theirs = CategoricalNB(alpha=1, fit_prior=False, min_categories=[3, 2]).fit(values, labels).predict_proba(values)
    torch.testing.assert_close(bottleneck.probabilities(probs).double(), torch.tensor(theirs), atol=1e-5, rtol=1e-4)


def test_nothing_is_said_without_evidence_or_reading():
    """Class 2 has too few cells, class 3 none; the third prediction has no attributes; before training nobody has."""
    labels = torch.tensor([2, 3, 1, 1])
    found = counted().probability(labels, read(RED, RED, UNREAD, RED))
    assert found.tolist() == pytest.approx([1, 1, 1, 1 / 962], rel=1e-4)
    fresh = ReadingBottleneck(num_classes=4, attributes=COLOURS)
    assert fresh.probability(labels, read(RED, RED, UNREAD, RED)).tolist() == [1, 1, 1, 1]
    assert counted().probability(labels[:0], read()).shape == (0,)


def test_rare_types_are_as_likely_as_others():
    bottleneck = counted()
    bottleneck.readings[1] *= 100
    found = bottleneck.probabilities(read(((1 / 3, 1 / 3, 1 / 3), (0.5, 0.5))))
    assert found[0, 0] > found[0, 1]


def cells(boxes, labels, attributes):
    return InstanceData(bboxes=torch.tensor(boxes).reshape(-1, 4), labels=torch.tensor(labels, dtype=torch.long),
                        attributes=torch.tensor(attributes, dtype=torch.long).reshape(-1, 2))


def predictions(boxes, labels, probs):
    return InstanceData(bboxes=torch.tensor(boxes).reshape(-1, 4), labels=torch.tensor(labels, dtype=torch.long),
                        attribute_probs=probs)


def test_what_is_read_on_labelled_cells_is_counted():
    """The nearest prediction counts for the cell's own class; not without IoU, and not on cells without attributes."""
    box, near, away = (0., 0., 10., 10.), (0., 0., 10., 8.), (50., 50., 60., 60.)
    truth = cells([box, away, (80., 80., 90., 90.)], [0, 1, 3], [[0, 1], [1, IGNORE], [IGNORE, IGNORE]])
    found = predictions([near, box, (80., 80., 90., 90.)], [1, 1, 0], read(BLUE, RED, BLUE))
    bottleneck = ReadingBottleneck(num_classes=4, attributes=COLOURS, decay=0.5)
    bottleneck.update([found], [truth])
    assert torch.equal(bottleneck.readings[0], read(RED)[0]) and not bottleneck.readings[1:].any()
    assert bottleneck.described.tolist() == [1, 1, 0, 0]
    bottleneck.update([predictions([], [], read()), found], [cells([], [], [])] * 2)
    assert torch.equal(bottleneck.readings[0], 0.5 * read(RED)[0])
    assert bottleneck.described.tolist() == [0.5, 0.5, 0, 0]


def test_all_unknown_attributes_teach_nothing():
    bottleneck = ReadingBottleneck(num_classes=4, attributes=COLOURS)
    bottleneck.update([predictions([FAR], [0], read(RED))], [cells([FAR], [0], [[IGNORE, IGNORE]])])
    assert not bottleneck.readings.any() and not bottleneck.described.any()


def _process(rank, folder):
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/meeting', rank=rank, world_size=2)
    bottleneck = ReadingBottleneck(num_classes=4, attributes=COLOURS)
    seen = [FAR] * rank                                                          # the first process sees no cell
    bottleneck.update([predictions(seen, [0] * rank, read(*[RED] * rank))], [cells(seen, [0] * rank, [[0, 1]] * rank)])
    torch.save(bottleneck.state_dict(), f'{folder}/{rank}.pth')
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_processes_share_what_they_read(tmp_path):
    torch.multiprocessing.spawn(_process, args=(tmp_path,), nprocs=2)
    first, second = (torch.load(tmp_path / f'{rank}.pth') for rank in range(2))
    assert first['described'].tolist() == [1, 0, 0, 0] and torch.equal(first['readings'][0], read(RED)[0])
    assert all(torch.equal(first[key], second[key]) for key in first)


# ------------------------------------------------------------------ the labeller

def labeller(**arguments):
    found = AttributeCheckLabeller(labeller=dict(type='mmleuk.OtherViewLabeller', min_score=0.5), num_classes=4,
                                   attributes=COLOURS, **arguments)
    found.bottleneck = counted()
    return found


def found_cells(labels, probs):
    boxes = torch.tensor([[20. * number, 0., 20. * number + 10, 10.] for number in range(len(labels))]).reshape(-1, 4)
    return InstanceData(bboxes=boxes, labels=torch.tensor(labels, dtype=torch.long), scores=torch.ones(len(labels)),
                        source=torch.ones(len(labels), dtype=torch.long), attribute_probs=probs)


def test_a_contradicted_label_is_set_aside():
    """Class 0: one red, one blue. Class 3 has no attributes. The last one repeats a labelled cell of its class."""
    check = labeller()
    predicted = found_cells([0, 0, 3, 0], read(RED, BLUE, BLUE, BLUE))
    truth = cells([predicted.bboxes[3].tolist()], [0], [[0, 1]])
    judged = check.select(predicted, truth, torch.zeros(0, 4))
    assert [check.criteria[row] for row in judged.criterion] == ['kept', 'attributes', 'kept', 'labelled']
    assert judged.weight.tolist() == [1, 0, 1, 0] and judged.teaches_box.tolist() == [True, False, True, False]
    assert judged.ignored.tolist() == [False, True, False, False]
    assert check.count([judged]) == dict(labelled=1, kept=2, attributes=1)
    assert judged_sums(check, [judged])['attributes'] == 1
    again = check.select(predicted, truth, torch.zeros(0, 4))
    assert torch.equal(again.criterion, judged.criterion) and 'criterion' not in predicted
    none = check.select(found_cells([], read()), truth, torch.zeros(0, 4))
    assert len(none) == 0 and check.count([none]) == dict(labelled=0, kept=0, attributes=0)


def test_thresholds_are_measured_on_what_is_left():
    """Two predictions on labelled cells, one read as another type: the calibration counts one."""
    check = AttributeCheckLabeller(labeller=dict(type='mmleuk.CalibratedLabeller', num_classes=4), num_classes=4,
                                   attributes=COLOURS)
    check.bottleneck = counted()
    found = found_cells([0, 0], read(RED, BLUE))
    truth = cells(found.bboxes.tolist(), [0, 0], [[0, 1], [0, 1]])
    check.observe([found], [truth], [torch.tensor([[0., 0., 128., 128.]])])
    calibration = check.labeller.calibration
    assert calibration.seen.sum() == calibration.right[0].sum() == 1
    assert check.bottleneck.described[0] == pytest.approx(30 * 0.99 + 2), 'the bottleneck counts both'


def test_the_threshold_decides():
    """Half red, half blue, granules as of class 0: 1/32 of a chance for class 1."""
    mixed = found_cells([1], read(((0.5, 0.5, 0.), (0., 1.))))
    probability = 1 / (1 + 31)
    for threshold, kept in ((probability * 1.01, 0), (probability * 0.99, 1)):
        check = labeller(min_probability=threshold)
        assert check.count([check.select(mixed, cells([], [], []), torch.zeros(0, 4))])['kept'] == kept


def test_only_described_types_are_read():
    assert labeller().is_read(torch.tensor([0, 1, 2, 3, 0])).tolist() == [True, True, True, False, True]


def test_it_stands_for_the_other_labeller():
    inner = dict(type='mmleuk.CalibratedLabeller', num_classes=4, candidate_confidence=0.3)
    check = AttributeCheckLabeller(labeller=inner, num_classes=4, attributes=COLOURS)
    check.min_area = 7.0
    assert check.labeller.min_area == check.min_area == 7.0 and check.request('teacher').min_score == 0.3
    assert check.criteria == ('confidence', 'area', 'kept', 'attributes')
    assert (check.needs_regions, check.counts_as_annotated, check.background_outside) == (True, False, False)
    assert check.sets_aside and check.targets_per_location and check.dense_targets(None) is None
    view = labeller()
    assert (view.needs_regions, view.counts_as_annotated) == (False, True)


def test_bad_arguments():
    with pytest.raises(UserError, match='min_probability < 1, got 1.0'):
        labeller(min_probability=1.0)
    with pytest.raises(UserError, match='decay in'):
        labeller(bottleneck=dict(decay=1.0))
    with pytest.raises(UserError, match='one check is enough'):
        AttributeCheckLabeller(labeller=dict(type='mmleuk.AttributeCheckLabeller', num_classes=4, attributes=COLOURS,
                                             labeller=dict(type='mmleuk.OtherViewLabeller')),
                               num_classes=4, attributes=COLOURS)


# ------------------------------------------------------------------ in a training

def build(method, labeller, seed=0, **terms):
    """An AttriDet around a method for sparse labels, which learns pseudo-labels from now on."""
    init_default_scope('mmdet')
    detector = Config.fromfile(CONFIG).model
    detector.bbox_head.update(num_classes=4, image_size=128, truth='regions')
    torch.manual_seed(seed)
    model = MODELS.build(dict(
        type='mmleuk.AttriDet', feature_layers=('backbone.stage1', 'backbone.stage2'),
        detector=dict(type=f'mmleuk.{method}', detector=detector, labeller=labeller, **terms),
        attri_head=dict(type='mmleuk.AttriHead', attributes=COLOURS, conv_channels=(8, 8, 8), fc_channels=(16, 8))))
    model.init_weights()
    model.detector.activity.pseudo = True
    return model.train()


def attri_det(asks='teacher', check=True, attributes=COLOURS, seed=0, **terms):
    """A small YOLOv5 in a SparseLabelDetector in an AttriDet; the labeller is calibrated from confidence 0.5 on."""
    inner = dict(type='mmleuk.CalibratedLabeller', num_classes=4)
    checked = dict(type='mmleuk.AttributeCheckLabeller', labeller=inner, num_classes=4, attributes=attributes)
    model = build('SparseLabelDetector', checked if check else inner, seed, asks=asks, **terms)
    calibration = (model.detector.labeller.labeller if check else model.detector.labeller).calibration
    calibration.seen[:, 50:] = calibration.right[:, :, 50:] = 100
    return model


def with_teacher(**arguments):
    model = attri_det(**arguments)
    average = copy.deepcopy(model)
    model.detector.set_teacher(average.detector)
    return model, average


def reads(model, probs):
    """The head reads these probabilities on every box, and writes down how many it read."""
    seen = []

    def predict(features, boxes_per_image):
        assert not model.attri_head.training and features[0].dim() == 4
        seen.append([len(boxes) for boxes in boxes_per_image])
        return [(probs.argmax(2).expand(len(boxes), -1), probs.expand(len(boxes), -1, -1))
                for boxes in boxes_per_image]
    model.attri_head.predict = predict
    return seen


def finds(model, *places):
    """At stride 16, anchor 0 finds a cell at each (image, row, column, class); nothing else is found."""
    def hook(head, inputs, outputs):
        raw = [o.clone() for o in outputs[0]]
        for level in raw:
            level.unflatten(1, (3, -1))[:, :, 4] = -9.
        level = raw[1].unflatten(1, (3, -1))
        for image, row, column, label in places:
            level[image, 0, :4, row, column], level[image, 0, 4, row, column] = 0., 6.
            level[image, 0, 5:, row, column] = -9.
            level[image, 0, 5 + label, row, column] = 9.
        return (raw,)
    model.detector.detector.bbox_head.register_forward_hook(hook)


def batch():
    """Two images whose top left corner is annotated; the labelled cells are of class 0 and 3, the latter without."""
    samples = [sample([[5., 5., 35., 40.]], [0]), sample([[10., 10., 40., 40.]], [3])]
    samples[0].gt_instances.attributes = torch.tensor([[0, 1]])
    samples[1].gt_instances.attributes = torch.tensor([[IGNORE, IGNORE]])
    return samples


PLACES = ((0, 6, 6, 0), (0, 6, 2, 3), (1, 6, 6, 1))      # outside the regions: classes 0, 3 and 1


@pytest.mark.parametrize('asks', ['teacher', 'student'])
def test_training_drops_contradicted_labels(asks):
    """Everything is read as blue: the label of class 0 falls, class 1 fits, class 3 is never read."""
    model, average = with_teacher(asks=asks)
    model.detector.labeller.bottleneck = counted()
    who = average if asks == 'teacher' else model
    finds(who, *PLACES)
    seen = reads(who, read(BLUE))
    losses = model.loss(images(), batch())
    assert seen == [[1, 1]]
    judged = model.detector.last_judged
    assert model.detector.labeller.count(judged) == dict(confidence=0, area=0, kept=2, attributes=1)
    assert [image.labels[image.ignored].tolist() for image in judged] == [[0], []]
    assert 'loss_attributes' in losses and all(value.isfinite() for value in losses.values())
    assert all(tap.output is None for tap in model.taps.taps + average.taps.taps)


def test_the_dropped_label_is_neither_cell_nor_background():
    """Its grid cell gets no gradient at all, even where the other labeller adds background everywhere."""
    model, average = with_teacher()
    model.detector.labeller.bottleneck = counted()
    model.detector.labeller.labeller.calibration.places[:, 99] = 1e6     # below 0.98 all is background
    finds(average, *PLACES)
    reads(average, read(BLUE))
    raw = []

    def keep(head, inputs, outputs):
        raw[:] = outputs[0]
        for level in raw:
            level.retain_grad()
    model.detector.detector.bbox_head.register_forward_hook(keep)
    losses = model.loss(images(), batch())
    sum(value.sum() for value in losses.values()).backward()
    gradient = raw[1].grad.unflatten(1, (3, -1))[:, 0]
    assert (gradient[0, :, 6, 6] == 0).all()
    assert gradient[0, 4, 6, 2] != 0 and gradient[1, 4, 6, 6] != 0      # the kept ones
    assert gradient[0, 4, 1, 6] != 0                                    # background elsewhere


def test_no_gradient_flows_through_the_check():
    model, average = with_teacher()
    model.detector.labeller.bottleneck = counted()
    finds(average, *PLACES)
    losses = model.loss(images(), batch())
    assert not any(image.attribute_probs.requires_grad for image in model.detector.last_judged)
    assert not any(tensor.requires_grad for tensor in model.detector.labeller.buffers())
    assert model.attri_head.training
    sum(value.sum() for value in losses.values()).backward()
    assert all(parameter.grad is None for parameter in average.parameters())


def test_the_check_learns_from_labelled_cells():
    """The first batch says which types are described, so that the second one is read."""
    model, average = with_teacher()
    finds(average, (0, 1, 1, 0))
    seen = reads(average, read(RED))
    bottleneck = model.detector.labeller.bottleneck
    bottleneck.min_iou = 0.01
    model.loss(images(), batch())
    assert seen == [[0, 0]] and bottleneck.described.tolist() == [1, 0, 0, 0] and not bottleneck.readings.any()
    model.loss(images(), batch())
    assert seen[1:] == [[1, 0]] and torch.equal(bottleneck.readings[0], read(RED)[0])
    model.eval()
    model.detector.find_labels(images(), batch())
    assert bottleneck.readings.sum() == 2, 'an analysis changes nothing'


def test_without_a_contradiction_it_is_the_other_labeller():
    """Everything is read as red, and class 1 isn't predicted: same losses as without the check, to the bit."""
    found = {}
    for check in (True, False):
        model, average = with_teacher(check=check)
        if check:
            model.detector.labeller.bottleneck = counted()
            reads(average, read(RED))
        finds(average, *PLACES[:2])
        torch.manual_seed(1)  # dropout in the head
        found[check] = model.loss(images(), batch())
    assert found[True].keys() == found[False].keys()
    assert all(torch.equal(found[True][name], found[False][name]) for name in found[True])


def test_state_survives_a_checkpoint(tmp_path):
    model, average = with_teacher()
    model.detector.labeller.bottleneck = counted()
    finds(average, *PLACES)
    model.loss(images(), batch())
    torch.save(model.state_dict(), tmp_path / 'state.pth')
    again = attri_det(seed=1)
    again.load_state_dict(torch.load(tmp_path / 'state.pth'))
    for name, tensor in model.detector.labeller.state_dict().items():
        assert torch.equal(tensor, again.detector.labeller.state_dict()[name]), name
    assert {'bottleneck.described', 'bottleneck.readings'} <= set(again.detector.labeller.state_dict())


def test_two_batches_of_tiny_random_predictions_train():
    """Nothing planted: real head, real readings, twice."""
    model, _ = with_teacher(asks='both')
    model.detector.labeller.bottleneck.described.fill_(1)
    for _ in range(2):
        losses = model.loss(images(), batch())
        total, _ = model.parse_losses(losses)
        total.backward()
        assert total.isfinite()
    assert model.attri_head.extractor.convs[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize(('method', 'inner', 'taught'), [('CoMining', 'OtherViewLabeller', []),
                                                         ('CoStudent', 'TeacherMergeLabeller', [[1, 0]])])
def test_methods_with_two_views(method, inner, taught):
    """Each view's label of class 0 would be the other view's, but both are read as blue."""
    model = build(method, dict(type='mmleuk.AttributeCheckLabeller', num_classes=4, attributes=COLOURS,
                               labeller=dict(type=f'mmleuk.{inner}')))
    model.detector.labeller.bottleneck = counted()
    average = copy.deepcopy(model)
    model.detector.set_teacher(average.detector)
    finds(model, (0, 6, 6, 0), (2, 6, 6, 0))
    finds(average, (0, 6, 6, 0))
    seen, seen_by_teacher = reads(model, read(BLUE)), reads(average, read(BLUE))
    assert isinstance(model.data_preprocessor, TwoViewsDataPreprocessor)
    data = model.data_preprocessor(dict(
        inputs={view: list(255 * images()) for view in ('original', 'augmented')},
        data_samples=dict(original=batch(), augmented=batch())), True)
    losses = model.loss(data['inputs'], data['data_samples'])
    assert seen == [[1, 0, 1, 0]] and seen_by_teacher == taught
    counts = model.detector.labeller.count(model.detector.last_judged)
    assert counts['attributes'] == 2 and counts['kept'] == 0
    assert {'loss_attributes', 'original_loss_obj', 'augmented_loss_obj'} <= set(losses)


def test_attributes_of_both_views_are_learnt():
    """A view whose cells are all unknown leaves the mean of the other one; without dropout."""
    model = build('CoMining', dict(type='mmleuk.OtherViewLabeller'))
    model.attri_head.eval()
    model.detector.eval()  # batch norm with running statistics: views don't change each other
    unknown = batch()
    unknown[0].gt_instances.attributes = torch.full((1, 2), IGNORE)
    one = images()
    views = dict(original=one, augmented=one.flip(0))

    def loss(original, augmented):
        return model.loss(views, dict(original=original, augmented=augmented))['loss_attributes']
    both, first, second = loss(batch(), batch()), loss(batch(), unknown), loss(unknown, batch())
    torch.testing.assert_close(both, (first + second) / 2)
    assert first != second and loss(unknown, unknown) == 0


def test_someone_has_to_read_the_same_attributes():
    with pytest.raises(UserError, match='give both the same attributes'):
        attri_det(attributes=dict(colour=['red', 'blue', 'grey'], granules=['yes', 'no']))
    bare = attri_det().detector
    bare._attribute_reader = None
    with pytest.raises(UserError, match='put the model into a mmleuk.AttriDet'):
        _ = bare.attribute_reader

    class Runner:
        """As much of a runner as the hook looks at before it refuses."""

        model = bare
        max_epochs = 3
    with pytest.raises(UserError, match='put the model into a mmleuk.AttriDet'):
        PseudoLabelHook(image_size=128).before_train(Runner)
