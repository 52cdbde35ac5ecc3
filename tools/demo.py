"""All steps on rendered blood films: render, train SLA-Det, test, draw. Called by `make demo`.

    python tools/demo.py [--out work_dirs/demo]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmleuk.utils.command_line import exit_status
from runs import COCO_SCORES, Workplace, number, table

CONFIG = 'configs/sla_det/yolov5n_sla_synthetic.py'
NAME = 'sla'


def demo(out: Path) -> str:
    """Run all steps; returns the last lines, with the scores and the paths."""
    place = Workplace(out)
    place.render()
    checkpoint = place.train(CONFIG, NAME)
    scores = place.test(CONFIG, checkpoint, NAME)
    results = out / 'results'
    films = out / 'synthetic' / 'images' / 'test' / 'film_00[0-2]*.jpg'     # 30 of them are enough to see
    place.run('python', 'tools/infer.py', str(films), CONFIG, str(checkpoint), '--out-dir', str(results))
    return closing(out, checkpoint, results, scores)


def closing(out: Path, checkpoint: Path, results: Path, scores: dict[str, object]) -> str:
    """Scores on the completely annotated test films, and where things lie."""
    rows = [['score on the test films', 'value'], *([name, number(scores, key)] for name, key in COCO_SCORES.items())]
    rows += [[key, f'{value:.3f}'] for key, value in scores.items()
             if key.startswith('attribute') and key.endswith('macro_f1') and isinstance(value, float)]
    places = [['what', 'where'], ['films and annotations', str(out / 'synthetic')], ['model', str(checkpoint)],
              ['pictures', str(results / 'pictures')], ['cells as tables', str(results / 'predictions.csv')],
              ['report', str(results / 'report.html')]]
    return (f'\n{table(rows)}\n\n{table(places)}\n\n'
            'Next: `make compare` shows what region-aware training is worth; README.md shows your own data.')


def main() -> int:
    """0 when every step succeeded."""
    parser = argparse.ArgumentParser(description='Render blood films, train SLA-Det on them, test it, write a report.')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo'))
    return exit_status(lambda args: print(demo(args.out.absolute())), parser.parse_args(), 'demo',
                       'interrupted; `make demo` goes on from the last finished epoch')


if __name__ == '__main__':
    sys.exit(main())
