"""Load the boxes of cells from records.

Legend: N cells, A attributes, R regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmdet.datasets.transforms import LoadAnnotations
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS
from mmleuk.structures import CellBoxes


@TRANSFORMS.register_module()
class LoadCellAnnotations(LoadAnnotations):
    """Load boxes as :class:`CellBoxes`: coordinates (N, 4), attributes (N, A) and annotated regions (R, 4).

    Reads ``instances`` (each with ``bbox``, ``bbox_label``, ``ignore_flag``, ``attributes``), ``num_attributes`` (A,
    also if an image has no cell), ``annotation`` ('complete' or 'sparse') and ``annotated_regions`` ([] for
    nowhere). A complete record without regions is known in the whole image. A sparse record must have its
    regions.

    Args:
        kwargs: MMDetection's, except for ``box_type``.

    Raises:
        UserError: the record lacks regions or attributes that it needs.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(box_type='cbox', **kwargs)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Results with ``gt_bboxes``, ``gt_bboxes_labels`` and ``gt_ignore_flags``, without the lists they come from.

        ``cells_view`` is the image's scale and flip at this moment, for :func:`cells_moved`.

        Transforms don't move the lists, and ``MultiImageMixDataset`` copies results before each transform:
        half of its time was spent on copies of ``instances``.

        Results without ``instances``, such as images of MMDetection's ``inference_detector``, stay unchanged.
        """
        if 'instances' not in results:
            return results
        loaded = super().transform(results)
        kept = {key: value for key, value in loaded.items() if key not in ('instances', 'annotated_regions')}
        return {**kept, 'cells_view': _view(results)}

    def _load_masks(self, results: dict[str, Any]) -> None:
        for index, instance in enumerate(results['instances']):
            if 'mask' not in instance:
                raise UserError(f'{_name(results)}: cell {index} has no mask; mmleuk.CellDataset reads none from '
                                'annotation files: load without with_mask=True, or use a data set whose instances '
                                "carry 'mask'")
        super()._load_masks(results)

    def _load_bboxes(self, results: dict[str, Any]) -> None:
        instances = results['instances']
        corners = np.array([instance['bbox'] for instance in instances], np.float32).reshape(-1, 4)
        results['gt_bboxes'] = CellBoxes.of(torch.from_numpy(corners), torch.from_numpy(_attributes(results)),
                                            _regions(results))
        results['gt_ignore_flags'] = np.array([instance['ignore_flag'] for instance in instances], bool)


def _view(results: dict[str, Any]) -> tuple[tuple[float, float], bool]:
    """Scale (x, y) and flip that the image has had so far."""
    return tuple(results.get('scale_factor', (1., 1.))), bool(results.get('flip'))


def cells_moved(results: dict[str, Any]) -> bool:
    """Whether the image was scaled or flipped after its cells were loaded, and the cells with it.

    >>> cells_moved(dict(cells_view=((1.0, 1.0), False), scale_factor=(0.5, 0.5)))
    True
    """
    return 'cells_view' in results and results['cells_view'] != _view(results)


def _name(results: dict[str, Any]) -> str:
    return f'image {results.get("img_path", results.get("img_id", "without a name"))}'


def _attributes(results: dict[str, Any]) -> np.ndarray:
    instances = results['instances']
    if 'num_attributes' not in results:
        raise UserError(f'{_name(results)}: the record has no num_attributes; mmleuk.CellDataset gives it '
                        '(0 where the data set has no attributes)')
    count = results['num_attributes']
    rows = [instance.get('attributes', ()) for instance in instances]
    if not count and not any(rows):
        return np.zeros((len(rows), 0), np.int64)
    for position, values in enumerate(rows):
        if len(values) != count:
            raise UserError(f'{_name(results)}: cell {position} has {len(values)} attributes, the schema has {count}')
    return np.array(rows, np.int64).reshape(len(rows), count)


def _regions(results: dict[str, Any]) -> Tensor:
    annotation = results.get('annotation')
    if annotation not in ('complete', 'sparse'):
        raise UserError(f"{_name(results)}: the record's annotation is {annotation!r}; it has to say 'complete' "
                        "(known everywhere) or 'sparse' (known in its annotated_regions)")
    if 'annotated_regions' in results:
        return _clipped(results['annotated_regions'], results['width'], results['height'])
    if annotation == 'sparse':
        raise UserError(f'{_name(results)}: sparse annotation without annotated_regions; give the image its regions '
                        '([] where nothing is known), or set annotation="complete" if every cell is labelled')
    return torch.tensor([[0, 0, results['width'], results['height']]], dtype=torch.float32)


def _clipped(regions: Sequence[Sequence[float]], width: int, height: int) -> Tensor:
    """(R, 4): what :func:`mmleuk.structures.clip_regions` gives; plain Python is faster for the few of a record."""
    cut = [(max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)) for x1, y1, x2, y2 in regions]
    sound = [(x1, y1, x2, y2) for x1, y1, x2, y2 in cut if x1 < x2 and y1 < y2]
    return torch.from_numpy(np.array(sound, np.float32).reshape(-1, 4))
