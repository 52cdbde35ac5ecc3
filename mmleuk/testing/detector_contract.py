"""What every detector owes: losses where truth is known, attributes for what it finds, images without a cell.

Each check takes a detector as its config builds it, works at 128 px and raises AssertionError; tests/models runs them
on every one. Legend: B images, N cells.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmleuk.models.dense_heads.yolov5_head import YOLOv5Head
from mmleuk.models.detectors.sparse_label_detector import SparseLabelDetector
from mmleuk.models.labellers.base import KEPT
from mmleuk.schema import LEUKEMIA_ATTRIBUTES

IMAGE_SIZE = 128
CELL = (40.0, 44.0, 76.0, 84.0)
NOWHERE: tuple[tuple[float, ...], ...] = ()
LEFT_HALF = ((0.0, 0.0, 64.0, 128.0),)
EVERYWHERE = ((0.0, 0.0, 128.0, 128.0),)


def build_detector(config: str | Path, num_classes: int | None = None, attributes: bool = False,
                   feature_layers: Sequence[str] | None = None) -> BaseDetector:
    """The detector of a config with random weights, in training mode.

    Args:
        config: path of a config whose ``model`` is a detector.
        num_classes: of all heads; None leaves them as they are.
        attributes: wrap it in :class:`mmleuk.AttriDet` with LeukemiaAttri's schema.
        feature_layers: what AttriHead looks at; None means the first two stages of a ResNet.
    """
    model = Config.fromfile(str(config)).model
    if num_classes is not None:
        set_everywhere(model, 'num_classes', num_classes)
    set_everywhere(model, 'score_thr', 0.0)  # random weights give low scores
    if attributes:
        head = dict(type='mmleuk.AttriHead', attributes='leukemia', roi_output_size=(16, 16), fc_channels=(32, 16))
        model = dict(type='mmleuk.AttriDet', detector=model, attri_head=head,
                     feature_layers=feature_layers or ('backbone.layer1', 'backbone.layer2'))
    detector = MODELS.build(model)
    detector.init_weights()
    return detector.train()


def set_everywhere(part: object, key: str, value: object) -> None:
    """Set a key wherever a part of a config has it, in place."""
    if isinstance(part, dict):
        if key in part:
            part[key] = value
        for child in part.values():
            set_everywhere(child, key, value)
    elif isinstance(part, (list, tuple)):
        for child in part:
            set_everywhere(child, key, value)


def make_batch(*images: tuple[Sequence[Sequence[float]], Sequence[Sequence[float]]],
               ignored: Sequence[Sequence[float]] = ()) -> dict:
    """Noise at 128 px with cells and regions, as a loader gives it.

    Args:
        images: per image the cells' boxes and the annotated regions, xyxy in pixels; every cell is of class 1 and of
            value 1 in every attribute.
        ignored: boxes of ignored cells in every image.
    """
    draw = torch.Generator().manual_seed(3)
    inputs, samples = [], []
    size = (IMAGE_SIZE, IMAGE_SIZE)
    for number, (boxes, regions) in enumerate(images):
        meta = dict(img_shape=size, ori_shape=size, pad_shape=size, batch_input_shape=size, scale_factor=(1.0, 1.0),
                    img_id=number, annotated_regions=torch.tensor(regions).reshape(-1, 4))
        cells = InstanceData(
            bboxes=torch.tensor(boxes).reshape(-1, 4), labels=torch.ones(len(boxes), dtype=torch.long),
            attributes=torch.ones(len(boxes), len(LEUKEMIA_ATTRIBUTES), dtype=torch.long))
        crowds = InstanceData(
            bboxes=torch.tensor(ignored).reshape(-1, 4), labels=torch.ones(len(ignored), dtype=torch.long),
            attributes=torch.ones(len(ignored), len(LEUKEMIA_ATTRIBUTES), dtype=torch.long))
        for instances in (cells, crowds):
            instances.set_metainfo(dict(annotated_regions=meta['annotated_regions']))
        if len(ignored):
            cells.set_metainfo(dict(ignored_boxes=crowds.bboxes))
        sample = DetDataSample(metainfo=meta, gt_instances=cells, ignored_instances=crowds)
        inputs.append(torch.randint(0, 256, (3, *size), generator=draw, dtype=torch.uint8))
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def loss_of(detector: BaseDetector, batch: dict) -> Tensor:
    """Sum of the losses of a batch, a scalar; random draws are the same in every call. The batch stays as it is."""
    torch.manual_seed(5)
    data = detector.data_preprocessor(copy.deepcopy(batch), True)
    return detector.parse_losses(detector.loss(data['inputs'], data['data_samples']))[0]


def gradients_of(detector: BaseDetector, batch: dict) -> dict[str, Tensor]:
    """Gradient of the batch's loss by parameter's name; zeros where a parameter took no part."""
    detector.zero_grad()
    loss_of(detector, batch).backward()
    return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in detector.named_parameters()
            if p.requires_grad}


def stem_gradient(gradients: dict[str, Tensor]) -> Tensor:
    """The gradient of the backbone's first parameter."""
    return next(gradient for name, gradient in gradients.items() if 'backbone' in name)


def freeze_statistics(detector: BaseDetector) -> None:
    """Normalisation by running statistics, no dropout: one image's features don't depend on the others'."""
    for module in detector.modules():
        if isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.Dropout)):
            module.eval()


# ------------------------------------------------------------------ every detector


def check_first_stage_learns(detector: BaseDetector) -> None:
    """From random weights nothing is frozen: the stem and every normalisation layer get a gradient."""
    gradients = gradients_of(detector, make_batch(([CELL], EVERYWHERE), ([CELL], EVERYWHERE)))
    assert stem_gradient(gradients).any(), 'the first convolution gets no gradient'
    assert all(module.training for module in detector.modules()), 'a module is not in training mode'


def check_empty_images(detector: BaseDetector) -> None:
    """A batch without a cell has a finite loss and finite gradients; a prediction of it works."""
    batch = make_batch(([], EVERYWHERE), ([], EVERYWHERE))
    gradients = gradients_of(detector, batch)
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    assert any(gradient.any() for gradient in gradients.values()), 'known background is not learnt'
    predict(detector, batch)


def predict(detector: BaseDetector, batch: dict) -> list[DetDataSample]:
    """Predictions of a batch; the detector is in training mode again afterwards."""
    detector.eval()
    with torch.no_grad():
        found = detector.test_step(copy.deepcopy(batch))
    detector.train()
    return found


def check_attributes_are_predicted(detector: BaseDetector) -> None:
    """Detections of an AttriDet carry attributes, and their loss reaches its head and the backbone."""
    batch = make_batch(([CELL], EVERYWHERE), ([], EVERYWHERE))
    gradients = gradients_of(detector, batch)
    assert any(gradient.any() for name, gradient in gradients.items() if name.startswith('attri_head'))
    for sample in predict(detector, batch):
        found = sample.pred_instances
        assert len(found), 'nothing was detected'
        assert found.attributes.shape == (len(found), len(LEUKEMIA_ATTRIBUTES))
        assert ((found.attributes == 0) | (found.attributes == 1)).all()


# ------------------------------------------------------------------ sparse regions


def check_unknown_images_teach_nothing(detector: BaseDetector) -> None:
    """Where nothing is known and no cell is labelled, no parameter gets a gradient."""
    gradients = gradients_of(detector, make_batch(([], NOWHERE), ([], NOWHERE)))
    taught = [name for name, gradient in gradients.items() if gradient.any()]
    assert not taught, f'background outside the regions teaches {", ".join(taught[:5])}'


def check_unknown_images_are_in_no_average(detector: BaseDetector) -> None:
    """An unknown image beside a known one changes no gradient: not a sum, not a denominator.

    YOLOv5 multiplies its means by the number of images, so there every gradient doubles.
    """
    freeze_statistics(detector)
    alone = gradients_of(detector, make_batch(([CELL], LEFT_HALF)))
    beside = gradients_of(detector, make_batch(([CELL], LEFT_HALF), ([], NOWHERE)))
    detector.train()
    factor = 2 if any(isinstance(module, YOLOv5Head) for module in detector.modules()) else 1
    for name, gradient in alone.items():
        torch.testing.assert_close(beside[name], factor * gradient, rtol=1e-3, atol=1e-5, msg=f'{name} differs')


def check_background_inside_is_learnt(detector: BaseDetector) -> None:
    """Half of an image is known and holds no cell: something is learnt, and not what the whole image teaches."""
    half = gradients_of(detector, make_batch(([], LEFT_HALF)))
    whole = gradients_of(detector, make_batch(([], EVERYWHERE)))
    assert any(gradient.any() for gradient in half.values())
    assert any(not torch.allclose(half[name], gradient) for name, gradient in whole.items())


def check_ignored_cells_are_no_background(detector: BaseDetector) -> None:
    """An ignored cell over all but the left half teaches nothing: as if only that half were known."""
    right = ((64.00001, 0.0, 128.0, 128.0),)  # a location at 64 is known in both
    freeze_statistics(detector)
    half = gradients_of(detector, make_batch(([CELL], LEFT_HALF)))
    ignored = gradients_of(detector, make_batch(([CELL], EVERYWHERE), ignored=right))
    detector.train()
    for name, gradient in half.items():
        torch.testing.assert_close(ignored[name], gradient, rtol=1e-3, atol=1e-5, msg=f'{name} differs')


def check_labelled_cells_are_learnt(detector: BaseDetector) -> None:
    """A labelled cell is learnt inside a region, and where its centre lies outside of every region."""
    for regions in (LEFT_HALF, NOWHERE):
        gradients = gradients_of(detector, make_batch(([CELL], regions)))
        assert stem_gradient(gradients).any(), f'a labelled cell teaches nothing with the regions {regions}'


# ------------------------------------------------------------------ methods for sparse labels

METHODS: dict[str, dict] = {
    # from random weights nothing is confident: thresholds low enough that every detector finds something
    'sla_det': dict(
        type='mmleuk.SLADet', loss_triplet=dict(type='mmleuk.TripletLoss'),
        labeller=dict(type='mmleuk.ThresholdLabeller', min_confidence=1e-4, sure_confidence=2e-3, max_entropy=2.0,
                      max_per_image=20)),
    'calibrated_teacher': dict(
        type='mmleuk.SparseLabelDetector', asks='teacher',
        labeller=dict(type='mmleuk.CalibratedLabeller', num_classes=3, candidate_confidence=1e-3, max_per_image=20)),
    'co_mining': dict(type='mmleuk.CoMining', labeller=dict(type='mmleuk.OtherViewLabeller', min_score=2e-3)),
    'co_student': dict(
        type='mmleuk.CoStudent',
        labeller=dict(type='mmleuk.TeacherMergeLabeller', min_score=2e-3, teacher_score=2e-3)),
    'objectness': dict(
        type='mmleuk.SparseLabelDetector',
        labeller=dict(type='mmleuk.ObjectnessLabeller', min_objectness=1e-3, max_per_image=20)),
}
"""Every method for sparse labels, as a detector's wrapper without its ``detector``."""


def build_learner(method: str, config: str | Path) -> SparseLabelDetector:
    """A method around the detector of a config for sparse regions: awake, trusted, taught by a copy of itself."""
    model = Config.fromfile(str(config)).model
    set_everywhere(model, 'score_thr', 0.0)
    learner = MODELS.build(dict(METHODS[method], detector=model))
    learner.init_weights()
    learner.activity.pseudo = learner.activity.triplet = True
    if method == 'calibrated_teacher':
        learner.labeller.calibration.seen += 1e4
        learner.labeller.calibration.right += 1e4
    learner.set_teacher(copy.deepcopy(learner))
    return learner.train()


def as_views(learner: SparseLabelDetector, batch: dict) -> dict:
    """A batch as the learner takes it: with two views, the second one has its colours inverted."""
    if len(learner.views) == 1:
        return batch
    views = dict(original=batch['inputs'], augmented=[255 - image for image in batch['inputs']])
    return dict(inputs=views, data_samples={view: copy.deepcopy(batch['data_samples']) for view in views})


def check_found_labels_are_learnt(learner: SparseLabelDetector) -> None:
    """Something is found, no annotated cell is dropped, gradients are finite and reach the stem, twice the same."""
    batch = as_views(learner, make_batch(([CELL], LEFT_HALF), ([], NOWHERE)))
    taught, original = [], learner.adapter.loss

    def loss(outputs: tuple, labels: Sequence[InstanceData], *args: Any) -> dict:
        taught.append([found.bboxes.tolist() for found in labels])
        return original(outputs, labels, *args)
    learner.adapter.loss = loss  # type: ignore[method-assign, assignment]
    first, second = gradients_of(learner, batch), gradients_of(learner, batch)
    learner.adapter.loss = original  # type: ignore[method-assign]
    assert learner.last_judged is not None
    found = learner.labeller.count(learner.last_judged)
    assert found.get(KEPT) or found.get('set_aside'), f'nothing was found: {found}'
    assert any(list(CELL) in image for images in taught for image in images), 'the annotated cell was dropped'
    assert all(gradient.isfinite().all() for gradient in first.values())
    assert stem_gradient(first).any()
    for name, gradient in first.items():
        torch.testing.assert_close(second[name], gradient, rtol=1e-3, atol=1e-5, msg=f'{name} differs')
    assert not any(parameter.grad is not None for parameter in learner.teacher.module.parameters())


def check_rest_is_the_detector(learner: SparseLabelDetector) -> None:
    """Until the terms are switched on, the loss is the detector's own on the annotation, of each view."""
    batch = make_batch(([CELL], LEFT_HALF), ([CELL], EVERYWHERE))
    freeze_statistics(learner)
    learner.activity.pseudo = learner.activity.triplet = False
    if len(learner.views) == 1:
        learner.detector.data_preprocessor = learner.data_preprocessor
    else:
        learner.detector.data_preprocessor = learner.data_preprocessor.data_preprocessor
    expected = loss_of(learner.detector, batch)
    views = dict(inputs=dict.fromkeys(learner.views, batch['inputs']),
                 data_samples=dict.fromkeys(learner.views, batch['data_samples']))
    actual = loss_of(learner, batch if len(learner.views) == 1 else views)
    learner.train()
    learner.activity.pseudo = learner.activity.triplet = True
    assert learner.last_judged is None
    # YOLOv5 and two-stage samplers draw, so views aren't equal to the last bit
    assert abs(actual.item() / len(learner.views) - expected.item()) < 0.05 * expected.item()


def check_nothing_to_learn(learner: SparseLabelDetector) -> None:
    """Neither a cell nor a region anywhere: finite, and a prediction works."""
    batch = make_batch(([], NOWHERE), ([], NOWHERE))
    gradients = gradients_of(learner, as_views(learner, batch))
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    predict(learner, batch)


PLAIN: tuple[Callable[[BaseDetector], None], ...] = (check_first_stage_learns, check_empty_images)
SPARSE: tuple[Callable[[BaseDetector], None], ...] = (
    check_unknown_images_teach_nothing, check_unknown_images_are_in_no_average, check_background_inside_is_learnt,
    check_labelled_cells_are_learnt, check_ignored_cells_are_no_background)
LEARNING: tuple[Callable[[SparseLabelDetector], None], ...] = (
    check_found_labels_are_learnt, check_rest_is_the_detector, check_nothing_to_learn)
