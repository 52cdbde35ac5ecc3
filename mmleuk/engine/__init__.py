"""Stage 4 of the data's journey: what happens between iterations (hooks, optimiser, checkpoints, launching)."""

from mmleuk.engine.checkpoint_hook import CheckpointHook
from mmleuk.engine.ema_teacher_hook import EMATeacherHook
from mmleuk.engine.optim_wrapper import AmpOptimWrapper, YOLOv5AmpOptimWrapper, YOLOv5OptimWrapper
from mmleuk.engine.part_pictures_hook import PartPicturesHook
from mmleuk.engine.pseudo_label_hook import PseudoLabelHook
from mmleuk.engine.runner import Runner
from mmleuk.engine.seed_hook import EpochSeedHook
from mmleuk.engine.skip_transforms_hook import SkipTransformsHook
from mmleuk.engine.yolov5_schedule import YOLOv5EMAHook, YOLOv5OptimWrapperConstructor, YOLOv5WarmupHook
from mmleuk.utils.checkpoint import fit_checkpoint, load_checkpoint_safely, load_weights
from mmleuk.utils.strict_config import check_config_keys

__all__ = [
    'AmpOptimWrapper',
    'CheckpointHook',
    'EMATeacherHook',
    'EpochSeedHook',
    'PartPicturesHook',
    'PseudoLabelHook',
    'Runner',
    'SkipTransformsHook',
    'YOLOv5AmpOptimWrapper',
    'YOLOv5EMAHook',
    'YOLOv5OptimWrapper',
    'YOLOv5OptimWrapperConstructor',
    'YOLOv5WarmupHook',
    'check_config_keys',
    'fit_checkpoint',
    'load_checkpoint_safely',
    'load_weights',
]
