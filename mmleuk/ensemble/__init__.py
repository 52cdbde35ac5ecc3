"""Several models' detections become one: Weighted Boxes Fusion, from tensors, saved predictions or live models."""

from mmleuk.ensemble.fusion import Detected, Fused, FusionSettings, fuse

__all__ = ['Detected', 'Fused', 'FusionSettings', 'fuse']
