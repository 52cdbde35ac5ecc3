"""A module that teaches another one without being a part of it."""

from __future__ import annotations

from torch import nn

from mmleuk.errors import UserError


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
