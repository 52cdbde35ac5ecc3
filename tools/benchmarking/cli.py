"""``tools/benchmark.py`` runs a suite, ``benchmark_report.py`` tabulates all, ``benchmark_cost.py`` measures costs."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from mmengine.logging import MMLogger

from benchmarking.cells import check_cells
from benchmarking.cost import measure
from benchmarking.document import document
from benchmarking.identity import identity
from benchmarking.machine import ROOT
from benchmarking.plots import write_plots
from benchmarking.results import DONE, current_results, missing_configs, result_path
from benchmarking.running import Settings, state_of
from benchmarking.scheduling import run_cases
from benchmarking.suite import Case, read_suite, read_suites
from mmleuk.errors import UserError
from mmleuk.utils.command_line import exit_status
from mmleuk.utils.files import write_atomic

SUITES = ROOT / 'benchmarks'
RESULTS = SUITES / 'results'


def benchmark_parser() -> argparse.ArgumentParser:
    """The flags of ``tools/benchmark.py``."""
    parser = argparse.ArgumentParser(
        description='Run the trainings of a suite; finished ones are kept, interrupted ones resume.')
    parser.add_argument('suite', help='YAML file, see benchmarks/')
    parser.add_argument('--list', action='store_true', help='print the state of each training, and stop')
    parser.add_argument('--rows', metavar='NAME[:SEED],...', help='only these; default: all')
    parser.add_argument('--jobs', type=_count, default=2, help='trainings at a time (default 2)')
    parser.add_argument('--threads', type=_count, default=1, help='of each training (default 1)')
    parser.add_argument('--workers', type=int, help='processes loading data per training; default: threads - 1')
    parser.add_argument('--renew', action='store_true',
                        help='train again what was trained with another config or other data')
    _add_folders(parser)
    return parser


def cost_parser() -> argparse.ArgumentParser:
    """The flags of ``tools/benchmark_cost.py``."""
    parser = argparse.ArgumentParser(description='Time and memory of a training iteration of each row, as ratios.')
    parser.add_argument('suite', help='YAML file with the key cost, see benchmarks/')
    parser.add_argument('--weights', type=Path, required=True, metavar='CHECKPOINT',
                        help='of a trained detector like the reference; every row starts from it')
    parser.add_argument('--iterations', type=_count, default=20, help='of each row (default 20)')
    parser.add_argument('--threads', type=_count, default=1, help='of each training (default 1)')
    _add_folders(parser)
    return parser


def _add_folders(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs' / 'benchmarks',
                        help='checkpoints and logs (default work_dirs/benchmarks)')
    parser.add_argument('--results', type=Path, default=RESULTS,
                        help='one JSON per training (default benchmarks/results)')


def benchmark_main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; 0 when all chosen trainings are done, 1 when one is not, 2 for bad input, 130 for Ctrl-C."""
    return exit_status(
        run, benchmark_parser().parse_args(argv),
        interrupted='all trainings are stopped; the same command goes on from their last finished epochs')


def run(args: argparse.Namespace) -> int:
    """Run a suite's trainings that are not done; 0 when all are done, 1 when some are not.

    Raises:
        UserError: bad suite, unknown rows, a chosen row's config is missing, or the data have other numbers of cells
            than the suite says.
    """
    settings = Settings(
        work_dir=args.work_dir.absolute(), results=args.results.absolute(), jobs=args.jobs, threads=args.threads,
        workers=args.threads - 1 if args.workers is None else max(args.workers, 0), renew=args.renew)
    MMLogger.get_current_instance().setLevel('WARNING')  # not a line per config that is read
    suite = read_suite(args.suite)
    cases = suite.choose(args.rows)
    if args.list:
        _print_states(cases, settings)
        return 0
    missing = [case for case in cases if missing_configs(case)]
    if missing and args.rows is not None:
        raise UserError(f'{", ".join(missing_configs(missing[0]))}: no such config; row {missing[0].row.name!r} of '
                        f'{args.suite} needs it')
    for case in missing:
        _tell(f'{case.name}: left out, {", ".join(missing_configs(case))} does not exist')
    there = [case for case in cases if case not in missing]
    check_cells(suite, there)
    run_cases(there, settings, _tell)
    return int(bool(missing) or any(state_of(case, settings, identity(case)) != DONE for case in there))


def cost_main(argv: Sequence[str] | None = None) -> int:
    """Run ``tools/benchmark_cost.py``; 2 for bad input."""
    return exit_status(run_cost, cost_parser().parse_args(argv))


def run_cost(args: argparse.Namespace) -> None:
    """Measure a suite's costs.

    Raises:
        UserError: bad suite, or nothing of it can be measured.
    """
    settings = Settings(work_dir=args.work_dir.absolute(), results=args.results.absolute(), threads=args.threads)
    MMLogger.get_current_instance().setLevel('WARNING')  # not a line per config that is read
    measure(read_suite(args.suite), settings, args.weights, args.iterations, _tell)


def _print_states(cases: Sequence[Case], settings: Settings) -> None:
    width = max(len(case.name) for case in cases)
    for case in cases:
        print(f'{case.name:<{width}}  {_state(case, settings)}')


def _state(case: Case, settings: Settings) -> str:
    missing = missing_configs(case)
    if missing:
        return f'to run: {", ".join(missing)} does not exist yet'
    try:
        now = identity(case)
    except UserError as error:
        if result_path(settings.results, case).is_file():
            return f'has a result, which cannot be compared: {error}'
        return f'to run: {error}'
    return state_of(case, settings, now)


def _tell(text: str) -> None:
    print(f'[{time.strftime("%H:%M:%S")}] {text}', flush=True)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'at least 1, got {number}')
    return number


def report_parser() -> argparse.ArgumentParser:
    """The flags of ``tools/benchmark_report.py``."""
    parser = argparse.ArgumentParser(description='Tables and plots of all suites from their trainings\' JSONs.')
    parser.add_argument('--suites', type=Path, default=SUITES, help='folder of YAML files (default benchmarks)')
    parser.add_argument('--results', type=Path, default=RESULTS, help='their JSONs (default benchmarks/results)')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs' / 'benchmarks.md',
                        help='the document (default docs/benchmarks.md); plots go into images/ beside it')
    return parser


def report_main(argv: Sequence[str] | None = None) -> int:
    """Run ``tools/benchmark_report.py``; 2 for bad input."""
    return exit_status(run_report, report_parser().parse_args(argv))


def run_report(args: argparse.Namespace) -> None:
    """Write the document and the plots of all suites, and print where.

    Raises:
        UserError: a bad suite or result, or a folder that can't be written.
    """
    MMLogger.get_current_instance().setLevel('WARNING')  # not a line per config that is read
    if not args.results.is_dir():
        raise UserError(f'--results {args.results}: no such folder; the document would lose all its numbers')
    suites = read_suites(args.suites)
    written = [write_atomic(args.out, document(suites, args.results))]
    for suite in suites:
        written += write_plots(suite, current_results(args.results, suite), args.out.parent / 'images')
    print('\n'.join(map(str, written)))
