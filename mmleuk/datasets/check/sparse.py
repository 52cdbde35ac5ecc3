"""Do sparse annotations reach a model that looks at their regions, through transforms that keep them?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmleuk.transforms.checks import check_pipeline_moves_regions
from mmleuk.utils.config_tree import walk

EVERYWHERE_KNOWN = ('BlankOutsideRegions', 'CropToRegion')
"""Transforms after which the whole image counts as known, so that any model will do."""
UNHEEDED = ("the annotation is sparse, but no part of the model looks at regions: cells outside them will be learnt as "
            "background. Set truth='regions' (YOLOv5Head) or use mmleuk.SparseRegionSampler, as the *_sparse-regions_* "
            "configs do; annotation='complete' says that it is meant")
HALF_HEEDED = ('{} takes background from everywhere, though other samplers of the model heed the regions: cells '
               "outside them will be learnt as background there. Make it type='mmleuk.SparseRegionSampler', too")
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
    if not found:
        return []
    return find_unheeded_regions(cfg) if training else [SPARSE_TRUTH]


def find_unheeded_regions(cfg: Mapping) -> list[str]:
    """Where a config that trains on sparse annotation would learn unlabelled cells as background; empty: nowhere.

    Either its model looks at regions in every place that samples, or its training pipeline leaves nothing outside them.
    """
    if any(str(node.get('type')).endswith(EVERYWHERE_KNOWN) for _, node in walk(cfg.get('train_dataloader'))):
        return []
    model = cfg.get('model')
    if not looks_at_regions(model):
        return [UNHEEDED]
    heeds = {f'{place}.sampler': looks_at_regions(node['sampler'])
             for place, node in walk(model, 'model', skip=['sampler']) if isinstance(node.get('sampler'), Mapping)}
    return [HALF_HEEDED.format(place) for place in heeds if not heeds[place]] if any(heeds.values()) else []


def looks_at_regions(part: object) -> bool:
    """Whether a part of a model's config heeds ``annotated_regions``.

    >>> looks_at_regions(dict(bbox_head=dict(type='mmleuk.YOLOv5Head', truth='regions')))
    True
    >>> looks_at_regions(dict(type='FCOS', bbox_head=dict(type='FCOSHead')))
    False
    """
    return any(str(node.get('truth')).startswith('regions') or 'SparseRegion' in str(node.get('type'))
               for _, node in walk(part))


def _sparse_pipelines(dataset: Any, around: tuple) -> Iterator[tuple]:
    """Of every sparse data set its own pipeline and those of the wrappers around it."""
    pipelines = (*around, dataset.pipeline) if getattr(dataset, 'pipeline', None) is not None else around
    if getattr(dataset, 'annotation', None) == 'sparse':
        yield pipelines
    for inner in (getattr(dataset, 'dataset', None), *getattr(dataset, 'datasets', ())):
        if inner is not None:
            yield from _sparse_pipelines(inner, pipelines)
