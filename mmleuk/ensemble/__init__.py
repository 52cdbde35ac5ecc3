"""Fuse the detections of several models (Weighted Boxes Fusion), from tensors, saved predictions or loaded models."""

from mmleuk.ensemble.fusion import Detected, Fused, FusionSettings, fuse

__all__ = ['Detected', 'Fused', 'FusionSettings', 'fuse']
