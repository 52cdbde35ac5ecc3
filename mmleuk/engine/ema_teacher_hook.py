"""The moving average of weights as a teacher."""

from __future__ import annotations

from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmleuk.errors import UserError
from mmleuk.registry import HOOKS


@HOOKS.register_module()
class EMATeacherHook(Hook):
    """Pass the moving average of an EMAHook to the model, through its ``set_teacher(module)``.

    One average serves validation, testing, checkpoints and teaching: there is no second copy in memory, and resuming
    needs no further state. The model must hold the teacher outside its ``state_dict`` and put it into ``eval``
    mode itself
    (:class:`mmleuk.models.detectors.teacher.Teacher` does both).

    Raises:
        UserError: there is no EMAHook, or the model takes no teacher.
    """

    priority = 'VERY_LOW'  # after EMAHook, which copies the model before training

    def before_train(self, runner: Runner) -> None:
        """Find the average and pass it to the model."""
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
