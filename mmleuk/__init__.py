"""mmleuk: white blood cells, their types and their morphology, for MMDetection 3.x."""

import sys
import warnings

from mmleuk.utils.quiet_import import QuietImport

__version__ = '0.1.0'

# MMDetection prints this warning on import. It concerns only FasterCocoMetric, which isn't used here.
warnings.filterwarnings('ignore', message='faster_coco_eval is not installed')
sys.meta_path.insert(0, QuietImport())
