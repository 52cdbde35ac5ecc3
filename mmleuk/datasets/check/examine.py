"""All checks of a config's data, in the order in which a reader can act on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mmdet.datasets import CocoDataset

from mmleuk.datasets.check.evaluators import find_in_evaluators, find_renamed
from mmleuk.datasets.check.findings import NOTE, PROBLEM, Finding
from mmleuk.datasets.check.head_attributes import check_head_attributes
from mmleuk.datasets.check.images import DecodedImage, decode_images, find_in_images
from mmleuk.datasets.check.num_classes import check_num_classes
from mmleuk.datasets.check.sources import Source, find_sources
from mmleuk.datasets.check.sparse import find_unheeded_regions
from mmleuk.datasets.check.splits import Summary, find_in_annotations, summarize
from mmleuk.errors import UserError


@dataclass(frozen=True)
class Report:
    """Findings and, for every split that could be read, its counts."""

    findings: tuple[Finding, ...]
    summaries: tuple[Summary, ...]

    @property
    def problems(self) -> tuple[Finding, ...]:
        """Findings to mend before training."""
        return tuple(finding for finding in self.findings if finding.severity == PROBLEM)


def check_config(cfg: Mapping, workers: int = 2) -> list[Finding]:
    """Findings of :func:`examine_config`."""
    return list(examine_config(cfg, workers).findings)


def examine_config(cfg: Mapping, workers: int = 2) -> Report:
    """Examine the data of a config's train, val and test splits; nothing is trained or written.

    Args:
        cfg: a loaded config.
        workers: threads that decode images.

    Raises:
        UserError: the config has no data set, or one that cannot be built.
    """
    sources, unchecked = find_sources(cfg)
    findings = [Finding(NOTE, '', 'not checked', f'{text}: only COCO JSON data sets are') for text in unchecked]
    findings += _find_in_model(cfg, sources)
    summaries: list[Summary] = []
    decoded: list[DecodedImage] = []
    for source in sources:
        findings += _find_in_config(source)
        try:
            annotations = source.read()
        except UserError as error:
            findings.append(Finding(PROBLEM, source.name, 'annotation file', str(error)))
            continue
        summaries.append(summarize(source.name, annotations, source.classes, source.schema))
        findings += find_in_annotations(source, annotations, summaries[-1])
        decoded += decode_images(source.name, source.dataset.data_prefix.get('img', ''), annotations.images,
                                 workers=workers, backend_args=source.dataset.backend_args)
    findings += _find_between(sources) + find_in_images(decoded) + find_in_evaluators(cfg, sources)
    return Report(tuple(findings), tuple(summaries))


def _find_in_config(source: Source) -> list[Finding]:
    found = []
    if isinstance(source.dataset, CocoDataset):
        found += find_renamed(source.name, source.dataset.ann_file, source.classes, 'CocoDataset')
    try:
        source.check_pipelines()
    except UserError as error:
        found.append(Finding(PROBLEM, source.name, 'pipeline', str(error)))
    return found


def _find_in_model(cfg: Mapping, sources: list[Source]) -> list[Finding]:
    found = []
    for classes in dict.fromkeys(source.classes for source in sources):
        try:
            check_num_classes(cfg, classes)
        except UserError as error:
            found.append(Finding(PROBLEM, '', 'number of classes', str(error)))
    for source in sources:
        try:
            check_head_attributes(cfg, source.schema, training='train' in source.splits)
        except UserError as error:
            found.append(Finding(PROBLEM, source.name, 'attributes', str(error)))
        if 'train' in source.splits and source.annotation == 'sparse':
            found += [Finding(PROBLEM, source.name, 'regions', text) for text in find_unheeded_regions(cfg)]
    return found


def _find_between(sources: list[Source]) -> list[Finding]:
    """Classes and attributes have to be the same in all splits."""
    found = []
    for source in sources[1:]:
        for noun, one, other in (('classes', sources[0].classes, source.classes),
                                 ('attributes', sources[0].schema, source.schema)):
            if one != other:
                found.append(Finding(PROBLEM, f'{sources[0].name} and {source.name}', noun,
                                     f'the {noun} differ between the splits; give all data sets the same metainfo'))
    return found
