"""Reads PyTorch archives that pickle whole objects, without running anything from them.

``torch.save(model)`` stores the names of classes and functions, and loading looks them up and calls them: such a file
is a program. Here no name is ever looked up. What tensors and dicts need is on a list, everything else becomes a
:class:`Placeholder` that only remembers what it was given.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmleuk.errors import UserError

STORAGE_DTYPES = {
    'DoubleStorage': torch.float64, 'FloatStorage': torch.float32, 'HalfStorage': torch.float16,
    'BFloat16Storage': torch.bfloat16, 'LongStorage': torch.int64, 'IntStorage': torch.int32,
    'ShortStorage': torch.int16, 'CharStorage': torch.int8, 'ByteStorage': torch.uint8, 'BoolStorage': torch.bool}


class Placeholder:
    """Stands for an object of a class that was not looked up.

    Attributes:
        origin: 'module.name' as the file spells it.
        arguments: what the class or function would have been called with.
        state: what the object would have restored itself from; of an ``nn.Module`` its ``__dict__``.
    """

    origin = ''
    arguments: tuple
    state: Any

    def __new__(cls, *arguments: Any, **_: Any) -> Placeholder:
        """Remember the arguments."""
        self = object.__new__(cls)
        self.arguments = arguments
        self.state = None
        return self

    def __init__(self, *arguments: Any, **_: Any) -> None:
        pass

    def __call__(self, *arguments: Any) -> Placeholder:
        """What comes of calling a placeholder is one, too."""
        return Placeholder(*arguments)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        """Items of subclasses of dict are not kept."""

    def append(self, value: Any) -> None:
        """Items of subclasses of list are not kept."""

    def get(self, name: str) -> Any:
        """An attribute of the object that the placeholder stands for, None where it has none."""
        return self.state.get(name) if isinstance(self.state, dict) else None


class _Allowed:
    """A function that the file may call; unlike the function itself it has nothing that a pickle could overwrite."""

    __slots__ = ('_function',)

    def __init__(self, function: Callable) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError('the file tries to change a function')


class _StorageType:
    __slots__ = ('dtype',)

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError('the file tries to change a type')


def _tensor(storage: Any, offset: int, size: tuple, stride: tuple, *_: Any) -> Tensor:
    if not isinstance(storage, Tensor):
        raise pickle.UnpicklingError('a tensor without storage')
    return storage.as_strided(tuple(size), tuple(stride), offset)


def _parameter(data: Tensor, *_: Any) -> Tensor:
    return data


_GLOBALS: dict[tuple[str, str], Any] = {
    ('torch._utils', '_rebuild_tensor'): _Allowed(_tensor),
    ('torch._utils', '_rebuild_tensor_v2'): _Allowed(_tensor),
    ('torch._utils', '_rebuild_parameter'): _Allowed(_parameter),
    ('torch._utils', '_rebuild_parameter_with_state'): _Allowed(_parameter),
    ('collections', 'OrderedDict'): _Allowed(OrderedDict),
    ('__builtin__', 'set'): _Allowed(set),
    ('builtins', 'set'): _Allowed(set),
    ('torch.storage', 'UntypedStorage'): _StorageType(torch.uint8),
    **{('torch', name): _StorageType(dtype) for name, dtype in STORAGE_DTYPES.items()},
}


class _InertUnpickler(pickle.Unpickler):

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(_record(archive, f'{root}data.pkl')), encoding='utf-8')
        self._archive = archive
        self._root = root
        self._placeholders: dict[tuple[str, str], type] = {}
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """An allowed function, or a class of placeholders; nothing is imported."""
        key = (module, name)
        if key in _GLOBALS:
            return _GLOBALS[key]
        if key not in self._placeholders:
            self._placeholders[key] = type('Placeholder', (Placeholder,), dict(origin=f'{module}.{name}'))
        return self._placeholders[key]

    def persistent_load(self, saved_id: Any) -> Tensor:
        """One storage of the archive as a flat tensor."""
        kind, storage_type, key, _, count = saved_id
        if kind != 'storage' or not isinstance(storage_type, _StorageType):
            raise pickle.UnpicklingError(f'unknown kind of storage {kind!r}')
        if key not in self._storages:
            data = bytearray(_record(self._archive, f'{self._root}data/{key}'))
            dtype = storage_type.dtype
            flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            if len(flat) < count:
                raise pickle.UnpicklingError(f'storage {key} holds {len(flat)} of {count} values')
            self._storages[key] = flat
        return self._storages[key]


def _record(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise pickle.UnpicklingError(f'{name} is compressed, which torch.save never does')
    return archive.read(name)


def read_inert(path: str | Path) -> Any:
    """Read what ``torch.save`` wrote: tensors, dicts, lists, plain values, and placeholders for all else.

    Args:
        path: a zip archive as PyTorch writes it since 1.6.

    Raises:
        UserError: the file is missing, unreadable, truncated, or no such archive.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f'{path}: no such file; give the path of a .pt file')
    try:
        if not zipfile.is_zipfile(path):
            raise UserError(f'{path}: truncated, or no PyTorch archive (PyTorch >= 1.6 writes zip files); '
                            'copy or download it again')
        with zipfile.ZipFile(path) as archive:
            return _read_archive(archive, path)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f'{path}: not readable ({error.strerror}); fix its permissions or copy it again') from error
    except (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, ValueError, LookupError, TypeError,
            AttributeError, MemoryError) as error:
        text = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise UserError(f'{path}: broken, or not written by torch.save ({text}); copy or download it again') from error


def _read_archive(archive: zipfile.ZipFile, path: Path) -> Any:
    pickles = [name for name in archive.namelist() if name.split('/', 1)[-1] == 'data.pkl']
    if len(pickles) != 1:
        raise UserError(f'{path}: no PyTorch archive (no data.pkl in it); give a .pt file that torch.save wrote')
    root = pickles[0][:-len('data.pkl')]
    if f'{root}constants.pkl' in archive.namelist():
        raise UserError(f'{path}: a TorchScript export; give the .pt file that training wrote')
    if f'{root}byteorder' in archive.namelist() and _record(archive, f'{root}byteorder') != b'little':
        raise UserError(f'{path}: written on a big-endian machine; save it again on a little-endian one')
    return _InertUnpickler(archive, root).load()
