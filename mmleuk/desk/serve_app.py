"""The server of the page to try the model."""

from __future__ import annotations

import shutil
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, File, Request, UploadFile
from fastapi.responses import FileResponse

from mmleuk.desk.guard import REPORT_POLICY
from mmleuk.desk.jobs import Films
from mmleuk.desk.pages import new_app
from mmleuk.errors import UserError

_FORM_BYTES = 200_000
"""What a form adds to the images."""
router = APIRouter(prefix='/api')


def serve_app(films: Films, model: str, token: str | None = None) -> FastAPI:
    """The page and its interface.

    Args:
        films: the queue.
        model: its name, for the page.
        token: that every request needs; see :class:`mmleuk.desk.guard.Guard`.
    """
    app = new_app('serve.html', token, int(films.limits.megabytes * 1e6) + _FORM_BYTES)
    app.state.films, app.state.model = films, model
    app.include_router(router)
    return app


def _films(request: Request) -> Films:
    found: Films = request.app.state.films
    return found


@router.get('/start')
def start(request: Request) -> dict[str, Any]:
    """The model's name and the limits."""
    return dict(model=request.app.state.model, limits=vars(_films(request).limits))


@router.post('/films', status_code=202)
def add(request: Request, images: Annotated[list[UploadFile], File()]) -> dict[str, str]:
    """Put a film into the queue."""
    films = _films(request)
    film = films.new()
    try:
        for image in images:
            with open(films.add_image(film, image.filename or ''), 'wb') as target:
                shutil.copyfileobj(image.file, target)
        films.submit(film)
    except Exception:  # also a full disk, which the rest of the film must not keep full
        films.drop(film)
        raise
    return dict(id=film.id)


@router.get('/films/{number}')
def film(request: Request, number: str) -> dict[str, Any]:
    """Where a film is, and what was found."""
    films = _films(request)
    found = films.find(number)
    return dict(id=found.id, state=found.state, before=films.position(found), done=found.done, images=len(found.paths),
                error=found.error, names=found.names, **found.facts)


@router.get('/films/{number}/{name:path}')
def result(request: Request, number: str, name: str) -> FileResponse:
    """One of a film's results."""
    found = _films(request).find(number)
    # Only names that the folder lists: no part of the request becomes a path.
    known = {path.relative_to(found.results).as_posix(): path for path in sorted(found.results.rglob('*'))
             if path.is_file() and found.state == 'done'}
    if name not in known:
        raise UserError('there is no such result')
    headers = {'content-security-policy': REPORT_POLICY} if name.endswith('.html') else {}
    return FileResponse(known[name], headers=headers)
