"""What sparse annotation costs and what SLA-Det wins back: one network, three trainings. Called by `make compare`.

    python tools/compare.py [--out work_dirs/demo]

All three are tested on the same completely annotated films; the SLA-Det of `make demo` is taken over.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from mmleuk.utils.command_line import exit_status
from mmleuk.utils.files import write_atomic
from mmleuk.utils.tables import markdown_table
from runs import COCO_SCORES, Workplace, number, table

TRAININGS = (
    ('sparse labels, SLA-Det', 'sla', 'configs/sla_det/yolov5n_sla_synthetic.py'),
    ('sparse labels as if complete', 'sparse_as_complete',
     'configs/attri_det/yolov5n_attri_synthetic_sparse-as-complete.py'),
    ('complete labels', 'complete', 'configs/attri_det/yolov5n_attri_synthetic.py'),
)


def compare(out: Path) -> list[list[str]]:
    """Train and test all three; rows of names and scores, head first."""
    place = Workplace(out)
    place.render()
    rows = [['training', *COCO_SCORES]]
    for title, name, config in TRAININGS:
        scores = place.test(config, place.train(config, name), name)
        rows.append([title, *(number(scores, key) for key in COCO_SCORES.values())])
    return rows


def write(rows: list[list[str]], out: Path) -> list[Path]:
    """The rows as JSON and as a Markdown table."""
    head, *body = rows
    data = {row[0]: {name: float(value) for name, value in zip(head[1:], row[1:], strict=True)} for row in body}
    return [write_atomic(out / 'compare.json', json.dumps(data, indent=2) + '\n'),
            write_atomic(out / 'compare.md', markdown_table(rows) + '\n')]


def main() -> int:
    """0 when all three were trained and tested."""
    parser = argparse.ArgumentParser(description='SLA-Det on sparse labels against plain training on both kinds.')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo'))
    return exit_status(run, parser.parse_args(), 'compare',
                       'interrupted; `make compare` goes on from the last finished epoch')


def run(args: argparse.Namespace) -> None:
    """Compare, print and write.

    Raises:
        UserError: a step failed.
    """
    out = args.out.absolute()
    rows = compare(out)
    files = write(rows, out)
    print(f'\n{table(rows)}\n\nWritten: {", ".join(map(str, files))}')


if __name__ == '__main__':
    sys.exit(main())
