"""Pictures of training samples, as the pipeline hands them to the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmdet.structures import DetDataSample
from PIL import Image

from mmleuk.pictures.drawing import draw_prediction
from mmleuk.pictures.masks import outlined
from mmleuk.schema import IGNORE, AttributeSchema
from mmleuk.structures.cell_parts import UNKNOWN
from mmleuk.structures.prediction import AttributeReading, Cell, Prediction

_UNKNOWN_GREY = 128
_UNKNOWN_LIGHT = 0.45  # how much of the light is left where nothing is known


class View(NamedTuple):
    """What one branch of a pipeline makes of an image; ``name`` is '' where there is one branch."""

    name: str
    picture: Image.Image
    sample: DetDataSample


def views_of(packed: Mapping[str, Any]) -> list[View]:
    """Views in what a pipeline packs: ``inputs`` (3, H, W) uint8 BGR and ``data_samples``, or a dict of either."""
    inputs, found = packed['inputs'], packed['data_samples']
    if not isinstance(inputs, Mapping):
        inputs, found = {'': inputs}, {'': found}
    return [View(name, Image.fromarray(np.ascontiguousarray(image.numpy()[::-1].transpose(1, 2, 0))), found[name])
            for name, image in inputs.items()]


def labelled_cells(sample: DetDataSample, classes: Sequence[str], schema: AttributeSchema) -> tuple[Cell, ...]:
    """A sample's labelled cells, boxes in pixels of what the network sees; unknown attributes are left out."""
    truth = sample.gt_instances
    boxes = getattr(truth.bboxes, 'tensor', truth.bboxes)
    values = truth.attributes.tolist() if 'attributes' in truth else [()] * len(truth)
    cells = []
    for box, label, indices in zip(boxes.tolist(), truth.labels.tolist(), values, strict=True):
        readings = {attribute.key: AttributeReading(value=attribute.values[index], value_index=index, prob=1.0)
                    for attribute, index in zip(schema.attributes, indices) if index != IGNORE}
        x1, y1, x2, y2 = box
        cells.append(Cell((x1, y1, x2, y2), 1.0, label, classes[label], readings))
    return tuple(cells)


def known_places(sample: DetDataSample, size_wh: tuple[int, int]) -> np.ndarray | None:
    """(H, W) bool: where the annotation is complete. None of a sample that says nothing of it (MMDetection's own)."""
    if 'annotated_regions' not in sample.metainfo:
        return None
    known = np.zeros(size_wh[::-1], bool)
    for x1, y1, x2, y2 in sample.metainfo['annotated_regions'].round().int().clamp(min=0).tolist():
        known[y1:y2, x1:x2] = True
    return known


def draw_view(view: View, classes: Sequence[str], schema: AttributeSchema) -> Image.Image:
    """A view with the labelled cells, their classes and attributes; darkened where the annotation says nothing.

    Args:
        view: the picture and its data sample.
        classes: class names by label.
        schema: names of the attributes; empty for none.
    """
    picture, known = view.picture, known_places(view.sample, view.picture.size)
    if known is not None:
        light = np.where(known, 1, _UNKNOWN_LIGHT)[..., None]
        picture = Image.fromarray((np.array(picture) * light).astype(np.uint8))
    truth = Prediction('', (picture.height, picture.width), labelled_cells(view.sample, classes, schema))
    return draw_prediction(picture, truth, classes, schema, certain=True)


def part_mask(sample: Any) -> np.ndarray | None:
    """(H, W) uint8: the number of a cell part per pixel, of a sample that has a mask."""
    if 'gt_sem_seg' not in sample:
        return None
    masks = sample.gt_sem_seg  # MMDetection packs it as sem_seg, MMSegmentation as data
    return (masks.sem_seg if 'sem_seg' in masks else masks.data)[0].numpy()


def draw_masked_view(view: View, palette: Sequence[Sequence[int]]) -> Image.Image:
    """A view of a sample with a mask, and beside it the same under the mask's colours; grey is unknown.

    Args:
        view: the picture and its data sample.
        palette: RGB by part.
    """
    mask = part_mask(view.sample)
    assert mask is not None
    colours = np.full((UNKNOWN + 1, 3), _UNKNOWN_GREY)
    colours[:len(palette)] = palette
    return outlined(view.picture, mask, colours.tolist())


def describe_masked_view(view: View, parts: Sequence[str]) -> str:
    """File, and the share of each part."""
    mask = part_mask(view.sample)
    assert mask is not None
    shares = [f'{name} {(mask == value).mean():.0%}' for value, name in enumerate(parts)]
    return f'{Path(view.sample.metainfo.get("img_path", "?")).name}: {", ".join(shares)}'


def describe_view(view: View) -> str:
    """File, labelled and ignored cells, and the share of the picture in which the annotation is complete."""
    sample, known = view.sample, known_places(view.sample, view.picture.size)
    words = [Path(sample.metainfo.get('img_path', '?')).name, f'{len(sample.gt_instances)} labelled']
    if ignored := len(sample.get('ignored_instances', ())):
        words.append(f'{ignored} ignored')
    return ', '.join([*words, *([] if known is None else [f'{known.mean():.0%} annotated'])])
