"""Scale and aspect of a film's images, measured on its red cells.

Red cells are round and 7 to 8 micrometres wide on every film. So their width and height in pixels say how an image has
to be scaled for its cells to look as in training, and how many micrometres a pixel is.
"""

from mmleuk.calibration.calibrator import Calibrator
from mmleuk.calibration.groups import Calibration, calibrate
from mmleuk.calibration.red_cells import RED_CELL_MICRONS, RedCells, measure_red_cells

__all__ = ['RED_CELL_MICRONS', 'Calibration', 'Calibrator', 'RedCells', 'calibrate', 'measure_red_cells']
