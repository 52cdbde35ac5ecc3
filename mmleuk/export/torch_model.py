"""The torch model that is exported, as its file will work: red cells are measured only where the scale needs them."""

from __future__ import annotations

from pathlib import Path

from mmleuk.apis import Inferencer


def load_torch_model(config: str | Path | None = None, checkpoint: str | Path | None = None,
                     min_score: float | None = None) -> Inferencer:
    """An inferencer on the CPU; arguments as of :class:`Inferencer`."""
    inferencer = Inferencer(config, checkpoint, 'cpu', min_score)
    if inferencer.scaled_to is None:
        inferencer.calibrator = None
    return inferencer
