"""Pseudo-labels of a training's checkpoints, held against the complete annotation of its images.

The pure part is :mod:`mmleuk.evaluation.pseudo_label_quality`; here models, data and checkpoints come together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from numpy.typing import NDArray
from torch import Tensor, nn

from mmleuk.engine.pseudo_label_hook import smallest_cell_area
from mmleuk.errors import UserError
from mmleuk.evaluation.hidden_truth import SparseImages, load_sparse_images
from mmleuk.evaluation.pseudo_label_quality import HiddenCells, Tally, judge, summarise
from mmleuk.models.dense_heads.yolov5_head import regions_of
from mmleuk.models.detectors.sla_det import SLADet
from mmleuk.models.task_modules.pseudo_labels import Candidates, Selection
from mmleuk.models.task_modules.yolov5_assigner import BatchCells
from mmleuk.utils.checkpoint import check_attributes, check_classes, fit_checkpoint, load_checkpoint_safely
from mmleuk.utils.config_file import building
from mmleuk.utils.progress import progress

Weights = Literal['student', 'average']

FORMAT = 'mmleuk.pseudo_labels/1'

ALL = 'all'
"""Name of the group of all candidates, whatever became of them."""


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


def default_weights(detector: nn.Module) -> Weights:
    """The weights that choose pseudo-labels in training: a teacher's are the moving average, else the student's."""
    return 'average' if hasattr(detector, 'set_teacher') else 'student'


def load_epoch(model: nn.Module, path: Path, weights: Weights, classes: Sequence[str]) -> None:
    """Load a checkpoint's student or its moving average.

    A checkpoint that was saved with a moving average holds the average as ``state_dict``, for testing, and the student
    as ``ema_state_dict``: mmengine's hook swaps them. Without one ``state_dict`` is the student. What SLADetPlus has
    counted to set its thresholds is the student's in training, and here with either weights: an average of counts lags.

    Raises:
        UserError: the checkpoint has no moving average, or doesn't fit model and classes.
    """
    checkpoint = load_checkpoint_safely(path)
    swapped = checkpoint.get('ema_state_dict')
    if weights == 'average' and swapped is None:
        raise UserError(f'{path}: was saved without a moving average; use --weights student')
    student = {key.removeprefix('module.'): value for key, value in (swapped or {}).items()
               if key.startswith('module.')}
    if weights == 'student' and swapped is not None:
        checkpoint['state_dict'] = student
    elif weights == 'average':
        checkpoint['state_dict'] |= {key: value for key, value in student.items() if 'calibration' in key.split('.')}
    fit_checkpoint(model, checkpoint, path, exact=True)
    check_attributes(model, checkpoint, path)
    check_classes(classes, checkpoint, path)
    model.load_state_dict(checkpoint['state_dict'], strict=False)


def selecting_detector(model: nn.Module) -> Any:
    """The part of a model that chooses pseudo-labels: itself, or what a wrapper holds as ``detector``.

    It has a dense head with ``per_anchor`` and ``select(logits, cells, regions) -> Selection``, which chooses among the
    predictions that these logits make; SLADet's own needs a selector.

    Raises:
        UserError: nothing in it does.
    """
    found: Any = model
    while not hasattr(found, 'select') and hasattr(found, 'detector'):
        found = found.detector
    select = getattr(type(found), 'select', None)
    if select is None or (select is SLADet.select and found.selector is None):
        raise UserError(f'a {type(found).__name__} without a selector chooses no pseudo-labels; pass --cfg-options '
                        'model.type=mmleuk.SLADet model.selector.type=mmleuk.PseudoLabelSelector to see which ones '
                        'SLA-Det would take from it')
    return found


def build_model(cfg: Config, images: SparseImages, device: str = 'cpu') -> nn.Module:
    """The config's model, ready to choose pseudo-labels: it knows the smallest labelled cell."""
    with building(cfg):
        model = MODELS.build(cfg.model)
    detector = selecting_detector(model)
    detector.min_cell_area = smallest_cell_area(images.dataset, detector.bbox_head.image_size)
    return model.to(device).eval()


@torch.no_grad()
def choose(model: nn.Module, batch: Sequence[dict]) -> tuple[Selection, list[tuple[float, float]]]:
    """What the model would take from a batch; boxes in input pixels, and each image's input pixels per original one."""
    data = model.data_preprocessor(pseudo_collate(batch), False)  # type: ignore[operator]
    samples = data['data_samples']
    detector = selecting_detector(model)
    logits = detector.bbox_head.per_anchor(detector.bbox_head(detector.extract_feat(data['inputs']))[0])
    cells = BatchCells.from_instances([sample.gt_instances for sample in samples])
    regions = regions_of([sample.metainfo for sample in samples], logits[0])
    return detector.select(logits, cells, regions), [sample.scale_factor for sample in samples]


def groups_of(selection: Selection) -> dict[str, Candidates]:
    """Candidates by what became of them, and all of them together where the selection tells of all."""
    if not selection.by_criterion:
        return dict(unsure=selection.unsure, kept=selection.kept)
    groups = list(selection.by_criterion.values())
    together = {name: torch.cat([getattr(group, name) for group in groups]) for name in vars(groups[0])}
    return {**selection.by_criterion, ALL: Candidates(**together)}


def tally_groups(groups: Mapping[str, Candidates], scales_wh: Sequence[tuple[float, float]],
                 hidden: Sequence[HiddenCells], num_classes: int, min_iou: float) -> dict[str, Tally]:
    """Judge each group by itself, as if its candidates were all there is.

    Args:
        groups: candidates of a batch, boxes in input pixels.
        scales_wh: per image, input pixels per original one.
        hidden: per image, in original pixels.
        num_classes: C.
        min_iou: smallest IoU of a match.
    """
    tallies = {}
    for name, group in groups.items():
        tallies[name] = Tally.empty(num_classes)
        for index, (scale, cells) in enumerate(zip(scales_wh, hidden)):
            mine = group.keep(group.image == index)
            boxes = mine.boxes / mine.boxes.new_tensor([*scale, *scale])
            tallies[name] += judge(_array(boxes), _array(mine.labels), _array(mine.confidence), cells, num_classes,
                                   min_iou)
    return tallies


def analyse_checkpoint(model: nn.Module, images: SparseImages, min_iou: float = 0.5, batch_size: int = 8,
                       desc: str = '') -> dict[str, Tally]:
    """Tallies over all images, by criterion."""
    num_classes, total = len(images.classes), dict[str, Tally]()
    starts = range(0, len(images.indices), batch_size)
    for start in progress(starts, total=len(starts), desc=desc):
        part = slice(start, start + batch_size)
        selection, scales = choose(model, [images.dataset[index] for index in images.indices[part]])
        tallies = tally_groups(groups_of(selection), scales, images.hidden[part], num_classes, min_iou)
        total = {name: total.get(name, Tally.empty(num_classes)) + tally for name, tally in tallies.items()}
    return total


def _array(tensor: Tensor) -> NDArray:
    return tensor.cpu().numpy()


def analyse(cfg: Config, work_dir: str | Path, truth: str, weights: Weights | None = None, limit: int | None = None,
            min_iou: float = 0.5, device: str = 'cpu') -> dict[str, Any]:
    """Judge the pseudo-labels of every checkpoint in a work dir.

    Args:
        cfg: config of a sparse training; its selector chooses.
        work_dir: holds ``epoch_N.pth``.
        truth: see :func:`load_sparse_images`.
        weights: which ones choose; default those that choose in training.
        limit: number of images; default all.
        min_iou: smallest IoU at which a candidate has found a cell.
        device: such as 'cpu' or 'cuda:0'.

    Returns:
        Plain data for JSON; docs/pseudo_labels.md lists the fields.

    Raises:
        UserError: config, data or checkpoints don't fit together.
    """
    checkpoints = find_checkpoints(work_dir)
    images = load_sparse_images(cfg, truth, limit)
    model = build_model(cfg, images, device)
    detector = selecting_detector(model)
    weights = weights or default_weights(detector)
    hidden, epochs = images.count_hidden(), []
    for epoch, path in checkpoints.items():
        load_epoch(model, path, weights, images.classes)
        tallies = analyse_checkpoint(model, images, min_iou, desc=f'Epoch {epoch}')
        criteria = {name: summarise(tally, hidden, images.classes) for name, tally in tallies.items()}
        epochs.append(dict(epoch=epoch, checkpoint=str(path), criteria=criteria))
    return dict(format=FORMAT, config=str(cfg.filename), work_dir=str(work_dir), sparse=images.dataset.ann_file,
                truth=truth, weights=weights, min_iou=min_iou, images=len(images.indices),
                selector=_settings(detector), min_cell_area=detector.min_cell_area, classes=list(images.classes),
                hidden=dict(zip(images.classes, hidden.tolist())), epochs=epochs)


def _settings(detector: Any) -> dict[str, Any]:
    """The selector's settings, as far as they are plain values; none where the detector chooses by itself."""
    selector = getattr(detector, 'selector', None)
    return {} if selector is None else {
        key: value for key, value in vars(selector).items()
        if not key.startswith('_') and isinstance(value, (bool, int, float, str, list, tuple, dict))}
