"""Masks of a trained model of MMSegmentation for images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate

from mmleuk.datasets.cell_masks import CellMaskDataset
from mmleuk.errors import UserError
from mmleuk.registry import DATASETS
from mmleuk.structures.cell_parts import PARTS
from mmleuk.utils.checkpoint import load_weights
from mmleuk.utils.config_file import build_model, building, read_config


class PartPredictor:
    """Predicts the part of each pixel.

    Args:
        config: of a training on :class:`mmleuk.CellMaskDataset`.
        checkpoint: its weights.
        device: such as 'cpu' or 'cuda:0'; by default a GPU if there is one.
        batch_size: images per forward pass; images of other sizes than the one before start a new batch.

    ``parts`` are the names of the values, all of them of :data:`PARTS`, whatever their order in the model.

    Raises:
        UserError: config, checkpoint or device can't be used, or the model's parts aren't known ones.
    """

    def __init__(self, config: str | Path, checkpoint: str | Path, device: str | None = None,
                 batch_size: int = 16) -> None:
        self.cfg = read_config(config, needed=('model', 'test_dataloader'))
        dataset = self.cfg.test_dataloader.dataset
        if not (isinstance(dataset.get('type'), str) and issubclass(DATASETS.get(dataset.type), CellMaskDataset)):
            raise UserError(f'{config}: its data set is {dataset.get("type")}; masks are predicted by models that were '
                            'trained on mmleuk.CellMaskDataset, such as configs/segmentation')
        self.parts = tuple((dataset.get('metainfo') or {}).get('classes', PARTS))
        unknown = [part for part in self.parts if part not in PARTS]
        if unknown:
            raise UserError(f'{config}: unknown part {unknown[0]!r} in metainfo.classes; known are {", ".join(PARTS)}')
        self.values = np.array([PARTS.index(part) for part in self.parts], np.uint8)
        self.model: Any = build_model(self.cfg)
        load_weights(self.model, checkpoint)
        try:
            self.model.to(device or ('cuda:0' if torch.cuda.is_available() else 'cpu')).eval()
        except (RuntimeError, AssertionError) as error:
            raise UserError(f'device {device!r} cannot be used ({str(error).splitlines()[0]}); try --device cpu'
                            ) from error
        with building(self.cfg):
            self.pipeline = Compose([step for step in dataset.pipeline if step['type'] != 'mmleuk.LoadPartMask'])
        self.batch_size = batch_size

    def __call__(self, paths: Sequence[str | Path]) -> Iterator[np.ndarray]:
        """Per image its mask, (H, W) uint8 with values as :data:`PARTS`, in the image's own size."""
        for batch in self._batches(paths):
            with torch.no_grad():
                for sample in self.model.test_step(pseudo_collate(batch)):
                    yield self.values[sample.pred_sem_seg.data[0].cpu().numpy()]

    def _batches(self, paths: Sequence[str | Path]) -> Iterator[list[dict]]:
        batch: list[dict] = []
        for path in paths:
            item = self.pipeline(dict(img_path=str(path), img_id=0, seg_fields=[]))
            if batch and (len(batch) == self.batch_size or item['inputs'].shape != batch[0]['inputs'].shape):
                yield batch
                batch = []
            batch.append(item)
        if batch:
            yield batch
