"""mmleuk: white blood cells, their types and their morphology, for MMDetection 3.x."""

__version__ = '0.1.0'
