"""The moving average of weights as a teacher."""

from __future__ import annotations

from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from mmleuk.errors import UserError
from mmleuk.registry import HOOKS


@HOOKS.register_module()
class EMATeacherHook(Hook):
    """Hand the model the moving average that an EMAHook keeps anyway, through its ``set_teacher(nn.Module)``.

    One average serves validation, testing, checkpoints and teaching: no second copy in memory, and resuming needs no
    further state. The model must hold the teacher where ``state_dict`` does not see it and put it to ``eval`` itself
    (:class:`Teacher` does both).

    Raises:
        UserError: no EMAHook runs beside it, or the model takes no teacher.
    """

    priority = 'VERY_LOW'  # after EMAHook, which copies the model before training

    def before_train(self, runner: Runner) -> None:
        """Find the average and hand it over."""
        averages = [hook for hook in runner.hooks if isinstance(hook, EMAHook)]
        if len(averages) != 1:
            raise UserError(f'EMATeacherHook needs one EMAHook (mmleuk.YOLOv5EMAHook) in custom_hooks, found '
                            f'{len(averages)}')
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        student, average = model, averages[0].ema_model.module
        while not hasattr(student, 'set_teacher') and hasattr(student, 'detector'):
            student, average = student.detector, average.detector
        if not hasattr(student, 'set_teacher'):
            raise UserError(f'EMATeacherHook: a {type(student).__name__} takes no teacher; take the hook out of the '
                            'config or choose a model that learns from one')
        student.set_teacher(average)


class Teacher:
    """Holds a module without registering it: neither ``state_dict``, ``train()`` nor an optimiser reaches it.

    Copying it (as the moving average copies its model) gives an empty one.
    """

    def __init__(self, module: nn.Module | None = None) -> None:
        self._module = module

    def __deepcopy__(self, memo: dict) -> Teacher:
        return Teacher()

    @property
    def module(self) -> nn.Module:
        """The teacher in evaluation mode.

        Raises:
            UserError: there is none.
        """
        if self._module is None:
            raise UserError("the model learns from a teacher and has none; add dict(type='mmleuk.EMATeacherHook') to "
                            'default_hooks')
        return self._module.eval()
