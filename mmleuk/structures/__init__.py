"""Boxes of cells and the geometry of annotated regions."""

from mmleuk.structures.cell_boxes import CellBoxes
from mmleuk.structures.inscribed import inscribed_rectangles, project_regions
from mmleuk.structures.regions import clip_regions, drop_empty_regions, intersect_regions, points_in_regions

__all__ = ['CellBoxes', 'clip_regions', 'drop_empty_regions', 'inscribed_rectangles', 'intersect_regions',
           'points_in_regions', 'project_regions']
