"""mmleuk: white blood cells, their types and their morphology, for MMDetection 3.x."""

import warnings

__version__ = '0.1.0'

# MMDetection says so when it is imported; it is about FasterCocoMetric alone, and all metrics here are computed.
warnings.filterwarnings('ignore', message='faster_coco_eval is not installed')
