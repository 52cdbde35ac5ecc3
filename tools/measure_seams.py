"""Count cells that are lost or doubled where windows meet, on a film with known truth.

    python tools/measure_seams.py FILM.tif [CONFIG CHECKPOINT] --window 640

FILM.json beside the film is its truth, as ``mmleuk data synthesize --film`` writes it. Without a model, the detector is
a perfect one: the true boxes, cut by each window. With a model, a cell that a window shows whole and
finds (IoU above 0.5) counts as lost if no result is on it (IoU above 0.3: the box that stays may be a worse one), and
as doubled if more results are on it than any window alone has detections.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely

from mmleuk.slides.journal import Journal
from mmleuk.slides.merge import merge
from mmleuk.slides.readers import open_slide
from mmleuk.slides.scan import scan
from mmleuk.slides.windows import Plan, plan_windows


def build_parser() -> argparse.ArgumentParser:
    """The arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('film', type=Path)
    parser.add_argument('model', nargs='*', help='config and checkpoint')
    parser.add_argument('--window', type=int, default=640)
    parser.add_argument('--overlap', type=int, help='default: a quarter of the window')
    return parser


def perfect(truth: np.ndarray, plan: Plan) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a perfect detector sees: boxes (N, 4), scores (N,), windows (N,). A cut cell has the higher score."""
    boxes, windows = [], []
    for number, window in enumerate(plan.windows_xyxy):
        clipped = np.hstack([np.maximum(truth[:, :2], window[:2]), np.minimum(truth[:, 2:], window[2:])])
        shown = (clipped[:, 2:] - clipped[:, :2] >= 1).all(1)
        boxes.append(clipped[shown])
        windows.append(np.full(shown.sum(), number))
    found, window_of = np.concatenate(boxes).astype(float), np.concatenate(windows)
    return found, np.where(plan.is_cut(found, window_of), 0.99, 0.5), window_of


def from_model(film: Path, plan: Plan, model: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a model finds in each window: boxes (N, 4), scores (N,), windows (N,)."""
    from mmleuk.apis import Inferencer
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / 'j', {}) as journal, open_slide(film) as slide:
        scan(slide, film.name, Inferencer(*model).predict_arrays, plan, journal)
        records = [journal.record((film.name, step)) for step in range(len(journal))]
    cells = [(*cell['box'], cell['score']) for record in records for cell in record['cells']]
    found = np.array(cells).reshape(-1, 5)
    return found[:, :4], found[:, 4], np.array([w for record in records for w in record['windows']], int)


def on_cells(boxes: np.ndarray, truth: np.ndarray, min_iou: float = 0.5) -> np.ndarray:
    """(N,) index of the true cell that each box shows best; -1 for none."""
    shapes, cells = shapely.box(*boxes.T), shapely.box(*truth.T)
    box, cell = shapely.STRtree(cells).query(shapes)
    both = shapely.area(shapely.intersection(shapes[box], cells[cell]))
    iou = both / (shapely.area(shapes[box]) + shapely.area(cells[cell]) - both)
    best = np.full(len(boxes), -1)
    for index in np.argsort(iou):
        if iou[index] > min_iou:
            best[box[index]] = cell[index]
    return best


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the counts; returns 0."""
    args = build_parser().parse_args(arguments)
    data = json.loads(args.film.with_suffix('.json').read_text())
    xywh = np.array([cell['bbox'] for cell in data['annotations']], float)
    truth = np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]])
    with open_slide(args.film) as slide:
        overlap = args.window // 4 if args.overlap is None else args.overlap
        plan = plan_windows(slide.size_hw, args.window, overlap)
    boxes, scores, window_of = from_model(args.film, plan, args.model) if args.model else perfect(truth, plan)
    kept = merge(boxes, scores, window_of, plan)
    cell_of, cut = on_cells(boxes, truth), plan.is_cut(boxes, window_of)
    seen = set(cell_of[~cut & (cell_of >= 0)].tolist())
    lost = seen - set(on_cells(boxes[kept], truth, min_iou=0.3).tolist())
    most: dict[int, int] = {}  # detections of one window on a cell
    for (cell, _), number in Counter(zip(cell_of.tolist(), window_of.tolist())).items():
        most[cell] = max(most.get(cell, 0), number)
    results = Counter(cell_of[kept][cell_of[kept] >= 0].tolist())
    doubled = [cell for cell, number in results.items() if number > most[cell]]
    print(f'{len(truth)} cells, {len(plan)} windows, {len(boxes)} detections, {len(kept)} after merging')
    for name, cells in (('lost', lost), ('doubled', doubled)):
        print(f'{name} at seams: {len(cells)} of {len(seen)} cells that a window found whole '
              f'({100 * len(cells) / max(1, len(seen)):.2f}%)')
    return 0


if __name__ == '__main__':
    sys.exit(main())
