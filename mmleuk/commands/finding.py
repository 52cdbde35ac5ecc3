"""Find the cells of images of any size, each step recorded, so that a killed run of ``mmleuk infer`` can go on."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmleuk.commands.team import Team
from mmleuk.slides.intensity import Intensity, parse_intensity
from mmleuk.slides.journal import Journal, Recorder
from mmleuk.slides.overview import Overview
from mmleuk.slides.readers import SlideError, is_large, open_slide
from mmleuk.slides.scan import OnStep, Predict, find_steps, scan
from mmleuk.slides.windows import Plan, plan_windows
from mmleuk.structures.prediction import FailedImage, Prediction
from mmleuk.utils.files import sha256_of
from mmleuk.utils.image_inputs import name_images
from mmleuk.utils.progress import progress_bar
from mmleuk.utils.words import plural_n

if TYPE_CHECKING:
    from mmleuk.inference.base import BaseInferencer

JOURNAL = '.mmleuk_infer.journal'
ALONE = Team()
DEFAULT_WINDOW = 640
"""For models whose input depends on the image."""


@dataclass(frozen=True)
class Windows:
    """How images are cut into windows.

    Args:
        side: width and height, pixels of the image; None: large images by the network's input size, others not at all.
        overlap: pixels; None: a quarter of the side.
        intensity: how samples become 8 bits; None: they have 8.
        skip_glass: leave out empty glass.
    """

    side: int | None = None
    overlap: int | None = None
    intensity: Intensity | None = None
    skip_glass: bool = True

    def scans(self, path: Path) -> bool:
        """Whether an image is read by :mod:`mmleuk.slides`, not by the config's test pipeline."""
        return self.side is not None or self.intensity is not None or is_large(path)

    def plan(self, path: Path, size_hw: tuple[int, int], default_side: int) -> Plan:
        """The windows of one image."""
        if self.side is None and not is_large(path):
            return plan_windows(size_hw, max(32, *size_hw), 0)  # one window
        side = self.side or default_side
        return plan_windows(size_hw, side, side // 4 if self.overlap is None else self.overlap)


@dataclass(frozen=True)
class Found:
    """The result for one image, and what to draw it on.

    Args:
        result: the prediction, or why there is none.
        pixels: (H, W, 3) uint8 BGR; None: the file itself.
        scale: its pixels per pixel of the image.
    """

    result: Prediction | FailedImage
    pixels: np.ndarray | None = None
    scale: float = 1.0


def add_window_arguments(parser: argparse.ArgumentParser) -> None:
    """Options for large images and for resuming."""
    group = parser.add_argument_group('large images and long runs')
    group.add_argument('--window', type=int, metavar='N',
                       help="cut images into windows of N px, each shown at the network's input size (default: only "
                       'images of more than 4096 px and slide formats, into windows of the input size)')
    group.add_argument('--overlap', type=int, metavar='N',
                       help='px by which windows overlap at least; larger than the largest cell (default: a quarter of '
                       'the window)')
    group.add_argument('--keep-glass', action='store_true', help='look at windows of empty glass, too')
    group.add_argument('--intensity', type=parse_intensity, metavar='RULE',
                       help='how samples of 16 bits become 8: full (the whole range of the type), percentiles (0.1 to '
                       "99.9 of the image's own) or LOW:HIGH, such as 0:4095; grey becomes three equal channels")
    group.add_argument('--engine', choices=('local', 'ray'), default='local',
                       help='local: this process, or those of torchrun; ray: the machines of the Ray cluster that '
                       "RAY_ADDRESS names, else the cores or GPUs of this one (pip install 'mmleuk[ray]')")
    group.add_argument('--workers', type=int, metavar='N',
                       help='processes of --engine ray (default: one per GPU, or per core if there are none)')
    group.add_argument('--resume', action='store_true',
                       help='continue a run that was killed, with the same images and arguments')


def windows_of(args: argparse.Namespace) -> Windows:
    """The settings of :func:`add_window_arguments`.

    Raises:
        UserError: window or overlap is out of its range.
    """
    windows = Windows(args.window, args.overlap, args.intensity, not args.keep_glass)
    if args.window is not None:
        windows.plan(Path(), (args.window, args.window), args.window)
    return windows


def check_windows(inferencer: BaseInferencer, paths: Sequence[Path], windows: Windows) -> None:
    """Refuse an overlap that doesn't fit the windows, and say how large images are cut if nobody did.

    Raises:
        UserError: the overlap is out of its range.
    """
    side = windows.side or default_side(inferencer)
    plan_windows((side, side), side, side // 4 if windows.overlap is None else windows.overlap)
    large = [path for path in paths if is_large(path)] if windows.side is None else []
    if large:
        how = '' if inferencer.scales_by_red_cells else (
            ', shown as they are; if its cells are larger or smaller than in training, choose --window')
        print(f'note: {large[0].name} is cut into windows of {side} px{how}')


def default_side(inferencer: BaseInferencer) -> int:
    """Side of a window if nobody chose one; windows scaled by their red cells don't depend on the network's size."""
    return DEFAULT_WINDOW if inferencer.scales_by_red_cells else inferencer.image_size or DEFAULT_WINDOW


def check_slides(paths: Sequence[Path], windows: Windows) -> None:
    """Open each image and read a corner of it, before a long run.

    Raises:
        UserError: one can't be read.
    """
    for path in paths:
        with open_slide(path, windows.intensity) as slide:
            slide.read(0, 0, min(64, slide.size_hw[1]), min(64, slide.size_hw[0]))


def open_journal(folder: Path, inferencer: BaseInferencer, paths: Sequence[Path], windows: Windows, resume: bool,
                 team: Team = ALONE) -> Journal:
    """The journal of a run in its folder; with several processes, each has its own and knows the others' steps.

    Raises:
        UserError: with ``resume``, the one in the folder is of another run.
    """
    if team.rank == 0 and not resume and (old := _journals(folder)):
        print(f'note: a run was stopped in {folder} before its end; it starts again (--resume continues it)')
        for path in old:
            path.unlink()
    team.wait()  # nobody writes before the old ones are gone
    own = folder / (f'{JOURNAL}.{team.rank}' if team.rank else JOURNAL)
    journal = Journal(own, _settings(inferencer, paths, windows), resume)
    for path in _journals(folder):
        if path != own:
            journal.include(path)
    return journal


def _journals(folder: Path) -> list[Path]:
    """Those of all processes, also of an earlier run with more of them."""
    return sorted(path for path in folder.glob(f'{JOURNAL}*') if path.name.removeprefix(JOURNAL).lstrip('.').isdigit()
                  or path.name == JOURNAL)


def remove_journals(folder: Path, journal: Journal) -> None:
    """Remove the journals of all processes, after the results are written."""
    journal.remove()
    for path in _journals(folder):
        path.unlink()


def find_share(inferencer: BaseInferencer, paths: Sequence[Path], windows: Windows, journal: Journal, team: Team,
               folder: Path) -> None:
    """Do this process's share of all steps, wait for the others, and take in what they found."""
    names = dict(zip(paths, name_images(paths)))
    fields = [path for path in paths if not windows.scans(path)]
    size, side = inferencer.batch_size, default_side(inferencer)
    for number, start in enumerate(range(0, len(fields), size)):
        if team.has(number):
            batch = fields[start:start + size]
            if not all((names[path], 0) in journal for path in batch):
                predict_fields(inferencer, batch, names, journal)
    for path in paths:
        if windows.scans(path):
            # A damaged slide is reported by the first process, when it puts the results together.
            with suppress(SlideError), open_slide(path, windows.intensity) as slide:
                find_steps(slide, names[path], of_windows(inferencer, slide.size_hw),
                           windows.plan(path, slide.size_hw, side), journal, team.has, batch_size=size,
                           skip_glass=windows.skip_glass)
    team.wait()
    if team.rank == 0:
        for path in _journals(folder):
            if path != journal.path:
                journal.include(path)


def _settings(inferencer: BaseInferencer, paths: Sequence[Path], windows: Windows) -> dict[str, Any]:
    """All that decides what a run finds."""
    info = inferencer.run_info()
    facts = {key: value for key, value in vars(info).items() if key not in ('created', 'schema', 'leukocytes')}
    checkpoint = Path(info.checkpoint)
    weights = sha256_of(checkpoint) if checkpoint.is_file() else info.checkpoint
    config = hashlib.sha256(inferencer.config_text().encode()).hexdigest()
    facts['device'] = facts['device'].split(':')[0]  # processes with a GPU each find the same
    calibrator = inferencer.calibrator
    stated = None if calibrator is None or calibrator.stated is None else list(calibrator.stated.um_per_px)
    facts = json.loads(json.dumps(facts, default=str))
    return dict(facts, microns_per_pixel=stated, calibrate=calibrator is not None, scaled_to=inferencer.scaled_to,
                classes=list(info.classes), schema=info.schema.to_dict(), weights=weights, config_text=config,
                max_overlap=inferencer.max_overlap, batch_size=inferencer.batch_size, window=windows.side,
                overlap=windows.overlap, intensity=str(windows.intensity), skip_glass=windows.skip_glass,
                images=[[str(path), *_stamp(path)] for path in paths])


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:  # removed since the check; the run reports it
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


def find(inferencer: BaseInferencer, paths: Sequence[Path], windows: Windows, journal: Journal,
         draw: bool = False) -> Iterator[Found]:
    """The cells of each image, in order; steps that the journal has are not done again.

    Args:
        inferencer: the model.
        paths: of the images.
        windows: how large images are cut.
        journal: of this run.
        draw: keep pixels to draw on.
    """
    names = dict(zip(paths, name_images(paths)))
    scanned = {path for path in paths if windows.scans(path)}
    side = default_side(inferencer)
    plans = {path: plan_of(path, windows, side) for path in paths if path in scanned}
    fields = [path for path in paths if path not in scanned]
    # Batches don't depend on where a run stopped: then resuming changes no digit.
    size = inferencer.batch_size
    batches = {path: fields[start:start + size] for start in range(0, len(fields), size)
               for path in fields[start:start + size]}
    waiting: dict[Path, Found] = {}
    with FieldCount(sum(len(plan) for plan in plans.values()) + len(fields)) as count:
        for path in paths:
            if path in scanned:
                yield _scan(inferencer, path, names[path], plans[path], windows, journal, draw, count.add)
                continue
            if path not in waiting:
                waiting.update(_predict(inferencer, batches[path], names, journal))
            found = waiting.pop(path)
            count.add(1, len(found.result.cells) if isinstance(found.result, Prediction) else 0)
            yield found


def of_windows(inferencer: BaseInferencer, whole_hw: tuple[int, int]) -> Predict:
    """The detector of windows of an image: they have the scale that was measured for images of its size."""
    return partial(inferencer.predict_arrays, whole_hw=whole_hw)


class FieldCount:
    """Progress in fields and cells."""

    def __init__(self, total: int) -> None:
        self._bar, self._cells = progress_bar(total, 'Finding cells', 'field'), 0

    def add(self, fields: int, cells: int) -> None:
        """Count finished ones."""
        self._cells += cells
        self._bar.set_postfix(cells=self._cells, refresh=False)
        self._bar.update(fields)

    def __enter__(self) -> FieldCount:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the bar."""
        self._bar.close()


def plan_of(path: Path, windows: Windows, side: int) -> Plan:
    """The windows of a large image.

    Raises:
        SlideError: it can't be read.
    """
    with open_slide(path, windows.intensity) as slide:
        return windows.plan(path, slide.size_hw, side)


def _scan(inferencer: BaseInferencer, path: Path, name: str, plan: Plan, windows: Windows, journal: Journal, draw: bool,
          count: OnStep) -> Found:
    overview = Overview(plan.size_hw) if draw else None
    try:
        with open_slide(path, windows.intensity) as slide:
            found = scan(slide, name, of_windows(inferencer, plan.size_hw), plan, journal,
                         batch_size=inferencer.batch_size, skip_glass=windows.skip_glass,
                         see=overview.see if overview else None, on_step=count)
            limits = slide.limits
    except SlideError as error:
        return Found(FailedImage(name, f'could not be read: {error}'))
    prediction = Prediction(name, plan.size_hw, found.cells, str(path), found.um_per_px,
                            None if windows.intensity is None else str(windows.intensity))
    if len(plan) > 1:
        print(f'{name}: {plural_n(found.windows, "window")} ({found.empty} of empty glass), '
              f'{plural_n(len(found.cells), "cell")}')
    if limits is not None:
        print(f'{name}: samples from {limits[0]:g} to {limits[1]:g} became 0 to 255')
    return Found(prediction) if overview is None else Found(prediction, overview.pixels, overview.scale)


def _predict(inferencer: BaseInferencer, batch: Sequence[Path], names: dict[Path, str],
             journal: Journal) -> dict[Path, Found]:
    """The results of one batch of fields, from the journal if it has all of them."""
    if all((names[path], 0) in journal for path in batch):
        return {path: Found(_recorded(journal, names[path], path)) for path in batch}
    return predict_fields(inferencer, batch, names, journal)


def predict_fields(inferencer: BaseInferencer, batch: Sequence[Path], names: Mapping[Path, str],
                   journal: Recorder) -> dict[Path, Found]:
    """Predict one batch of fields, and record what it finds."""
    paths = dict(zip(name_images(batch), batch))  # by the names that the inferencer gives to this batch
    found = {}
    for result in inferencer.predict(batch):
        path = paths[result.image]
        named = replace(result, image=names[path])
        if isinstance(named, Prediction) and (named.image, 0) not in journal:
            journal.add((named.image, 0), named.cells, size_hw=list(named.size_hw),
                        um_per_px=named.um_per_px and list(named.um_per_px))
        found[path] = Found(named)
    return found


def _recorded(journal: Journal, name: str, path: Path) -> Prediction:
    record = journal.record((name, 0))
    (height, width), um_per_px = record['size_hw'], record['um_per_px']
    return Prediction(name, (height, width), tuple(journal.cells((name, 0))), str(path),
                      um_per_px and (um_per_px[0], um_per_px[1]))
