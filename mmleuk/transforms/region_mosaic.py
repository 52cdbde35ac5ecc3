"""Images made of annotated regions only, so training time is spent where the truth is known.

Legend: N cells, R regions.
"""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmengine.logging import print_log
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.registry import TRANSFORMS
from mmleuk.structures import CellBoxes, clip_regions, points_in_regions
from mmleuk.transforms.fitting import fit_picture
from mmleuk.transforms.masks import join_masks, move_masks, paste
from mmleuk.transforms.repeat_factors import cells_per_image, repeat_factors
from mmleuk.transforms.selection import CELL_KEYS, cells_in_sight, select_cells


@TRANSFORMS.register_module()
class RegionMosaic(BaseTransform):
    """Tile a canvas with windows around the annotated regions of several images.

    In a sparse training image only a fifth of the area is annotated, and the rest costs time. Here every tile shows an
    annotated region with its surroundings, at the scale of the image in ``img_scale``. With four tiles the same number
    of pixels has four times as many labelled cells. The area around a region in its tile stays unknown.

    A cell whose centre lies in its window is kept and clipped there, an ignored box if it overlaps the window; regions
    are cut to the window. A window that is larger than the region lies at random around it; a smaller one at random
    inside it. Half of a large cell can lie outside of its window; ``whole_cells`` lets windows grow until the region
    and its labelled cells are whole in them, and scales them down to their tiles.

    Args:
        img_scale: (width, height) of the canvas, and of the whole image that a window is cut from.
        tiles: windows per row and per column.
        prob: share of samples that are tiled; others stay unchanged.
        pad_val: grey value where the window is larger than the image.
        whole_cells: windows grow, in both directions alike, and are scaled down, at most to the whole image in a tile.
        oversample_thr: types with labelled cells in fewer images than this share are drawn more often, by the repeat
            factors of their images. 0: all images alike.

    In the pipeline of a ``MultiImageMixDataset`` it takes ``tiles ** 2 - 1`` further images.
    """

    rejects = False

    def __init__(self, *, img_scale: tuple[int, int] = (640, 640), tiles: int = 2, prob: float = 1.0,
                 pad_val: int = 114, whole_cells: bool = False, oversample_thr: float = 0.0) -> None:
        if tiles < 1 or not 0 <= prob <= 1 or min(img_scale) < tiles or not 0 <= oversample_thr <= 1:
            raise UserError('RegionMosaic needs tiles >= 1, prob and oversample_thr in [0, 1] and a canvas of at least '
                            f'one pixel per tile, got tiles={tiles}, prob={prob}, oversample_thr={oversample_thr}, '
                            f'img_scale={img_scale}')
        self.img_scale = img_scale
        self.tiles = tiles
        self.prob = prob
        self.pad_val = pad_val
        self.whole_cells = whole_cells
        self.oversample_thr = oversample_thr
        self._chances: np.ndarray | None = None
        self.window_wh = img_scale[0] // tiles, img_scale[1] // tiles

    def prepare(self, dataset: Any) -> None:
        """Look at all labels, so that rare types can be drawn more often, and log what that will give."""
        if not self.oversample_thr:
            return
        counts = cells_per_image(dataset)
        factors = repeat_factors(counts, self.oversample_thr)
        self._chances = factors / factors.sum()
        seen = [f'{name} {plain:.1f} -> {drawn:.1f}' for name, plain, drawn in zip(
            dataset.metainfo['classes'], 100 * counts.mean(0), 100 * self._chances @ counts)]
        print_log('RegionMosaic: labelled cells per 100 further windows, drawn evenly -> by rarity: ' + ', '.join(seen),
                  'current')

    @cache_randomness
    def get_indexes(self, dataset: Any) -> list[int]:
        """Further images, drawn at random with replacement."""
        further = self.tiles ** 2 - 1
        if not self.oversample_thr:
            return np.random.randint(0, len(dataset), further).tolist()
        if self._chances is None:
            raise UserError('RegionMosaic: oversample_thr works in the pipeline of mmleuk.MultiImageMixDataset, which '
                            'lets it see all labels first; not in that of MMDetection')
        return np.random.choice(len(dataset), further, p=self._chances).tolist()

    @cache_randomness
    def _draw(self) -> np.ndarray:
        """One number that decides whether to tile, then three per tile: the region and the window's position."""
        return np.random.uniform(size=1 + 3 * self.tiles ** 2)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Results with further ones in ``mix_results`` to one of ``img_scale``; the parts stay unchanged."""
        chance, *draws = self._draw()
        if chance >= self.prob:
            return results
        width, height = self.img_scale
        canvas = np.full((height, width, *results['img'].shape[2:]), self.pad_val, dtype=results['img'].dtype)
        parts = []
        for index, part in enumerate([results, *results['mix_results']]):
            row, column = divmod(index, self.tiles)
            tile = self._window(part, draws[3 * index:3 * index + 3])
            left, top = column * self.window_wh[0], row * self.window_wh[1]
            rows, columns = tile['img'].shape[:2]
            canvas[top:top + rows, left:left + columns] = tile['img']
            tile['gt_bboxes'].translate_((left, top))
            window = slice(0, rows), slice(0, columns)
            to = slice(top, top + rows), slice(left, left + columns)
            parts.append(tile | move_masks(tile, partial(paste, canvas_hw=(height, width), to=to, of=window)))
        boxes = parts[0]['gt_bboxes'].cat([part['gt_bboxes'] for part in parts])
        mixed = results | dict(img=canvas, img_shape=(height, width), gt_bboxes=boxes) | join_masks(parts)
        return mixed | {key: np.concatenate([part[key] for part in parts]) for key in CELL_KEYS}

    def _window(self, results: dict[str, Any], draws: list[float]) -> dict[str, Any]:
        """The part of an image that one tile shows, with cells and regions in the tile's pixels."""
        tile = fit_picture(results, self.img_scale)
        image, boxes = tile['img'], tile['gt_bboxes']
        height, width = image.shape[:2]
        known = boxes.regions[int(draws[0] * len(boxes.regions))] if len(boxes.regions) else (
            boxes.regions.new_tensor([0, 0, width, height]))
        window_wh = self.window_wh
        if self.whole_cells:
            known = _with_cells(known, boxes, (height, width))
            window_wh = self._grown(known)
        x1, y1, x2, y2 = known.tolist()
        left = window_start(x1, x2, window_wh[0], width, draws[1])
        top = window_start(y1, y2, window_wh[1], height, draws[2])
        window = slice(top, top + window_wh[1]), slice(left, left + window_wh[0])
        tile['img'] = image = image[window]
        tile |= move_masks(tile, lambda masks: masks[:, window[0], window[1]])
        boxes.translate_((-left, -top))
        rows, columns = image.shape[:2]
        regions = clip_regions(boxes.regions, (rows, columns))
        inside = cells_in_sight(results, boxes, boxes.regions.new_tensor([[0, 0, columns, rows]]))
        boxes.clip_((rows, columns))
        boxes.regions = regions
        select_cells(tile, inside)
        return tile if window_wh == self.window_wh else fit_picture(tile, self.window_wh)

    def _grown(self, known: Tensor) -> tuple[int, int]:
        """(width, height) of the smallest window in a tile's shape that holds ``known`` (4,) xyxy, a tile at least."""
        width, height = (known[2:] - known[:2]).tolist()
        factor = max(1.0, width / self.window_wh[0], height / self.window_wh[1])
        return ceil(self.window_wh[0] * factor), ceil(self.window_wh[1] * factor)

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(img_scale={self.img_scale}, tiles={self.tiles}, prob={self.prob}, '
                f'pad_val={self.pad_val}, whole_cells={self.whole_cells}, '
                f'oversample_thr={self.oversample_thr})')


def _with_cells(region: Tensor, boxes: CellBoxes, image_hw: tuple[int, int]) -> Tensor:
    """The smallest box around a region (4,) xyxy and the cells whose centres lie in it, cut at the image's border."""
    inside = boxes.tensor[points_in_regions(boxes.centers, region[None])]
    corners = torch.cat([region[None], clip_regions(inside, image_hw)])
    return torch.cat([corners[:, :2].amin(0), corners[:, 2:].amax(0)])


def window_start(low: float, high: float, size: int, limit: int, draw: float) -> int:
    """First pixel of a window of ``size`` along one side of an image with ``limit`` pixels.

    Args:
        low: start of the region.
        high: end of the region.
        size: size of the window; it contains a shorter region and lies inside a longer one.
        limit: size of the image; the window stays inside it if it fits.
        draw: in [0, 1), chooses one of the possible positions.

    Example:
        >>> [window_start(40, 60, 50, 200, draw) for draw in (0., 0.5, 0.999)]
        [10, 25, 40]
        >>> [window_start(0, 100, 50, 200, draw) for draw in (0., 0.999)], window_start(90, 99, 50, 100, 0.9)
        ([0, 50], 50)
    """
    first, last = sorted((high - size, low))
    start = round(first + draw * (last - first))
    return max(min(start, limit - size), 0)
