"""mmleuk: white blood cells, their types and their morphology, for MMDetection 3.x."""

import sys
import warnings

from mmleuk.utils.quiet_import import QuietImport

__version__ = '0.1.0'

# MMDetection says so when it is imported; it is about FasterCocoMetric alone, and all metrics here are computed.
warnings.filterwarnings('ignore', message='faster_coco_eval is not installed')
sys.meta_path.insert(0, QuietImport())
