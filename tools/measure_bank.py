"""How fast a bank takes and finds cells: ``python tools/measure_bank.py BANK``, a new file or an empty database.

The cells are random: 14 types of uneven frequency, six attributes with probabilities, 1,000 cells per field, 50 fields
per film. Prints cells per second of wall clock, and the best of three times of typical questions.
"""

from __future__ import annotations

import argparse
import os
import random
import time

from mmleuk.bank.adding import add_run
from mmleuk.bank.connection import Bank
from mmleuk.bank.queries import Wanted, count_cells, find_cells
from mmleuk.schema import LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES
from mmleuk.structures.prediction import AttributeReading, Cell, Prediction, Run, RunInfo
from mmleuk.utils.tables import text_table

PER_FIELD, FIELDS_PER_FILM, SEED = 1000, 50, 0
FREQUENCIES = (1, 2, 2, 4, 1, 1, 1, 4, 1, 1, 2, 1, 0.2, 0.01)
QUESTIONS = {
    'one type': Wanted(types=['Myeloblast']),
    'three types': Wanted(types=['Myeloblast', 'Lymphoblast', 'Monoblast']),
    'an attribute': Wanted(attributes=dict(nucleolus='prominent')),
    'a type and two attributes': Wanted(types=['Myeloblast'],
                                        attributes=dict(nucleolus='prominent', cytoplasm='scanty')),
    'a rare type and an attribute': Wanted(types=['Basophil'], attributes=dict(nucleolus='prominent')),
    'a high score': Wanted(min_score=0.99),
    'a low score': Wanted(max_score=0.3),
    'a size': Wanted(min_px=90),
    'a type and a size': Wanted(types=['Monocyte'], min_px=80),
    'a film': Wanted(film='film 0'),
    'a type in a film': Wanted(film='film 0', types=['Myeloblast']),
    'a field': Wanted(field='f0001.png'),
    'everything': Wanted()}


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('bank', help='new SQLite file, or URL of an empty PostgreSQL database')
    parser.add_argument('--cells', type=int, default=1_000_000, help='how many (default: 1,000,000)')
    return parser


def random_run(n_cells: int) -> Run:
    """A run of about as many cells."""
    draw, schema = random.Random(SEED), LEUKEMIA_ATTRIBUTES
    readings = [{key: AttributeReading(value=schema.decode(key, value), value_index=value, prob=draw.random())
                 for key in schema.keys for value in [draw.randrange(2)]} for _ in range(2000)]
    fields = []
    for number in range(max(1, n_cells // PER_FIELD)):
        cells = []
        for label in draw.choices(range(len(LEUKEMIA_CLASSES)), FREQUENCIES, k=PER_FIELD):
            x, y = draw.random() * 2000, draw.random() * 2000
            box = x, y, x + draw.gauss(60, 10), y + draw.gauss(60, 10)
            cells.append(Cell(box, draw.random(), label, LEUKEMIA_CLASSES[label], draw.choice(readings)))
        fields.append(Prediction(f'f{number:04d}.png', (2100, 2100), tuple(cells)))
    return Run(RunInfo(LEUKEMIA_CLASSES, schema, created='2026-01-01T00:00:00+00:00'), tuple(fields))


def main() -> None:
    """Measure and print."""
    args = build_parser().parse_args()
    run = random_run(args.cells)
    films = {image.image: f'film {number // FIELDS_PER_FILM}' for number, image in enumerate(run.predictions)}
    bank = Bank(args.bank, create=True)
    wall, cpu = time.perf_counter(), time.process_time()
    added = add_run(bank, run, films, 'measure_bank', 'measure_bank')
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f'{added.cells:,} cells in {wall:.1f} s: {added.cells / wall:,.0f} per second; {cpu:.1f} s of it computing '
          f'in this process, {1e6 * cpu / added.cells:.1f} ms per 1,000 cells ({added.cells / cpu:,.0f} per second); '
          f'load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores')
    rows: list[list[object]] = [['question', 'first 100, ms', 'count, ms', 'cells']]
    with bank.reading() as connection:
        for name, wanted in QUESTIONS.items():
            found, counted = [], []
            for _ in range(3):
                start = time.perf_counter()
                find_cells(connection, wanted, limit=100)
                middle = time.perf_counter()
                cells = sum(count_cells(connection, wanted).values())
                found.append(middle - start)
                counted.append(time.perf_counter() - middle)
            rows.append([name, f'{1000 * min(found):.1f}', f'{1000 * min(counted):.1f}', cells])
    print(text_table(rows))


if __name__ == '__main__':
    main()
