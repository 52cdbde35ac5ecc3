"""Check that a model fits the data: number of classes, attributes, annotated regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmleuk.errors import UserError
from mmleuk.schema import AttributeSchema, resolve_schema
from mmleuk.transforms.checks import check_pipeline_moves_regions
from mmleuk.utils.config_tree import walk

NOT_CELL_CLASSES = ('backbone', 'data_preprocessor', 'init_cfg', 'neck', 'rpn_head')
"""Parts of a model whose ``num_classes`` isn't the number of the data's classes."""
HEADS = ('AttriHead', 'ConceptBottleneck', 'AttributeRecognizer')
"""Ends of the types of heads with ``attributes`` in their config."""
EVERYWHERE_KNOWN = ('BlankOutsideRegions', 'CropToRegion')
"""Transforms after which the whole image is known, so that any model can train on it."""
USES_REGIONS = ('SparseRegion', 'CalibratedViewLabeller')
"""In the types of parts that use the regions; the labeller measures its thresholds there."""
NOT_USED = ("the annotation is sparse, but no part of the model uses the regions: cells outside them will be learnt as "
            "background. Set truth='regions' (YOLOv5Head) or use mmleuk.SparseRegionSampler, as the *_sparse-regions_* "
            "configs do; if it is intended, set annotation='complete'")
HALF_USED = ('{} takes background from everywhere, though other samplers of the model use the regions: cells '
               "outside them will be learnt as background there. Give it type='mmleuk.SparseRegionSampler', too")
SCALES_BATCHES = ('BatchSyncRandomResize', 'BatchResize')
"""MMDetection's steps of a data preprocessor that scale images and boxes of a batch."""
USES_IGNORED = ('SparseRegion', 'YOLOv5Head', 'CenterRegionAssigner')
"""In the types of parts that learn no background under ignored cells; MMDetection's FSAF has the last."""
IGNORED = ('{} cells are ignored (iscrowd, ignore, difficult), but the model learns their area as background. Use '
           'mmleuk.SparseRegionSampler, mmleuk.SparseRegionFCOSHead or the like, as the *_sparse-regions_* configs do; '
           'they take complete annotations, too')
SPARSE_TRUTH = ('only regions of the images are annotated: scores count only the cells there, and detections outside '
                'are left out; test on completely annotated images')


def check_num_classes(cfg: Mapping, classes: Sequence[str]) -> None:
    """Compare every head's ``num_classes`` in ``cfg.model`` with the data's classes.

    Raises:
        UserError: a head has another number. The message names its key in the config.

    Example:
        >>> check_num_classes(dict(model=dict(bbox_head=dict(num_classes=3))), ('WBC', 'RBC', 'Platelets'))
    """
    wrong = [f'{key} = {number}' for key, number in find_num_classes(cfg.get('model') or {}, 'model')
             if number != len(classes)]
    if wrong:
        raise UserError(f'config: {", ".join(wrong)}, but the data have {len(classes)} classes '
                        f'({", ".join(classes)}); set '
                        f"num_classes={len(classes)}, or give the data set's metainfo the model's classes")


def find_num_classes(part: object, path: str) -> Iterator[tuple[str, int]]:
    """Key and value of every ``num_classes`` of a head in ``part``, whose own key is ``path``."""
    for key, node in walk(part, path, skip=NOT_CELL_CLASSES):
        if isinstance(node.get('num_classes'), int):
            yield f'{key}.num_classes', node['num_classes']


def check_head_attributes(cfg: Mapping, schema: AttributeSchema, *, training: bool = False) -> None:
    """Compare the schema of every head that predicts attributes in ``cfg.model`` with the data's.

    Data without attributes fit any head in testing, since boxes can be scored without them. They fit none in training.

    If the attributes only have another order, training would run, but learn them under wrong names.

    Args:
        cfg: the config.
        schema: of the data.
        training: whether the model trains on the data.

    Raises:
        UserError: the schemas differ. The message names the head's key in the config.

    Example:
        >>> head = dict(type='mmleuk.AttriHead', attributes={'size': ['small', 'big']})
        >>> check_head_attributes(dict(model=dict(attri_head=head)), AttributeSchema.from_dict(head['attributes']))
    """
    if not len(schema) and not training:
        return
    for key, head in walk(cfg.get('model'), 'model'):
        if not str(head.get('type')).endswith(HEADS) or 'attributes' not in head:
            continue
        predicted = resolve_schema(head['attributes']).values_by_key
        if predicted != schema.values_by_key:
            raise UserError(f'config: {key}.attributes predicts {predicted}, but the data have '
                            f'{schema.values_by_key or "no attributes"}; give '
                            "head and data set's metainfo the same attributes in the same order")


def check_sparse(cfg: Mapping, dataset: Any, *, training: bool) -> list[str]:
    """Check a built data set and its wrappers; a data set that isn't sparse passes.

    A model that takes unlabelled cells for background only gets a warning: it may handle them in another way.

    Args:
        cfg: the config, for its model.
        dataset: a data set, or a wrapper such as ``MultiImageMixDataset`` around one.
        training: whether the model trains on it; else it is tested on it.

    Returns:
        Warnings.

    Raises:
        UserError: a transform or the data preprocessor doesn't transform the regions. The message names it and what to
            use.
    """
    found = list(_sparse_pipelines(dataset, ()))
    if training:
        check_batch_scaling(cfg)
    for pipeline in [pipeline for pipelines in found for pipeline in pipelines]:
        check_pipeline_moves_regions(pipeline)
    if not found:
        return []
    return find_unused_regions(cfg) if training else [SPARSE_TRUTH]


def check_batch_scaling(cfg: Mapping) -> None:
    """Refuse a data preprocessor that scales boxes without their regions, for a model that uses the regions.

    Raises:
        UserError: there is one. The message names its key in the config.
    """
    model = cfg.get('model')
    for key, node in walk(model, 'model') if uses_regions(model) else ():
        if str(node.get('type')).endswith(SCALES_BATCHES):
            raise UserError(f"config: {key}: MMDetection's {node['type']} scales images and boxes, but leaves the "
                            "annotated regions and ignored boxes; take it out, and scale in the pipeline with "
                            "RandomResize or mmleuk.RandomAffine")


def check_ignored(cfg: Mapping, dataset: Any) -> list[str]:
    """Warning if training data have ignored cells that the model would learn as background; else empty."""
    if uses_ignored(cfg.get('model')):
        return []
    number = sum(bool(cell.get('ignore_flag')) for records in _records(dataset) for record in records
                 for cell in record.get('instances') or ())
    return [IGNORED.format(number)] if number else []


def uses_ignored(part: object) -> bool:
    """Whether a part of a model's config learns no background under ignored cells.

    >>> uses_ignored(dict(type='FCOS', bbox_head=dict(type='FCOSHead')))
    False
    """
    return any(any(name in str(node.get('type')) for name in USES_IGNORED) or (node.get('ignore_iof_thr') or -1) > 0
               for _, node in walk(part))


def _records(dataset: Any) -> Iterator[Iterator[Mapping]]:
    """The records of every data set in one and its wrappers."""
    inner = _within(dataset)
    for one in inner:
        yield from _records(one)
    if not inner and hasattr(dataset, 'get_data_info'):
        yield (dataset.get_data_info(index) for index in range(len(dataset)))


def find_unused_regions(cfg: Mapping) -> list[str]:
    """Warning if a config with sparse annotation would learn unlabelled cells as background; else empty.

    There is none if every sampler of the model uses the regions, or the training pipeline removes all outside them.
    """
    if any(str(node.get('type')).endswith(EVERYWHERE_KNOWN) for _, node in walk(cfg.get('train_dataloader'))):
        return []
    model = cfg.get('model')
    if not uses_regions(model):
        return [NOT_USED]
    uses = {f'{key}.sampler': uses_regions(node['sampler'])
            for key, node in walk(model, 'model', skip=['sampler']) if isinstance(node.get('sampler'), Mapping)}
    return [HALF_USED.format(key) for key in uses if not uses[key]] if any(uses.values()) else []


def uses_regions(part: object) -> bool:
    """Whether a part of a model's config uses ``annotated_regions``.

    >>> uses_regions(dict(bbox_head=dict(type='mmleuk.YOLOv5Head', truth='regions')))
    True
    >>> uses_regions(dict(type='FCOS', bbox_head=dict(type='FCOSHead')))
    False
    """
    return any(str(node.get('truth')).startswith('regions')
               or any(name in str(node.get('type')) for name in USES_REGIONS) for _, node in walk(part))


def _sparse_pipelines(dataset: Any, around: tuple) -> Iterator[tuple]:
    """Every sparse data set's own pipeline and those of its wrappers."""
    pipelines = (*around, dataset.pipeline) if getattr(dataset, 'pipeline', None) is not None else around
    if getattr(dataset, 'annotation', None) == 'sparse':
        yield pipelines
    for inner in _within(dataset):
        yield from _sparse_pipelines(inner, pipelines)


def _within(dataset: Any) -> list[Any]:
    """The data sets that a wrapper holds; none of another data set."""
    held = getattr(dataset, 'dataset', None), *getattr(dataset, 'datasets', ())
    return [inner for inner in held if inner is not None]
