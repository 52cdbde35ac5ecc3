"""A teacher that is not a submodule of the model that learns from it."""

from __future__ import annotations

from torch import nn

from mmleuk.errors import UserError


class Teacher:
    """Holds a module without registering it: ``state_dict``, ``train()`` and optimisers don't include it.

    A copy is empty (the moving average copies its model).
    """

    def __init__(self, module: nn.Module | None = None) -> None:
        self._module = module

    def __deepcopy__(self, memo: dict) -> Teacher:
        return Teacher()

    @property
    def module(self) -> nn.Module:
        """The teacher in evaluation mode.

        Raises:
            UserError: there is no teacher.
        """
        if self._module is None:
            raise UserError("the model learns from a teacher, but has none; add dict(type='mmleuk.EMATeacherHook') to "
                            'default_hooks')
        return self._module.eval()
