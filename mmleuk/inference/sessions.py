"""Open exported graphs with the runtime of their format: ONNX Runtime or OpenVINO, on the CPU."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from mmleuk.errors import UserError

SUFFIXES = {'.onnx': 'onnx', '.xml': 'openvino'}
INSTALL = "it needs pip install 'mmleuk[export]'"


class Session(Protocol):
    """A graph that can be run."""

    inputs: tuple[str, ...]
    texts: Mapping[str, str]
    """Its metadata."""

    def __call__(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs by name, of inputs by name."""


class OnnxSession:
    """ONNX Runtime."""

    def __init__(self, path: Path, threads: int) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise UserError(f'{path}: ONNX Runtime is not installed; {INSTALL}') from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, ['CPUExecutionProvider'])
        except Exception as error:  # its own classes, which derive from Exception alone
            raise UserError(f'{path}: ONNX Runtime cannot read it ({str(error).splitlines()[0]:.200}); export it again'
                            ) from error
        self.inputs = tuple(each.name for each in self._session.get_inputs())
        self._outputs = [each.name for each in self._session.get_outputs()]
        self.texts: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map

    def __call__(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs by name, of inputs by name."""
        return dict(zip(self._outputs, self._session.run(None, arrays)))


class OpenVinoSession:
    """OpenVINO, in float32 also where the CPU has a faster type with fewer digits."""

    def __init__(self, path: Path, threads: int) -> None:
        try:
            import openvino
        except ImportError as error:
            raise UserError(f'{path}: OpenVINO is not installed; {INSTALL}') from error
        facts = path.with_suffix('.json')
        try:
            self.texts: Mapping[str, str] = json.loads(facts.read_text(encoding='utf-8')) if facts.is_file() else {}
            settings = dict(INFERENCE_PRECISION_HINT='f32', INFERENCE_NUM_THREADS=threads)
            core = openvino.Core()
            self._model = core.compile_model(core.read_model(path), 'CPU', settings)
        except (RuntimeError, ValueError, OSError) as error:
            raise UserError(f'{path}: OpenVINO cannot read it ({str(error).splitlines()[0]:.200}); .xml, .bin and '
                            '.json belong together; export it again') from error
        self.inputs = tuple(each.get_any_name() for each in self._model.inputs)
        self._outputs = [each.get_any_name() for each in self._model.outputs]

    def __call__(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs by name, of inputs by name."""
        found = self._model(arrays)
        return {name: np.array(found[index]) for index, name in enumerate(self._outputs)}


def open_session(path: Path) -> Session:
    """The graph of a file; it uses as many threads as OMP_NUM_THREADS says, by default all cores.

    Raises:
        UserError: there is no such file, it can't be read, or its runtime isn't installed.
    """
    if not path.is_file():
        raise UserError(f'{path}: no such file')
    text = os.environ.get('OMP_NUM_THREADS', '')
    threads = int(text) if text.isdigit() else 0
    return OnnxSession(path, threads) if SUFFIXES.get(path.suffix) == 'onnx' else OpenVinoSession(path, threads)
