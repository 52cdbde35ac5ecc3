"""The queue of the page to try the model: films wait, one is read at a time, results stay for a while."""

from __future__ import annotations

import logging
import queue
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, count
from pathlib import Path, PurePath
from typing import Any

from PIL import Image

from mmleuk.errors import UserError
from mmleuk.utils.image_files import SUFFIXES

Progress = Callable[[int], None]
Reader = Callable[[Sequence[Path], Sequence[str], Path, Progress], dict[str, Any]]
"""Reads images, with the names to show, into a folder; says how many are done; returns facts for the page."""
MAX_NAME = 120


@dataclass(frozen=True)
class Limits:
    """What one film may be, and how many the server takes.

    Args:
        megabytes: of all images of a film together, as files.
        megapixels: of each image.
        images: of a film.
        waiting: films in the queue.
        kept: finished films; the oldest are removed.
    """

    megabytes: float = 50
    megapixels: float = 40
    images: int = 20
    waiting: int = 8
    kept: int = 20


@dataclass
class Film:
    """One film on its way through the queue; ``state`` is waiting, running, done or failed."""

    id: str
    folder: Path
    names: list[str] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    state: str = 'waiting'
    done: int = 0
    error: str = ''
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def results(self) -> Path:
        """Where the results are."""
        return self.folder / 'results'


class Films:
    """Takes films, reads them one after the other in a thread, and keeps the last results.

    Args:
        reader: of images.
        limits: see :class:`Limits`.
    """

    def __init__(self, reader: Reader, limits: Limits) -> None:
        self.reader, self.limits = reader, limits
        self._root = tempfile.TemporaryDirectory(prefix='mmleuk_serve_')
        self._films: dict[str, Film] = {}
        self._waiting: queue.Queue[Film | None] = queue.Queue()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def new(self) -> Film:
        """A film without images, not in the queue yet."""
        number = secrets.token_hex(8)
        folder = Path(self._root.name) / number
        folder.mkdir()
        return Film(number, folder)

    def add_image(self, film: Film, name: str) -> Path:
        """The path to write an image of that name to. Nothing of the name but its kind is used as a path.

        Raises:
            UserError: too many images, or of no kind that is read.
        """
        shown = shown_name(name)
        suffix = PurePath(shown).suffix.lower()
        if len(film.names) >= self.limits.images:
            raise UserError(f'a film has at most {self.limits.images} images here; mmleuk infer reads any number')
        if suffix not in SUFFIXES:
            raise UserError(f'{shown}: is no image that is read here; give {", ".join(SUFFIXES)}')
        numbered = (f'{number} {shown}' for number in count(len(film.names) + 1))
        film.names.append(next(name for name in chain([shown], numbered) if name not in film.names))
        film.paths.append(film.folder / f'{len(film.paths) + 1:04d}{suffix}')
        return film.paths[-1]

    def submit(self, film: Film) -> None:
        """Put a film into the queue.

        Raises:
            UserError: it has no image, one is too large or no image, or the queue is full.
        """
        if not film.paths:
            raise UserError('no image was sent; choose at least one')
        for name, path in zip(film.names, film.paths):
            _check_size(path, name, self.limits.megapixels)
        with self._lock:
            if sum(one.state == 'waiting' for one in self._films.values()) >= self.limits.waiting:
                raise UserError(f'the queue is full ({self.limits.waiting} films wait); try again in a few minutes')
            self._films[film.id] = film
            self._waiting.put(film)
            self._forget_old()

    def drop(self, film: Film) -> None:
        """Remove a film that was not taken."""
        shutil.rmtree(film.folder, ignore_errors=True)

    def find(self, number: str) -> Film:
        """The film of that id.

        Raises:
            UserError: there is none, or it was removed.
        """
        film = self._films.get(number)
        if film is None:
            raise UserError('there is no such film; results are kept for the last '
                            f'{self.limits.kept} films and until the server ends')
        return film

    def position(self, film: Film) -> int:
        """How many films wait before this one."""
        with self._lock:
            waiting = [one.id for one in self._films.values() if one.state == 'waiting']
        return waiting.index(film.id) if film.id in waiting else 0

    def close(self) -> None:
        """End after the film that is being read, and remove all files."""
        self._waiting.put(None)
        self._thread.join(timeout=30)
        self._root.cleanup()

    def _forget_old(self) -> None:
        finished = [film for film in self._films.values() if film.state in ('done', 'failed')]
        for film in finished[:max(0, len(finished) - self.limits.kept)]:
            del self._films[film.id]
            self.drop(film)

    def _work(self) -> None:
        while (film := self._waiting.get()) is not None:
            film.state = 'running'
            try:
                film.results.mkdir()
                film.facts = self.reader(film.paths, film.names, film.results, partial(_progress, film))
                film.state = 'done'
            except UserError as error:
                film.error, film.state = str(error).replace(f'{film.folder}/', ''), 'failed'
            except Exception:
                logging.getLogger(__name__).exception('film %s', film.id)
                film.error, film.state = 'the server failed on this film; its log says why', 'failed'


def _progress(film: Film, done: int) -> None:
    film.done = done


def shown_name(name: str) -> str:
    """A file's own name, without folders, for people to read.

    >>> shown_name('../../etc/a.png'), shown_name('C:\\\\x\\\\b.png')
    ('a.png', 'b.png')
    """
    last = name.replace('\\', '/').rsplit('/', 1)[-1]
    clean = ''.join(sign for sign in last if sign.isprintable()).strip()
    return clean if len(clean) <= MAX_NAME else clean[:MAX_NAME - 20] + '…' + clean[-19:]


def _check_size(path: Path, name: str, megapixels: float) -> None:
    """Refuse from an image's header what would take too much memory to decode."""
    try:
        with Image.open(path) as image:
            width, height = image.size
    except Image.DecompressionBombError:
        raise UserError(f'{name}: has more than {megapixels:g} megapixels; mmleuk infer reads large images') from None
    except (OSError, SyntaxError, ValueError):
        raise UserError(f'{name}: cannot be read as an image; send it as PNG, JPEG or TIFF') from None
    if width * height > megapixels * 1e6:
        raise UserError(f'{name}: has {width * height / 1e6:.0f} megapixels, at most {megapixels:g} are read here; '
                        'mmleuk infer reads large images')
