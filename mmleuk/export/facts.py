"""What an exported file says about its model, from the model itself."""

from __future__ import annotations

import datetime
from typing import Any

from mmdet.utils import get_test_pipeline_cfg
from torch import nn

import mmleuk
from mmleuk.apis import Inferencer
from mmleuk.errors import UserError
from mmleuk.export.parts import OPSET, finder_of
from mmleuk.inference.facts import Facts, Suppression
from mmleuk.inference.preparing import image_steps
from mmleuk.models.detectors.attri_det import AttriDet
from mmleuk.utils.files import sha256_of

KNOWN_TESTING = {'score_thr', 'nms', 'max_per_img', 'nms_pre', 'multi_label'}


def facts_of(inferencer: Inferencer, inside: bool) -> Facts:
    """The facts of an inferencer's model.

    Args:
        inferencer: its lowest score becomes that of the file.
        inside: whether the graph suppresses overlaps.

    Raises:
        UserError: the test pipeline, the preprocessor or the suppression has a part that exported models can't do.
    """
    model, cfg = inferencer.model, inferencer.cfg
    if cfg.get('red_cell_diameter') is not None:
        raise UserError('the config has a red_cell_diameter: its images are scaled by their red cells, which exported '
                        'models do not measure')
    return Facts(
        classes=inferencer.classes, attributes=inferencer.schema.to_dict(), leukocytes=inferencer.leukocytes,
        described=described_labels(model), steps=image_steps(get_test_pipeline_cfg(cfg)), **_preprocessing(model),
        suppression=_suppression(model, inside), min_score=inferencer.min_score, min_scores=dict(inferencer.min_scores),
        image_size=inferencer.image_size, model=str(cfg.model.type), config=str(cfg.filename or ''),
        checkpoint=inferencer.run_info().checkpoint, weights_sha256=sha256_of(inferencer.run_info().checkpoint),
        attribute_min_score=model.min_score if isinstance(model, AttriDet) else 0.0,
        version=mmleuk.__version__, onnx_opset=OPSET,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'))


def described_labels(model: nn.Module) -> tuple[int, ...]:
    """Labels of the finder whose cells get attributes."""
    if not isinstance(model, AttriDet):
        return ()
    meta = model.dataset_meta
    if not meta or 'described' not in meta:
        return tuple(range(finder_of(model).bbox_head.num_classes))
    return tuple(list(meta['classes']).index(name) for name in meta['described'])


def _suppression(model: nn.Module, inside: bool) -> Suppression:
    cfg = finder_of(model).bbox_head.test_cfg
    surplus = set(cfg) - KNOWN_TESTING
    if surplus or cfg.nms.get('type', 'nms') != 'nms' or set(cfg.nms) - {'type', 'iou_threshold'}:
        raise UserError(f"the model's test_cfg {dict(cfg)} has settings that exported models cannot do; they know "
                        f"{', '.join(sorted(KNOWN_TESTING))} with nms=dict(type='nms', iou_threshold=...)")
    return Suppression(inside, float(cfg.score_thr), float(cfg.nms.iou_threshold), int(cfg.max_per_img),
                       int(cfg.nms_pre), bool(cfg.get('multi_label', True)))


def _preprocessing(model: Any) -> dict[str, Any]:
    own = model.data_preprocessor
    own = getattr(own, 'data_preprocessor', own)  # of one view
    normalises = own._enable_normalize
    return dict(mean=tuple(own.mean.flatten().tolist()) if normalises else (0.0,) * 3,
                std=tuple(own.std.flatten().tolist()) if normalises else (1.0,) * 3,
                bgr_to_rgb=bool(own._channel_conversion), pad_size_divisor=int(own.pad_size_divisor),
                pad_value=float(own.pad_value))
