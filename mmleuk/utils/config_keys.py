"""Keys that configs may hold where no class says so."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from mmengine.runner import Runner
from torch.utils.data import DataLoader

_RUNNER = frozenset(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'}

# Read by mmengine's and MMDetection's runner and tools. Everything else at the top is a variable.
TOP_LEVEL_KEYS = _RUNNER | {
    'activation_checkpointing', 'compile', 'custom_imports', 'efficient_conv_bn_eval', 'find_unused_parameters',
    'model_wrapper_cfg', 'runner_type', 'sync_bn', 'test_pipeline', 'train_pipeline', 'tta_model', 'tta_pipeline',
}

MMDET2_KEYS = {
    'optimizer': 'put it in optim_wrapper=dict(optimizer=...)',
    'optimizer_config': 'put grad_clip in optim_wrapper=dict(clip_grad=...)',
    'lr_config': 'use param_scheduler',
    'runner': 'use train_cfg=dict(max_epochs=...)',
    'total_epochs': 'use train_cfg=dict(max_epochs=...)',
    'checkpoint_config': 'use default_hooks=dict(checkpoint=...)',
    'log_config': 'use default_hooks=dict(logger=...)',
    'evaluation': 'use val_evaluator and train_cfg=dict(val_interval=...)',
    'resume_from': 'use load_from with resume=True, or --resume',
    'dist_params': 'use env_cfg=dict(dist_cfg=...)',
    'data': 'use train_dataloader, val_dataloader and test_dataloader',
}

LOADER_KEYS = frozenset(inspect.signature(DataLoader.__init__).parameters) - {'self'} | {
    'num_batch_per_epoch', 'disable_subprocess_warning'}

PLAIN_KEYS = {
    'env_cfg': frozenset({'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'}),
    'auto_scale_lr': frozenset({'enable', 'base_batch_size'}),
    'randomness': frozenset({'seed', 'diff_rank_seed', 'deterministic'}),
}

DICT_KEYS = frozenset({'model', 'default_hooks', 'train_cfg', 'val_cfg', 'test_cfg', 'optim_wrapper', 'log_processor',
                       'visualizer', 'train_dataloader', 'val_dataloader', 'test_dataloader', *PLAIN_KEYS})
"""What is a dict or None."""


def _train_loop(cfg: Mapping) -> str:
    return 'EpochBasedTrainLoop' if cfg.get('by_epoch', True) else 'IterBasedTrainLoop'


DEFAULT_TYPES: dict[str, Callable[[Mapping], str]] = {
    'train_cfg': _train_loop,
    'val_cfg': lambda cfg: 'ValLoop',
    'test_cfg': lambda cfg: 'TestLoop',
    'optim_wrapper': lambda cfg: 'OptimWrapper',
    'log_processor': lambda cfg: 'LogProcessor',
}

# Taken out of a dict by whoever builds from it, not by the class.
BUILDER_KEYS = frozenset({
    'type', '_scope_', '_delete_',
    'priority',  # hooks
    'requires_grad',  # norm_cfg
    'override',  # init_cfg
    'convert_to_iter_based',  # param_scheduler
    'fallback_on_stride',  # dcn
    'by_epoch',  # train_cfg
    'bg_cls_weight',  # loss_cls of DETR's heads
    'deformable_groups',  # dcn, the old name that mmcv still takes
})

TRAIN_CFG_KEYS = frozenset({
    'allowed_border', 'assigner', 'ga_assigner', 'ga_sampler', 'reg_assigner',
    'center_ratio', 'debug', 'ignore_ratio', 'mask_size',
    'max_per_img', 'min_bbox_size', 'neg_pos_ratio', 'nms', 'nms_pre', 'num_pre_nms', 'pos_weight', 'rcnn', 'rpn',
    'rpn_proposal', 'sampler', 'initial_assigner', 'initial_epoch', 'alpha', 'beta', 'gamma', 'init', 'refine',
    'pos_radius',
    'smoothl1_beta', 'use_mask', 'num_points', 'oversample_ratio', 'importance_sample_ratio', 'code_weights',
    'pos_iou_thr', 'neg_iou_thr', 'min_pos_iou',
})

TEST_CFG_KEYS = frozenset({
    'center_topk', 'corner_topk', 'max_per_image', 'panoptic', 'class_agnostic', 'filter_thr', 'iou_thr', 'kernel',
    'local_maximum_kernel', 'mask_thr', 'mask_thr_binary', 'max_num', 'max_per_img', 'max_per_img_for_panoptic',
    'min_bbox_size', 'mode', 'multi_label',
    'nms', 'nms_pre', 'num_per_class', 'rcnn', 'rpn', 'score_thr', 'sigma', 'subdivision_steps',
    'subdivision_num_points',
    'scale_factor', 'top_k', 'topk', 'topk_per_class', 'update_thr', 'with_nms', 'yolox_style', 'object_mask_thr',
    'panoptic_on', 'semantic_on', 'instance_on', 'max_keep_imgs', 'chunked_size', 'tokens_positive', 'crop_size',
    'stride',
    'min_mask_area', 'conf_thr', 'max_dets', 'fast_nms', 'mask_overlap', 'iou_threshold', 'method', 'pre_nms',
})
