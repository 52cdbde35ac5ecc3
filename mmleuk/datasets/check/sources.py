"""Which annotation files and images a config reads, in which split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mmdet.datasets import BaseDetDataset, CocoDataset

from mmleuk.datasets.annotations import AnnotationReader, Annotations
from mmleuk.datasets.cells import CellDataset
from mmleuk.errors import UserError
from mmleuk.registry import DATASETS
from mmleuk.schema import AttributeSchema
from mmleuk.transforms.checks import check_pipeline_moves_regions

SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True)
class Source:
    """One annotation file with its images; ``dataset`` knows the paths and has read nothing yet.

    ``splits`` are the config's that read it (val and test often are one), ``pipelines`` all that its images go
    through, a mixing wrapper's included.
    """

    splits: tuple[str, ...]
    dataset: BaseDetDataset
    pipelines: tuple

    @property
    def name(self) -> str:
        """The splits as findings name them."""
        return '+'.join(self.splits)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return tuple(self.dataset.metainfo['classes'])

    @property
    def schema(self) -> AttributeSchema:
        """Attributes; none for MMDetection's own data sets."""
        return AttributeSchema.from_dict(self.dataset.metainfo.get('attributes') or {})

    @property
    def annotation(self) -> str | None:
        """'sparse', 'complete', or None where the config leaves it to the file."""
        return getattr(self.dataset, 'annotation', 'complete')

    def read(self) -> Annotations:
        """Read the annotation file; its defects are collected, not raised."""
        if isinstance(self.dataset, CellDataset):
            return self.dataset.read_annotations()
        return AnnotationReader(self.classes, self.schema).read(self.dataset.ann_file)

    def check_pipelines(self) -> None:
        """Raise UserError where a sparse source's transforms would leave regions behind."""
        if self.annotation == 'sparse':
            for pipeline in self.pipelines:
                check_pipeline_moves_regions(pipeline)


def find_sources(cfg: Mapping) -> tuple[list[Source], list[str]]:
    """Sources of a config, and for each data set that cannot be checked what it is.

    Raises:
        UserError: the config has no data set at all, or one that cannot be built.
    """
    sources: list[Source] = []
    unchecked: list[str] = []
    for split in SPLITS:
        loader = cfg.get(f'{split}_dataloader')
        for leaf, pipelines in _leaves(loader['dataset'], ()) if loader else ():
            dataset = _build(leaf, split)
            if isinstance(dataset, (CellDataset, CocoDataset)):
                _add(sources, Source((split,), dataset, pipelines))
            else:
                unchecked.append(f'{split}: {leaf["type"]}')
    if not sources and not unchecked:
        raise UserError('the config has no data set: train_dataloader, val_dataloader and test_dataloader are missing')
    return sources, unchecked


def _leaves(dataset: Mapping, outer: tuple) -> Iterator[tuple[Mapping, tuple]]:
    """Unwrapped data set configs with the pipelines around them (MultiImageMixDataset, RepeatDataset, ...)."""
    pipelines = (*outer, dataset['pipeline']) if dataset.get('pipeline') else outer
    if 'datasets' in dataset:
        for inner in dataset['datasets']:
            yield from _leaves(inner, pipelines)
    elif 'dataset' in dataset:
        yield from _leaves(dataset['dataset'], pipelines)
    else:
        yield dataset, pipelines


def _build(leaf: Mapping, split: str) -> BaseDetDataset:
    try:
        return DATASETS.build({**leaf, 'lazy_init': True, 'pipeline': []})
    except UserError:
        raise
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(f'{split}_dataloader: data set {leaf.get("type")!r} cannot be built ({error}); correct its '
                        'arguments') from error


def _add(sources: list[Source], new: Source) -> None:
    """Join val and test when they read the same; train stays apart, so that sharing with it is found."""
    for place, old in enumerate(sources):
        if _key(old) == _key(new) and 'train' not in (*old.splits, *new.splits):
            sources[place] = Source((*old.splits, *new.splits), old.dataset, (*old.pipelines, *new.pipelines))
            return
    sources.append(new)


def _key(source: Source) -> tuple:
    dataset = source.dataset
    return (type(dataset), dataset.ann_file, dataset.data_prefix.get('img'), source.classes, source.schema,
            source.annotation)
