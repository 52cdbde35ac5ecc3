"""Schedule and log of labels that are found during training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch import nn

from mmleuk.engine.epochs import warn_if_never
from mmleuk.errors import UserError
from mmleuk.models.detectors.sparse_label_detector import SparseLabelDetector
from mmleuk.models.labellers.base import KEPT, Labeller
from mmleuk.registry import HOOKS


def find_sparse_label_detector(model: nn.Module) -> SparseLabelDetector:
    """The SparseLabelDetector in a model: the model itself, or a wrapper's ``detector`` or ``module``."""
    found: Any = model.module if is_model_wrapper(model) else model
    while not isinstance(found, SparseLabelDetector) and hasattr(found, 'detector'):
        found = found.detector
    if not isinstance(found, SparseLabelDetector):
        raise UserError(f'PseudoLabelHook needs a mmleuk.SparseLabelDetector (SLADet, CoMining, CoStudent), the model '
                        f'is a {type(found).__name__}; take the hook out of default_hooks or change model.type')
    return found


def require_pseudo_label_hook(runner: Runner) -> None:
    """Refuse to train a model with terms but without the hook that switches them on.

    Raises:
        UserError: only the annotation would be learnt.
    """
    models = [module for module in runner.model.modules() if isinstance(module, SparseLabelDetector)]
    if any(model.terms for model in models) and not any(isinstance(hook, PseudoLabelHook) for hook in runner.hooks):
        raise UserError('model: found labels are not learnt until PseudoLabelHook switches them on; add '
                        "default_hooks=dict(pseudo_labels=dict(type='mmleuk.PseudoLabelHook')), or train the plain "
                        'detector')


def smallest_cell_area(dataset: Any, image_size: int) -> float:
    """Area of the smallest labelled cell, in square pixels at training size.

    Args:
        dataset: anything with ``get_data_info`` and ``__len__``, or a wrapper that holds one as ``dataset``.
        image_size: side to which images are scaled, keeping their aspect ratio. Additional random scaling
            isn't counted.

    Raises:
        UserError: the data set holds no cell.
    """
    while not hasattr(dataset, 'get_data_info') or hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    smallest = float('inf')
    for index in range(len(dataset)):
        record = dataset.get_data_info(index)
        scale = min(image_size / record['height'], image_size / record['width'])
        for instance in record['instances']:
            x1, y1, x2, y2 = instance['bbox']
            if not instance.get('ignore_flag'):
                smallest = min(smallest, (x2 - x1) * (y2 - y1) * scale ** 2)
    if smallest == float('inf'):
        raise UserError('PseudoLabelHook: the training set holds no labelled cell; check ann_file')
    return smallest


@HOOKS.register_module()
class PseudoLabelHook(Hook):
    """Runs the schedule of a :class:`mmleuk.SparseLabelDetector` and logs what its labeller finds.

    At the start it measures the smallest labelled cell of the training set. Before each epoch it switches the
    terms. During training ``pseudo/...`` scalars give means over the epoch so far: predictions per image (and view) for
    each criterion of the labeller, and the mean score and, if the labeller has it, entropy of the labels found.

    Args:
        pseudo_epochs: (first, last) epoch with found labels, counted from 1, both included; last None means to the end.
        triplet_epochs: the same for L_Tri (paper 5.2: 40 of 50 epochs, with attributes 10 of 30; the release takes the
            first ones).
        image_size: side in pixels to which training images are scaled, for the smallest cell; None: the size in
            YOLOv5's head.

    With random weights the first labels found may be wrong and reinforce each other: start later. The papers' methods
    start at once, from trained weights.
    """

    priority = 'NORMAL'

    def __init__(self, *, pseudo_epochs: Sequence[int | None] = (1, None),
                 triplet_epochs: Sequence[int | None] = (1, None), image_size: int | None = None) -> None:
        self.pseudo_epochs = _epoch_range('pseudo_epochs', pseudo_epochs)
        self.triplet_epochs = _epoch_range('triplet_epochs', triplet_epochs)
        self.image_size = image_size
        self._sums: defaultdict[str, float] = defaultdict(float)

    def before_train(self, runner: Runner) -> None:
        """Measure the smallest labelled cell; warn of a term that never starts.

        Raises:
            UserError: the images' size isn't known, or the labeller needs attributes that nobody reads.
        """
        model = find_sparse_label_detector(runner.model)
        for term in model.terms:
            warn_if_never(runner, f'PseudoLabelHook: {term}_epochs', getattr(self, f'{term}_epochs')[0])
        if model.labeller.schema is not None:
            _ = model.attribute_reader
        if 'area' in model.labeller.criteria:
            size = self.image_size or training_size(model)
            model.labeller.min_area = smallest_cell_area(runner.train_dataloader.dataset, size)
            runner.logger.info(f'smallest labelled cell: {model.labeller.min_area:.1f} square pixels at training size')

    def before_train_epoch(self, runner: Runner) -> None:
        """Switch the terms for this epoch.

        Raises:
            UserError: the model learns from a teacher and has none.
        """
        model = find_sparse_label_detector(runner.model)
        if model.learns_from_teacher:
            _ = model.teacher.module
        epoch = runner.epoch + 1
        model.activity.pseudo = self.pseudo_epochs[0] <= epoch <= self.pseudo_epochs[1]
        model.activity.triplet = self.triplet_epochs[0] <= epoch <= self.triplet_epochs[1]
        self._sums.clear()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        """Add the last batch to the log."""
        model = find_sparse_label_detector(runner.model)
        if model.last_judged is None:
            return
        for name, value in judged_sums(model.labeller, model.last_judged).items():
            self._sums[name] += value
        for name, value in judged_means(self._sums, model.labeller.criteria).items():
            runner.message_hub.update_scalar(f'train/pseudo/{name}', value)

    def after_train_epoch(self, runner: Runner) -> None:
        """Log one line per epoch."""
        if self._sums['images']:
            criteria = find_sparse_label_detector(runner.model).labeller.criteria
            means = ', '.join(f'{name} {value:.3g}' for name, value in judged_means(self._sums, criteria).items())
            runner.logger.info(f'labels found in epoch {runner.epoch + 1}: {means}')


def training_size(model: SparseLabelDetector) -> int:
    """Side in pixels to which training images are scaled, as set in the detector's head.

    Raises:
        UserError: the head has no size.
    """
    size = getattr(getattr(model.detector, 'bbox_head', None), 'image_size', None)
    if size is None:
        raise UserError(f'a {type(model.detector).__name__} has no size of training images, which is needed to measure '
                        'the smallest cell; set default_hooks.pseudo_labels.image_size, such as 320')
    return size


def _epoch_range(name: str, epochs: Sequence[int | None]) -> tuple[float, float]:
    wrong = UserError(f'PseudoLabelHook.{name} is (first, last) counted from 1, last may be None; got {epochs}')
    if len(epochs) != 2 or not isinstance(epochs[0], int) or epochs[0] < 1:
        raise wrong
    if epochs[1] is None:
        return epochs[0], float('inf')
    if not isinstance(epochs[1], int) or epochs[1] < epochs[0]:
        raise wrong
    return epochs[0], epochs[1]


def judged_sums(labeller: Labeller, judged: Sequence[InstanceData]) -> dict[str, float]:
    """Sums over a batch's judged predictions, which can be added over batches."""
    kept = [labeller.group(image, KEPT) for image in judged]
    totals = {'score': [image.scores.sum().double() for image in kept],
              'entropy_of_kept': [image.entropy.sum().double() for image in kept if 'entropy' in image]}
    present = {name: torch.stack(values).sum() for name, values in totals.items() if values}
    read = torch.stack(list(present.values())).tolist() if present else []  # one wait for the GPU
    return dict(labeller.count(judged), images=len(judged)) | dict(zip(present, read))


def judged_means(sums: Mapping[str, float], criteria: Sequence[str]) -> dict[str, float]:
    """Predictions per image by criterion; mean score and, if present, entropy (bits) of the labels found.

    >>> judged_means(dict(images=4, labelled=2, kept=1, score=0.75), ('labelled', 'kept'))
    {'labelled_per_image': 0.5, 'kept_per_image': 0.25, 'mean_confidence': 0.75}
    """
    kept = max(sums['kept'], 1)
    means = {f'{name}_per_image': sums[name] / sums['images'] for name in criteria}
    means['mean_confidence'] = sums['score'] / kept
    return means | ({'mean_entropy': sums['entropy_of_kept'] / kept} if 'entropy_of_kept' in sums else {})
