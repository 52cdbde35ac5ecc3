"""The server of the review page."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from mmleuk.desk.pages import new_app
from mmleuk.desk.reviewing import MAX_NAME, FilmReview, Work

MAX_BYTES = 1_000_000
Word = Annotated[str, Field(min_length=1, max_length=200)]
Coordinate = Annotated[float, Field(ge=-1e7, le=1e7)]
Row = Annotated[int, Field(ge=0, lt=1 << 31)]
RowId = Annotated[int, Path(ge=0, lt=1 << 31)]
CellId = Annotated[int, Path(ge=0, lt=1 << 63)]
"""What a database takes as a number of a row."""
router = APIRouter(prefix='/api')


class Cost(BaseModel):
    """What an answer cost since the one before."""

    model_config = ConfigDict(extra='forbid')
    seconds: float = Field(default=0.0, ge=0, le=86400)
    clicks: int = Field(default=0, ge=0, le=1_000_000)
    keys: int = Field(default=0, ge=0, le=1_000_000)

    @property
    def work(self) -> Work:
        """As the bank takes it."""
        return Work(self.seconds, self.clicks, self.keys)


class Said(BaseModel):
    """Who says something, and what it cost."""

    model_config = ConfigDict(extra='forbid')
    who: str = Field(min_length=1, max_length=MAX_NAME)
    cost: Cost = Cost()


class Answer(Said):
    """About a cell: new value by 'type', 'cell', 'box' or an attribute's key.

    With ``before``, the answer is refused unless this is what the person said before: so a page that doesn't show an
    answer of another window can't replace it.
    """

    said: dict[Word, Word] = Field(min_length=1, max_length=100)
    before: dict[Word, Word] | None = Field(default=None, max_length=100)
    note: str = Field(default='', max_length=2000)


class Undone(Said):
    """What a person says about a cell again, as before the last answer; everything else is taken back."""

    said: dict[Word, Word] = Field(default_factory=dict, max_length=100)
    before: dict[Word, Word] | None = Field(default=None, max_length=100)


class Drawn(Said):
    """A cell that the model missed."""

    look: Row
    box: tuple[Coordinate, Coordinate, Coordinate, Coordinate]
    said: dict[Word, Word] = Field(min_length=1, max_length=100)


class Marked(Said):
    """A region that is completely reviewed."""

    look: Row
    box: tuple[Coordinate, Coordinate, Coordinate, Coordinate]


def review_app(review: FilmReview, token: str | None = None, who: str = '') -> FastAPI:
    """The page and its interface.

    Args:
        review: the film.
        token: that every request needs; see :class:`mmleuk.desk.guard.Guard`.
        who: name of the reviewer that the page starts with.
    """
    app = new_app('review.html', token, MAX_BYTES)
    app.state.review, app.state.who = review, who
    app.include_router(router)
    return app


def _review(request: Request) -> FilmReview:
    found: FilmReview = request.app.state.review
    return found


@router.get('/start')
def start(request: Request) -> dict[str, str]:
    """The film's name, and the reviewer's if it is known."""
    return dict(film=_review(request).film, who=request.app.state.who)


@router.get('/film')
def film(request: Request, who: str) -> Response:
    """The film as this person sees it."""
    return JSONResponse(_review(request).view(who))  # without FastAPI's walk through every value


@router.get('/fields/{look}/image')
def image(request: Request, look: RowId, window: Annotated[str | None, Query(pattern=r'^\d+,\d+,\d+,\d+$',
                                                                           max_length=60)] = None) -> Response:
    """JPEG of a field, or of a part x,y,width,height of it."""
    part = None
    if window is not None:
        x, y, width, height = map(int, window.split(','))
        part = x, y, width, height
    return Response(_review(request).picture(look, part), media_type='image/jpeg')


@router.post('/cells/{cell}')
def answer(request: Request, cell: CellId, said: Answer) -> dict[str, Any]:
    """Note what a person says about a cell; returns all that they say about it now."""
    now = _review(request).answer(said.who, cell, said.said, said.cost.work, said.note, said.before)
    return dict(id=cell, said=now)


@router.post('/cells/{cell}/undo')
def take_back(request: Request, cell: CellId, undone: Undone) -> dict[str, Any]:
    """Take one's answers on a cell back, but for those that were there before."""
    now = _review(request).take_back(undone.who, cell, undone.cost.work, undone.said, undone.before)
    return dict(id=cell, said=now)


@router.post('/cells')
def draw(request: Request, drawn: Drawn) -> dict[str, Any]:
    """Add a cell; returns its id and all that this person says about it."""
    cell, now = _review(request).draw(drawn.who, drawn.look, drawn.box, drawn.said, drawn.cost.work)
    return dict(id=cell, said=now)


@router.post('/regions')
def mark(request: Request, marked: Marked) -> dict[str, Any]:
    """Mark a region as completely reviewed."""
    return _review(request).mark(marked.who, marked.look, marked.box, marked.cost.work)


@router.post('/regions/{region}/withdraw')
def withdraw(request: Request, region: RowId, said: Said) -> dict[str, int]:
    """Take a region back."""
    _review(request).withdraw(said.who, region, said.cost.work)
    return dict(id=region)


@router.get('/summary')
def summary(request: Request) -> dict[str, Any]:
    """Agreement and cost."""
    return _review(request).summary()


@router.get('/export')
def export(request: Request, who: str | None = None) -> Response:
    """The training file, to save."""
    content = _review(request).training_file(who)
    return JSONResponse(content, headers={'content-disposition': 'attachment; filename="train.json"'})
