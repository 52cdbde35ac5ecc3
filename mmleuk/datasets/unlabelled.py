"""Images without labels: those of an annotation file whose labels are taken away, or those of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmleuk.errors import UserError
from mmleuk.utils.image_files import decode_image, files_below, header_size, read_image_file


def without_labels(content: Any) -> Any:
    """A COCO file's content with its images alone: no annotation, no category, and no region where cells are known.

    Args:
        content: parsed JSON; not changed. What isn't a COCO file is returned as it is.

    Example:
        >>> without_labels(dict(images=[dict(id=1)], annotations=[dict(id=5, image_id=1)], categories=[dict(id=2)]))
        {'images': [{'id': 1, 'annotated_region': []}], 'annotations': [], 'categories': []}
    """
    if not isinstance(content, Mapping) or not isinstance(content.get('images'), list):
        return content
    images = [dict(image, annotated_region=[]) if isinstance(image, Mapping) else image for image in content['images']]
    return dict(images=images, annotations=[], categories=[])


def content_of_folder(folder: str | Path) -> dict[str, list]:
    """A COCO file's content for the images below a local folder; their ids count from 1 in the order of names.

    Raises:
        UserError: the folder doesn't exist or holds no image, or an image can't be read.
    """
    root = Path(folder)
    paths = files_below(root) if root.is_dir() else []
    if not paths:
        raise UserError(f"{folder}: {'holds no image' if root.is_dir() else 'no such folder'}; correct data_root and "
                        'data_prefix, or give an ann_file')
    images = []
    for number, path in enumerate(paths, start=1):
        width, height = header_size(path) or _decoded_size(path)
        images.append(dict(id=number, file_name=path.relative_to(root).as_posix(), width=width, height=height))
    return dict(images=images, annotations=[], categories=[])


def _decoded_size(path: Path) -> tuple[int, int]:
    height, width = decode_image(read_image_file(str(path)), str(path)).shape[:2]
    return width, height
