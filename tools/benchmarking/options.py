"""Settings of a suite or a row, for ``--cfg-options`` of its trainings."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator


def _check_options(options: dict[str, Any]) -> dict[str, Any]:
    if 'randomness.seed' in options:
        raise ValueError("randomness.seed comes from the row's seeds; take it out")
    for key, value in options.items():
        if isinstance(value, dict):
            raise ValueError(f'{key}: write nested keys with dots, such as train_cfg.max_epochs')
    return options


Options = Annotated[dict[str, Any], AfterValidator(_check_options)]
