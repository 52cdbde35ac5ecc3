"""The processes that torchrun starts, for commands that share their work."""

from __future__ import annotations

import atexit
import datetime
import os
from dataclasses import dataclass

from mmleuk.errors import UserError

_PATIENCE = datetime.timedelta(days=7)
"""Wait this long for a slower process; torchrun ends all of them if one dies."""


@dataclass(frozen=True)
class Team:
    """One process of several.

    Args:
        rank: its number, from 0.
        size: how many there are.
        local_rank: its number on this machine: its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @classmethod
    def of_torchrun(cls) -> Team:
        """The team that torchrun describes in the environment; one process without it.

        Raises:
            UserError: the environment has something else in these variables.
        """
        try:
            return cls(*(int(os.environ.get(name, default))
                         for name, default in (('RANK', '0'), ('WORLD_SIZE', '1'), ('LOCAL_RANK', '0'))))
        except ValueError as error:
            raise UserError(f'RANK, WORLD_SIZE or LOCAL_RANK of the environment is no number ({error}); start with '
                            'torchrun, or unset them') from error

    def has(self, step: int) -> bool:
        """Whether a step is this process's."""
        return step % self.size == self.rank

    def device(self) -> str | None:
        """The GPU of this process, if there are several processes and GPUs; else None."""
        if self.size == 1:
            return None
        import torch
        return f'cuda:{self.local_rank % torch.cuda.device_count()}' if torch.cuda.is_available() else None

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            from torch import distributed
            if not distributed.is_initialized():
                distributed.init_process_group('gloo', timeout=_PATIENCE)
                atexit.register(distributed.destroy_process_group)
            distributed.barrier()
