"""Find transforms that don't move the annotated regions, before training starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmdet.datasets import transforms as mmdet_transforms
from mmdet.registry import TRANSFORMS as MMDET_TRANSFORMS

from mmleuk.errors import UserError
from mmleuk.transforms.affine import RandomAffine
from mmleuk.transforms.formatting import PackCells
from mmleuk.transforms.loading import LoadCellAnnotations
from mmleuk.transforms.mixing import MixUp

NO_REPLACEMENT = 'leave it out'
WRONG = {
    mmdet_transforms.LoadAnnotations: ('loads no regions', 'use mmleuk.LoadCellAnnotations'),
    mmdet_transforms.PackDetInputs: ('drops regions and attributes', 'use mmleuk.PackCells'),
    mmdet_transforms.RandomAffine: ('leaves regions behind in images without cells', 'use mmleuk.RandomAffine'),
    mmdet_transforms.MixUp: ('calls known what only one of two images knows', 'use mmleuk.MixUp'),
    mmdet_transforms.CachedMixUp: ('calls known what only one of two images knows', 'use mmleuk.MixUp'),
    mmdet_transforms.CopyPaste: ('calls known what only the other image knows', NO_REPLACEMENT),
    mmdet_transforms.MinIoURandomCrop: ('leaves regions behind in images without cells', 'use RandomCrop'),
    mmdet_transforms.RandomErasing: ('drops regions and attributes', 'use CutOut'),
    mmdet_transforms.Albu: ('moves boxes without their attributes and regions', NO_REPLACEMENT),
}
RIGHT = (LoadCellAnnotations, PackCells, RandomAffine, MixUp)


def check_pipeline_moves_regions(pipeline: Any) -> None:
    """Refuse a pipeline for sparse annotation that treats regions wrongly.

    Args:
        pipeline: configs, built transforms, or a ``Compose`` of them; wrappers such as ``RandomChoice`` are searched.

    Raises:
        UserError: names the transform, what is wrong with it, and what to use instead.

    Example:
        >>> check_pipeline_moves_regions([dict(type='mmleuk.RandomAffine'), dict(type='RandomFlip', prob=0.5)])
        >>> check_pipeline_moves_regions([dict(type='RandomAffine')])
        Traceback (most recent call last):
        ...
        mmleuk.errors.UserError: sparse annotation: MMDetection's RandomAffine leaves regions behind in images without \
cells; use mmleuk.RandomAffine
    """
    for kind in _kinds(pipeline):
        if issubclass(kind, RIGHT):
            continue
        for wrong, (what, remedy) in WRONG.items():
            if issubclass(kind, wrong):
                raise UserError(f"sparse annotation: MMDetection's {kind.__name__} {what}; {remedy}")


def _kinds(part: Any) -> Iterator[type]:
    """Classes of all transforms in configs, built transforms and what they wrap; other classes are harmless."""
    if isinstance(part, Mapping):
        kind = part.get('type')
        kind = MMDET_TRANSFORMS.get(kind) if isinstance(kind, str) else kind
        if isinstance(kind, type):
            yield kind
        inner = tuple(part.values())
    elif isinstance(part, (list, tuple)):
        inner = tuple(part)
    else:
        yield type(part)
        inner = getattr(part, 'transforms', ()), getattr(part, 'branch_pipelines', ())
    for each in inner:
        if not isinstance(each, (str, type)) and each != ():
            yield from _kinds(each)
