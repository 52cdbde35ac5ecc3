"""Attributes as a second teacher: a pseudo-label whose attributes contradict its type is dropped.

Legend: K predictions, N labelled cells, C classes, A attributes, V values of the widest attribute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmdet.structures.bbox import bbox_overlaps
from mmengine.dist import all_reduce
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.models.attributes.classifier import described_rows
from mmleuk.models.labellers.base import KEPT, DenseObjectness, DenseTargets, Labeller, Request
from mmleuk.registry import TASK_UTILS
from mmleuk.schema import AttributeSchema, resolve_schema

CONTRADICTED = 'attributes'
"""Criterion of predictions that only their attributes keep from becoming labels."""


@TASK_UTILS.register_module()
class AttributeCheckLabeller(nn.Module, Labeller):
    """Another labeller, whose labels are dropped if their attributes contradict their type.

    The detector sits in an :class:`mmleuk.AttriDet`. Whoever predicts, student or teacher, also reads the attributes
    of its predictions with its AttriHead. A concept bottleneck (:class:`ReadingBottleneck`) turns them into a
    probability of the predicted type. A label with a probability below ``min_probability`` is neither learnt nor
    background: its box is ignored. All others stay as the other labeller judged them; one that measures thresholds in
    the regions measures them on predictions that pass this check.

    A type is checked if labelled cells of it have attributes. Red cells and platelets, say, have none, so their labels
    are never dropped; neither are those whose attributes nobody read.

    Args:
        labeller: config of the other labeller.
        num_classes: C.
        attributes: schema of the AttriHead: a preset's name (``wbcatt``) or ``{attribute: [value names]}``.
        min_probability: smallest probability of a label's type, in (0, 1), where all types that are checked are equally
            likely beforehand. With WBCAtt's attributes of PBC's labelled cells, 0.05 drops one of a hundred right
            types and 94 of a hundred wrong ones among the described types (docs/pseudo_labels.md).
        bottleneck: further arguments of :class:`ReadingBottleneck`.

    This method is ours, not from a paper.
    """

    sets_aside = True

    def __init__(self, *, labeller: dict, num_classes: int, attributes: str | Mapping[str, object] | AttributeSchema,
                 min_probability: float = 0.05, bottleneck: dict | None = None) -> None:
        super().__init__()
        if not 0 < min_probability < 1:
            raise UserError(f'AttributeCheckLabeller needs 0 < min_probability < 1, got {min_probability}')
        self.labeller: Labeller = TASK_UTILS.build(labeller)
        if self.labeller.schema is not None:
            raise UserError(f'AttributeCheckLabeller: {labeller["type"]} checks attributes itself; one check is enough')
        self.schema = resolve_schema(attributes)
        self.min_probability = min_probability
        self.bottleneck = ReadingBottleneck(num_classes=num_classes, attributes=self.schema, **(bottleneck or {}))
        self.criteria = (*self.labeller.criteria, CONTRADICTED)
        self.counts_as_annotated = self.labeller.counts_as_annotated
        self.needs_regions = self.labeller.needs_regions
        self.background_outside = self.labeller.background_outside
        self.targets_per_location = self.labeller.targets_per_location

    @property
    def min_area(self) -> float:
        """That of the other labeller."""
        return self.labeller.min_area

    @min_area.setter
    def min_area(self, value: float) -> None:
        self.labeller.min_area = value

    def request(self, source: str) -> Request:
        """What the other labeller needs."""
        return self.labeller.request(source)

    def is_read(self, labels: Tensor) -> Tensor:
        """Which predicted labels (K,) are of described types: (K,) bool."""
        return self.bottleneck.described[labels] > 0

    def contradicts(self, predictions: InstanceData) -> Tensor:
        """(K,) bool, which predictions' attributes contradict their type."""
        return self.bottleneck.probability(predictions.labels, predictions.attribute_probs) < self.min_probability

    def observe(self, predictions: Sequence[InstanceData], truth: Sequence[InstanceData], regions: Sequence[Tensor],
                dense: DenseObjectness | None = None) -> None:
        """Learn what is read on labelled cells of each type; the other labeller observes what isn't contradicted.

        So a threshold that it measures is that of the labels that are left.
        """
        left = [found[~self.contradicts(found)] for found in predictions]
        self.labeller.observe(left, truth, regions, dense)
        self.bottleneck.update(predictions, truth)

    def select(self, predictions: InstanceData, truth: InstanceData, regions: Tensor) -> InstanceData:
        """The other labeller's decisions, less the labels that are contradicted; see :class:`Labeller`."""
        found = self.labeller.select(predictions, truth, regions)
        kept = found.criterion == self.criteria.index(KEPT)
        contradicted = kept & self.contradicts(found)
        answer = found[:]
        answer.criterion = found.criterion.masked_fill(contradicted, self.criteria.index(CONTRADICTED))
        answer.weight = found.weight.masked_fill(contradicted, 0)
        answer.teaches_box = found.teaches_box & ~contradicted
        answer.ignored = found.ignored | contradicted
        return answer

    def dense_targets(self, dense: DenseObjectness | None) -> DenseTargets | None:
        """Those of the other labeller."""
        return self.labeller.dense_targets(dense)


class ReadingBottleneck(nn.Module):
    """A concept bottleneck by counting: the type of a cell from the attributes that a head reads on it.

    It is a naive Bayes classifier. Per type, attribute and value it keeps the mean probability that the head reads on
    labelled cells of this type. It learns from what is read, not from the true attributes: an attribute that the head
    reads the same on all types then says nothing about the type, and a head that is still random contradicts nobody.
    A reading of 0.7 for one value and 0.3 for another counts as 0.7 and 0.3 of them. All types are equally likely
    beforehand, so a label isn't dropped because its type is rare.

    Args:
        num_classes: C.
        attributes: schema, as of :class:`AttributeCheckLabeller`.
        min_evidence: smallest decayed number of cells that were read of a type; types with fewer aren't judged and
            aren't offered as an answer.
        min_iou: smallest IoU of a labelled cell and the prediction that shows it.
        decay: factor of the counts after each batch; 0.99 averages over about 100 batches.

    The counts are buffers: checkpoints hold them, and a resumed training continues with them. They are measured on
    cells that the head trains on, so it reads them better than others.
    """

    values: Tensor
    described: Tensor
    readings: Tensor

    def __init__(self, *, num_classes: int, attributes: str | Mapping[str, object] | AttributeSchema,
                 min_evidence: float = 20.0, min_iou: float = 0.5, decay: float = 0.99) -> None:
        super().__init__()
        if not (0 < min_iou <= 1 and 0 < decay < 1):
            raise UserError('ReadingBottleneck needs min_iou in (0, 1] and decay in (0, 1); got '
                            f'{min_iou} and {decay}')
        values = resolve_schema(attributes).cardinalities
        self.min_evidence = min_evidence
        self.min_iou = min_iou
        self.decay = decay
        self.register_buffer('values', torch.tensor(values), persistent=False)
        self.register_buffer('described', torch.zeros(num_classes))
        self.register_buffer('readings', torch.zeros(num_classes, len(values), max(values)))

    @torch.no_grad()
    def update(self, predictions: Sequence[InstanceData], truth: Sequence[InstanceData]) -> None:
        """Add a batch, of all processes together in distributed training.

        Args:
            predictions: per image ``bboxes`` (K, 4) and ``attribute_probs`` (K, A, V), 0 where they were not read.
            truth: per image the labelled cells, with ``bboxes`` (N, 4), ``labels`` (N,) and ``attributes`` (N, A). Of
                a cell with a known attribute the prediction with the highest IoU counts, whatever its class.
        """
        described, readings = torch.zeros_like(self.described), torch.zeros_like(self.readings)
        for found, cells in zip(predictions, truth):
            known = described_rows(cells.attributes).to(described)
            described.index_add_(0, cells.labels, known)
            if len(found) and len(cells):
                iou, nearest = bbox_overlaps(cells.bboxes, found.bboxes).max(1)
                counted = known * (iou >= self.min_iou)
                readings.index_add_(0, cells.labels, counted[:, None, None] * found.attribute_probs[nearest])
        for total, new in ((self.described, described), (self.readings, readings)):
            all_reduce(new)  # every process has the same bottleneck
            total.mul_(self.decay).add_(new)

    @property
    def judged(self) -> Tensor:
        """(C,) bool, types with enough cells that were read."""
        return self.readings.sum(2).amin(1) >= self.min_evidence

    def probabilities(self, attribute_probs: Tensor) -> Tensor:
        """Probability of each type (K, C) given readings (K, A, V), among the types that are judged; 0 for others."""
        cells = self.readings.sum(2, keepdim=True)
        # One more cell of each value, so that no value is impossible.
        share = (self.readings + 1) / (cells + self.values[:, None])
        evidence = (attribute_probs[:, None] * share.log()).sum((2, 3))
        lowest = torch.finfo(evidence.dtype).min
        return evidence.masked_fill(~self.judged, lowest).softmax(1) * self.judged

    def probability(self, labels: Tensor, attribute_probs: Tensor) -> Tensor:
        """Probability of the predicted types (K,); 1 where nothing can be said.

        Args:
            labels: (K,) predicted types.
            attribute_probs: (K, A, V), as :meth:`mmleuk.AttriHead.predict` returns them; all 0 where they were not
                read.
        """
        found = self.probabilities(attribute_probs).gather(1, labels[:, None])[:, 0]
        says = self.judged[labels] & (attribute_probs.sum((1, 2)) > 0)
        return torch.where(says, found, 1.0)
