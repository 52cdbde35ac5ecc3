"""``mmleuk index``: make an index of cells, in which ``mmleuk explain --index`` finds counterparts."""

from __future__ import annotations

import argparse

from mmleuk.errors import UserError
from mmleuk.utils.files import check_new_file, sha256_of
from mmleuk.utils.words import plural_n


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('config', help='config of an AttributeRecognizer')
    parser.add_argument('checkpoint', help='its weights (.pth)')
    parser.add_argument('--data', choices=('train', 'val', 'test'), default='train',
                        help="which of the config's data to index (default: train)")
    parser.add_argument('--out', default='cells.npz', help='new file (default: cells.npz)')
    parser.add_argument('--device', help='such as cpu or cuda:0 (default: a GPU if there is one)')


def run(args: argparse.Namespace) -> int:
    """Read the cells and write the index; 0.

    Raises:
        UserError: bad config, checkpoint, data or file; nothing has been written.
    """
    check_new_file(args.out)
    if not args.out.endswith('.npz'):
        raise UserError(f'--out {args.out}: an index is an .npz file; give it this ending')
    from mmleuk.explain.counterfactuals import CellIndex  # late: --help must not wait for torch
    from mmleuk.explain.reading import ConceptReader
    reader = ConceptReader(args.config, args.checkpoint, args.device)
    read = reader.read_data(reader.cfg[f'{args.data}_dataloader'], features=True)
    assert read.features is not None and read.boxes_xyxy is not None
    index = CellIndex(read.names, read.paths, read.boxes_xyxy, read.types, read.schema, read.probabilities,
                      read.features, sha256_of(args.checkpoint))
    print(f'  {index.save(args.out)}: {plural_n(len(index.names), "cell")}')
    return 0
