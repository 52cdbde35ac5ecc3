"""Writes rendered crops of single cells with a table like WBCAtt's."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from mmleuk.errors import UserError
from mmleuk.schema import LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES
from mmleuk.synthetic.looks import sample_look
from mmleuk.synthetic.pairs import cell_labels, mixed_look, render_cell
from mmleuk.synthetic.writer import SPLITS, in_parallel
from mmleuk.utils.new_folder import new_folder, write_text
from mmleuk.utils.progress import progress
from mmleuk.utils.square_crops import square_crop
from mmleuk.utils.tables import Row, csv_text

MARGIN = 0.15
NO_TYPE = 'None'
"""Class of a mixed cell: its attributes fit no type."""


@dataclass(frozen=True)
class CropSettings:
    """What a set of crops holds.

    Args:
        side: width and height of a crop, pixels.
        seed: same seed, same crops.
        mixed: share of the cells whose attributes are drawn at random; the others look as their class does.
    """

    side: int = 96
    seed: int = 0
    mixed: float = 0.5


def render_crop(settings: CropSettings, split: str, index: int) -> tuple[np.ndarray, Row]:
    """One crop (side, side, 3) uint8 BGR and its row of the table."""
    sequence = np.random.SeedSequence(settings.seed, spawn_key=(SPLITS.index(split), index))
    rng = np.random.default_rng(sequence)
    labels = cell_labels()
    label, is_mixed = labels[index % len(labels)], bool(rng.uniform() < settings.mixed)
    look = mixed_look(label, rng) if is_mixed else sample_look(label, rng)
    cell = render_cell(look, int(rng.integers(0, 2 ** 31)))
    crop = cv2.resize(square_crop(cell.image, cell.box_xyxy, MARGIN), (settings.side, settings.side),
                      interpolation=cv2.INTER_AREA)
    values = {key: LEUKEMIA_ATTRIBUTES.decode(key, value) for key, value in zip(LEUKEMIA_ATTRIBUTES.keys,
                                                                               look.attributes)}
    return crop, dict(img_name=f'{index:05d}.png', label=NO_TYPE if is_mixed else LEUKEMIA_CLASSES[label], **values)


def _write_crop(settings: CropSettings, folder: Path, split: str, index: int) -> Row:
    crop, row = render_crop(settings, split, index)
    (folder / row['img_name']).write_bytes(cv2.imencode('.png', crop)[1].tobytes())
    return row


def synthesize_crops(out_dir: str | os.PathLike, *, train: int = 4000, test: int = 600, side: int = 96, seed: int = 0,
                     mixed: float = 0.5, workers: int = 2, say: Callable[[str], None] = print) -> Path:
    """Render crops into a new folder: images/{train,test}/00000.png ... and {train,test}.csv.

    Args:
        out_dir: the new folder; it appears whole or not at all.
        train, test: number of crops.
        side, seed, mixed: as of :class:`CropSettings`.
        workers: processes.
        say: gets one line about what was done.

    Raises:
        UserError: an argument is out of its range, the folder exists, or it can't be written.
    """
    for name, value, good, allowed in (
            ('train', train, train >= 1, 'at least 1'), ('test', test, test >= 1, 'at least 1'),
            ('side', side, 16 <= side <= 256, '16 to 256 pixels'), ('seed', seed, seed >= 0, 'at least 0'),
            ('mixed', mixed, 0 <= mixed <= 1, '0 to 1'), ('workers', workers, workers >= 1, 'at least 1')):
        if not good:
            raise UserError(f'{name} is {value!r}; allowed: {allowed}')
    settings = CropSettings(side, seed, mixed)
    with new_folder(Path(out_dir), doing='rendering') as folder:
        for split, count in zip(SPLITS, (train, test)):
            images = folder / 'images' / split
            images.mkdir(parents=True)
            rows = list(progress(in_parallel(partial(_write_crop, settings, images, split), count, workers), count,
                                 f'{split} crops'))
            write_text(folder / f'{split}.csv', csv_text(rows))
    say(f'{out_dir}: {train} training and {test} test crops')
    return Path(out_dir)
