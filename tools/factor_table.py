"""Detectors' accuracy under interference factors, as Markdown and JSON.

    mmleuk data interfere data/test.json --images data/images --out work_dirs/factors
    python tools/factor_table.py CONFIG:CHECKPOINT [CONFIG:CHECKPOINT ...] --annotations data/test.json \
        --images data/images --copies work_dirs/factors --out work_dirs/factor_table

First a row per detector with its mAP@50 per factor, then a row per detector and factor; every figure stands beside the
same detector's on the same images without the factor.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed

import numpy as np

from mmleuk.apis import Inferencer
from mmleuk.datasets.converters.coco_files import read_coco
from mmleuk.datasets.interference.names import ANNOTATIONS
from mmleuk.errors import UserError
from mmleuk.evaluation.factor_scores import FactorScores, Found, score_factor
from mmleuk.structures.prediction import Prediction
from mmleuk.utils.command_line import exit_status, fraction
from mmleuk.utils.files import check_target, write_atomic
from mmleuk.utils.json_files import write_json
from mmleuk.utils.progress import progress
from mmleuk.utils.tables import markdown_table

HEAD = ('detector', 'factor', 'images', 'cells', 'mAP', 'without', 'mAP@50', 'without', 'affected cells', 'found',
        'impurities', 'taken for cells')


def predict(inferencer: Inferencer, data: Mapping[str, Any], images: Path) -> dict[Any, Found]:
    """Detections by image id, none suppressed beyond the model's own settings."""
    paths = [images / image['file_name'] for image in data['images']]
    found = {}
    inferencer.forget_scales()
    inferencer.calibrate(paths)
    results = progress(inferencer.predict(paths), total=len(paths), desc=str(images))
    for image, result in zip(data['images'], results, strict=True):
        if not isinstance(result, Prediction):
            raise UserError(f'{result.image}: {result.error}')
        found[image['id']] = Found(np.array([cell.box for cell in result.cells], float).reshape(-1, 4),
                                   np.array([cell.score for cell in result.cells], float),
                                   np.array([cell.label for cell in result.cells], np.int64))
    return found


def subset(data: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """The data of the images that another file has, too."""
    ids = {image['id'] for image in like['images']}
    missing = ids - {image['id'] for image in data['images']}
    if missing:
        raise UserError(f'--copies holds image {sorted(map(str, missing))[0]}, which --annotations lacks; make the '
                        'copies from that file')
    return dict(data) | dict(images=[image for image in data['images'] if image['id'] in ids],
                             annotations=[a for a in data['annotations'] if a['image_id'] in ids])


def evaluate(config: str, checkpoint: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """One detector's rows."""
    inferencer = Inferencer(config, checkpoint, device=args.device, min_score=0.0, max_overlap=1.0,
                            batch_size=args.batch_size)
    clean = read_coco(args.annotations).data
    copies = {factor: read_coco(args.copies / factor / ANNOTATIONS).data for factor in args.factors}
    wanted = dict(images=[image for image in clean['images'] if any(
        image['id'] == other['id'] for data in copies.values() for other in data['images'])])
    without = predict(inferencer, subset(clean, wanted), args.images)
    rows = []
    for factor, data in copies.items():
        same = subset(clean, data)
        scores = score_factor(data, predict(inferencer, data, args.copies / factor / 'images'), inferencer.classes,
                              args.min_score)
        before = score_factor(same, {image['id']: without[image['id']] for image in same['images']},
                              inferencer.classes, args.min_score)
        rows.append(dict(config=config, checkpoint=checkpoint, factor=factor, min_score=args.min_score,
                         interference=data.get('info', {}).get('interference'), scores=asdict(scores),
                         without=asdict(before)))
    return rows


def summary(rows: list[dict[str, Any]]) -> str:
    """mAP@50 per detector (down) and factor (across), with its change by the factor, as Markdown."""
    factors = list(dict.fromkeys(row['factor'] for row in rows))
    detectors: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in rows:
        detectors.setdefault((row['config'], row['checkpoint']), {})[row['factor']] = row
    lines: list[tuple[str, ...]] = [('detector', *factors)]
    for (config, _), of in detectors.items():
        pairs = [(of[factor]['scores']['map50'], of[factor]['without']['map50']) for factor in factors]
        lines.append((Path(config).stem, *('–' if None in pair else f'{pair[0]:.3f} ({pair[0] - pair[1]:+.3f})'
                                           for pair in pairs)))
    return markdown_table(lines) + '\n'


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    lines: list[tuple[str, ...]] = [HEAD]
    for row in rows:
        scores, before = FactorScores(**row['scores']), FactorScores(**row['without'])
        lines.append((Path(row['config']).stem, row['factor'], str(scores.images), str(scores.cells),
                      _figure(scores.map), _figure(before.map), _figure(scores.map50), _figure(before.map50),
                      str(scores.affected), _figure(scores.affected_found), str(scores.impurities),
                      _figure(scores.impurities_taken)))
    return markdown_table(lines) + '\n'


def _figure(value: float | None) -> str:
    return '–' if value is None else f'{value:.3f}'


def _factors(copies: Path) -> list[str]:
    factors = sorted(path.parent.name for path in copies.glob(f'*/{ANNOTATIONS}'))
    if not factors:
        raise UserError(f'{copies}: holds no FACTOR/{ANNOTATIONS}; make the copies with `mmleuk data interfere`')
    return factors


def build_parser() -> argparse.ArgumentParser:
    """The tool's flags."""
    parser = argparse.ArgumentParser(description="Detectors' accuracy under interference factors.")
    parser.add_argument('detectors', nargs='+', metavar='CONFIG:CHECKPOINT')
    parser.add_argument('--annotations', required=True, help='COCO JSON that the copies were made from')
    parser.add_argument('--images', type=Path, required=True, help='folder of its images')
    parser.add_argument('--copies', type=Path, required=True, help='folder that `mmleuk data interfere` wrote')
    parser.add_argument('--out', type=Path, required=True, help='folder for factor_table.md and factor_table.json')
    parser.add_argument('--min-score', type=fraction, default=0.25,
                        help='detections below it find no affected cell and take no impurity (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--device')
    return parser


def main(argv: list[str] | None = None) -> int:
    """0 when all detectors were scored; 2 on bad input."""
    return exit_status(run, build_parser().parse_args(argv), 'factor_table')


def run(args: argparse.Namespace) -> None:
    """Score all detectors, write the tables and print them.

    Raises:
        UserError: a detector, the annotations, a copy or the folder to write to is bad.
    """
    args.factors = _factors(args.copies)
    pairs = [detector.rpartition(':') for detector in args.detectors]
    if not all(config for config, _, _ in pairs):
        raise UserError(f'detectors are {args.detectors}; each is CONFIG:CHECKPOINT')
    for name in ('factor_table.json', 'factor_table.md'):
        check_target(args.out / name)
    rows = [row for config, _, checkpoint in pairs for row in evaluate(config, checkpoint, args)]
    write_json(args.out / 'factor_table.json', rows)
    text = f'mAP@50 (its change by the factor):\n\n{summary(rows)}\n{table(rows)}'
    write_atomic(args.out / 'factor_table.md', text)
    print(text)


if __name__ == '__main__':
    sys.exit(main())
