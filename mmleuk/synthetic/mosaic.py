"""Writes one large film, a mosaic of rendered fields, as tiled TIFF with its truth: for tests of large images."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mmleuk.errors import UserError
from mmleuk.schema import LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES
from mmleuk.synthetic.classes import CLASS_BALANCES
from mmleuk.synthetic.film import MIN_VISIBLE, render_film
from mmleuk.synthetic.writer import SPLITS, Settings, annotation_of, in_parallel, info
from mmleuk.utils.files import replacing
from mmleuk.utils.json_files import write_json
from mmleuk.utils.progress import progress

FIELD_PX = 640
"""Side of a field, and of a tile of the file."""
_JPEG_LEVEL = 92


def write_mosaic(path: Path, side: int, settings: Settings, workers: int = 1,
                 overwrite: bool = False) -> dict[str, Any]:
    """Render a film of ``side`` x ``side`` px into a TIFF file, and its truth (COCO) beside it with the suffix .json.

    Fields are rendered, written and forgotten one after the other, so that memory doesn't grow with the film. Cells
    that a field's border cuts have the box of their visible part, as in any field.

    Args:
        path: of the TIFF file.
        side: pixels.
        settings: cells per field, class balance, share of empty fields, seed. A film of the same seed is the same.
        workers: processes that render.
        overwrite: replace existing files.

    Returns:
        The truth.

    Raises:
        UserError: the side is out of its range, a file exists or can't be written, or tifffile is missing.
    """
    try:
        import imagecodecs  # noqa: F401 (tifffile encodes JPEG with it)
        import tifffile
    except ImportError as error:
        raise UserError(f"a large film needs tifffile and imagecodecs ({error}): pip install 'mmleuk[wsi]'") from error
    truth = path.with_suffix('.json')
    if not 64 <= side <= 200_000:
        raise UserError(f'the film is {side} px; allowed: 64 to 200000')
    if path.suffix.lower() not in ('.tif', '.tiff'):
        raise UserError(f'{path}: name a .tif file')
    for file in (path, truth):
        if file.exists() and not overwrite:
            raise UserError(f'{file}: exists already; name another file, or give --overwrite')
    across = -(-side // FIELD_PX)
    fields = in_parallel(partial(_field, settings), across ** 2, workers)
    annotations: list[dict] = []

    def tiles() -> Iterator[np.ndarray]:
        for index, (image, cells) in enumerate(progress(fields, across ** 2, f'{path.name}: fields')):
            top, left = (FIELD_PX * number for number in divmod(index, across))
            annotations.extend(_moved(cell, left, top, side) for cell in cells)
            yield image

    with replacing(path) as temporary:
        tifffile.imwrite(temporary, tiles(), shape=(side, side, 3), dtype=np.uint8, tile=(FIELD_PX, FIELD_PX),
                         photometric='rgb', compression='jpeg', compressionargs=dict(level=_JPEG_LEVEL), metadata=None)
    kept = [annotation for annotation in annotations if annotation]
    data = dict(info=info(settings) | dict(film_side=side), attributes=LEUKEMIA_ATTRIBUTES.to_dict(),
                categories=[dict(id=label, name=name) for label, name in enumerate(LEUKEMIA_CLASSES, 1)],
                images=[dict(id=1, file_name=path.name, width=side, height=side)],
                annotations=[dict(id=number, image_id=1) | cell for number, cell in enumerate(kept, 1)])
    write_json(truth, data)
    return data


def _field(settings: Settings, index: int) -> tuple[np.ndarray, list[dict]]:
    """A field, (640, 640, 3) uint8 RGB, and its annotations."""
    rng = np.random.default_rng(np.random.SeedSequence(settings.seed, spawn_key=(len(SPLITS), index)))
    chances = CLASS_BALANCES[settings.class_balance]
    count = int(rng.integers(settings.cells[0], settings.cells[1] + 1))
    labels = [] if rng.uniform() < settings.empty_share else rng.choice(len(chances), count, p=chances).tolist()
    film = render_film(rng, labels, FIELD_PX)
    cells = [annotation_of(cell.look.label, cell.look.attributes, cell.box_xywh, settings.unknown_share, rng)
             for cell in film.cells]
    return np.ascontiguousarray(film.image[..., ::-1]), cells


def _moved(annotation: dict, left: int, top: int, side: int) -> dict:
    """The annotation in the film's pixels, cut at the film's border; empty if less than half of it is in the film."""
    x, y, width, height = annotation['bbox']
    x, y = x + left, y + top
    seen = min(width, side - x), min(height, side - y)
    if min(seen) <= 0 or seen[0] * seen[1] < MIN_VISIBLE * width * height:
        return {}
    return annotation | dict(bbox=[x, y, *seen], area=seen[0] * seen[1])
