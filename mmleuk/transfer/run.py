"""A whole transfer: every pair registered, judged, carried, compared and drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmleuk import __version__
from mmleuk.datasets.converters.coco_files import CocoFile
from mmleuk.errors import UserError
from mmleuk.structures.ground_truth import ImageTruth
from mmleuk.transfer.carrying import Carried, carry_image
from mmleuk.transfer.comparison import AGREES, NO_BOX, SHIFTED, FieldCheck, compare_field
from mmleuk.transfer.pairing import Pair, find_name
from mmleuk.transfer.registration import Limits, Pixels, Registration, correlation, grey, register, warp_grey
from mmleuk.utils.image_files import decode_image, read_image_file


@dataclass(frozen=True)
class PairResult:
    """What became of one pair; ``carried`` is None where the pair was refused, ``check`` where nothing is compared."""

    pair: Pair
    registration: Registration
    cells: int
    target_wh: tuple[int, int]
    carried: Carried | None = None
    check: FieldCheck | None = None
    own_xyxy: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    cell_correlations: tuple[float, ...] = ()

    @property
    def row(self) -> dict[str, Any]:
        """One row of the table of pairs; None where a figure doesn't exist."""
        found, check = self.registration, self.check
        scale, turn = found.scale_and_turn
        agreeing = [cell for cell in check.cells if cell.verdict == AGREES] if check else []
        shift = check.shift_px if check else None
        row = dict(
            source=self.pair.source, target=self.pair.target, found_by=self.pair.found_by,
            result='refused' if found.refusal else 'carried', reason=found.refusal or '', matches=found.matches,
            inliers=found.inliers, residual_px=_rounded(found.residual_px, 3),
            overlap_of_source=_rounded(found.overlap_of_source, 3),
            overlap_of_target=_rounded(found.overlap_of_target, 3), correlation=_rounded(found.correlation, 3),
            scale=_rounded(scale, 4), turn_deg=_rounded(turn, 2), cells=self.cells,
            carried=len(self.carried.annotations) if self.carried else 0,
            dropped=self.carried.dropped if self.carried else None)
        if check is not None:
            row |= dict(agree=check.count(AGREES), shifted=check.count(SHIFTED), no_box=check.count(NO_BOX),
                        extra=check.extra, contradicts='yes' if check.contradicts else 'no',
                        median_iou=median(cell.iou for cell in agreeing) if agreeing else None,
                        median_centre_px=median(cell.distance_px or 0.0 for cell in agreeing) if agreeing else None,
                        shift_x_px=shift[0] if shift else None, shift_y_px=shift[1] if shift else None)
        return row


def _rounded(value: float, digits: int) -> float | None:
    return None if math.isnan(value) else round(value, digits)


def load_pixels(path: str | Path) -> Pixels:
    """(H, W, 3) uint8 BGR, as training decodes it; UserError where it can't be read."""
    return decode_image(read_image_file(str(path)), str(path))


def transfer_pair(pair: Pair, coco: CocoFile, source: Pixels, target: Pixels, limits: Limits, min_visible: float,
                  truth: ImageTruth | None = None) -> PairResult:
    """Register one pair and carry its cells; ``truth`` is the target's own annotation, to compare with.

    Raises:
        UserError: the source has another size than its annotation says.
    """
    image = next(image for image in coco.images if image.file_name == pair.source)
    if source.shape[:2] != image.size_hw:
        raise UserError(f'{coco.path}: image {pair.source} is {source.shape[1]}x{source.shape[0]} px, the annotation '
                        f'says {image.width}x{image.height}; give the images that were annotated')
    target_wh = target.shape[1], target.shape[0]
    found = register(source, target, limits)
    if found.refusal or found.homography is None:
        return PairResult(pair, found, len(image.cells), target_wh)
    entry = next(entry for entry in coco.data['images'] if entry['id'] == image.image_id)
    annotations = {entry['id']: entry for entry in coco.data['annotations']}
    carried = carry_image(image, entry, [annotations[cell.annotation_id] for cell in image.cells], found.homography,
                          pair.target, target_wh, min_visible=min_visible)
    if truth is None:
        return PairResult(pair, found, len(image.cells), target_wh, carried)
    own = truth.boxes_xyxy[~truth.ignored]
    boxes = corners(entry['bbox'] for entry in carried.annotations if not entry.get('iscrowd'))
    check = compare_field(boxes, own, corners(carried.image['annotated_region']).tolist())
    moved, there = warp_grey(source, found.homography, target_wh), grey(target)
    similar = [correlation(moved[y1:y2, x1:x2], there[y1:y2, x1:x2]) for x1, y1, x2, y2 in boxes.round().astype(int)]
    return PairResult(pair, found, len(image.cells), target_wh, carried, check, own, tuple(similar))


def corners(boxes_xywh: Any) -> NDArray[np.float64]:
    """[x, y, w, h] lists -> (N, 4) x1, y1, x2, y2."""
    boxes = np.array(list(boxes_xywh), np.float64).reshape(-1, 4)
    return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])


def make_coco(coco: CocoFile, results: Sequence[PairResult], limits: Limits, min_visible: float,
              domain: str | None = None) -> dict[str, Any]:
    """The carried annotation of all pairs as a COCO JSON; ``info`` says how each was carried.

    All keys of the source stay. Ids are new, ``carried_from`` is the annotation's old id and the image's old name.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for result in results:
        if result.carried is None:
            continue
        number = len(images) + 1
        images.append(result.carried.image | dict(id=number) | ({} if domain is None else dict(domain=domain)))
        annotations += [entry | dict(id=len(annotations) + index, image_id=number)
                        for index, entry in enumerate(result.carried.annotations, start=1)]
    pairs = [result.row | dict(homography=None if result.registration.homography is None
                               else result.registration.homography.tolist()) for result in results]
    old = coco.data.get('info')
    info = dict(old if isinstance(old, Mapping) else {}) | dict(transfer=dict(
        program=f'mmleuk {__version__}', source=Path(coco.path).name, method='SIFT, MAGSAC homography',
        limits=asdict(limits), min_visible=min_visible, pairs=pairs))
    return coco.data | dict(info=info, images=images, annotations=annotations)


def check_rows(results: Sequence[PairResult]) -> list[dict[str, Any]]:
    """One row per compared cell, as files and people read it."""
    rows = []
    for result in results:
        if result.check is None or result.carried is None:
            continue
        kept = [entry for entry in result.carried.annotations if not entry.get('iscrowd')]
        for cell, similar in zip(result.check.cells, result.cell_correlations, strict=True):
            x, y = cell.offset_xy or (None, None)
            rows.append(dict(target=result.pair.target, source=result.pair.source,
                             annotation=kept[cell.cell]['carried_from'], verdict=cell.verdict, iou=round(cell.iou, 3),
                             centre_px=cell.distance_px, offset_x_px=x, offset_y_px=y, correlation=round(similar, 3)))
    return rows


def find_truth(truth: CocoFile | None, target: str) -> ImageTruth | None:
    """The target's own annotation, by file name; None where the file has no such image."""
    if truth is None:
        return None
    name = find_name([image.file_name for image in truth.images], target)
    return next((image for image in truth.images if image.file_name == name), None)
