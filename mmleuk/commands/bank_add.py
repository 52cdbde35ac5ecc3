"""``mmleuk bank add``: predictions into a bank; cells that two fields of a film show are counted once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import PurePosixPath

from mmleuk.bank.adding import Added, add_run
from mmleuk.bank.connection import Bank
from mmleuk.bank.same_cells import compare_fields, films_to_compare
from mmleuk.commands.bank_options import BANK_HELP
from mmleuk.errors import UserError
from mmleuk.structures.prediction import Run
from mmleuk.structures.prediction_files import from_json
from mmleuk.utils.files import sha256_of
from mmleuk.utils.words import plural_n


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument('bank', help=f'{BANK_HELP}; made if it is not there')
    parser.add_argument('predictions', nargs='+', help='predictions.json files that mmleuk infer wrote')
    film = parser.add_mutually_exclusive_group(required=True)
    film.add_argument('--film', help='name of the film; all images are its fields')
    film.add_argument('--film-per', choices=('folder', 'image'),
                      help='each folder of images is a film, or each image')
    parser.add_argument('--patient', help='whose films these are')
    parser.add_argument('--no-overlaps', action='store_true', help='do not look for cells that two fields show')
    parser.add_argument('--workers', type=int, default=2, help='threads that compare fields (default: 2)')


def run(args: argparse.Namespace) -> int:
    """Add and say what was added.

    Raises:
        UserError: bad input; files before the bad one have been added whole.
    """
    if args.workers < 1:
        raise UserError(f'--workers {args.workers}: at least one is needed')
    add_predictions(args.bank, args.predictions, film=args.film, per=args.film_per, patient=args.patient,
                    workers=0 if args.no_overlaps else args.workers)
    return 0


def add_predictions(where: str, paths: Sequence[str], *, film: str | None = None, per: str | None = None,
                    patient: str | None = None, workers: int = 2, new_films: bool = False) -> None:
    """Add files to a bank, which is made if it isn't there, and say what was added.

    Args:
        where: the bank.
        paths: files that mmleuk infer wrote.
        film, per, patient: as the command's options.
        workers: threads that compare overlapping fields; 0: don't compare.
        new_films: as :func:`mmleuk.bank.adding.add_run` takes it.

    Raises:
        UserError: bad input; files before the bad one have been added whole.
    """
    runs = [(path, from_json(path)) for path in paths]  # all are read before anything is written
    films = [films_of(found, film, per, path) for path, found in runs]
    bank = Bank(where, create=True)
    touched: set[int] = set()
    for (path, found), of_image in zip(runs, films):
        added = add_run(bank, found, of_image, sha256_of(path), str(path), patient, new_films)
        touched.update(added.film_ids)
        print(_said(path, added))
    if workers:
        _compare(bank, sorted(touched), workers)
    bank.close()


def films_of(run: Run, film: str | None, per: str | None, source: str) -> dict[str, str]:
    """Film of each image, by the image's name.

    Raises:
        UserError: an image lies in no folder.
    """
    if film is not None:
        return {prediction.image: film for prediction in run.predictions}
    names = {prediction.image: str(PurePosixPath(prediction.image).parent) if per == 'folder' else prediction.image
             for prediction in run.predictions}
    if bare := [image for image, name in names.items() if name == '.']:
        raise UserError(f'{source}: image {bare[0]!r} is in no folder below the inputs of mmleuk infer; name its film '
                        'with --film')
    return names


def _said(path: str, added: Added) -> str:
    if not added.new:
        return f'{path}: is in the bank already, as run {added.run_id}'
    return (f'{path}: run {added.run_id}, {plural_n(added.cells, "cell")} in {plural_n(added.fields, "field")} of '
            f'{plural_n(len(added.film_ids), "film")}')


def _compare(bank: Bank, films: list[int], workers: int) -> None:
    with bank.reading() as connection:
        waiting = films_to_compare(connection, films)
    for film, name in waiting.items():
        found = compare_fields(bank, film, workers)
        if found.fields > 1:
            print(f'film {name}: {plural_n(found.overlaps, "pair")} of {found.fields} fields overlap; '
                  f'{plural_n(found.same, "cell")} that another field shows better not counted' + (
                      f'; {plural_n(found.missing, "image")} not found and not compared' if found.missing else '') + (
                      f'; {plural_n(found.large, "image")} too large to be compared' if found.large else ''))
