"""What an exported file says about its model, from the model itself."""

from __future__ import annotations

import datetime
from typing import Any

from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from torch import nn

import mmleuk
from mmleuk.apis import Inferencer
from mmleuk.calibration.finder import RED_CELL
from mmleuk.calibration.red_cells import MIN_SCORE
from mmleuk.errors import UserError
from mmleuk.export.parts import OPSET, finder_of
from mmleuk.inference.facts import Facts, RedCellScale, Suppression
from mmleuk.inference.preparing import image_steps
from mmleuk.models.dense_heads.yolov5_head import YOLOv5Head
from mmleuk.models.detectors.attri_det import AttriDet
from mmleuk.models.detectors.find_and_read import FindAndRead
from mmleuk.utils.files import sha256_of

KNOWN_TESTING = {'score_thr', 'nms', 'max_per_img', 'nms_pre', 'multi_label', 'min_bbox_size'}


def facts_of(inferencer: Inferencer, inside: bool) -> Facts:
    """The facts of an inferencer's model.

    Args:
        inferencer: its lowest score becomes that of the file.
        inside: whether the graph suppresses overlaps.

    Raises:
        UserError: the test pipeline, the preprocessor or the suppression has a part that exported models can't do.
    """
    model, cfg = inferencer.model, inferencer.cfg
    if isinstance(model, FindAndRead) and not inside:
        raise UserError('FindAndRead names cells after the suppression of overlaps, so both have to be inside; export '
                        'it with --nms inside')
    if isinstance(model, FindAndRead) and not isinstance(finder_of(model).bbox_head, YOLOv5Head):
        raise UserError(f'FindAndRead with {type(model.finder).__name__} cannot be exported: its finder has to have '
                        'mmleuk.YOLOv5Head, which gives the probabilities of all classes')
    red_cells = _red_cells(cfg)
    return Facts(
        classes=inferencer.classes, attributes=inferencer.schema.to_dict(), leukocytes=inferencer.leukocytes,
        described=described_labels(model), steps=image_steps(get_test_pipeline_cfg(cfg)), **_preprocessing(model),
        suppression=_suppression(model, inside, red_cells is not None), red_cells=red_cells,
        min_score=inferencer.min_score, min_scores=dict(inferencer.min_scores),
        image_size=inferencer.image_size, model=str(cfg.model.type), config=str(cfg.filename or ''),
        checkpoint=inferencer.run_info().checkpoint, weights_sha256=sha256_of(inferencer.run_info().checkpoint),
        attribute_min_score=model.min_score if isinstance(model, AttriDet) else 0.0,
        version=mmleuk.__version__, onnx_opset=OPSET,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'))


def described_labels(model: nn.Module) -> tuple[int, ...]:
    """Labels of the finder whose cells get attributes."""
    if isinstance(model, FindAndRead):
        return (model.leukocyte,)
    if not isinstance(model, AttriDet):
        return ()
    meta = model.dataset_meta
    if not meta or 'described' not in meta:
        return tuple(range(finder_of(model).bbox_head.num_classes))
    return tuple(list(meta['classes']).index(name) for name in meta['described'])


def _red_cells(cfg: Config) -> RedCellScale | None:
    """How images get their scale; None where that doesn't depend on red cells.

    Raises:
        UserError: the model has no red cells.
    """
    diameter, classes = cfg.get('red_cell_diameter'), list(cfg.model.get('classes') or ())
    if diameter is None:
        return None
    if RED_CELL not in classes:
        raise UserError(f'the config has a red_cell_diameter, but its model has no class {RED_CELL}, so the file could '
                        f'not measure red cells; it has {", ".join(classes) or "no classes"}')
    colours = cfg.get('film_colours')
    return RedCellScale(classes.index(RED_CELL), float(diameter), None if colours is None else colours.to_dict())


def _suppression(model: nn.Module, inside: bool, measures: bool) -> Suppression:
    """What the finder's test_cfg says; the red cells that a scale comes from have to be among the cells, too."""
    cfg = finder_of(model).bbox_head.test_cfg
    surplus = set(cfg) - KNOWN_TESTING
    other_nms = cfg.nms.get('type', 'nms') != 'nms' or set(cfg.nms) - {'type', 'iou_threshold'}
    if surplus or other_nms or cfg.get('min_bbox_size', 0) > 0:
        raise UserError(f"the model's test_cfg {dict(cfg)} has settings that exported models cannot do; they know "
                        f"{', '.join(sorted(KNOWN_TESTING))} with nms=dict(type='nms', iou_threshold=...)")
    lowest = min(cfg.score_thr, MIN_SCORE * (1 - 1e-6)) if measures else cfg.score_thr
    is_yolo = isinstance(finder_of(model).bbox_head, YOLOv5Head)
    # Other heads' nms_pre counts per level, which the graph of locations does.
    nms_pre = int(cfg.nms_pre) if is_yolo else Suppression.nms_pre
    return Suppression(inside, float(lowest), float(cfg.nms.iou_threshold), int(cfg.max_per_img), nms_pre,
                       bool(cfg.get('multi_label', True)), clip_first=not is_yolo, class_probs=is_yolo)


def _preprocessing(model: Any) -> dict[str, Any]:
    own = model.data_preprocessor
    own = getattr(own, 'data_preprocessor', own)  # of one view
    normalises = own._enable_normalize
    return dict(mean=tuple(own.mean.flatten().tolist()) if normalises else (0.0,) * 3,
                std=tuple(own.std.flatten().tolist()) if normalises else (1.0,) * 3,
                bgr_to_rgb=bool(own._channel_conversion), pad_size_divisor=int(own.pad_size_divisor),
                pad_value=float(own.pad_value))
