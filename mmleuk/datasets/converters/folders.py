"""Finding label files and their images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from mmleuk.datasets.converters.labels import LabelFile, SizeWH
from mmleuk.datasets.converters.plain_yolo import CLASSES_FILE, YoloFormat
from mmleuk.datasets.converters.voc import VocFormat
from mmleuk.errors import UserError
from mmleuk.utils.image_files import SUFFIXES, decode_image, read_image_file
from mmleuk.utils.progress import progress


def _files(source: Path, folder: str, suffix: str) -> tuple[Path, list[Path]]:
    """The folder of labels in ``source`` (or ``source`` itself) and its label files, sorted."""
    if not source.is_dir():
        raise UserError(f'{source}: no such folder; give the folder that holds {folder}/')
    root = source / folder if (source / folder).is_dir() else source
    paths = sorted(path for path in root.rglob(f'*{suffix}') if path.name != CLASSES_FILE)
    if not paths:
        raise UserError(f'{root}: holds no {suffix} file; give the folder that holds {folder}/')
    return root, paths


def split_listing(source: Path, split: str) -> Path:
    """Where VOC lists the images of a split."""
    return source / 'ImageSets' / 'Main' / f'{split}.txt'


def find_voc(source: Path, voc: VocFormat, listing: Path | None) -> dict[str, LabelFile]:
    """VOC's label files by path within the data set's folder, all or those that a split's list names, in its order."""
    root, paths = _files(source, voc.folder, voc.suffix)
    if listing is not None:
        paths = _of_split(listing, root, paths, voc.suffix)
    return {str(PurePosixPath(voc.folder) / path.relative_to(root).as_posix()): voc.read(path, root)
            for path in progress(paths, total=len(paths), desc='reading labels')}


def _of_split(listing: Path, root: Path, paths: Sequence[Path], suffix: str) -> list[Path]:
    try:
        lines = listing.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'{listing}: cannot be read ({error}); it lists the names of the split, one per '
                        'line') from error
    names = [line.split()[0] for line in lines if line.split()]
    known = {path.relative_to(root).with_suffix('').as_posix(): path for path in paths}
    for number, name in enumerate(names, 1):
        if name not in known:
            raise UserError(f'{listing}: entry {number}, {name!r}, has no {name}{suffix} in {root}; correct the list '
                            'or add the file')
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f'{listing}: {twice!r} stands twice; list every image once')
    return [known[name] for name in names]


def find_yolo(source: Path, yolo: YoloFormat, classes: Sequence[str], known: Mapping[str, str],
              images: Path | None) -> dict[str, LabelFile]:
    """YOLO's label files by path within the data set's folder.

    Args:
        source: the data set's folder, or that of the texts.
        yolo: the format.
        classes: class names by index.
        known: names of images by path of their label file, from the side file.
        images: folder of the images, for label files that aren't known, and to find images without one; sub-folders
            without any text are left alone.

    Raises:
        UserError: a text without an image, an image without a text, or any defect of a line.
    """
    root, paths = _files(source, yolo.folder, yolo.suffix)
    named = dict(known)
    if images is not None:
        named |= {str(PurePosixPath(yolo.folder) / PurePosixPath(name).with_suffix(yolo.suffix)): name
                  for name in image_files(images)}
    found: dict[str, LabelFile] = {}
    for path in progress(paths, total=len(paths), desc='reading labels'):
        key = str(PurePosixPath(yolo.folder) / path.relative_to(root).as_posix())
        if key not in named:
            raise UserError(f'{path}: has no image{f" in {images}" if images else ""}; add it, remove the text, or '
                            'give --images, the folder of the images')
        found[key] = yolo.read(path, named[key], classes)
    read = {PurePosixPath(key).parent for key in found}
    without = [name for key, name in named.items()
               if key not in found and key not in known and PurePosixPath(key).parent in read]
    if without:
        raise UserError(f'{images}: image {without[0]} has no text in {root} ({len(without)} such images); add it, '
                        'empty for an image without cells')
    return found


def image_files(images: Path) -> list[str]:
    """Names of the images relative to their folder, sorted.

    Raises:
        UserError: no such folder, two images that a label file can't tell apart, or one called like YOLO's list of
            classes.
    """
    if not images.is_dir():
        raise UserError(f'{images}: no such folder; give the folder of the images')
    names = [path.relative_to(images).as_posix() for path in sorted(images.rglob('*'))
             if path.suffix.lower() in SUFFIXES]
    reserved = [name for name in names if PurePosixPath(name).with_suffix('.txt').name == CLASSES_FILE]
    if reserved:
        raise UserError(f'{images}: image {reserved[0]} is called like {CLASSES_FILE}, the list of classes, so no text '
                        'can be its labels; rename the image and its text')
    stems = [str(PurePosixPath(name).with_suffix('')) for name in names]
    counts = Counter(stems)
    for name, stem in zip(names, stems, strict=True):
        if counts[stem] > 1:
            raise UserError(f'{images}: image {name} and another are both called {stem}; rename one, since labels go '
                            'by the name without suffix')
    return names


def image_size(images: Path | None, labels: LabelFile) -> SizeWH:
    """Width and height of the image of a label file.

    Raises:
        UserError: no folder was given, or the image is missing or broken.
    """
    if images is None:
        raise UserError(f'{labels.where}: the size of its image is needed; give --images, the folder of the images')
    path = str(images / labels.file_name)
    height, width = decode_image(read_image_file(path), path).shape[:2]
    return width, height
