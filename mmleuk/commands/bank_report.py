"""``mmleuk bank report``: a film's differential and what a person should look at, as HTML, PDF and JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmleuk.bank.connection import Bank
from mmleuk.bank.films import CellKey, FilmContents, film_contents
from mmleuk.commands.bank_options import BANK_HELP
from mmleuk.desk.reviewing import summary_of
from mmleuk.errors import UserError
from mmleuk.pictures.crops import crop_key, make_crops
from mmleuk.pictures.drawing import load_image
from mmleuk.report.field_quality import FieldQuality, field_quality
from mmleuk.report.film import FilmFacts, film_report
from mmleuk.report.film_page import pictured, render_film, to_pdf
from mmleuk.report.statistics import morphology_bank
from mmleuk.structures.prediction import FailedImage, Run
from mmleuk.utils.files import ensure_writable, write_atomic
from mmleuk.utils.progress import progress
from mmleuk.utils.words import plural_n


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument('bank', help=BANK_HELP)
    parser.add_argument('film', help='name of the film')
    parser.add_argument('--out', type=Path, default=Path('film_report'),
                        help='folder for report.html, report.pdf and report.json (default: film_report)')
    parser.add_argument('--leukocytes', nargs='+', metavar='CLASS', help='types that count as leukocytes (default: '
                        'those that the data set declares)')
    parser.add_argument('--blasts', nargs='+', metavar='CLASS',
                        help='types that count as blasts (default: by their names)')
    parser.add_argument('--no-pdf', action='store_true', help='write no PDF')


def run(args: argparse.Namespace) -> int:
    """Write the report.

    Returns:
        0, or 1 if an image could not be read.

    Raises:
        UserError: bad input, or files of something else are in the folder; nothing has been written.
    """
    bank = Bank(args.bank)
    with bank.reading() as connection:
        contents = film_contents(connection, args.film)
        review = summary_of(connection, args.film)
    _check_folder(args.out)
    quality, failed = _qualities(contents.run)
    report = film_report(contents.run, _facts(contents, quality, review, args.bank), args.leukocytes, args.blasts)
    pictures = _pictures(report, contents)
    page = render_film(report, pictures)
    pdf = None if args.no_pdf else to_pdf(render_film(report, pictures, paper=True))
    out = ensure_writable(args.out)
    written = [write_atomic(out / 'report.html', page)]
    if pdf is not None:
        written.append(write_atomic(out / 'report.pdf', pdf))
    text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)
    written.append(write_atomic(out / 'report.json', text + '\n'))
    print(f'{report["sentence"]}\n{report["worth"]["text"]}')
    for path in written:
        print(f'  {path}')
    for failure in failed:
        print(f'error: {failure.image}: {failure.error}', file=sys.stderr)
    return 1 if failed else 0


def _check_folder(out: Path) -> None:
    """Refuse to replace a report that this command didn't write."""
    if any((out / name).exists() for name in ('report.html', 'report.pdf')) and not (out / 'report.json').exists():
        raise UserError(f'{out}: has a report of another command; choose another folder with --out')


def _qualities(run: Run) -> tuple[dict[str, FieldQuality], list[FailedImage]]:
    found, failed = {}, []
    for prediction in progress(run.predictions, total=len(run.predictions), desc='Looking at fields'):
        try:
            if prediction.path is None:
                raise UserError('came from no file')
            pixels = np.ascontiguousarray(np.asarray(load_image(prediction.path))[:, :, ::-1])
            found[prediction.image] = field_quality(pixels)
        except UserError as error:
            failed.append(FailedImage(prediction.image, str(error)))
    return found, failed


def _facts(contents: FilmContents, quality: Mapping[str, FieldQuality], review: Mapping[str, Any], bank: str
           ) -> FilmFacts:
    info, notes = contents.run.info, []
    if not contents.compared:
        notes.append('Its fields were not compared: a cell that two fields show may be counted twice. Run mmleuk bank '
                     'add on the predictions again, without --no-overlaps.')
    if len(contents.runs) > 1:
        notes.append(f'Its cells come from {len(contents.runs)} runs of inference, perhaps of different models.')
    if contents.second_views:
        notes.append(f'{plural_n(contents.second_views, "cell")} not counted, since another field shows the same cell '
                     'better.')
    made = {'Model': info.model, 'Config': info.config, 'Checkpoint': info.checkpoint,
            'Lowest score': f'{info.min_score:g}', 'Predictions made': info.created, 'mmleuk': info.version,
            'Bank': _without_password(bank),
            'Runs': ', '.join(map(str, contents.runs)), 'Reviewed cells': str(len(contents.reviewed))}
    return FilmFacts(contents.name, contents.patient, contents.ids, contents.diameters_um, contents.reviewed, quality,
                     notes, review if review['costs'] else {}, made)


def _without_password(bank: str) -> str:
    head, at, rest = bank.rpartition('@')
    return f'{head.split("://")[0]}://...@{rest}' if at and '://' in head else bank


def _pictures(report: Mapping[str, Any], contents: FilmContents) -> dict[int, str]:
    wanted = set(pictured(report))
    ids: Mapping[CellKey, int] = contents.ids
    entries = [entry for entry in morphology_bank(contents.run.predictions) if ids[crop_key(entry)] in wanted]
    return {ids[key]: uri for key, uri in make_crops(entries)[0].items()}
