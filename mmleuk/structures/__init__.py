"""Ground truth, predictions, boxes of cells and annotated regions; names that need torch are imported on first use."""

from typing import TYPE_CHECKING

from mmleuk.utils.lazy import lazy_names

if TYPE_CHECKING:
    from mmleuk.structures.cell_boxes import CellBoxes
    from mmleuk.structures.inscribed import inscribed_rectangles, project_regions
    from mmleuk.structures.regions import clip_regions, drop_empty_regions, intersect_regions, points_in_regions

__all__ = ['CellBoxes', 'clip_regions', 'drop_empty_regions', 'inscribed_rectangles', 'intersect_regions',
           'points_in_regions', 'project_regions']

__getattr__ = lazy_names(__name__, {
    'CellBoxes': 'cell_boxes', 'inscribed_rectangles': 'inscribed', 'project_regions': 'inscribed',
    'clip_regions': 'regions', 'drop_empty_regions': 'regions', 'intersect_regions': 'regions',
    'points_in_regions': 'regions'})
