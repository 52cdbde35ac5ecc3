"""One annotation of each cell that has a box in several overlapping fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mmleuk.datasets.field_overlap import SharedCells
from mmleuk.structures.ground_truth import ImageTruth, RecordId, TrueCell


@dataclass(frozen=True)
class Dropped:
    """An annotation that is left out, for the one of the same cell that is kept."""

    image: ImageTruth
    cell: TrueCell
    kept_image: ImageTruth
    kept: TrueCell

    def __str__(self) -> str:
        return (f'annotation {self.cell.annotation_id} of {self.image.file_name} is annotation '
                f'{self.kept.annotation_id} of {self.kept_image.file_name}')


def choose_cells(pairs: Iterable[SharedCells]) -> list[Dropped]:
    """Of each cell the annotations to leave out: all but the one that lies most completely in its field.

    That is the one farthest from its field's border; of those at the border, the largest box.
    """
    places: dict[RecordId, tuple[ImageTruth, TrueCell]] = {}
    group_of: dict[RecordId, set[RecordId]] = {}
    for pair in pairs:
        for one, other in pair.cells:
            places[one.annotation_id] = pair.one.truth, one
            places[other.annotation_id] = pair.other.truth, other
            joined = group_of.get(one.annotation_id, {one.annotation_id}) | group_of.get(
                other.annotation_id, {other.annotation_id})
            group_of.update(dict.fromkeys(joined, joined))
    dropped = []
    for group in {id(group): group for group in group_of.values()}.values():
        best, *others = sorted((places[key] for key in group), key=_completeness, reverse=True)
        dropped += [Dropped(image, cell, *best) for image, cell in others]
    return sorted(dropped, key=lambda drop: (drop.image.file_name, str(drop.cell.annotation_id)))


def _completeness(place: tuple[ImageTruth, TrueCell]) -> tuple[float, float, str]:
    image, cell = place
    x1, y1, x2, y2 = cell.box_xyxy
    return min(x1, y1, image.width - x2, image.height - y2), (x2 - x1) * (y2 - y1), image.file_name


def dedupe(data: dict[str, Any], dropped: Iterable[Dropped], remove: bool) -> dict[str, Any]:
    """COCO data in which each cell counts once; ``data`` stays as it is.

    Args:
        data: a normalised COCO JSON.
        dropped: annotations to leave out.
        remove: take them out; else they stay as ignored (``ignore: 1``) with ``duplicate_of``, since their field still
            shows the cell, which without a box would be trained on as background.
    """
    kept = {drop.cell.annotation_id: drop.kept.annotation_id for drop in dropped}
    annotations = [{**annotation, 'ignore': 1, 'duplicate_of': kept[annotation['id']]}
                   if annotation['id'] in kept else annotation for annotation in data['annotations']
                   if not (remove and annotation['id'] in kept)]
    return {**data, 'annotations': annotations}
