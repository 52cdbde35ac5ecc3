"""``mmleuk review``: a page on which people correct a film's cells."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmleuk.bank.connection import Bank
from mmleuk.commands.bank_add import add_predictions
from mmleuk.commands.bank_options import BANK_HELP
from mmleuk.commands.desk_options import add_server_arguments, need_desk

PREDICTIONS = 'predictions.json'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.epilog = 'mmleuk review export writes the training file.'
    parser.add_argument('film', help='name of a film of the bank; or what mmleuk infer wrote, a predictions.json or '
                        'its folder, which is added to the bank as one film')
    parser.add_argument('--bank', required=True, help=f'{BANK_HELP}; made if predictions are named')
    parser.add_argument('--name', help='name of the film that predictions become (default: of their '
                        'folder; has to be given if the bank has another film of that name)')
    parser.add_argument('--who', default='', help='name of the reviewer (default: the page asks)')
    parser.add_argument('--images', help='folder of the images, if they were moved; nothing outside is read')
    parser.add_argument('--types', nargs='+', default=[], metavar='TYPE', help='types to offer beside the model\'s')
    add_server_arguments(parser, 8710)


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C.

    Raises:
        UserError: bad input, or the extra isn't installed.
    """
    need_desk()
    # Late: the extra may be missing.
    from mmleuk.desk.pages import listen, serve, token_for
    from mmleuk.desk.review_app import review_app
    from mmleuk.desk.reviewing import FilmReview, checked_name
    who = checked_name(args.who) if args.who else ''
    film, bank = _film(args)
    review = FilmReview(bank, film, args.images, args.types)
    token = token_for(args.host)
    with listen(args.host, args.port) as found:
        serve(review_app(review, token, who), found, token, f'Review of film {film}')
    bank.close()
    return 0


def _film(args: argparse.Namespace) -> tuple[str, Bank]:
    """The film's name and its bank; predictions are added first."""
    path = Path(args.film)
    path = path / PREDICTIONS if path.is_dir() and (path / PREDICTIONS).is_file() else path
    if not path.is_file():
        return args.film, Bank(args.bank)
    film = args.name or path.absolute().parent.name
    # Every film's predictions may be in a folder called outputs: without a name they are not added to an earlier film.
    add_predictions(args.bank, [str(path)], film=film, new_films=not args.name)
    return film, Bank(args.bank)
