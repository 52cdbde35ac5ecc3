"""Speed of this package beside the original YOLOv5's, in one run: see ``tools/measure_speed.py``."""
