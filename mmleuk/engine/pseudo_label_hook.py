"""Schedule and log of SLA-Det's terms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from mmleuk.engine.epochs import warn_if_never
from mmleuk.errors import UserError
from mmleuk.models.detectors.sla_det import SLADet
from mmleuk.models.detectors.teacher import require_teacher
from mmleuk.models.task_modules.pseudo_labels import CRITERIA, Selection
from mmleuk.registry import HOOKS


def find_sla_det(model: nn.Module) -> SLADet:
    """The SLADet in a model: itself, or what a wrapper holds as ``detector`` or ``module``."""
    found: Any = model.module if is_model_wrapper(model) else model
    while not isinstance(found, SLADet) and hasattr(found, 'detector'):
        found = found.detector
    if not isinstance(found, SLADet):
        raise UserError(f'PseudoLabelHook needs a mmleuk.SLADet, the model is a {type(found).__name__}; '
                        'take the hook out of custom_hooks or change model.type')
    return found


def require_pseudo_label_hook(runner: Runner) -> None:
    """Refuse to train SLA-Det's terms without the hook that wakes them.

    Raises:
        UserError: L_LR alone would be learnt.
    """
    models = [module for module in runner.model.modules() if isinstance(module, SLADet)]
    if any(model.terms for model in models) and not any(isinstance(hook, PseudoLabelHook) for hook in runner.hooks):
        raise UserError('model: pseudo-label and similarity losses rest until PseudoLabelHook wakes them; add '
                        "default_hooks=dict(pseudo_labels=dict(type='mmleuk.PseudoLabelHook')), or for L_LR alone set "
                        'pseudo_weight=0 and loss_triplet=None')


def smallest_cell_area(dataset: Any, image_size: int) -> float:
    """Area of the smallest labelled cell, in square pixels at training size.

    Args:
        dataset: anything with ``get_data_info`` and ``__len__``, or a wrapper that holds one as ``dataset``.
        image_size: side to which images are scaled, keeping their shape. Random scaling comes on top of it and
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
    """Runs SLA-Det's schedule and logs what pseudo-labels there are.

    At the start it measures the smallest labelled cell of the training set. Before each epoch it switches the
    terms. During training ``pseudo/...`` scalars show, as means over the epoch so far: pseudo-labels per image, their
    confidence and entropy, and how many candidates per image fell to which criterion.

    Args:
        pseudo_epochs: (first, last) epoch of L_PL, counted from 1, both included; last None means to the end.
        triplet_epochs: the same for L_Tri (paper 5.2: 40 of 50 epochs, with attributes 10 of 30; the release takes the
            first ones).

    From random weights the first pseudo-labels need a warm-up on L_LR alone; the papers' thresholds do that by
    themselves, since an untrained model believes nothing above 0.7.
    """

    priority = 'NORMAL'

    def __init__(self, *, pseudo_epochs: Sequence[int | None] = (1, None),
                 triplet_epochs: Sequence[int | None] = (1, None)) -> None:
        self.pseudo_epochs = _epoch_range('pseudo_epochs', pseudo_epochs)
        self.triplet_epochs = _epoch_range('triplet_epochs', triplet_epochs)
        self._sums: defaultdict[str, float] = defaultdict(float)

    def before_train(self, runner: Runner) -> None:
        """Measure the smallest labelled cell; warn of a term that never starts."""
        model = find_sla_det(runner.model)
        for term in model.terms:
            warn_if_never(runner, f'PseudoLabelHook: {term}_epochs', getattr(self, f'{term}_epochs')[0])
        model.min_cell_area = smallest_cell_area(runner.train_dataloader.dataset, model.bbox_head.image_size)
        runner.logger.info(f'smallest labelled cell: {model.min_cell_area:.1f} square pixels at training size')

    def before_train_epoch(self, runner: Runner) -> None:
        """Switch the terms for this epoch.

        Raises:
            UserError: the model learns from a teacher and has none.
        """
        model = find_sla_det(runner.model)
        require_teacher(model)
        activity = model.activity
        epoch = runner.epoch + 1
        activity.pseudo = self.pseudo_epochs[0] <= epoch <= self.pseudo_epochs[1]
        activity.triplet = self.triplet_epochs[0] <= epoch <= self.triplet_epochs[1]
        self._sums.clear()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        """Add the last batch's selection to the log."""
        selection = find_sla_det(runner.model).last_selection
        if selection is None:
            return
        for name, value in selection_sums(selection, images=len(data_batch['data_samples'])).items():
            self._sums[name] += value
        for name, value in selection_means(self._sums).items():
            runner.message_hub.update_scalar(f'train/pseudo/{name}', value)

    def after_train_epoch(self, runner: Runner) -> None:
        """One line per epoch."""
        if self._sums['images']:
            means = ', '.join(f'{name} {value:.3g}' for name, value in selection_means(self._sums).items())
            runner.logger.info(f'pseudo-labels in epoch {runner.epoch + 1}: {means}')


def _epoch_range(name: str, epochs: Sequence[int | None]) -> tuple[float, float]:
    wrong = UserError(f'PseudoLabelHook.{name} is (first, last) counted from 1, last may be None; got {epochs}')
    if len(epochs) != 2 or not isinstance(epochs[0], int) or epochs[0] < 1:
        raise wrong
    if epochs[1] is None:
        return epochs[0], float('inf')
    if not isinstance(epochs[1], int) or epochs[1] < epochs[0]:
        raise wrong
    return epochs[0], epochs[1]


def selection_sums(selection: Selection, images: int) -> dict[str, float]:
    """What of a selection can be added up over batches."""
    return dict(selection.counts, images=images, kept_confidence=float(selection.kept.confidence.sum()),
                kept_entropy=float(selection.entropy.sum()))


def selection_means(sums: Mapping[str, float]) -> dict[str, float]:
    """Candidates per image by what became of them; mean confidence and entropy (bits) of the pseudo-labels."""
    kept = max(sums['kept'], 1)
    means = {f'{name}_per_image': sums[name] / sums['images'] for name in CRITERIA}
    return dict(means, mean_confidence=sums['kept_confidence'] / kept, mean_entropy=sums['kept_entropy'] / kept)
