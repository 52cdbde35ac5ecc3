"""The annotation files and images of a config by split, and checks of the images."""

from __future__ import annotations

import hashlib
import os.path as osp
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mmdet.datasets import BaseDetDataset, CocoDataset

from mmleuk.datasets.annotations import AnnotationReader, Annotations
from mmleuk.datasets.cells import CellDataset
from mmleuk.datasets.check.findings import NOTE, PROBLEM, Finding, and_more
from mmleuk.errors import UserError
from mmleuk.registry import DATASETS
from mmleuk.schema import AttributeSchema
from mmleuk.structures.ground_truth import ImageTruth
from mmleuk.transforms.checks import check_pipeline_moves_regions
from mmleuk.transforms.load_image import exif_orientation, size_fault
from mmleuk.utils.image_files import decode_image, read_image_file
from mmleuk.utils.progress import progress

SPLITS = ('train', 'val', 'test')
UNREADABLE = 'unreadable image'


@dataclass(frozen=True)
class Source:
    """One annotation file with its images; ``dataset`` has the paths and hasn't read them yet.

    ``splits`` are the config's splits that read it (val and test are often the same). ``pipelines`` are all pipelines
    for its images, with that of a mixing wrapper.
    """

    splits: tuple[str, ...]
    dataset: BaseDetDataset
    pipelines: tuple

    @property
    def name(self) -> str:
        """The splits, for findings."""
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
        """'sparse', 'complete', or None if the config doesn't set it."""
        return getattr(self.dataset, 'annotation', 'complete')

    def read(self) -> Annotations:
        """Read the annotation file; its defects are collected, not raised."""
        if isinstance(self.dataset, CellDataset):
            return self.dataset.read_annotations()
        return AnnotationReader(self.classes, self.schema).read(self.dataset.ann_file)

    def check_pipelines(self) -> None:
        """Raise a UserError if a transform of a sparse source doesn't transform the regions."""
        if self.annotation == 'sparse':
            for pipeline in self.pipelines:
                check_pipeline_moves_regions(pipeline)


def find_sources(cfg: Mapping) -> tuple[list[Source], list[str]]:
    """Sources of a config, and a text on each data set that can't be checked.

    Raises:
        UserError: the config has no data set, or one that can't be built.
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
    """Join val and test if they read the same files; train stays separate, so that shared images are found."""
    for index, old in enumerate(sources):
        if _key(old) == _key(new) and 'train' not in (*old.splits, *new.splits):
            sources[index] = Source((*old.splits, *new.splits), old.dataset, (*old.pipelines, *new.pipelines))
            return
    sources.append(new)


def _key(source: Source) -> tuple:
    dataset = source.dataset
    return (type(dataset), dataset.ann_file, dataset.data_prefix.get('img'), source.classes, source.schema,
            source.annotation)


@dataclass(frozen=True)
class DecodedImage:
    """One image file: size, digest of its pixels and EXIF orientation (1: as stored), or what is wrong with it."""

    image_hw: tuple[int, int] = (0, 0)
    digest: str = ''
    orientation: int = 1
    fault: str = ''


def find_in_images(read: Sequence[tuple[Source, Sequence[ImageTruth]]], workers: int) -> list[Finding]:
    """Decode each file once; find broken files, wrong sizes, and images that occur twice in a split or in two splits.

    Args:
        read: sources with the images of their annotation files.
        workers: threads that decode; decoding and hashing run outside Python's lock.
    """
    entries = [(source, image, osp.join(source.dataset.data_prefix.get('img', ''), image.file_name))
               for source, images in read for image in images]
    backends = {path: source.dataset.backend_args for source, _, path in entries}
    with ThreadPoolExecutor(workers) as pool:
        decoded = dict(zip(backends, progress(pool.map(_decode, backends, backends.values()), total=len(backends),
                                              desc='decoding images'), strict=True))
    faults: dict[tuple[str, str], list[str]] = {}
    turned: dict[str, list[str]] = {}
    first: dict[str, tuple[str, str]] = {}
    shared: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for source, image, path in entries:
        file = decoded[path]
        fault = file.fault or size_fault(file.image_hw, (image.height, image.width), file.orientation)
        if fault:
            faults.setdefault((source.name, fault), []).append(path)
            continue
        if file.orientation != 1:
            turned.setdefault(source.name, []).append(path)
        twin_split, twin = first.setdefault(file.digest, (source.name, path))
        if (twin_split, twin) != (source.name, path):
            shared.setdefault((twin_split, source.name), []).append((twin, path))
    return [
        *(Finding(PROBLEM, split, UNREADABLE, f'{paths[0]}{and_more(paths)}: {fault}')
          for (split, fault), paths in faults.items()),
        *(Finding(NOTE, split, 'EXIF orientation', f'{paths[0]}{and_more(paths)}: is rotated by its EXIF orientation; '
                  'fine if the boxes were drawn on the rotated image') for split, paths in turned.items()),
        *(_shared(splits, pairs) for splits, pairs in shared.items())]


def _decode(path: str, backend_args: dict | None) -> DecodedImage:
    try:
        content = read_image_file(path, backend_args)
        pixels = decode_image(content, path)
    except UserError as error:
        return DecodedImage(fault=str(error).removeprefix(f'{path}: '))
    height, width = pixels.shape[:2]
    digest = hashlib.blake2b(pixels.tobytes(), digest_size=16, person=b'%dx%d' % (height, width)).hexdigest()
    return DecodedImage((height, width), digest, exif_orientation(content))


def _shared(splits: tuple[str, str], pairs: Sequence[tuple[str, str]]) -> Finding:
    text = f'{pairs[0][0]} and {pairs[0][1]} show the same{and_more(pairs)}'
    if splits[0] == splits[1]:
        return Finding(NOTE, splits[0], 'image twice', f'{text}; it counts twice')
    return Finding(PROBLEM, ' and '.join(splits), 'image in two splits', f'{text}; scores would count images that '
                   'the model was trained on: remove them from one split')
