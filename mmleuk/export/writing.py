"""Build the files of an exported model, check them, and only then put them in place."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx

from mmleuk.apis import Inferencer
from mmleuk.errors import UserError
from mmleuk.export.facts import facts_of
from mmleuk.export.parity import BOX_TOLERANCE, PROBABILITY_TOLERANCE, Parity, compare
from mmleuk.export.parts import finder_of, trace_cells, trace_locations, trace_naming
from mmleuk.export.suppression import join
from mmleuk.inference.exported import ExportedInferencer, cells_path
from mmleuk.inference.facts import Facts
from mmleuk.inference.sessions import SUFFIXES
from mmleuk.models.detectors.attri_det import AttriDet
from mmleuk.models.detectors.find_and_read import FindAndRead
from mmleuk.utils.files import check_new_file
from mmleuk.utils.json_files import write_json

FORMATS = {kind: suffix for suffix, kind in SUFFIXES.items()}
"""Format -> suffix of its main file."""


@dataclass(frozen=True)
class Graphs:
    """The ONNX graphs of a model: one with all inside, or the locations' and the cells'."""

    main: onnx.ModelProto
    cells: onnx.ModelProto | None
    facts: Facts


def files_of(out: Path, kind: str, two: bool) -> list[Path]:
    """All files that an export writes.

    >>> [path.name for path in files_of(Path('m.xml'), 'openvino', two=False)]
    ['m.xml', 'm.bin', 'm.json']
    """
    main = [out, cells_path(out)] if two else [out]
    if kind == 'onnx':
        return main
    return [*main, *(path.with_suffix('.bin') for path in main), out.with_suffix('.json')]


def check_targets(outs: Sequence[Path], kinds: Sequence[str]) -> None:
    """Refuse files that exist or can't be written.

    Raises:
        UserError: see :func:`mmleuk.utils.files.check_new_file`; or a name has another suffix than its format's.
    """
    for out, kind in zip(outs, kinds, strict=True):
        if out.suffix != FORMATS[kind]:
            raise UserError(f'{out}: a file of the format {kind} ends in {FORMATS[kind]}; name it so')
        for path in files_of(out, kind, two=True):
            check_new_file(path)


def build_graphs(inferencer: Inferencer, inside: bool) -> Graphs:
    """The graphs of an inferencer's model, on the CPU.

    Raises:
        UserError: a part of the model can't be exported.
    """
    model = inferencer.model
    finder_of(model), facts_of(inferencer, inside)  # refuse before the tracing, which takes a while
    locations = onnx.load_from_string(trace_locations(model))
    reads, names = isinstance(model, (AttriDet, FindAndRead)), isinstance(model, FindAndRead)
    cells = onnx.load_from_string(trace_cells(model)) if reads else None
    naming = onnx.load_from_string(trace_naming(model)) if names else None
    return arrange(inferencer, locations, cells, inside, naming)


def arrange(inferencer: Inferencer, locations: onnx.ModelProto, cells: onnx.ModelProto | None, inside: bool,
            naming: onnx.ModelProto | None = None) -> Graphs:
    """The graphs of a model's parts: joined with the suppression inside, else as they are.

    Args:
        locations, cells, naming: as of :func:`mmleuk.export.suppression.join`.
    """
    facts = facts_of(inferencer, inside)
    if not inside:
        return Graphs(locations, cells, facts)
    num_classes = finder_of(inferencer.model).bbox_head.num_classes
    return Graphs(join(locations, cells, facts.suppression, num_classes, facts.described, facts.attribute_min_score,
                       naming), None, facts)


def write_files(graphs: Graphs, out: Path, kind: str) -> list[Path]:
    """Write the files of one format; they are not checked."""
    parts = [(out, graphs.main)] + ([] if graphs.cells is None else [(cells_path(out), graphs.cells)])
    texts = graphs.facts.to_texts()
    for path, graph in parts:
        onnx.checker.check_model(graph)
        if kind == 'onnx':
            named = onnx.ModelProto()
            named.CopyFrom(graph)
            onnx.helper.set_model_props(named, texts)
            onnx.save(named, path)
        else:
            write_openvino(graph, path)
    if kind == 'openvino':
        write_json(out.with_suffix('.json'), texts)
    return files_of(out, kind, two=graphs.cells is not None)


def write_openvino(graph: onnx.ModelProto, path: Path) -> None:
    """Convert a graph to OpenVINO's two files, in float32.

    Raises:
        UserError: OpenVINO isn't installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise UserError("OpenVINO is not installed; it needs pip install 'mmleuk[export]'") from error
    source = path.with_suffix('.source.onnx')
    onnx.save(graph, source)
    # Not openvino.convert_model, which reports its use to a server.
    openvino.save_model(openvino.Core().read_model(source), path, compress_to_fp16=False)
    source.unlink()


@contextmanager
def checked_files(graphs: Graphs, out: Path, kind: str, inferencer: Inferencer,
                  images: Sequence[Path]) -> Iterator[tuple[Path, Parity]]:
    """The files in a temporary folder beside ``out``, compared with the torch model; at the end they go to their place.

    Raises:
        UserError: they find something else in these images, or nothing is found to compare; nothing is written.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f'.{out.stem}.', dir=out.parent))
    try:
        files = write_files(graphs, folder / out.name, kind)
        exported = ExportedInferencer(folder / out.name, max_overlap=inferencer.max_overlap)
        inferencer.calibrate(images), exported.calibrate(images)
        parity = compare(inferencer, exported, images)
        if not parity.cells and not parity.unmatched:
            raise UserError(f'no cell is found in {parity.images} images, so nothing can be compared; give images of '
                            'the kind that the model knows with --images, or a lower --min-score')
        if not parity.holds:
            raise UserError(f'{out}: is not written, since the {kind} file differs from the torch model by more than '
                            f'{BOX_TOLERANCE} px or {PROBABILITY_TOLERANCE}: {parity.text}')
        yield folder / out.name, parity
        for path in files:
            os.replace(path, out.parent / path.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
