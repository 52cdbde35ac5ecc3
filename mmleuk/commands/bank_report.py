"""``mmleuk bank report``: a film's differential and what a person should look at, as HTML, PDF and JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmleuk.bank.connection import Bank
from mmleuk.bank.films import CellKey, FilmContents, film_contents
from mmleuk.commands.bank_options import BANK_HELP
from mmleuk.desk.reviewing import summary_of
from mmleuk.errors import UserError
from mmleuk.pictures.crops import crop_key, make_crops
from mmleuk.report.field_quality import FieldQuality, field_quality
from mmleuk.report.film import FORMAT, FilmFacts, film_report
from mmleuk.report.film_page import pictured, render_film, to_pdf
from mmleuk.report.page import lowest_score
from mmleuk.report.statistics import morphology_bank
from mmleuk.slides.readers import open_slide
from mmleuk.structures.prediction import FailedImage, Run
from mmleuk.utils.files import ensure_writable, write_atomic
from mmleuk.utils.json_files import read_json
from mmleuk.utils.progress import progress
from mmleuk.utils.words import plural_n

MEASURED_PX = 2 ** 26
"""Area of the largest image whose quality is measured; larger ones are films, and the figures are for single fields."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument('bank', help=BANK_HELP)
    parser.add_argument('film', help='name of the film')
    parser.add_argument('--out', type=Path, default=Path('film_report'),
                        help='folder for report.html, report.pdf and report.json (default: film_report); '
                        'another film needs another folder')
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
        UserError: bad input, or files of something else or of another film are in the folder; nothing has been
            written.
    """
    bank = Bank(args.bank)
    with bank.reading() as connection:
        contents = film_contents(connection, args.film)
        review = summary_of(connection, args.film)
    _check_folder(args.out, args.film, args.bank)
    looked = _look(contents.run)
    report = film_report(contents.run, _facts(contents, looked, review, args.bank), args.leukocytes, args.blasts)
    pictures = _pictures(report, contents)
    page = render_film(report, pictures)
    pdf = None if args.no_pdf else to_pdf(render_film(report, pictures, paper=True))
    out = ensure_writable(args.out)
    written = [write_atomic(out / 'report.html', page)]
    if pdf is not None:
        written.append(write_atomic(out / 'report.pdf', pdf))
    else:  # that of an earlier report would say something else than the page beside it
        (out / 'report.pdf').unlink(missing_ok=True)
    text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)
    written.append(write_atomic(out / 'report.json', text + '\n'))
    print(f'{report["sentence"]}\n{report["worth"]["text"]}')
    for path in written:
        print(f'  {path}')
    for failure in looked.failed:
        print(f'error: {failure.image}: {failure.error}', file=sys.stderr)
    return 1 if looked.failed else 0


def _check_folder(out: Path, film: str, bank: str) -> None:
    """Refuse to replace a report that this command didn't write, or that of another film."""
    if not any((out / name).exists() for name in ('report.html', 'report.pdf', 'report.json')):
        return
    try:
        found = read_json(out / 'report.json')
    except UserError:
        found = None
    if not isinstance(found, dict) or found.get('format') != FORMAT:
        raise UserError(f'{out}: has a report of another command; choose another folder with --out')
    before = str(found.get('film')), str(found.get('made', {}).get('Bank'))
    # Names of films are unique in a bank only.
    if before[0] != film or os.path.abspath(before[1]) != os.path.abspath(_without_password(bank)):
        raise UserError(f'{out}: has the report of film {before[0]!r} of bank {before[1]}; choose another folder with '
                        '--out, or remove that report')


@dataclass(frozen=True)
class _Looked:
    """What a look at the images of a film gave.

    Args:
        quality: figures of its fields by name.
        large: images that are too large for figures.
        failed: images that can't be read.
    """

    quality: dict[str, FieldQuality] = field(default_factory=dict)
    large: list[str] = field(default_factory=list)
    failed: list[FailedImage] = field(default_factory=list)


def _look(run: Run) -> _Looked:
    looked = _Looked()
    for prediction in progress(run.predictions, total=len(run.predictions), desc='Looking at fields'):
        try:
            if prediction.path is None:
                raise UserError('came from no file')
            with open_slide(prediction.path, prediction.intensity) as slide:
                height, width = slide.size_hw
                if height * width > MEASURED_PX:
                    looked.large.append(prediction.image)
                else:
                    looked.quality[prediction.image] = field_quality(slide.read(0, 0, width, height))
        except UserError as error:
            looked.failed.append(FailedImage(prediction.image, str(error)))
    return looked


def _facts(contents: FilmContents, looked: _Looked, review: Mapping[str, Any], bank: str) -> FilmFacts:
    info, notes = contents.run.info, []
    if not contents.compared:
        notes.append('Its fields were not compared, or not since somebody drew a cell: a cell that two fields show may '
                     'be counted twice. Run mmleuk bank add on the predictions again, without --no-overlaps.')
    if len(contents.runs) > 1:
        notes.append(f'Its cells come from {len(contents.runs)} runs of inference, perhaps of different models.')
    if contents.second_views:
        notes.append(f'{plural_n(contents.second_views, "cell")} not counted, since another field shows the same cell '
                     'better.')
    if looked.large:
        notes.append(f'{plural_n(len(looked.large), "large image")} without figures of focus, thickness and stain: '
                     'these are for single fields.')
    lowest = lowest_score(info) + (
        '' if contents.scores_known else ', or the model\'s own by class: an earlier version put the run into the bank')
    made = {'Model': info.model, 'Config': info.config, 'Checkpoint': info.checkpoint,
            'Lowest score': lowest, 'Predictions made': info.created, 'mmleuk': info.version,
            'Bank': _without_password(bank),
            'Runs': ', '.join(map(str, contents.runs)), 'Reviewed cells': str(len(contents.reviewed))}
    return FilmFacts(contents.name, contents.patient, contents.ids, contents.diameters_um, contents.reviewed,
                     looked.quality, notes, review if review['costs'] else {}, made)


def _without_password(bank: str) -> str:
    head, at, rest = bank.rpartition('@')
    return f'{head.split("://")[0]}://...@{rest}' if at and '://' in head else bank


def _pictures(report: Mapping[str, Any], contents: FilmContents) -> dict[int, str]:
    wanted = set(pictured(report))
    ids: Mapping[CellKey, int] = contents.ids
    entries = [entry for entry in morphology_bank(contents.run.predictions) if ids[crop_key(entry)] in wanted]
    return {ids[key]: uri for key, uri in make_crops(entries)[0].items()}
