"""Writes a data set of rendered films: sparse and complete training annotations, a complete test split."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from mmleuk.errors import UserError
from mmleuk.schema import IGNORE, LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES
from mmleuk.structures.mask_files import mask_path
from mmleuk.structures.sampled_regions import inside, sample_region
from mmleuk.synthetic.classes import CLASS_BALANCES
from mmleuk.synthetic.film import Film, render_film
from mmleuk.utils.new_folder import new_folder
from mmleuk.utils.progress import progress

T = TypeVar('T')
SPLITS = ('train', 'test')
_JPEG_QUALITY = 95
GENERATOR = 'mmleuk.datasets.synthetic'
"""In every file. It keeps its first value: rendered folders and benchmark records are recognised by what files hold."""
VERSION = 1
"""Raised by every change that alters a pixel or a box."""


@dataclass(frozen=True)
class Settings:
    """All that decides what a data set holds; the same settings give the same files, bit for bit.

    Attributes:
        train, test: number of films.
        size: width and height of a film, pixels.
        seed: not negative.
        region_fraction: share of a sparse film's area that is annotated.
        cells: fewest and most leukocytes per film.
        empty_share: share of films without any leukocyte.
        unknown_share: share of cells that have one attribute unknown.
        class_balance: 'uniform' or 'paper'.
        masks: also write the mask of each film.
    """

    train: int = 500
    test: int = 100
    size: int = 640
    seed: int = 0
    region_fraction: float = 0.2
    cells: tuple[int, int] = (8, 16)
    empty_share: float = 0.04
    unknown_share: float = 0.05
    class_balance: str = 'uniform'
    masks: bool = False


@dataclass(frozen=True)
class FilmRecord:
    """What the annotation files say about a film; ids are given by the writer."""

    file_name: str
    region_xywh: list[int]
    annotations: list[dict]
    in_region: list[bool]


def film_name(split: str, index: int) -> str:
    """File name relative to the data set's ``images`` folder."""
    return f'{split}/film_{index:04d}.jpg'


def film_rng(seed: int, split: str, index: int) -> np.random.Generator:
    """The film's own stream of chance: it doesn't depend on other films or on who renders it."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(SPLITS.index(split), index)))


def make_film(settings: Settings, split: str, index: int) -> tuple[Film, FilmRecord]:
    """Render one film and describe it."""
    rng = film_rng(settings.seed, split, index)
    chances = CLASS_BALANCES[settings.class_balance]
    count = int(rng.integers(settings.cells[0], settings.cells[1] + 1))
    labels = rng.choice(len(chances), count, p=chances).tolist()
    film = render_film(rng, [] if rng.uniform() < settings.empty_share else labels, settings.size)
    boxes = [cell.box_xywh for cell in film.cells]
    region = sample_region(boxes, (settings.size, settings.size), settings.region_fraction, rng)
    centres = np.array([[x + w / 2, y + h / 2] for x, y, w, h in boxes]).reshape(-1, 2)
    annotations = [annotation_of(cell.look.label, cell.look.attributes, cell.box_xywh, settings.unknown_share, rng)
                   for cell in film.cells]
    return film, FilmRecord(film_name(split, index), region, annotations, inside(centres, region).tolist())


def write_film(settings: Settings, images: Path, split: str, index: int) -> FilmRecord:
    """Render one film, write its image below ``images``, its mask into ``masks`` beside it, and return its record.

    Raises:
        OSError: the image can't be written.
    """
    film, record = make_film(settings, split, index)
    encoded, data = cv2.imencode('.jpg', film.image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not encoded:
        raise OSError(f'{record.file_name}: cannot be encoded as JPEG')
    (images / record.file_name).write_bytes(data.tobytes())
    if settings.masks:
        name = mask_path(record.file_name, images.parent / 'masks', '.png')
        Path(name).write_bytes(cv2.imencode('.png', film.parts)[1].tobytes())
    return record


def annotation_of(label: int, attributes: tuple[int, ...], box: tuple[int, int, int, int], unknown_share: float,
                  rng: np.random.Generator) -> dict:
    """COCO's record of a cell, without ids."""
    values = dict(zip(LEUKEMIA_ATTRIBUTES.keys, attributes, strict=True))
    if rng.uniform() < unknown_share:
        values[str(rng.choice(LEUKEMIA_ATTRIBUTES.keys))] = IGNORE
    return dict(category_id=label + 1, bbox=list(box), area=box[2] * box[3], iscrowd=0, attributes=values)


def synthesize(out_dir: str | os.PathLike, *, train: int = 500, test: int = 100, size: int = 640, seed: int = 0,
               region_fraction: float = 0.2, workers: int = 2, cells: tuple[int, int] = (8, 16),
               empty_share: float = 0.04, unknown_share: float = 0.05, class_balance: str = 'uniform',
               masks: bool = False, overwrite: bool = False, say: Callable[[str], None] = print) -> Path:
    """Render a data set into ``out_dir``.

    Writes images/{train,test}/film_0000.jpg ... and annotations/{train,train_sparse,test}.json (COCO); with ``masks``
    also masks/{train,test}/film_0000.png with the part of each pixel (:data:`mmleuk.structures.cell_parts.PARTS`). It
    is rendered into a folder beside the target and renamed at the end, so that the target is whole or not there.

    Args:
        out_dir: the new folder.
        train, test: number of films per split.
        size: width and height, pixels.
        seed: same seed, same files, whatever the number of workers.
        region_fraction: share of a sparse training film's area that is annotated.
        workers: processes.
        cells: fewest and most leukocytes per film.
        empty_share: share of films without any leukocyte.
        unknown_share: share of cells that have one attribute unknown.
        class_balance: 'uniform', or 'paper' for Sparse-LeukemiaAttri's shares.
        masks: write masks.
        overwrite: replace a data set that was rendered with other arguments.
        say: gets one line about what was done.

    Returns:
        The data set's folder.

    Raises:
        UserError: an argument out of its range; the target exists and is something else; the folder or a
            file can't be written.
    """
    settings = Settings(train=train, test=test, size=size, seed=seed, region_fraction=region_fraction,
                        cells=(int(cells[0]), int(cells[1])), empty_share=empty_share, unknown_share=unknown_share,
                        class_balance=class_balance, masks=masks)
    check_settings(settings, workers)
    target = Path(out_dir)
    if target.exists() and not _may_replace(target, settings, overwrite):
        say(f'{target}: already there, rendered with the same arguments')
        return target
    # The name that earlier versions used: what a killed run of theirs left is removed as well.
    with new_folder(target, replace=overwrite, doing='rendering') as folder:
        kinds = ('images', 'masks') if masks else ('images',)
        for name in ('annotations', *(f'{kind}/{split}' for kind in kinds for split in SPLITS)):
            (folder / name).mkdir(parents=True)
        for split in SPLITS:
            _write_split(folder, settings, split, workers)
    say(f'{target}: {train} training and {test} test films')
    return target


def check_settings(settings: Settings, workers: int) -> None:
    """Refuse arguments out of their range.

    Raises:
        UserError: naming the argument, its value and what is allowed.
    """
    low, high = settings.cells
    checks = [
        ('train', settings.train, settings.train >= 0, 'at least 0'),
        ('test', settings.test, settings.test >= 0, 'at least 0'),
        ('train + test', settings.train + settings.test, settings.train + settings.test > 0, 'at least 1 film'),
        ('size', settings.size, 160 <= settings.size <= 4096, '160 to 4096 pixels'),
        ('seed', settings.seed, settings.seed >= 0, 'at least 0'),
        ('region_fraction', settings.region_fraction, 0.01 <= settings.region_fraction <= 1, '0.01 to 1'),
        ('workers', workers, workers >= 1, 'at least 1'),
        ('cells', settings.cells, 1 <= low <= high <= 100, 'fewest and most, 1 <= fewest <= most <= 100'),
        ('empty_share', settings.empty_share, 0 <= settings.empty_share <= 1, '0 to 1'),
        ('unknown_share', settings.unknown_share, 0 <= settings.unknown_share <= 1, '0 to 1'),
        ('class_balance', settings.class_balance, settings.class_balance in CLASS_BALANCES,
         ' or '.join(CLASS_BALANCES)),
    ]
    for name, value, good, allowed in checks:
        if not good:
            raise UserError(f'{name} is {value!r}; allowed: {allowed}')


def info(settings: Settings) -> dict:
    """The annotation files' ``info``; no dates, so that equal arguments give equal files."""
    arguments = asdict(settings) | dict(cells=list(settings.cells))
    if not settings.masks:  # as in folders of versions without masks, which stay the same data set
        del arguments['masks']
    return dict(description='Rendered blood films', generator=GENERATOR, version=str(VERSION), seed=settings.seed,
                arguments=arguments)


def _may_replace(target: Path, settings: Settings, overwrite: bool) -> bool:
    """Whether to render over an existing target; False where it holds the same data set already."""
    if not target.is_dir():
        raise UserError(f'{target}: is a file; name a folder for the data set')
    if not any(target.iterdir()):
        return True
    there = _existing_info(target)
    if there is None or there.get('generator') != GENERATOR:
        raise UserError(f'{target}: holds something that was not rendered here; name a new folder')
    if there == info(settings):
        return False
    if not overwrite:
        raise UserError(f'{target}: holds films rendered with other arguments ({there.get("arguments")}); '
                        'add --overwrite to replace them, or name a new folder')
    return True


def _existing_info(target: Path) -> dict | None:
    try:
        found = json.loads((target / 'annotations' / 'test.json').read_text())
    except (OSError, ValueError):
        return None  # no data set of ours: the caller refuses to touch it
    return found.get('info') if isinstance(found, dict) else None


def _write_split(folder: Path, settings: Settings, split: str, workers: int) -> None:
    count = getattr(settings, split)
    job = partial(write_film, settings, folder / 'images', split)
    records = list(progress(in_parallel(job, count, workers), count, f'{split} films'))
    complete = _coco(settings, records, sparse=False)
    (folder / 'annotations' / f'{split}.json').write_text(json.dumps(complete))
    if split == 'train':
        sparse = _coco(settings, records, sparse=True)
        (folder / 'annotations' / 'train_sparse.json').write_text(json.dumps(sparse))


def in_parallel(job: Callable[[int], T], count: int, workers: int) -> Iterator[T]:
    """``job(0)`` to ``job(count - 1)``, in order.

    Raises:
        UserError: a worker was killed.
    """
    if min(workers, count) <= 1:
        yield from map(job, range(count))
        return
    # Forked workers start at once, where spawned ones would import the detection stack first. They run
    # numpy and cv2 alone, as a data loader's workers do, so that other threads of this process don't matter.
    method = 'fork' if 'fork' in multiprocessing.get_all_start_methods() else 'spawn'
    context = multiprocessing.get_context(method)
    try:
        with ProcessPoolExecutor(min(workers, count), context, _begin_worker) as executor:
            with warnings.catch_warnings():
                warnings.filterwarnings('ignore', 'This process .* is multi-threaded', DeprecationWarning)
                records = executor.map(job, range(count), chunksize=2)
            yield from records
    except BrokenProcessPool as error:
        raise UserError('a worker process was killed, perhaps because the memory ran out; give fewer --workers. '
                        'Nothing was kept') from error


def _begin_worker() -> None:
    """One thread per worker; Ctrl-C is for the main process, and no worker outlives it."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _coco(settings: Settings, records: list[FilmRecord], sparse: bool) -> dict:
    """COCO data; ids count from 1, and a cell keeps its id in the sparse file."""
    images, annotations, annotation_id = [], [], 0
    for image_id, record in enumerate(records, 1):
        image = dict(id=image_id, file_name=record.file_name, width=settings.size, height=settings.size)
        images.append(image | dict(annotated_region=record.region_xywh) if sparse else image)
        for annotation, kept in zip(record.annotations, record.in_region, strict=True):
            annotation_id += 1
            if kept or not sparse:
                annotations.append(dict(id=annotation_id, image_id=image_id) | annotation)
    categories = [dict(id=label, name=name) for label, name in enumerate(LEUKEMIA_CLASSES, 1)]
    return dict(info=info(settings), attributes=LEUKEMIA_ATTRIBUTES.to_dict(), categories=categories, images=images,
                annotations=annotations)
