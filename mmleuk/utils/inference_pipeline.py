"""A config's test pipeline for images without annotations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmcv.transforms import Compose
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config

from mmleuk.errors import UserError
from mmleuk.utils.image_size import at_image_size, at_scale, kind_of


def inference_loaders(cfg: Config) -> tuple[Compose, Compose]:
    """The image loader of the config's test pipeline, for files and for arrays."""
    return (Compose(_inference_steps(cfg)[:1]), Compose([dict(type='mmdet.LoadImageFromNDArray')]))


def inference_pipeline(cfg: Config, image_size: int | None = None,
                       scale_xy: tuple[float, float] | None = None) -> Compose:
    """The config's test pipeline after the loader, without annotations; see :class:`Inferencer`."""
    steps = _inference_steps(cfg)
    if scale_xy is not None:
        steps = at_scale(steps, scale_xy)
    elif image_size is not None:
        steps = at_image_size(steps, image_size)
    return Compose(steps[1:])


def _inference_steps(cfg: Config) -> list[Any]:
    steps = [step for step in get_test_pipeline_cfg(cfg) if not _loads(step, 'Annotations')]
    if not steps or not _loads(steps[0], 'Image'):
        raise UserError("the config's test pipeline doesn't start with an image loader; begin it with mmleuk.LoadImage")
    return steps


def _loads(step: Mapping[str, Any], what: str) -> bool:
    """Whether a transform is a loader of ``what``: LoadAnnotations, mmleuk.LoadCellAnnotations, LoadImageFromFile."""
    name = kind_of(step)
    return name.startswith('Load') and what in name
