"""``mmleuk review export``: reviewed films as a COCO file to train on."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from mmleuk.bank.connection import Bank
from mmleuk.bank.regions import looks_of_film
from mmleuk.commands.bank_options import BANK_HELP
from mmleuk.desk.field_images import FieldImages
from mmleuk.desk.training_file import training_file
from mmleuk.utils.files import check_new_file, write_atomic
from mmleuk.utils.words import plural_n


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument('films', nargs='+', help='names of films of the bank')
    parser.add_argument('--bank', required=True, help=BANK_HELP)
    parser.add_argument('--out', type=Path, required=True, help='a new JSON file')
    parser.add_argument('--images', help='folder of the images, if they were moved')
    parser.add_argument('--who', help="only this person's regions and answers (default: everybody's; the last word "
                        'counts)')
    parser.add_argument('--ignore-disputed', action='store_true', help='cells on whose type two people disagree are '
                        'marked as ignore, and no loss uses them')


def run(args: argparse.Namespace) -> int:
    """Write the file, and say which settings of a config use it.

    Raises:
        UserError: bad input, nothing was reviewed completely, or the file exists.
    """
    check_new_file(args.out)
    bank = Bank(args.bank)
    with bank.reading() as connection:
        fields = {film: [row for _, row in looks_of_film(connection, film, newest=False)] for film in args.films}
        paths = [row.path for rows in fields.values() for row in rows if row.path]
        folder = args.images or (os.path.commonpath([Path(path).parent for path in paths]) if paths else None)
        images = {film: FieldImages(rows, folder) for film, rows in fields.items() if rows}
        data = training_file(connection, args.films, images, who=args.who, ignore_disputed=args.ignore_disputed)
    bank.close()
    write_atomic(args.out, json.dumps(data, ensure_ascii=False) + '\n')
    root = next(iter(images.values())).root
    print(f'{args.out}: {plural_n(len(data["annotations"]), "cell")} in the reviewed regions of '
          f'{plural_n(len(data["images"]), "field")}\n'
          f"in a config: data_root='{root}/', ann_file='{args.out.absolute()}', data_prefix=dict(img=''), "
          "annotation='sparse'")
    return 0
