"""Transforms from records to data samples, with regions and attributes.

There is no transform for letterboxing; MMDetection's two do it, and cells move with them::

    dict(type='Resize', scale=(640, 640), keep_ratio=True),
    dict(type='Pad', size=(640, 640), pad_val=dict(img=(114, 114, 114))),  # in testing: mmleuk.Pad

Padding goes to the right and the bottom only, so predictions return to the original image by ``scale_factor`` alone
(``rescale=True``); YOLOv5 centres the image, which would need an offset that MMDetection doesn't subtract. Use equal
sides: MMDetection takes a ``scale`` with ``keep_ratio`` as long and short side in either orientation.
``RandomFlip``, ``RandomCrop`` and ``FilterAnnotations`` are also MMDetection's.
"""

from mmleuk.transforms.affine import RandomAffine
from mmleuk.transforms.center_crop import CenterCrop
from mmleuk.transforms.checks import check_pipeline_moves_regions
from mmleuk.transforms.color import ColorJitter, HSVJitter
from mmleuk.transforms.crop_cell import CropCell
from mmleuk.transforms.film_colours import FilmColours
from mmleuk.transforms.formatting import PackCells
from mmleuk.transforms.interference import (
    Defocus,
    Impurities,
    IncompleteCells,
    OverlappingCells,
    OverStaining,
    PaleStaining,
)
from mmleuk.transforms.load_image import LoadImage
from mmleuk.transforms.loading import LoadCellAnnotations
from mmleuk.transforms.mixing import MixUp, Mosaic
from mmleuk.transforms.mosaic_affine import MosaicAffine
from mmleuk.transforms.padding import Pad
from mmleuk.transforms.part_mask import LoadPartMask
from mmleuk.transforms.quarter import CropAroundCells
from mmleuk.transforms.region_mosaic import RegionMosaic
from mmleuk.transforms.regions import BlankOutsideRegions, CropToRegion
from mmleuk.transforms.resolution import Downscale, LoseResolution
from mmleuk.transforms.stain import StainJitter

__all__ = ['BlankOutsideRegions', 'CenterCrop', 'ColorJitter', 'CropAroundCells', 'CropCell', 'CropToRegion',
           'Defocus', 'Downscale', 'FilmColours', 'HSVJitter', 'Impurities', 'IncompleteCells', 'LoadCellAnnotations',
           'LoadImage', 'LoadPartMask', 'LoseResolution', 'MixUp', 'Mosaic', 'MosaicAffine', 'OverStaining',
           'OverlappingCells', 'PackCells', 'Pad', 'PaleStaining', 'RandomAffine', 'RegionMosaic', 'StainJitter',
           'check_pipeline_moves_regions']
