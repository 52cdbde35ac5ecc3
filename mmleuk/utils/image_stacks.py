"""Image files that hold several planes of one field."""

from __future__ import annotations

from PIL import Image

PILLOW_ERRORS = (OSError, EOFError, SyntaxError, TypeError, ValueError, Image.DecompressionBombError)
"""What Pillow raises for broken files, by format and by what is broken."""


def find_stack(image: Image.Image) -> str | None:
    """What is wrong with an opened TIFF of several planes (focus, channel, time); None for any other picture.

    OpenCV reads the first page, without an error. Pages of other sizes are previews and a pyramid's levels: the first
    is the picture.

    Raises:
        one of :data:`PILLOW_ERRORS`: its second page is broken.
    """
    pages, size = getattr(image, 'n_frames', 1), image.size
    if image.format != 'TIFF' or pages == 1:
        return None
    image.seek(1)
    return f'it is a stack of {pages} pages, of which the first alone would be read' if image.size == size else None
