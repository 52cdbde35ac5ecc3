"""The console script ``mmleuk``: a tree of commands; each is imported only when it is called."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from mmleuk import __version__
from mmleuk.utils.command_line import exit_status


@dataclass(frozen=True)
class Command:
    """One command: its words, the module with ``add_arguments(parser)`` and ``run(args) -> int``, and its help."""

    words: tuple[str, ...]
    module: str
    help: str


COMMANDS = (
    Command(('doctor',), 'mmleuk.doctor', 'versions, what is broken, and the command that fixes it'),
    Command(('data', 'synthesize'), 'mmleuk.commands.synthesize', 'render blood films with exact annotations'),
    Command(('data', 'crops'), 'mmleuk.commands.synthesize_crops', 'render crops of single cells with attributes'),
    Command(('data', 'check'), 'mmleuk.commands.check', "find errors in a config's data before training"),
    Command(('data', 'browse'), 'mmleuk.commands.browse', 'draw training samples as the network gets them'),
    Command(('data', 'convert'), 'mmleuk.commands.convert', 'convert annotations between COCO, VOC and YOLO'),
    Command(('data', 'dedupe'), 'mmleuk.commands.dedupe', 'keep one annotation of each cell that two fields show'),
    Command(('data', 'sparsify'), 'mmleuk.commands.sparsify', 'keep the annotations of one region per image'),
    Command(('data', 'interfere'), 'mmleuk.commands.interfere', 'a copy of a test set per interference factor'),
    Command(('data', 'agree'), 'mmleuk.commands.agree', 'agreement rate and kappa of two annotators, per attribute'),
    Command(('config',), 'mmleuk.commands.config', 'what a config resolves to, and which files set it'),
    Command(('train',), 'mmleuk.commands.train', 'train a detector, as tools/train.py'),
    Command(('test',), 'mmleuk.commands.test', 'test a detector and print its scores, as tools/test.py'),
    Command(('infer',), 'mmleuk.commands.infer', 'cells, attributes, pictures and a report from images'),
    Command(('export',), 'mmleuk.commands.export', 'a model as ONNX or OpenVINO file, checked against the torch model'),
    Command(('segment',), 'mmleuk.commands.segment', 'masks of cell parts; nucleus/cytoplasm ratio, lobes, areas'),
    Command(('models',), 'mmleuk.commands.models', 'the models in the package, and what they were trained on'),
    Command(('transfer',), 'mmleuk.commands.transfer', "one microscope's annotations -> another's images"),
    Command(('bottleneck',), 'mmleuk.commands.bottleneck', "fit concept bottlenecks: a cell's type from attributes"),
    Command(('attributes',), 'mmleuk.commands.attributes', 'scores of attributes with intervals and calibration'),
    Command(('gradcam',), 'mmleuk.commands.gradcam', 'where the network finds the value of each attribute'),
    Command(('explain',), 'mmleuk.commands.explain', 'why a cell gets its type, and what another value would change'),
    Command(('index',), 'mmleuk.commands.index', 'an index of cells, in which explain finds counterparts'),
    Command(('counterfactuals',), 'mmleuk.commands.counterfactuals',
            'draw cells twice with one attribute changed: does a predictor notice?'),
    Command(('bias',), 'mmleuk.commands.bias', 'attribute values on which a classifier makes more errors'),
    Command(('evaluate',), 'mmleuk.commands.evaluate', 'scores, plots and a page from saved predictions'),
    Command(('bank', 'add'), 'mmleuk.commands.bank_add', 'put predictions into a morphology bank'),
    Command(('bank', 'query'), 'mmleuk.commands.bank_query', 'count and list cells of a bank'),
    Command(('bank', 'export'), 'mmleuk.commands.bank_export', 'cells of a bank as CSV, Parquet or pictures'),
    Command(('bank', 'report'), 'mmleuk.commands.bank_report', "a film's differential as HTML, PDF and JSON"),
    Command(('bank', 'review'), 'mmleuk.commands.bank_review', 'note what a person says about a cell'),
    Command(('bank', 'upgrade'), 'mmleuk.commands.bank_upgrade', 'bring a bank of an earlier version up to date'),
    Command(('serve',), 'mmleuk.commands.serve', 'a page to try the model: drop a film in, see cells and report'),
    Command(('review', 'export'), 'mmleuk.commands.review_export', 'reviewed regions as a training file'),
    Command(('review',), 'mmleuk.commands.review', 'a page on which people correct a film; review export: its result'),
)

GROUPS = {'data': 'films and annotations: render, check, look at, convert, sparsify',
          'bank': 'the morphology bank: the cells of many films in a database'}


def chosen(argv: Sequence[str]) -> Command | None:
    """The command that the first arguments name."""
    return next((command for command in COMMANDS if tuple(argv[:len(command.words)]) == command.words), None)


def _is_shown(command: Command, wanted: Command | None) -> bool:
    """Whether a command is in the tree: of `review` and `review export`, only the one that the arguments name."""
    if command.words[:-1] in [other.words for other in COMMANDS]:
        return command == wanted
    return wanted is None or wanted.words[:-1] != command.words


def build_parser(wanted: Command | None = None) -> argparse.ArgumentParser:
    """The tree of commands; only ``wanted`` gets its arguments, so that only its module is imported."""
    parser = argparse.ArgumentParser('mmleuk', description='White blood cells and their morphology, for MMDetection.')
    parser.add_argument('--version', action='version', version=f'mmleuk {__version__}')
    top = parser.add_subparsers(title='commands', metavar='COMMAND', required=True)
    groups: dict[tuple[str, ...], argparse._SubParsersAction] = {(): top}
    for command in COMMANDS:
        if not _is_shown(command, wanted):
            continue
        group, name = command.words[:-1], command.words[-1]
        if group not in groups:
            branch = top.add_parser(group[0], help=GROUPS.get(group[0], ''))
            groups[group] = branch.add_subparsers(title='commands', metavar='COMMAND', required=True)
        leaf = groups[group].add_parser(name, help=command.help, description=command.help)
        if command == wanted:
            module = import_module(command.module)
            module.add_arguments(leaf)
            leaf.set_defaults(run=module.run)
    return parser


def _parse_and_run(argv: Sequence[str]) -> object:
    args = build_parser(chosen(argv)).parse_args(argv)
    return args.run(args)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 on success, 1 when a check found something, 2 on bad input (one line on stderr, nothing written).
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        # Parsing imports the command. This takes seconds, in which a user may press Ctrl-C.
        return exit_status(_parse_and_run, argv, 'mmleuk')
    except BrokenPipeError:
        # `mmleuk ... | head` closed the pipe. Redirect stdout, else the flush at exit fails.
        sys.stdout = open('/dev/null', 'w')
        return 0


if __name__ == '__main__':
    sys.exit(main())
