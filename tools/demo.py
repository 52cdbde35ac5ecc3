"""All steps on rendered blood films: render, train SLA-Det, test, draw, explain. Called by `make demo`.

    python tools/demo.py [--out work_dirs/demo]
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from mmleuk.errors import UserError
from mmleuk.structures.prediction_files import from_json
from mmleuk.utils.command_line import exit_status
from runs import COCO_SCORES, Workplace, number, table

CONFIG = 'configs/sla_det/yolov5n_sla_synthetic.py'
NAME = 'sla'
READER_CONFIG = 'configs/attributes/narrow-resnet_synthetic-crops.py'
READER_NAME = 'attributes'


def demo(out: Path) -> str:
    """Run all steps; returns the last lines, with the scores and the paths."""
    place = Workplace(out)
    place.render()
    checkpoint = place.train(CONFIG, NAME)
    scores = place.test(CONFIG, checkpoint, NAME)
    results = out / 'results'
    films = out / 'synthetic' / 'images' / 'test' / 'film_00[0-2]*.jpg'     # 30 of them are enough to see
    place.run('python', 'tools/infer.py', str(films), CONFIG, str(checkpoint), '--out-dir', str(results))
    explained = explain(place, results / 'predictions.json')
    return closing(out, checkpoint, results, explained, scores)


def explain(place: Workplace, predictions: Path) -> Path:
    """Train a recogniser of attributes on rendered crops, fit a bottleneck, and explain the cells of three films."""
    if not (place.out / 'crops').is_dir():  # it appears whole or not at all
        place.run('mmleuk', 'data', 'crops', str(place.out / 'crops'))
    reader = place.train(READER_CONFIG, READER_NAME)
    bottleneck, explained = place.out / 'bottleneck', place.out / 'explanation'
    if not is_newer(bottleneck / 'linear.json', reader):
        place.run('mmleuk', 'bottleneck', READER_CONFIG, str(reader), '--out', str(bottleneck))
    if not is_newer(explained / 'explanation.html', predictions, bottleneck / 'linear.json'):
        films = films_with_cells(predictions)[:3]
        place.run('mmleuk', 'explain', *films, READER_CONFIG, str(reader), str(bottleneck / 'linear.json'),
                  '--cells', str(predictions), '--set', 'nucleolus=prominent', '--out', str(explained))
    return explained / 'explanation.html'


def films_with_cells(predictions: Path) -> list[str]:
    """Images in which leukocytes were found.

    Raises:
        UserError: there is none.
    """
    run = from_json(predictions)
    films = [str(image.path) for image in run.predictions
             if any(cell.class_name in (run.info.leukocytes or run.info.classes) for cell in image.cells)]
    if not films:
        raise UserError(f'{predictions}: no leukocyte was found, so there is none to explain')
    return films


def is_newer(made: Path, *sources: Path) -> bool:
    """Whether a file is newer than what it was made from; an older one is removed with its folder."""
    if not made.is_file():
        return False
    if all(made.stat().st_mtime >= source.stat().st_mtime for source in sources):
        return True
    shutil.rmtree(made.parent)
    return False


def closing(out: Path, checkpoint: Path, results: Path, explained: Path, scores: dict[str, object]) -> str:
    """Scores on the completely annotated test films, and where things lie."""
    rows = [['score on the test films', 'value'], *([name, number(scores, key)] for name, key in COCO_SCORES.items())]
    rows += [[key, f'{value:.3f}'] for key, value in scores.items()
             if key.startswith('attribute') and key.endswith('macro_f1') and isinstance(value, float)]
    places = [['what', 'where'], ['films and annotations', str(out / 'synthetic')], ['model', str(checkpoint)],
              ['pictures', str(results / 'pictures')], ['cells as tables', str(results / 'predictions.csv')],
              ['report', str(results / 'report.html')], ['explained cells', str(explained)]]
    return (f'\n{table(rows)}\n\n{table(places)}\n\n'
            'Next: `make compare` shows what region-aware training is worth; README.md shows your own data.')


def main() -> int:
    """0 when every step succeeded."""
    parser = argparse.ArgumentParser(description='Render blood films, train SLA-Det on them, test it, write a report, '
                                     'explain cells.')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo'))
    return exit_status(lambda args: print(demo(args.out.absolute())), parser.parse_args(), 'demo',
                       'interrupted; `make demo` goes on from the last finished epoch')


if __name__ == '__main__':
    sys.exit(main())
