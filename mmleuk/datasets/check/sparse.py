"""Do sparse annotations reach a model that looks at their regions, through transforms that keep them?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmleuk.transforms.checks import check_pipeline_moves_regions

EVERYWHERE_KNOWN = ('BlankOutsideRegions', 'CropToRegion')
"""Transforms after which the whole image counts as known, so that any model will do."""
UNHEEDED = ("the annotation is sparse, but no part of the model looks at regions: cells outside them will be learnt as "
            "background. Set truth='regions' (YOLOv5Head) or use mmleuk.SparseRegionSampler, as the *_sparse-regions_* "
            "configs do; annotation='complete' says that it is meant")
SPARSE_TRUTH = ('only regions of the images are annotated: cells found outside them count as false, so that mAP comes '
                'out too low; test on completely annotated images')


def check_sparse(cfg: Mapping, dataset: Any, *, training: bool) -> list[str]:
    """Check a built data set and all that wraps it; one that isn't sparse passes.

    A model that takes unlabelled cells for background is warned of, not refused: it may know its own way.

    Args:
        cfg: the config, for its model.
        dataset: a data set, or a wrapper such as ``MultiImageMixDataset`` around one.
        training: whether the model learns from it; else it is tested on it.

    Returns:
        Warnings.

    Raises:
        UserError: a transform would leave the regions behind; the message says which and what to use.
    """
    found = list(_sparse_pipelines(dataset, ()))
    for pipeline in [pipeline for pipelines in found for pipeline in pipelines]:
        check_pipeline_moves_regions(pipeline)
    if not found or (training and heeds_regions(cfg)):
        return []
    return [UNHEEDED if training else SPARSE_TRUTH]


def heeds_regions(cfg: Mapping) -> bool:
    """Whether a config's model looks at regions, or its training pipeline leaves nothing outside them."""
    return looks_at_regions(cfg.get('model')) or _names_any(cfg.get('train_dataloader'), EVERYWHERE_KNOWN)


def looks_at_regions(part: object) -> bool:
    """Whether a part of a model's config heeds ``annotated_regions``.

    >>> looks_at_regions(dict(bbox_head=dict(type='mmleuk.YOLOv5Head', truth='regions')))
    True
    >>> looks_at_regions(dict(type='FCOS', bbox_head=dict(type='FCOSHead')))
    False
    """
    if isinstance(part, Mapping):
        named = str(part.get('truth')).startswith('regions') or 'SparseRegion' in str(part.get('type'))
        return named or any(looks_at_regions(value) for value in part.values())
    return isinstance(part, (list, tuple)) and any(looks_at_regions(value) for value in part)


def _sparse_pipelines(dataset: Any, around: tuple) -> Iterator[tuple]:
    """Of every sparse data set its own pipeline and those of the wrappers around it."""
    pipelines = (*around, dataset.pipeline) if getattr(dataset, 'pipeline', None) is not None else around
    if getattr(dataset, 'annotation', None) == 'sparse':
        yield pipelines
    for inner in (getattr(dataset, 'dataset', None), *getattr(dataset, 'datasets', ())):
        if inner is not None:
            yield from _sparse_pipelines(inner, pipelines)


def _names_any(part: object, types: tuple[str, ...]) -> bool:
    """Whether a config's part holds a component of one of these types."""
    if isinstance(part, Mapping):
        return str(part.get('type')).endswith(types) or any(_names_any(value, types) for value in part.values())
    return isinstance(part, (list, tuple)) and any(_names_any(value, types) for value in part)
