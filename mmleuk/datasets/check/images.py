"""Decodes every image of every split and finds broken ones and those in two splits."""

from __future__ import annotations

import hashlib
import os.path as osp
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from mmleuk.datasets.annotations import FilmImage
from mmleuk.datasets.check.findings import NOTE, PROBLEM, Finding, and_more
from mmleuk.errors import UserError
from mmleuk.transforms.load_image import check_size
from mmleuk.utils.image_files import decode_image, read_image_file
from mmleuk.utils.progress import progress


@dataclass(frozen=True)
class DecodedImage:
    """Outcome for one file: its content's digest, or what is wrong with it."""

    split: str
    path: str
    digest: str | None
    fault: str | None


def decode_images(split: str, prefix: str, images: Sequence[FilmImage], *, workers: int = 2,
                  backend_args: dict | None = None) -> list[DecodedImage]:
    """Decode all images of a split in ``workers`` threads (decoding and hashing run outside Python's lock)."""
    work = partial(_decode, split, prefix, backend_args)
    with ThreadPoolExecutor(workers) as pool:
        return list(progress(pool.map(work, images), total=len(images), desc=f'decoding {split}'))


def _decode(split: str, prefix: str, backend_args: dict | None, image: FilmImage) -> DecodedImage:
    path = osp.join(prefix, image.file_name)
    try:
        pixels = decode_image(read_image_file(path, backend_args), path)
        check_size(pixels, path, image.height, image.width)
    except UserError as error:
        return DecodedImage(split, path, None, str(error))
    digest = hashlib.blake2b(pixels.tobytes(), digest_size=16, person=b'%dx%d' % pixels.shape[:2])
    return DecodedImage(split, path, digest.hexdigest(), None)


def find_in_images(decoded: Iterable[DecodedImage]) -> list[Finding]:
    """Unreadable files, and images with the same pixels in two splits (problem) or twice in one (note)."""
    found: list[Finding] = []
    first: dict[str, DecodedImage] = {}
    shared: dict[tuple[str, str], list[tuple[DecodedImage, DecodedImage]]] = {}
    for image in decoded:
        if image.digest is None:
            found.append(Finding(PROBLEM, image.split, 'unreadable image', image.fault or ''))
            continue
        twin = first.setdefault(image.digest, image)
        if twin is not image:
            shared.setdefault((twin.split, image.split), []).append((twin, image))
    return found + [_shared(splits, pairs) for splits, pairs in shared.items()]


def _shared(splits: tuple[str, str], pairs: Sequence[tuple[DecodedImage, DecodedImage]]) -> Finding:
    one, other = pairs[0]
    text = f'{one.path} and {other.path} show the same{and_more(len(pairs))}'
    if splits[0] == splits[1]:
        return Finding(NOTE, splits[0], 'image twice', f'{text}; it counts twice')
    return Finding(PROBLEM, ' and '.join(splits), 'image in two splits', f'{text}; scores would be of images that were '
                   'trained on: take them out of one split')
