"""Config files, as all commands read them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config

from mmleuk.errors import UserError


def read_config(path: str | Path, options: Mapping | None = None) -> Config:
    """Read a config file and its bases, and put ``options`` (as of ``--cfg-options``) over them.

    Raises:
        UserError: a file is missing or is not a config, or an option names a place that no config can have.
    """
    if not Path(path).is_file():
        raise UserError(f'{path}: no such config file; configs lie under configs/')
    try:
        cfg = Config.fromfile(path)
    # A config is Python that somebody wrote: anything may be wrong in it.
    except Exception as error:
        raise UserError(f'{path}: not a usable config ({type(error).__name__}: {error})') from error
    try:
        # All at once: `a._delete_=True a.b=1` means something else one by one.
        cfg.merge_from_dict(dict(options or {}))
    # MMEngine's, for a key below a value that has none and for an index past a list's end.
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise UserError(f'--cfg-options {" ".join(f"{key}={value}" for key, value in (options or {}).items())}: '
                        f'{path} has no such place ({type(error).__name__}: {error})') from error
    return cfg
