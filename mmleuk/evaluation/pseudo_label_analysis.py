"""Compare the pseudo-labels of a training's checkpoints with the complete annotation of its images.

:mod:`mmleuk.evaluation.pseudo_label_quality` has the pure functions; this module loads models, data and checkpoints.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from numpy.typing import NDArray
from torch import Tensor, nn

from mmleuk.engine.pseudo_label_hook import find_sparse_label_detector, smallest_cell_area, training_size
from mmleuk.errors import UserError
from mmleuk.evaluation.hidden_truth import SparseImages, load_sparse_images
from mmleuk.evaluation.pseudo_label_quality import HiddenCells, Tally, judge, summarise
from mmleuk.models.detectors.sparse_label_detector import SparseLabelDetector
from mmleuk.models.labellers.base import Labeller
from mmleuk.utils.checkpoint import check_attributes, check_classes, fit_checkpoint, load_checkpoint_safely
from mmleuk.utils.config_file import building
from mmleuk.utils.progress import progress

Weights = Literal['student', 'average']

FORMAT = 'mmleuk.pseudo_labels/2'

ALL = 'all'
"""Name of the group of all candidates, accepted or not."""


def find_checkpoints(work_dir: str | Path) -> dict[int, Path]:
    """The checkpoints ``epoch_N.pth`` of a work dir by epoch, in order.

    Raises:
        UserError: there is none.
    """
    found = {int(match[1]): path for path in Path(work_dir).glob('epoch_*.pth')
             if (match := re.fullmatch(r'epoch_(\d+)\.pth', path.name))}
    if not found:
        raise UserError(f'{work_dir}: holds no epoch_N.pth; train with --cfg-options '
                        'default_hooks.checkpoint.max_keep_ckpts=-1 to keep one of every epoch')
    return dict(sorted(found.items()))


def default_weights(detector: SparseLabelDetector) -> Weights:
    """The weights that choose pseudo-labels in training: the teacher's if there is one, else the student's."""
    return 'average' if detector.asks == 'teacher' else 'student'


def load_epoch(model: nn.Module, path: Path, weights: Weights, classes: Sequence[str],
               fresh: Mapping[str, Tensor] | None = None) -> None:
    """Load a checkpoint's student or its moving average.

    A checkpoint with a moving average has the average as ``state_dict``, for testing, and the student as
    ``ema_state_dict``: mmengine's hook swaps them. Without an average, ``state_dict`` is the student. The counts of a
    labeller are always the student's, as in training: an average of counts lags behind.

    Args:
        model: gets the weights.
        path: the checkpoint.
        weights: which ones.
        classes: of the data.
        fresh: state of a labeller that hasn't observed anything, to be taken instead of the checkpoint's.

    Raises:
        UserError: the checkpoint has no moving average, or doesn't fit model and classes.
    """
    checkpoint = load_checkpoint_safely(path)
    swapped = checkpoint.get('ema_state_dict')
    if weights == 'average' and swapped is None:
        raise UserError(f'{path}: has no moving average; use --weights student')
    student = {key.removeprefix('module.'): value for key, value in (swapped or {}).items()
               if key.startswith('module.')}
    if weights == 'student' and swapped is not None:
        checkpoint['state_dict'] = student
    elif weights == 'average':
        checkpoint['state_dict'] |= {key: value for key, value in student.items() if _is_labellers(key)}
    if fresh is not None:
        rest = {key: value for key, value in checkpoint['state_dict'].items() if not _is_labellers(key)}
        checkpoint['state_dict'] = rest | dict(fresh)
    fit_checkpoint(model, checkpoint, path, exact=True)
    check_attributes(model, checkpoint, path)
    check_classes(classes, checkpoint, path)
    model.load_state_dict(checkpoint['state_dict'], strict=False)


def _is_labellers(key: str) -> bool:
    return 'labeller' in key.split('.')


def with_labeller(model: Any, options: Mapping[str, Any]) -> Any:
    """A model's config with other settings of the labeller; a detector without a labeller gets SLA-Det's.

    Args:
        model: config, of a SparseLabelDetector, an AttriDet around one, or any detector.
        options: settings of the labeller, such as ``nms_iou``, or ``labeller.nms_iou`` of one inside of another;
            ``type`` selects another one.
    """
    node = model = copy.deepcopy(model)
    while not issubclass(MODELS.get(node['type']), SparseLabelDetector) and 'detector' in node:
        node = node['detector']
    if not issubclass(MODELS.get(node['type']), SparseLabelDetector):
        labeller = {'type': 'mmleuk.ThresholdLabeller', **options}
        return dict(type='mmleuk.SLADet', detector=node, labeller=labeller, pseudo_weight=0)
    if options:
        kept = {} if 'type' in options else node.get('labeller') or {}  # another labeller takes none of its settings
        merged = Config(dict(labeller=dict(kept)))
        merged.merge_from_dict({f'labeller.{key}': value for key, value in options.items()})
        node['labeller'] = merged.labeller.to_dict()
    return model


def build_model(cfg: Config, images: SparseImages, device: str = 'cpu',
                labeller: Mapping[str, Any] | None = None) -> tuple[nn.Module, SparseLabelDetector]:
    """The config's model, and the part of it that selects labels."""
    with building(cfg):
        model = MODELS.build(with_labeller(cfg.model, labeller or {}))
    detector = find_sparse_label_detector(model)
    if 'area' in detector.labeller.criteria:
        hook = cfg.get('default_hooks', {}).get('pseudo_labels', {})
        size = hook.get('image_size') or training_size(detector)
        detector.labeller.min_area = smallest_cell_area(images.dataset, size)
    return model.to(device).eval(), detector


@torch.no_grad()
def choose(model: nn.Module, batch: Sequence[dict],
           observe: bool = False) -> tuple[list[InstanceData], list[tuple[float, float]]]:
    """The labeller's decisions on a batch, boxes in input pixels; and each image's scale from original to input.

    With ``observe`` it learns from the batch's labelled cells first.
    """
    detector = find_sparse_label_detector(model)
    preprocessor: Any = model.data_preprocessor
    data = preprocessor(pseudo_collate(batch), False)
    samples = data['data_samples']
    return detector.find_labels(data['inputs'], samples, observe), [sample.scale_factor for sample in samples]


def tally_groups(labeller: Labeller, judged: Sequence[InstanceData], scales_wh: Sequence[tuple[float, float]],
                 hidden: Sequence[HiddenCells], num_classes: int, min_iou: float) -> dict[str, Tally]:
    """Judge the predictions of each criterion separately, and all together.

    Args:
        labeller: has the names of the criteria.
        judged: decisions per image, boxes in input pixels.
        scales_wh: per image, input pixels per original one.
        hidden: hidden cells per image, in original pixels.
        num_classes: C.
        min_iou: smallest IoU of a match.
    """
    tallies = {name: Tally.empty(num_classes) for name in (*labeller.criteria, ALL)}
    for found, scale, cells in zip(judged, scales_wh, hidden):
        groups = {name: labeller.group(found, name) for name in labeller.criteria} | {ALL: found}
        for name, mine in groups.items():
            boxes = mine.bboxes / mine.bboxes.new_tensor([*scale, *scale])
            tallies[name] += judge(_array(boxes), _array(mine.labels), _array(mine.scores), cells, num_classes, min_iou)
    return tallies


def analyse_checkpoint(model: nn.Module, images: SparseImages, min_iou: float = 0.5, batch_size: int = 8,
                       desc: str = '') -> dict[str, Tally]:
    """Tallies over all images, by criterion."""
    num_classes, total = len(images.classes), dict[str, Tally]()
    starts = range(0, len(images.indices), batch_size)
    for start in progress(starts, total=len(starts), desc=desc):
        part = slice(start, start + batch_size)
        judged, scales = choose(model, [images.dataset[index] for index in images.indices[part]])
        labeller = find_sparse_label_detector(model).labeller
        tallies = tally_groups(labeller, judged, scales, images.hidden[part], num_classes, min_iou)
        total = {name: total.get(name, Tally.empty(num_classes)) + tally for name, tally in tallies.items()}
    return total


def measure(model: nn.Module, images: SparseImages, batch_size: int = 8, desc: str = '') -> None:
    """Let the labeller observe the labelled cells of all images once, as it does in an epoch of training."""
    starts = range(0, len(images.indices), batch_size)
    for start in progress(starts, total=len(starts), desc=desc):
        choose(model, [images.dataset[index] for index in images.indices[start:start + batch_size]], observe=True)


def settings_of(labeller: Any) -> dict[str, Any]:
    """Type and plain settings of a labeller, and under ``labeller`` of the one inside it."""
    plain = {key: value for key, value in vars(labeller).items()
             if not key.startswith('_') and isinstance(value, (bool, int, float, str, list, tuple))}
    inside = getattr(labeller, 'labeller', None)
    return dict(type=type(labeller).__name__, **plain, **({} if inside is None else dict(labeller=settings_of(inside))))


def _array(tensor: Tensor) -> NDArray:
    return tensor.cpu().numpy()


def analyse(cfg: Config, work_dir: str | Path, truth: str, weights: Weights | None = None, limit: int | None = None,
            min_iou: float = 0.5, device: str = 'cpu', labeller: Mapping[str, Any] | None = None,
            measured: bool = False) -> dict[str, Any]:
    """Judge the pseudo-labels of every checkpoint in a work dir.

    Args:
        cfg: config of a sparse training; its labeller selects, or SLA-Det's if it has none.
        work_dir: holds ``epoch_N.pth``.
        truth: see :func:`load_sparse_images`.
        weights: of the student or the average; default those that select in training.
        limit: number of images; default all.
        min_iou: smallest IoU at which a candidate finds a cell.
        device: such as 'cpu' or 'cuda:0'.
        labeller: other settings of the labeller.
        measured: the labeller measures again with each checkpoint's weights, in the annotated regions of these images,
            instead of taking what it measured in training. So a checkpoint may come from another training.

    Returns:
        Plain data for JSON; docs/pseudo_labels.md lists the fields.

    Raises:
        UserError: config, data or checkpoints don't fit together.
    """
    checkpoints = find_checkpoints(work_dir)
    images = load_sparse_images(cfg, truth, limit)
    model, detector = build_model(cfg, images, device, labeller)
    weights = weights or default_weights(detector)
    teacher = copy.deepcopy(model) if detector.asks == 'both' else model
    if detector.learns_from_teacher:
        detector.set_teacher(find_sparse_label_detector(teacher))
    fresh = {key: value.clone() for key, value in model.state_dict().items() if _is_labellers(key)}
    hidden, epochs = images.count_hidden(), []
    for epoch, path in checkpoints.items():
        load_epoch(model, path, weights, images.classes, fresh if measured else None)
        if teacher is not model:
            load_epoch(teacher, path, 'average', images.classes, fresh if measured else None)
        if measured:
            measure(model, images, desc=f'Epoch {epoch}, regions')
        tallies = analyse_checkpoint(model, images, min_iou, desc=f'Epoch {epoch}')
        criteria = {name: summarise(tally, hidden, images.classes) for name, tally in tallies.items()}
        epochs.append(dict(epoch=epoch, checkpoint=str(path), criteria=criteria))
    return dict(format=FORMAT, config=str(cfg.filename), work_dir=str(work_dir), sparse=images.dataset.ann_file,
                truth=truth, weights=weights, min_iou=min_iou, images=len(images.indices),
                labeller=settings_of(detector.labeller),
                measured=measured, min_cell_area=detector.labeller.min_area, classes=list(images.classes),
                hidden=dict(zip(images.classes, hidden.tolist())), epochs=epochs)
