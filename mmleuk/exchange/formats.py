"""The formats of other tools by name, with what each of them loses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mmleuk.errors import UserError
from mmleuk.exchange import cvat, label_studio, labelme, qupath, table
from mmleuk.exchange.labels import Known, Labels, differences, from_run, to_run
from mmleuk.structures.prediction_files import from_json, to_json


@dataclass(frozen=True)
class Format:
    """One format.

    Args:
        write: writes a new folder, or a file.
        read: labels, and notes on what could not be read.
        in_folder: whether it is a folder.
    """

    write: Callable[[Labels, Path], None]
    read: Callable[[Path, Known], tuple[Labels, list[str]]]
    in_folder: bool


def _write_predictions(labels: Labels, out: Path) -> None:
    to_json(to_run(labels, str(out)), out)


def _read_predictions(source: Path, known: Known) -> tuple[Labels, list[str]]:
    run = from_json(source)
    notes = []
    for rows, whose, names in ((run.cells, 'cells', ('class_probs', 'novelty', 'embedding')),
                               (run.predictions, 'images', ('um_per_px',))):
        more = [name for name in names if any(getattr(row, name) is not None for row in rows)]
        notes += [f'{", ".join(more)} of the {whose} are only in the predictions'] if more else []
    return from_run(run), notes


FORMATS = {
    'cvat': Format(cvat.write, cvat.read, in_folder=True),
    'cvat-coco': Format(cvat.write_coco, cvat.read_coco, in_folder=False),
    'label-studio': Format(label_studio.write, label_studio.read, in_folder=True),
    'qupath': Format(qupath.write, qupath.read, in_folder=True),
    'labelme': Format(labelme.write, labelme.read, in_folder=True),
    'csv': Format(table.write_csv, table.read_csv_table, in_folder=False),
    'parquet': Format(table.write_parquet, table.read_parquet, in_folder=False),
    'predictions': Format(_write_predictions, _read_predictions, in_folder=False),
}


def read_labels(source: Path, name: str, known: Known) -> tuple[Labels, list[str]]:
    """Labels of a file or folder, and notes on what could not be read.

    Raises:
        UserError: it doesn't exist, or has a defect.
    """
    if not source.exists():
        raise UserError(f'{source}: no such file or folder')
    if source.is_dir() and not FORMATS[name].in_folder:
        raise UserError(f'{source}: is a folder; name the {name} file')
    labels, notes = FORMATS[name].read(source, known)
    return labels.checked(str(source)), notes


def write_labels(labels: Labels, out: Path, name: str) -> list[str]:
    """Write, read back and compare; returns what the format could not hold, one line each.

    Raises:
        UserError: the target exists, can't be written, or the labels can't be written in this format.
    """
    labels.checked(str(out))
    FORMATS[name].write(labels, out)
    sizes = {image.file_name: (image.width, image.height) for image in labels.images}
    kept, _ = FORMATS[name].read(out, Known(sizes=sizes.get))
    return differences(labels, kept)
