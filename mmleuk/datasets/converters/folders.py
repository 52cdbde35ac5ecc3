"""Find label files and their images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from mmleuk.datasets.converters.labels import LabelFile, SizeWH
from mmleuk.datasets.converters.plain_yolo import CLASSES_FILE, YoloFormat
from mmleuk.datasets.converters.voc import VocFormat
from mmleuk.errors import UserError
from mmleuk.utils.image_files import SUFFIXES, decode_image, files_below, header_size, read_image_file
from mmleuk.utils.progress import progress
from mmleuk.utils.text_files import read_text

_NO_LABELS = (CLASSES_FILE, 'train.txt', 'val.txt', 'valid.txt', 'test.txt', 'notes.txt', 'labels.txt')


@dataclass(frozen=True)
class Folders:
    """The folders of a data set: ``labels``, and ``images`` (None: not given, and the usual folder is missing)."""

    source: Path
    labels: Path
    images: Path | None


def find_folders(source: Path, source_format: str, split: str | None, images: Path | None) -> Folders:
    """Folders of labels and images of a data set, or of one of its splits.

    Args:
        source: the data set's folder, or that of the labels.
        source_format: 'voc' or 'yolo'.
        split: its name: a folder for the split (``train/labels``) or one in both folders (``labels/train``). VOC's
            lists of splits aren't folders.
        images: the user's folder of images.

    Raises:
        UserError: the folder or split doesn't exist.
    """
    labels_name, images_name = ('Annotations', 'JPEGImages') if source_format == 'voc' else ('labels', 'images')
    if not source.is_dir():
        raise UserError(f'{source}: no such folder; give the folder that holds {labels_name}/')
    if split is not None:
        inner = source / labels_name / split
        if source_format == 'yolo' and inner.is_dir():
            return Folders(source, inner, images or _existing(source / images_name / split))
        if not (source / split).is_dir():
            raise UserError(f'{source}: has no split {split!r}; looked for the folders {split}/{labels_name} and '
                            f'{labels_name}/{split}')
        source = source / split
    if (source / labels_name).is_dir():
        return Folders(source, source / labels_name, images or _existing(source / images_name))
    splits = sorted(folder.parent.name for folder in source.glob(f'*/{labels_name}') if folder.is_dir())
    if splits:
        raise UserError(f'{source}: holds the splits {", ".join(splits)}; choose one, such as --split {splits[0]}')
    beside = source.absolute().with_name(images_name) if source.name == labels_name else source
    return Folders(source, source, images or _existing(beside))


def _existing(folder: Path) -> Path | None:
    return folder if folder.is_dir() and files_below(folder) else None


def _label_files(folder: Path, suffix: str) -> list[Path]:
    paths = [path for path in files_below(folder, suffix) if path.name != CLASSES_FILE]
    if not paths:
        raise UserError(f'{folder}: holds no {suffix} file; give the folder that holds the labels')
    return paths


def is_label_text(path: Path) -> bool:
    """Whether a text is a label file: exports have READMEs and lists beside the labels."""
    name = path.name.lower()
    return name not in _NO_LABELS and not name.startswith('readme')


def find_voc(folders: Folders, voc: VocFormat, listing: Path | None, check_images: bool) -> dict[str, LabelFile]:
    """VOC's label files by path in the data set's folder: all, or those in a split's list, in its order.

    Args:
        folders: of the data set.
        voc: the format.
        listing: the list of a split.
        check_images: every image must be in ``folders.images`` and have the size in its XML. Else images are searched
            only if the XML has no usable file name.

    Raises:
        UserError: a file has a defect, or an image can't be found or has another size.
    """
    root, paths = folders.labels, _label_files(folders.labels, voc.suffix)
    if listing is not None:
        paths = _of_split(listing, root, paths, voc.suffix)
    lookup = ImageLookup(folders.images) if folders.images else None
    found = {}
    for path in progress(paths, total=len(paths), desc='reading labels'):
        labels = voc.read(path)
        below = PurePosixPath(path.relative_to(root).with_suffix('').as_posix())
        name = _usable_name(labels.file_name, below.parent)
        if lookup and (check_images or name is None):
            labels = replace(labels, file_name=lookup.find(labels, below))
            if check_images and labels.size_wh is not None:
                _check_stated_size(lookup.images / labels.file_name, labels)
        elif name is None:
            raise UserError(f'{path}: <filename> {labels.file_name!r} is no name of an image file in a folder of '
                            'images; give --images, the folder where it can be looked up')
        else:
            labels = replace(labels, file_name=name)
        found[str(PurePosixPath(voc.folder) / path.relative_to(root).as_posix())] = labels
    return found


def _usable_name(stated: str, below: PurePosixPath) -> str | None:
    """The image's path in its XML; None if it has no suffix or leads out of the folder of images."""
    path = PurePosixPath(stated)
    if path.suffix.lower() not in SUFFIXES or path.is_absolute() or '..' in path.parts or '\\' in stated:
        return None
    return stated if '/' in stated else (below / stated).as_posix()


class ImageLookup:
    """Finds images by the names in label files, which may come from other computers and tools.

    Args:
        images: the folder of the images.
    """

    def __init__(self, images: Path) -> None:
        self.images = images
        if not images.is_dir():
            raise UserError(f'{images}: no such folder; give the folder of the images')
        names = [path.relative_to(images).as_posix() for path in files_below(images)]
        self._names = set(names)
        self._by_path: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for name in names:
            path = PurePosixPath(name.casefold())
            self._by_path[str(path.with_suffix(''))].append(name)
            self._by_stem[path.stem].append(name)

    def find(self, labels: LabelFile, below: PurePosixPath) -> str:
        """Name of a label file's image in the folder of images.

        Tries the stated name, then without its suffix, then its last part, then the label file's own name.

        Args:
            labels: the label file with the stated name.
            below: the label file's path in the folder of labels, without suffix.

        Raises:
            UserError: no image fits, or several fit.
        """
        stated = PureWindowsPath(labels.file_name).as_posix()
        for name in ((below.parent / stated).as_posix(), stated):
            if name in self._names:
                return name
        path = PurePosixPath(stated)
        stem = path.with_suffix('') if path.suffix.lower() in SUFFIXES else path
        by_path, by_stem = self._by_path, self._by_stem
        for index, key in ((by_path, below.parent / stem), (by_path, stem), (by_stem, stem.name), (by_path, below),
                           (by_stem, below.name)):
            matches = index[str(key).casefold()]
            if len(matches) > 1:
                raise UserError(f'{labels.where}: <filename> {labels.file_name!r} may be {matches[0]} or {matches[1]} '
                                f'in {self.images}; give the whole name in the file')
            if matches:
                return matches[0]
        raise UserError(f'{labels.where}: {self.images} holds no image {labels.file_name!r}, and none called '
                        f'{below.name}; add it, correct <filename>, or give the right folder of images')


def _check_stated_size(path: Path, labels: LabelFile) -> None:
    """Compare the size in a label file with the image's; the image is decoded only if its header disagrees."""
    if header_size(path) in (None, labels.size_wh):
        return  # None: a broken image is named with the reason when it is read
    actual = read_size(path)
    if actual != labels.size_wh:
        turned = ', perhaps rotated by its EXIF orientation' if actual[::-1] == labels.size_wh else ''
        raise UserError(f'{labels.where}: <size> is {"x".join(map(str, labels.size_wh or ()))}, but {path} is '
                        f'{actual[0]}x{actual[1]} px{turned}; correct the size, or restore the image that was '
                        'annotated')


def _of_split(listing: Path, root: Path, paths: Sequence[Path], suffix: str) -> list[Path]:
    lines = read_text(listing, 'it lists the names of the split, one per line').splitlines()
    known = {path.relative_to(root).with_suffix('').as_posix(): path for path in paths}
    names = [_listed_name(line, known) for line in lines if line.strip()]
    for number, name in enumerate(names, 1):
        if name not in known:
            raise UserError(f'{listing}: entry {number}, {name!r}, has no {name}{suffix} in {root}; correct the list '
                            'or add the file')
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f'{listing}: {twice!r} occurs twice; list every image once')
    return [known[name] for name in names]


def _listed_name(line: str, known: Mapping[str, Path]) -> str:
    """The name in a line. VOC's lists per class have a number after it; other tools add the image's suffix."""
    name = line.strip()
    for candidate in (name, name.split()[0]):
        path = PurePosixPath(candidate)
        stem = str(path.with_suffix('')) if path.suffix.lower() in SUFFIXES else candidate
        for found in (candidate, stem):
            if found in known:
                return found
    return name.split()[0]


def find_yolo(folders: Folders, yolo: YoloFormat, classes: Sequence[str], known: Mapping[str, str],
              allow_unlabelled: bool, check_images: bool) -> dict[str, LabelFile]:
    """YOLO's label files by path in the data set's folder.

    Args:
        folders: of the data set. The images are needed for label files that aren't in ``known``, and to find images
            without a label file. Sub-folders without any text are left out.
        yolo: the format.
        classes: class names by index.
        known: names of images by path of their label file, from the side file.
        allow_unlabelled: take an image without a text as an image without cells.
        check_images: search ``folders.images`` even if all label files are known.

    Raises:
        UserError: a text has no image, an image has no text, or a line has a defect.
    """
    root, images, paths = folders.labels, folders.images, _label_files(folders.labels, yolo.suffix)
    keys = {str(PurePosixPath(yolo.folder) / path.relative_to(root).as_posix()): path for path in paths}
    named = dict(known)
    if images is not None and (check_images or any(key not in known for key in keys)):
        named |= {str(PurePosixPath(yolo.folder) / PurePosixPath(name).with_suffix(yolo.suffix)): name
                  for name in image_files(images)}
    found: dict[str, LabelFile] = {}
    for key, path in progress(keys.items(), total=len(keys), desc='reading labels'):
        if key in named:
            found[key] = yolo.read(path, named[key], classes)
        elif is_label_text(path):
            raise UserError(f'{path}: has no image{f" in {images}" if images else ""}; add it, remove the text, or '
                            'give --images, the folder of the images')
    read = {PurePosixPath(key).parent for key in found}
    without = {key: name for key, name in named.items() if key not in found and key not in known}
    if allow_unlabelled:
        found |= {key: LabelFile(str(root / name), name, None, ()) for key, name in without.items()}
    elif unlabelled := [name for key, name in without.items() if PurePosixPath(key).parent in read]:
        raise UserError(f'{images}: image {unlabelled[0]} has no text in {root} ({len(unlabelled)} such images); add '
                        'it, empty for an image without cells, or give --allow-unlabelled')
    if not found:
        raise UserError(f'{root}: no text in it is the label file of an image; check the folders')
    return found


def image_files(images: Path) -> list[str]:
    """Names of the images relative to their folder, sorted.

    Raises:
        UserError: there is no such folder, two images would have the same label file, or an image is called like
            YOLO's list of classes.
    """
    if not images.is_dir():
        raise UserError(f'{images}: no such folder; give the folder of the images')
    names = [path.relative_to(images).as_posix() for path in files_below(images)]
    reserved = [name for name in names if PurePosixPath(name).with_suffix('.txt').name == CLASSES_FILE]
    if reserved:
        raise UserError(f'{images}: image {reserved[0]} is called like {CLASSES_FILE}, the list of classes, so no text '
                        'can be its labels; rename the image and its text')
    seen: set[PurePosixPath] = set()
    for name in names:
        stem = PurePosixPath(name).with_suffix('')
        if stem in seen:
            raise UserError(f'{images}: image {name} and another are both called {stem}; rename one, since labels are '
                            'found by the name without suffix')
        seen.add(stem)
    return names


def image_size(images: Path | None, labels: LabelFile) -> SizeWH:
    """Width and height of the image of a label file.

    Raises:
        UserError: no folder is given, or the image is missing or broken.
    """
    if images is None:
        raise UserError(f'{labels.where}: the size of its image is needed; give --images, the folder of the images')
    return read_size(images / labels.file_name)


def read_size(path: Path) -> SizeWH:
    """Width and height of the decoded image, rotated by its EXIF orientation."""
    height, width = decode_image(read_image_file(str(path)), str(path)).shape[:2]
    return width, height
