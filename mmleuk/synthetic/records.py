"""One film from a seed, as a picture file and its COCO records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmleuk.schema import IGNORE, LEUKEMIA_ATTRIBUTES
from mmleuk.structures.sampled_regions import inside, sample_region
from mmleuk.synthetic.classes import CLASS_BALANCES
from mmleuk.synthetic.film import Film, render_film

SPLITS = ('train', 'test')
_JPEG_QUALITY = 95


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
    annotations = [_annotation(cell.look.label, cell.look.attributes, cell.box_xywh, settings.unknown_share, rng)
                   for cell in film.cells]
    return film, FilmRecord(film_name(split, index), region, annotations, inside(centres, region).tolist())


def write_film(settings: Settings, images: Path, split: str, index: int) -> FilmRecord:
    """Render one film, write its picture below ``images`` and return its record.

    Raises:
        OSError: the picture can't be written.
    """
    film, record = make_film(settings, split, index)
    encoded, data = cv2.imencode('.jpg', film.image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not encoded:
        raise OSError(f'{record.file_name}: cannot be encoded as JPEG')
    (images / record.file_name).write_bytes(data.tobytes())
    return record


def _annotation(label: int, attributes: tuple[int, ...], box: tuple[int, int, int, int], unknown_share: float,
                rng: np.random.Generator) -> dict:
    values = dict(zip(LEUKEMIA_ATTRIBUTES.keys, attributes, strict=True))
    if rng.uniform() < unknown_share:
        values[str(rng.choice(LEUKEMIA_ATTRIBUTES.keys))] = IGNORE
    return dict(category_id=label + 1, bbox=list(box), area=box[2] * box[3], iscrowd=0, attributes=values)
