"""Images of a film's fields, from one folder and from nowhere else."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmleuk.errors import UserError
from mmleuk.pictures.drawing import load_image
from mmleuk.slides.readers import is_large, open_slide

_JPEG_QUALITY = 92
MAX_WINDOW_PX = 4096


class FieldImages:
    """Reads fields below one folder.

    Args:
        fields: rows of the bank (``name``, ``path``).
        folder: of the film; default: the deepest folder that holds all of its images.

    Raises:
        UserError: there is no such folder, or the images have none in common.
    """

    def __init__(self, fields: Sequence[Any], folder: str | Path | None = None) -> None:
        paths = [field.path for field in fields if field.path]
        if folder is None and not paths:
            raise UserError('the bank does not say where the images of the film are; give --images FOLDER')
        common = folder if folder is not None else os.path.commonpath([Path(path).parent for path in paths])
        self.root = Path(common).resolve()
        if self.root == Path(self.root.anchor):
            raise UserError('the images of the film have no folder in common; give --images FOLDER')
        if not self.root.is_dir():
            raise UserError(f'{self.root}: there is no such folder; give --images FOLDER, where the images of the '
                            'film are now')

    def path(self, field: Any) -> Path:
        """The file of a field: where it was, else by its name below the folder.

        Raises:
            UserError: it isn't there, or lies outside of the folder, also by a link.
        """
        files = [Path(file).resolve() for file in (field.path, self.root / field.name) if file]
        inside = [file for file in files if file.is_relative_to(self.root)]
        if not inside:
            raise UserError(f'{field.name}: lies outside of the folder of the film, {self.root}; give --images FOLDER')
        found = next((file for file in inside if file.is_file()), None)
        if found is None:
            raise UserError(f'{field.name}: the image is gone; give --images FOLDER, where it is now')
        return found

    def file_name(self, field: Any) -> str:
        """Path relative to the folder, with '/'."""
        return self.path(field).relative_to(self.root).as_posix()

    def jpeg(self, field: Any, window: tuple[int, int, int, int] | None = None) -> bytes:
        """The field as JPEG, of at most 4,096 px: an image of its own pixels where it fits, else a smaller one.

        Args:
            field: row of the bank.
            window: x, y, width, height of the part to show.

        Raises:
            UserError: see :meth:`path`; or it can't be read, the window is too large or lies outside.
        """
        return _encoded(str(self.path(field)), (field.width_px, field.height_px), window, field.intensity)


@lru_cache(maxsize=16)
def _encoded(path: str, size_wh: tuple[int, int], window: tuple[int, int, int, int] | None,
             intensity: str | None) -> bytes:
    x, y, width, height = window or (0, 0, *size_wh)
    if window is not None and max(width, height) > MAX_WINDOW_PX:
        raise UserError(f'a window of {width} x {height} px is too large; at most {MAX_WINDOW_PX} px')
    if min(x, y) < 0 or min(width, height) < 1 or x + width > size_wh[0] or y + height > size_wh[1]:
        raise UserError(f'window {x}, {y}, {width}, {height} lies outside of the image of {size_wh[0]} x '
                        f'{size_wh[1]} px')
    if intensity is None and not is_large(path):
        picture = load_image(path)
        if picture.size != size_wh:
            raise UserError(f'{path}: has {picture.size[0]} x {picture.size[1]} px, the predictions {size_wh[0]} x '
                            f'{size_wh[1]}; this is another image')
        picture = picture.crop((x, y, x + width, y + height)) if window else picture
    else:
        picture = _part(path, (x, y, width, height), intensity)
    buffer = io.BytesIO()
    picture.save(buffer, 'JPEG', quality=_JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def _part(path: str, window: tuple[int, int, int, int], intensity: str | None) -> Image.Image:
    """A part of a large image, read strip by strip and made smaller where it has more than 4,096 px."""
    x, y, width, height = window
    step = -(-max(width, height) // MAX_WINDOW_PX)
    rows = []
    with open_slide(path, intensity) as slide:
        strip = max(1, 512 // step) * step
        for top in range(y, y + height, strip):
            pixels = slide.read(x, top, width, min(strip, y + height - top))
            rows.append(pixels[::step, ::step, ::-1])
    return Image.fromarray(np.ascontiguousarray(np.concatenate(rows)))
