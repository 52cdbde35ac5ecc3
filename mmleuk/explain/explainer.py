"""Explainer: images in, explained cells out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mmleuk.errors import UserError
from mmleuk.explain.bottleneck import Bottleneck
from mmleuk.explain.cells import ExplainedCell
from mmleuk.explain.reading import ConceptReader, FoundCell
from mmleuk.explain.stained import MIN_SHARE, stained_share
from mmleuk.pictures.drawing import load_image
from mmleuk.structures import prediction_files
from mmleuk.utils.image_inputs import check_images, list_images


class Explainer:
    """Reads the attributes of cells with a trained model and their type with a concept bottleneck.

    Args:
        config, checkpoint: of an :class:`AttributeRecognizer` or a detector with AttriHead.
        bottleneck: file of ``mmleuk bottleneck``, or the bottleneck itself.
        cells: predictions.json of ``mmleuk infer``: a recogniser then reads the leukocytes found there, instead of
            taking each image as one cell.
        device: such as 'cpu'; default: a GPU if there is one.
        min_score: leave out a detector's cells with a lower score.
        any_image: also explain crops in which nothing is stained as a nucleus.

    Raises:
        UserError: a file is missing or broken, or the bottleneck reads other attributes than the model predicts.
    """

    def __init__(self, config: str | Path | Config, checkpoint: str | Path, bottleneck: str | Path | Bottleneck, *,
                 cells: str | Path | None = None, device: str | None = None, min_score: float = 0.25,
                 any_image: bool = False) -> None:
        self.bottleneck = bottleneck if isinstance(bottleneck, Bottleneck) else Bottleneck.from_json(bottleneck)
        self.found_before = None if cells is None else prediction_files.from_json(cells)
        self.reader = ConceptReader(config, checkpoint, device, min_score)
        self.any_image = any_image
        if self.found_before is not None and self.reader.detector is not None:
            raise UserError(f'{cells}: the model finds cells itself; leave the predictions out, or give the config of '
                            'an AttributeRecognizer')
        if self.bottleneck.schema.values_by_key != self.reader.schema.values_by_key:
            raise UserError(f'the bottleneck reads {", ".join(self.bottleneck.schema.keys)}; the model predicts '
                            f'{", ".join(self.reader.schema.keys)}; fit one for this model with mmleuk bottleneck')

    def __call__(self, inputs: str | Path | Iterable[str | Path]) -> list[ExplainedCell]:
        """Explain the cells of image files, folders or globs.

        Raises:
            UserError: an input is missing or unreadable, or an image shows no cell. The message names it.
        """
        paths = list_images(inputs)
        check_images(paths)
        found = self._find(paths)
        with_cell = {cell.path for cell in found}
        for path in paths:
            if str(path) not in with_cell:
                raise UserError(f'{path}: no cell with attributes was found in this image, so there is nothing to '
                                'explain; leave it out')
        return [ExplainedCell(cell.name, cell.path, cell.box_xyxy, cell.concepts, self.bottleneck,
                              other_type=cell.type_name, features=cell.features) for cell in found]

    def _find(self, paths: list[Path]) -> list[FoundCell]:
        if self.reader.detector is not None:
            return self.reader.read_films(paths)
        if self.found_before is not None:
            return self.reader.read_boxes(self.found_before, paths)
        for path in paths if not self.any_image else []:
            share = stained_share(np.asarray(load_image(path))[:, :, ::-1])
            if share < MIN_SHARE:
                raise UserError(f'{path}: shows no cell: {share:.1%} of the image is stained as a nucleus, '
                                f'{MIN_SHARE:.0%} are needed; give an image of one leukocyte (--any-image explains it '
                                'nevertheless)')
        return self.reader.read_crops(paths)
