"""Child registries of MMDetection's, scope ``mmleuk``.

A config has ``type='mmleuk.X'``. The prefix makes mmengine import this module, and each registry imports its
``locations`` before the first look-up, so no ``custom_imports`` are needed. Names without the prefix keep MMDetection's
meaning (its ``TripletLoss`` differs from ``mmleuk.TripletLoss``).
"""

from mmleuk.stack import require_stack

require_stack()  # first: a missing or second MMDetection must be one clear error, not an ImportError

from mmdet.registry import DATA_SAMPLERS as MMDET_DATA_SAMPLERS
from mmdet.registry import DATASETS as MMDET_DATASETS
from mmdet.registry import HOOKS as MMDET_HOOKS
from mmdet.registry import METRICS as MMDET_METRICS
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMDET_OPTIM_WRAPPER_CONSTRUCTORS
from mmdet.registry import TASK_UTILS as MMDET_TASK_UTILS
from mmdet.registry import TRANSFORMS as MMDET_TRANSFORMS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import RUNNERS as MMENGINE_RUNNERS
from mmengine.registry import Registry

SCOPE = 'mmleuk'


def _child(kind: str, parent: Registry, *locations: str) -> Registry:
    return Registry(kind, parent=parent, scope=SCOPE, locations=[f'mmleuk.{name}' for name in locations])


DATASETS = _child('dataset', MMDET_DATASETS, 'datasets.cell_masks', 'datasets.cells', 'datasets.crops',
                  'datasets.label_noise', 'datasets.leukemia_attri', 'datasets.mixed', 'datasets.source_target',
                  'datasets.unlabelled_crops', 'datasets.voc_cells')
DATA_SAMPLERS = _child('data sampler', MMDET_DATA_SAMPLERS, 'datasets.source_sampler')
TRANSFORMS = _child('transform', MMDET_TRANSFORMS, 'transforms')
MODELS = _child('model', MMDET_MODELS, 'models')
TASK_UTILS = _child('task util', MMDET_TASK_UTILS, 'models')
METRICS = _child('metric', MMDET_METRICS, 'evaluation.attribute_metric', 'evaluation.coco_metric',
                 'evaluation.crop_metric', 'evaluation.disagreement', 'evaluation.majority',
                 'evaluation.part_metric')
HOOKS = _child('hook', MMDET_HOOKS, 'engine')
RUNNERS = _child('runner', MMENGINE_RUNNERS, 'engine')
OPTIM_WRAPPERS = _child('optimizer wrapper', MMENGINE_OPTIM_WRAPPERS, 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(
    'optimizer wrapper constructor', MMDET_OPTIM_WRAPPER_CONSTRUCTORS, 'engine')
