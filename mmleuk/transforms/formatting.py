"""Pack results of the pipeline into data samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmdet.datasets.transforms import PackDetInputs
from mmengine.structures import BaseDataElement

from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS
from mmleuk.structures import CellBoxes
from mmleuk.transforms.loading import cells_moved
from mmleuk.utils.channels import channels_first

META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction', 'pad_param',
             'domain', 'factors', 'patient', 'diagnosis')


@TRANSFORMS.register_module()
class PackCells(PackDetInputs):
    """Pack inputs and a data sample that also has attributes and annotated regions.

    Beside MMDetection's fields:
        ``gt_instances.attributes`` and ``ignored_instances.attributes``: (N, A) int64, IGNORE where unknown.
        ``annotated_regions`` in the metainfo of ``gt_instances`` (heads get only that) and of the data sample:
        (R, 4) float32 xyxy in the pixels of the boxes: input pixels in training, where annotations are loaded first;
        original pixels in testing, where they are loaded after resizing. Metainfo doesn't move when a
        sample goes to a GPU.
        ``ignored_boxes`` in the metainfo of ``gt_instances``: (M, 4) float32, those of ``ignored_instances``, if any.
        ``cells_moved`` in the data sample's metainfo: the cells aren't in original pixels, which metrics need.

    Args:
        meta_keys: keys of the results to put into the metainfo, where they exist.

    Raises:
        UserError: the boxes have no attributes and regions, or the masks don't belong to the boxes any more.
    """

    rejects = False

    def __init__(self, *, meta_keys: Sequence[str] = META_KEYS) -> None:
        super().__init__(meta_keys=())  # it would copy each fact deeply
        self.facts = tuple(meta_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack; results without boxes (plain images) are packed as MMDetection does it."""
        _check_masks(results)
        packed = super().transform({key: value for key, value in results.items() if key != 'img'})
        if 'img' in results:
            packed['inputs'] = channels_first(results['img'])
        sample = packed['data_samples']
        _set_fact(sample, **{key: results[key] for key in self.facts if key in results})
        if 'gt_bboxes' not in results:
            return packed
        boxes = results['gt_bboxes']
        if not isinstance(boxes, CellBoxes):
            raise UserError(f'PackCells got {type(boxes).__name__}: load annotations with mmleuk.LoadCellAnnotations, '
                            'and remove transforms that make other boxes')
        regions = boxes.regions.clone()
        for instances in (sample.gt_instances, sample.ignored_instances):
            if 'bboxes' in instances:
                instances.attributes = instances.bboxes.attributes
            _set_fact(instances, annotated_regions=regions)
        if len(sample.ignored_instances):
            _set_fact(sample.gt_instances, ignored_boxes=sample.ignored_instances.bboxes.tensor)
        _set_fact(sample, annotated_regions=regions, cells_moved=cells_moved(results))
        return packed

    def __repr__(self) -> str:
        return f'{type(self).__name__}(meta_keys={self.facts})'


def _set_fact(element: BaseDataElement, **facts: Any) -> None:
    """``set_metainfo`` without its deep copies, a tenth of the loading of a sample; nobody writes into facts."""
    for name, value in facts.items():
        element.set_field(value, name, field_type='metainfo')


def _check_masks(results: dict[str, Any]) -> None:
    """Refuse masks whose number or size doesn't fit boxes and image: a transform has not moved them."""
    if 'gt_masks' not in results:
        return
    masks, cells, image_hw = results['gt_masks'], len(results['gt_bboxes']), results['img'].shape[:2]
    if len(masks) != cells or (masks.height, masks.width) != image_hw:
        raise UserError(f'{results.get("img_path")}: {len(masks)} masks of {masks.height}x{masks.width} px came with '
                        f'{cells} cells in an image of {image_hw[0]}x{image_hw[1]} px: a transform moved the cells '
                        "without their masks; use mmleuk's, or load without masks")
