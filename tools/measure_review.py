"""How quickly the review page answers on a field of many cells: ``python tools/measure_review.py NEW_FOLDER``.

Makes a field of random cells (14 types, six attributes), serves it, opens it in headless Chromium through Playwright
and prints how long it takes until the page is ready, and from a key or a wheel's step to the next frame.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from mmleuk.bank.adding import add_run
from mmleuk.bank.connection import Bank
from mmleuk.desk.pages import served
from mmleuk.desk.review_app import review_app
from mmleuk.desk.reviewing import FilmReview
from mmleuk.schema import LEUKEMIA_ATTRIBUTES, LEUKEMIA_CLASSES
from mmleuk.structures.prediction import AttributeReading, Cell, Prediction, Run, RunInfo
from mmleuk.utils.command_line import exit_status
from mmleuk.utils.new_folder import new_folder
from mmleuk.utils.tables import text_table

FILM, SEED, TIMES = 'film', 0, 15
_STEP = """async ([kind, detail, until]) => {
  const frames = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  const text = () => document.querySelector(until ?? 'body').textContent;
  const picture = document.getElementById('picture'), corners = picture.getBoundingClientRect();
  await frames();
  const before = until ? text() : null, start = performance.now();
  if (kind === 'key') document.body.dispatchEvent(new KeyboardEvent('keydown', { key: detail, bubbles: true }));
  else picture.dispatchEvent(new WheelEvent('wheel', { deltaY: detail, bubbles: true, cancelable: true,
    clientX: corners.x + corners.width / 2, clientY: corners.y + corners.height / 2 }));
  while (until && text() === before) await new Promise(done => requestAnimationFrame(done));
  await frames();
  return performance.now() - start;
}"""


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='a new folder for the field and the bank')
    parser.add_argument('--cells', type=int, default=20_000, help='in the field (default: 20,000)')
    parser.add_argument('--side', type=int, default=8000, help='of the field in pixels (default: 8000)')
    parser.add_argument('--chromium', default='/usr/bin/chromium', help='the browser')
    return parser


def random_field(folder: Path, n_cells: int, side: int) -> Run:
    """An image of coloured noise with ellipses, and predictions on it."""
    draw, schema = np.random.default_rng(SEED), LEUKEMIA_ATTRIBUTES
    repeats = -(-side // 100)
    image = np.tile(draw.integers(200, 240, (100, 100, 3), np.uint8), (repeats, repeats, 1))[:side, :side]
    cells = []
    for _ in range(n_cells):
        x, y = draw.uniform(0, side - 40, 2)
        width, height = draw.uniform(20, 40, 2)
        image[int(y):int(y + height), int(x):int(x + width)] = draw.integers(60, 200, 3)
        label = int(draw.integers(len(LEUKEMIA_CLASSES)))
        readings = {key: AttributeReading(value=schema.decode(key, value), value_index=value, prob=float(draw.random()))
                    for key in schema.keys for value in [int(draw.integers(2))]}
        cells.append(Cell((x, y, x + width, y + height), float(draw.random()), label, LEUKEMIA_CLASSES[label],
                          readings))
    path = folder / 'field.png'
    Image.fromarray(image).save(path, compress_level=1)
    info = RunInfo(LEUKEMIA_CLASSES, schema, created='2026-01-01T00:00:00+00:00')
    return Run(info, (Prediction('field.png', (side, side), tuple(cells), str(path)),))


def measure_page(page: Page, address: str) -> list[list[object]]:
    """Rows of what was measured, in milliseconds."""
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_selector('body[data-ready=yes]', timeout=300_000)
    rows: list[list[object]] = [['until the page is ready', f'{1000 * (time.perf_counter() - start):.0f}', '']]

    def times(what: str, arguments: Callable[[int], list[object]], count: int = TIMES) -> None:
        found = [page.evaluate(_STEP, arguments(number)) for number in range(count)]
        rows.append([what, f'{statistics.median(found):.0f}', f'{max(found):.0f}'])

    times('a wheel step, the whole field in view', lambda number: ['wheel', 1 if number % 2 else -1, None])
    times('next cell', lambda _: ['key', 'j', None])
    times('another value', lambda _: ['key', 'ArrowRight', None])
    times('confirm, until the next cell is shown', lambda _: ['key', 'Enter', '#progress'])
    times('undo', lambda _: ['key', 'u', '#progress'], 5)
    page.keyboard.press('z')
    times('a wheel step, close to one cell', lambda number: ['wheel', 1 if number % 2 else -1, None])
    return rows


def measure(args: argparse.Namespace) -> None:
    """Make the film, serve it, measure and print."""
    with new_folder(args.folder, doing='measuring') as folder:
        run = random_field(folder, args.cells, args.side)
        bank = Bank(folder / 'bank.db', create=True)
        add_run(bank, run, {'field.png': FILM}, 'measure_review', 'measure_review')
        review = FilmReview(bank, FILM)
        start = time.perf_counter()
        review.view('Ada')
        view = time.perf_counter() - start
        with served(review_app(review, who='Ada')) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=args.chromium, args=['--no-sandbox'])
            page = browser.new_page(viewport=dict(width=1280, height=900))
            rows = measure_page(page, address)
            page.screenshot(path=folder / 'page.png')
            browser.close()
        bank.close()
    print(f'{args.cells:,} cells in a field of {args.side} x {args.side} px; load {os.getloadavg()[0]:.1f} on '
          f'{os.cpu_count()} cores; the film read from the bank in {1000 * view:.0f} ms')
    print(text_table([['step', f'median of {TIMES}, ms', 'longest, ms'], *rows]))


def main() -> int:
    """Read the flags, then measure."""
    return exit_status(measure, build_parser().parse_args())


if __name__ == '__main__':
    sys.exit(main())
