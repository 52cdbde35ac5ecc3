"""A wrapper that lets a detector learn from sparse labels and from its own, another view's or a teacher's predictions.

Legend: B images, N cells, K predictions. With two views every image comes twice, and lists have 2B entries.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.models.utils import rename_loss_dict, unpack_gt_instances
from mmdet.structures import OptSampleList, SampleList
from mmdet.utils import InstanceList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.models.data_preprocessors.two_views import PLAIN, VIEWS, join_views
from mmleuk.models.detectors.adapters import Ignored, adapt, take_rows
from mmleuk.models.detectors.attri_det import write_attributes
from mmleuk.models.detectors.teacher import Teacher
from mmleuk.models.labellers.base import KEPT, SOURCES, UNSURE, DenseTargets, centres_in
from mmleuk.models.losses.no_loss import no_loss, weigh
from mmleuk.models.task_modules.roi_features import RoIFeatures
from mmleuk.models.task_modules.view_geometry import to_view
from mmleuk.models.task_modules.yolov5_assigner import BatchCells
from mmleuk.registry import MODELS, TASK_UTILS
from mmleuk.schema import AttributeSchema
from mmleuk.structures.regions import regions_of

AttributeReader = Callable[[Sequence[Tensor], Tensor], Sequence[tuple[Tensor, Tensor]]]
ASKED = dict(student=('student',), teacher=('teacher',), both=('student', 'teacher'))


@dataclass
class Activity:
    """Which terms are active; :class:`mmleuk.PseudoLabelHook` switches them by epoch."""

    pseudo: bool = False
    triplet: bool = False


@MODELS.register_module()
class SparseLabelDetector(BaseDetector):
    """Any detector that learns from annotation and from predictions that a labeller chooses.

    It is built like MMDetection's SemiBaseDetector, but every image is partly annotated and no annotation is dropped:

    1. the student (these weights) or the teacher (their moving average, from :class:`mmleuk.EMATeacherHook`) predicts;
    2. the labeller judges each image's predictions; it knows the labelled cells and the annotated regions;
    3. kept predictions join the labels, and the detector computes its own loss. Its heads and samplers decide where
       background is learnt (``truth='regions'``, :class:`mmleuk.SparseRegionSampler`).

    Until :class:`mmleuk.PseudoLabelHook` switches a term on, the loss is the detector's own on the annotation alone.
    Testing is that of the detector.

    Args:
        detector: config of a detector with an adapter (YOLOv5, FCOS and other dense heads, Faster R-CNN and similar).
            Its ``data_preprocessor`` becomes this model's, for each view.
        labeller: config of a :class:`mmleuk.models.labellers.Labeller`.
        asks: who predicts: 'student', 'teacher' or 'both'.
        two_views: every image comes in two views (MMDetection's ``MultiBranch`` at the pipeline's end, with branches
            ``original`` and ``augmented``). The labels of a view come from the other view's
            predictions. Both go through the network as one batch of 2B, so BatchNorm normalises them together; each
            has its own loss. A teacher sees the branch ``plain`` if there is one, else the original view. Where the
            branches' geometry differs, ``PackCells`` has to keep ``homography_matrix``, by which labels move between
            them (:func:`to_view`).
        pseudo_weight: None: found labels and annotation share one loss. A number: found labels have their own loss with
            this gain and without background (LLD Eq. 7; 0.1 in the paper). 0: found labels are not learnt.
        pseudo_mean: with ``pseudo_weight`` in YOLOv5, the divisor of the found labels' objectness loss. 'own': the
            number of their own predictions, so the loss doesn't grow with the number of found labels. 'shared': that
            number plus the number of predictions in the annotation's mean.
        loss_triplet: config of a :class:`mmleuk.TripletLoss` between unsure predictions and labelled cells.
        roi_features: arguments of :class:`RoIFeatures`, for ``loss_triplet``.
        skip_unlabelled: an image without any label, found or annotated, adds no loss: it may still show cells.
        data_preprocessor: overrides the detector's.

    Raises:
        UserError: the detector has no adapter, or the arguments don't fit together.
    """

    def __init__(self, detector: dict, labeller: dict, *, asks: Literal['student', 'teacher', 'both'] = 'student',
                 two_views: bool = False, pseudo_weight: float | None = None,
                 pseudo_mean: Literal['own', 'shared'] = 'own', loss_triplet: dict | None = None,
                 roi_features: dict | None = None, skip_unlabelled: bool = False,
                 data_preprocessor: dict | None = None, init_cfg: dict | list | None = None) -> None:
        detector = copy.deepcopy(detector)
        own = detector.pop('data_preprocessor', None)
        each = data_preprocessor or own or dict(type='DetDataPreprocessor')
        super().__init__(self.wrap_preprocessor(each, two_views), init_cfg)
        self.detector = MODELS.build(detector)
        self.adapter = adapt(self.detector)
        self.labeller: Any = TASK_UTILS.build(labeller)
        self.asks = asks
        self.views = VIEWS if two_views else VIEWS[:1]
        self.pseudo_weight = pseudo_weight
        self.pseudo_mean = pseudo_mean
        self.loss_triplet: Any = MODELS.build(loss_triplet) if loss_triplet else None
        self.roi_features: Any = RoIFeatures(**(roi_features or {})) if loss_triplet else None
        self.skip_unlabelled = skip_unlabelled
        self._check()
        self.teacher = Teacher()
        self._attribute_reader: AttributeReader | None = None
        self.activity = Activity()
        self.last_judged: InstanceList | None = None

    @staticmethod
    def wrap_preprocessor(each: dict, two_views: bool) -> dict:
        """Config of the model's preprocessor, from the detector's own."""
        return dict(type='mmleuk.TwoViewsDataPreprocessor', data_preprocessor=each) if two_views else each

    def _check(self) -> None:
        """Refuse arguments that contradict each other."""
        name = type(self).__name__
        if self.asks not in ASKED or self.pseudo_mean not in ('own', 'shared'):
            raise UserError(f"{name}: asks is 'student', 'teacher' or 'both', got {self.asks!r}; pseudo_mean is 'own' "
                            f"or 'shared', got {self.pseudo_mean!r}")
        if self.loss_triplet is not None and (UNSURE not in self.labeller.criteria or len(self.views) > 1):
            raise UserError(f'{name}: loss_triplet needs one view and a labeller with the criterion "unsure", such as '
                            f'mmleuk.ThresholdLabeller; got a {type(self.labeller).__name__}')
        if self.labeller.targets_per_location and len(self.views) > 1:
            raise UserError(f'{name}: the labeller teaches single locations, which another view has elsewhere; set its '
                            'learn_background=False and soft_objectness=False, or use mmleuk.CalibratedViewLabeller')
        labeller_needs = self.labeller.needs_regions and not self.labeller.background_outside
        needs_regions = self.pseudo_weight is not None or labeller_needs
        if 'pseudo' in self.terms and needs_regions and not self.adapter.uses_regions:
            raise UserError(f"{name}: a {type(self.labeller).__name__} needs a detector that takes no background from "
                            "outside the annotated regions; set bbox_head.truth='regions' (YOLOv5), or use "
                            'mmleuk.SparseRegionFCOSHead or mmleuk.SparseRegionSampler')
        if self.labeller.sets_aside and not self.adapter.uses_ignored:
            raise UserError(f'{name}: a {type(self.labeller).__name__} ignores predictions whose area this detector '
                            'would learn as background; use mmleuk.SparseRegionFCOSHead or mmleuk.SparseRegionSampler')

    @property
    def terms(self) -> tuple[str, ...]:
        """The model's terms that :class:`mmleuk.PseudoLabelHook` must switch on; names of :class:`Activity`."""
        return ('pseudo',) * (self.pseudo_weight != 0) + ('triplet',) * (self.loss_triplet is not None)

    @property
    def learns_from_teacher(self) -> bool:
        """Whether it needs :class:`mmleuk.EMATeacherHook`."""
        return 'teacher' in ASKED[self.asks]

    def set_teacher(self, average: nn.Module) -> None:
        """Take predictions from this copy of the model; :class:`mmleuk.EMATeacherHook` calls it."""
        self.teacher = Teacher(average)

    def set_attribute_reader(self, reader: AttributeReader, schema: AttributeSchema) -> None:
        """Let a labeller see the attributes of predictions; :class:`mmleuk.AttriDet` around this model calls it.

        Args:
            reader: boxes per image (K, 4) in input pixels, and the images (B, 3, H, W) of the last forward pass ->
                per image values (K, A) and probabilities (K, A, V).
            schema: the attributes that it reads.

        Raises:
            UserError: the labeller needs other ones.
        """
        wanted = self.labeller.schema
        if wanted is not None and wanted.values_by_key != schema.values_by_key:
            raise UserError(f'{type(self).__name__}: the labeller needs the attributes {wanted.values_by_key}, '
                            f'attri_head reads {schema.values_by_key}; give both the same attributes')
        self._attribute_reader = reader

    @property
    def attribute_reader(self) -> AttributeReader:
        """Reads attributes in this model's last forward pass.

        Raises:
            UserError: nobody reads attributes.
        """
        if self._attribute_reader is None:
            raise UserError(f'a {type(self.labeller).__name__} needs the attributes of predictions; put the model into '
                            'a mmleuk.AttriDet, as configs/sla_det/yolov5n_sla-plus-checked-teacher_pbc_attri.py does')
        return self._attribute_reader

    # ------------------------------------------------------------------ the detector's own

    def extract_feat(self, batch_inputs: Tensor) -> tuple[Tensor, ...]:
        """The detector's own features of images (B, 3, H, W)."""
        return self.detector.extract_feat(batch_inputs)

    def _forward(self, batch_inputs: Tensor, batch_data_samples: OptSampleList = None) -> tuple:
        """The detector's raw outputs for images (B, 3, H, W)."""
        return self.detector._forward(batch_inputs, batch_data_samples)

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """The detector's predictions for images (B, 3, H, W), as they are."""
        return self.detector.predict(batch_inputs, batch_data_samples, rescale=rescale)

    # ------------------------------------------------------------------ labels

    def loss(self, batch_inputs: Any, batch_data_samples: Any) -> dict[str, Any]:
        """The detector's losses and those of the active terms.

        Args:
            batch_inputs: (B, 3, H, W); with two views a dict of these.
            batch_data_samples: B samples, ``gt_instances`` with bboxes (N, 4) in input pixels and labels (N,), and
                ``annotated_regions`` in the metainfo; with two views a dict of these.

        Returns:
            The detector's losses under its own names; with two views the names start with ``original_`` and
            ``augmented_``. Found labels with their own loss have ``loss_pseudo_...``; the triplet term has
            ``loss_triplet``.
        """
        images, samples = join_views(batch_inputs), join_views(batch_data_samples)
        plain = None
        if len(self.views) > 1 and PLAIN in batch_inputs:
            plain = batch_inputs[PLAIN], [sample.metainfo for sample in batch_data_samples[PLAIN]]
        truth, ignored, metas = unpack_gt_instances(samples)
        outputs = self.adapter.forward(images)
        self.last_judged, dense_targets, labels = None, None, truth
        wants_pseudo, wants_triplet = (getattr(self.activity, term) and term in self.terms
                                       for term in ('pseudo', 'triplet'))
        judged: InstanceList = []
        if wants_pseudo or wants_triplet:
            judged, dense_targets = self.judge(outputs, images, truth, ignored, metas, plain, observe=self.training)
            self.last_judged = judged
        if wants_pseudo and self.pseudo_weight is None:
            labels = [self.merge(cells, found) for cells, found in zip(truth, judged)]
            ignored = [self.ignore(crowd, found) for crowd, found in zip(ignored, judged)]
        losses = self.label_losses(outputs, labels, metas, ignored, dense_targets)
        if wants_pseudo and self.pseudo_weight is not None:
            losses |= self.pseudo_losses(outputs, judged, metas, ignored, dense_targets)
        if wants_triplet:
            losses['loss_triplet'] = self.similarity_loss(outputs[0], judged, truth, images.shape[-2:])
        return losses

    @torch.no_grad()
    def find_labels(self, images: Tensor, samples: SampleList, observe: bool = False) -> InstanceList:
        """For analysis: all judged predictions of each image (B, 3, H, W); with two views both are the same image.

        With ``observe`` the labeller learns from the images' labelled cells first, as in training.
        """
        images = torch.cat([images] * len(self.views))
        truth, ignored, metas = unpack_gt_instances(list(samples) * len(self.views))
        outputs = self.adapter.forward(images)
        return self.judge(outputs, images, truth, ignored, metas, observe=observe)[0][:len(samples)]

    @torch.no_grad()
    def judge(self, outputs: tuple, images: Tensor, truth: InstanceList, ignored: Ignored, metas: list[dict],
              plain: tuple[Tensor, list[dict]] | None = None, *,
              observe: bool = False) -> tuple[InstanceList, DenseTargets | None]:
        """Per image of each view: the judged predictions that it may learn.

        Args:
            outputs: the student's, from the adapter's forward.
            images: (B or 2B, 3, H, W).
            truth: per image the labelled cells.
            ignored: per image crowds; predictions inside them are neither right nor wrong and never become labels.
            metas: per image ``img_shape`` and ``annotated_regions``.
            plain: images (B, 3, H, W) for the teacher, and their metainfo; None: it sees the original view.
            observe: the labeller learns from the batch first.
        """
        predictions, objectness = self.ask(outputs, images, truth, metas, plain)
        regions = regions_of(metas, images) if self.labeller.needs_regions else [images.new_zeros(0, 4)] * len(metas)
        half = len(truth) // 2
        if len(self.views) > 1:  # each view learns from the other's
            other = [*range(half, 2 * half), *range(half)]
            predictions = [to_view(predictions[of], metas[of], meta) for of, meta in zip(other, metas)]
        predictions = [found if crowd is None else found[~centres_in(found.bboxes, crowd.bboxes)]
                       for found, crowd in zip(predictions, ignored)]
        if observe:
            self.labeller.observe(predictions, truth, regions, objectness)
        judged = [self.labeller.select(*image) for image in zip(predictions, truth, regions)]
        return judged, self.labeller.dense_targets(objectness)

    def ask(self, outputs: tuple, images: Tensor, truth: InstanceList, metas: list[dict],
            plain: tuple[Tensor, list[dict]] | None = None) -> tuple[InstanceList, Any]:
        """Predictions of the student, the teacher or both, and the objectness per location of the last one.

        There is no objectness of a plain view, since nobody learns it.
        """
        answers, objectness = [], None
        for source in ASKED[self.asks]:
            model, seen, pictures, shown = self, outputs, images, metas
            if source == 'teacher':
                rows = len(truth) // len(self.views)  # the original view, for both
                pictures, shown = plain or (images[:rows], metas[:rows])
                model = cast(SparseLabelDetector, self.teacher.module)
                seen = model.adapter.forward(pictures)
            found = model.adapter.find(seen, shown, self.labeller.request(source))
            if self.labeller.schema is not None:
                self.read_attributes(found, model.attribute_reader, pictures)
            for image in found:
                image.source = torch.full((len(image),), SOURCES.index(source), device=images.device)
            of_plain = source == 'teacher' and plain is not None
            objectness = None if of_plain else model.adapter.dense_objectness(seen, truth[:len(shown)])
            copies = len(truth) // len(shown)
            answers.append([to_view(image, *way) for image, *way in zip(found * copies, shown * copies, metas)])
        return [InstanceData.cat(list(image)) if len(image) > 1 else image[0] for image in zip(*answers)], objectness

    def read_attributes(self, predictions: InstanceList, reader: AttributeReader, images: Tensor) -> None:
        """Add ``attributes`` and ``attribute_probs`` to predictions; unknown where the labeller doesn't need them."""
        needed = [self.labeller.is_read(found.labels) for found in predictions]
        read = reader([found.bboxes[rows] for found, rows in zip(predictions, needed)], images)
        for found, rows, answer in zip(predictions, needed, read):
            write_attributes(found, rows, *answer)

    def merge(self, truth: InstanceData, judged: InstanceData) -> InstanceData:
        """Labels of one image: its annotated cells, then what the labeller kept.

        Returns:
            ``bboxes``, ``labels`` and the metainfo, with ``ignored_boxes`` under which no background may be learnt. For
            a loss that weighs labels also ``weight``, ``teaches_box``, ``source`` and ``scores``.
        """
        kept, weighs = self.labeller.group(judged, KEPT), self._weighs
        if not weighs:
            kept = kept[self._is_hard(kept)]
        crowds = truth.metainfo.get('ignored_boxes', judged.bboxes[:0]).to(judged.bboxes)
        ignored = torch.cat([crowds, judged.bboxes[self._set_aside(judged)]])
        both = InstanceData(metainfo=dict(truth.metainfo, ignored_boxes=ignored),
                            bboxes=torch.cat([truth.bboxes, kept.bboxes]),
                            labels=torch.cat([truth.labels, kept.labels]))
        if weighs:
            one = torch.ones_like(truth.bboxes[:, 0])
            both.weight = torch.cat([one, kept.weight])
            both.teaches_box = torch.cat([one > 0, kept.teaches_box])
            both.source = torch.cat([torch.zeros_like(truth.labels), kept.source])
            both.scores = torch.cat([one, kept.scores])
        return both

    def ignore(self, crowd: InstanceData | None, judged: InstanceData) -> InstanceData | None:
        """Ignored instances of one image: its crowds, and predictions that are set aside."""
        aside = self._set_aside(judged)
        if not aside.any():
            return crowd
        found = InstanceData(bboxes=judged.bboxes[aside], labels=judged.labels[aside])
        return found if crowd is None else InstanceData(bboxes=torch.cat([crowd.bboxes, found.bboxes]),
                                                        labels=torch.cat([crowd.labels, found.labels]))

    @property
    def _weighs(self) -> bool:
        return self.adapter.weighs_labels and not self.labeller.counts_as_annotated

    @staticmethod
    def _is_hard(judged: InstanceData) -> Tensor:
        """Which kept predictions are used like annotated cells in a loss without weights per label."""
        return judged.teaches_box & (judged.weight >= 0.5)

    def _set_aside(self, judged: InstanceData) -> Tensor:
        """Predictions under which no background is learnt: ignored ones, and kept ones that the loss can't weigh."""
        return judged.ignored if self._weighs else judged.ignored | (judged.weight > 0) & ~self._is_hard(judged)

    # ------------------------------------------------------------------ losses

    def label_losses(self, outputs: tuple, labels: InstanceList, metas: list[dict], ignored: Ignored,
                     dense_targets: DenseTargets | None) -> dict[str, Any]:
        """The detector's losses on labels, of each view."""
        size, losses = len(labels) // len(self.views), dict[str, Any]()
        for number, view in enumerate(self.views):
            rows = list(range(number * size, (number + 1) * size))
            taught = [row for row in rows if len(labels[row])] if self.skip_unlabelled else rows
            # Computed even if no image has a label: some heads average over processes, and the others would wait.
            taken = taught or rows[:1]
            part, targets = outputs, dense_targets
            if taken != list(range(len(labels))):
                part, targets = take_rows(outputs, taken), dense_targets and dense_targets.of_images(taken)
            found = self.adapter.loss(part, [labels[row] for row in taken], [metas[row] for row in taken],
                                      [ignored[row] for row in taken], targets)
            if not taught:  # always a finite 0, with a gradient path to every parameter
                found = {name: no_loss(self.detector) for name in found if 'loss' in name}
            losses |= found if len(self.views) == 1 else rename_loss_dict(f'{view}_', found)
        return losses

    def pseudo_losses(self, outputs: tuple, judged: InstanceList, metas: list[dict], ignored: Ignored,
                      dense_targets: DenseTargets | None = None) -> dict[str, Any]:
        """L_PL (LLD Eq. 7): the loss of found labels. It has no background, since no region is known here."""
        without_background, labels = [], []
        for meta, found in zip(metas, judged):
            nowhere = found.bboxes.new_zeros(0, 4)
            where = dict(meta, annotated_regions=nowhere)
            if self.pseudo_mean == 'shared':
                where['counted_regions'] = meta['annotated_regions']
            nothing = InstanceData(metainfo=dict(annotated_regions=nowhere), bboxes=nowhere, labels=found.labels[:0])
            without_background.append(where)
            labels.append(self.merge(nothing, found))
        targets = dense_targets and replace(dense_targets, background=None)  # that is learnt with the annotation
        losses = self.adapter.loss(outputs, labels, without_background, ignored, targets)
        return {name.replace('loss_', 'loss_pseudo_'): weigh(value, self.pseudo_weight or 0)
                for name, value in losses.items() if 'loss' in name}

    def similarity_loss(self, feats: tuple, judged: InstanceList, truth: InstanceList, input_hw: torch.Size) -> Tensor:
        """L_Tri (LLD Eq. 8 to 11) between unsure predictions and the batch's labelled cells."""
        unsure = [self.labeller.group(found, UNSURE) for found in judged]
        image = torch.cat([found.labels.new_full((len(found),), row) for row, found in enumerate(unsure)])
        if not len(image):
            return feats[0][:0].sum()
        found = InstanceData.cat(unsure)
        order = found.scores.argsort(descending=True, stable=True)  # the sum doesn't depend on the images' order
        image, found = image[order], found[order]
        cells = BatchCells.from_instances(truth)
        features = self.roi_features(feats, torch.cat([image, cells.image]),
                                     torch.cat([found.bboxes, cells.boxes_xyxy]), input_hw)
        of_unsure, of_cells = features.split([len(image), len(cells.image)])
        return self.loss_triplet(of_unsure, found.labels, of_cells, cells.label)
