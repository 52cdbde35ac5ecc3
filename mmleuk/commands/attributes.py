"""``mmleuk attributes``: scores of attributes on annotated cells, with intervals and calibration."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmleuk.errors import UserError
from mmleuk.utils.files import check_target
from mmleuk.utils.new_folder import new_folder, write_text
from mmleuk.utils.tables import Row, csv_text, lines, text_table
from mmleuk.utils.words import plural_n

if TYPE_CHECKING:
    from mmleuk.evaluation.crop_metric import AttributeReadings

PLOT = 'reliability.png'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('config', help='config of an AttributeRecognizer, or of an AttriDet; its test data is scored')
    parser.add_argument('checkpoints', nargs='+', metavar='CHECKPOINT', help='weights (.pth); several, one per seed, '
                        'give means with the t interval')
    parser.add_argument('--out', default='attributes', help='new folder for attributes.csv, values.csv, summary.json '
                        f'and {PLOT} (default: attributes)')
    parser.add_argument('--device', help='such as cpu or cuda:0 (default: a GPU if there is one)')


def run(args: argparse.Namespace) -> int:
    """Score, print and write; 0.

    Raises:
        UserError: bad config, checkpoint, data or folder; nothing has been written.
    """
    out = Path(args.out)
    check_target(out / 'summary.json')
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f'{out}: exists already; name a new folder, or remove this one')
    from mmleuk.evaluation.reliability import attribute_reliability
    from mmleuk.report.reliability_plot import reliability_plot
    readings = [read_cells(args.config, checkpoint, args.device) for checkpoint in args.checkpoints]
    summaries = [each.summary() for each in readings]
    rows, summary = mean_rows([each.rows() for each in readings]), mean_row(summaries)
    truth, probs = (np.concatenate([getattr(each, part) for each in readings]) for part in ('truth', 'probs'))
    first = readings[0]
    panels = {'all but the type': attribute_reliability(truth[:, first.averaged], probs[:, first.averaged])} | {
        attribute.name: attribute_reliability(truth[:, [index]], probs[:, [index]])
        for index, attribute in enumerate(first.schema.attributes)}
    with new_folder(out) as folder:
        (folder / PLOT).write_bytes(reliability_plot(panels))
        write_text(folder / 'attributes.csv', csv_text(rows))
        write_text(folder / 'values.csv', csv_text([dict(checkpoint=path) | row for path, each in zip(
            args.checkpoints, readings) for row in each.value_rows()]))
        write_text(folder / 'summary.json', json.dumps(dict(config=args.config, cells=len(first.truth), checkpoints=[
            dict(path=path) | _plain(each) for path, each in zip(args.checkpoints, summaries)],
            mean=_plain(summary)), indent=1) + '\n')
    _say(rows, summary, len(first.truth), len(readings))
    for path in sorted(out.iterdir()):
        print(f'  {path}')
    return 0


def read_cells(config: str, checkpoint: str, device: str | None) -> AttributeReadings:
    """Truth and predictions of the config's test data."""
    from mmleuk.evaluation import CropAttributeMetric
    from mmleuk.explain.reading import ConceptReader
    reader = ConceptReader(config, checkpoint, device)
    metric = CropAttributeMetric(attributes=reader.full_schema.to_dict())
    for sample in reader.tested(reader.cfg.test_dataloader):
        metric.process({}, [sample.to_dict()])
    if not any(len(truth) for truth, _ in metric.results):
        raise UserError(f'{config}: its test data has no cell')
    return metric.readings(metric.results)


def mean_row(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Means of numbers over trainings, and ``NAME_half_width`` of their t interval where there are several."""
    from mmleuk.evaluation.intervals import t_half_width
    found: dict[str, float | None] = {}
    for key in rows[0]:
        values = [row[key] for row in rows]
        known = all(value is not None and np.isfinite(value) for value in values)
        found[key] = float(np.mean(values)) if known else None
        if len(values) > 1:
            found[f'{key}_half_width'] = t_half_width(values) if known else None
    return found


def mean_rows(tables: Sequence[Sequence[Row]]) -> list[dict[str, Any]]:
    """:func:`mean_row` of each attribute's scores."""
    return [dict(attribute=same[0]['attribute'], cells=same[0]['cells']) | mean_row(
        [{key: value for key, value in row.items() if key not in ('attribute', 'cells')} for row in same])
            for same in zip(*tables)]


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value if value is None or np.isfinite(value) else None for key, value in row.items()}


def _say(rows: Sequence[Row], summary: Mapping[str, Any], cells: int, trainings: int) -> None:
    print(text_table(lines(rows, ('attribute', 'cells', 'accuracy', 'precision', 'recall', 'f1'))))

    def told(key: str) -> str:
        half = summary.get(f'{key}_half_width')
        return '–' if summary[key] is None else f'{summary[key]:.3f}' + ('' if half is None else f' ± {half:.3f}')

    low, high = summary['macro_f1_low'], summary['macro_f1_high']
    over = f' ({low:.3f} to {high:.3f} over images)' if low is not None and trainings == 1 else ''
    print(f'\n{plural_n(cells, "cell")}, {plural_n(trainings, "training")}: macro F1 {told("macro_f1")}{over}, '
          f'accuracy {told("accuracy")}, precision {told("precision")}, recall {told("recall")}, ECE {told("ece")}'
          + (f'; type accuracy {told("type_accuracy")}' if 'type_accuracy' in summary else ''))
    print('Means over attributes but the type. Intervals: 95%.')
