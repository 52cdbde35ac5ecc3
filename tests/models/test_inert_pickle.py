"""Checkpoints are read as data: damage is named, and no code in them runs."""

import os
import pickle
import sys
import zipfile

import pytest
import torch
from yolov5_replica import Model, save_like_the_original

from convert_yolov5 import FACTORS
from inert_pickle import read_inert
from mmleuk.errors import UserError
from yolov5_source import read_source


def rewrite(source, target, edit):
    """Copy an archive, each record through ``edit(name, data)``; None drops it."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, 'w', zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            data = edit(name, old.read(name))
            if data is not None:
                new.writestr(name, data)


def test_missing_truncated_and_foreign_files(tmp_path):
    with pytest.raises(UserError, match='none.pt: no such file'):
        read_inert(tmp_path / 'none.pt')
    save_like_the_original(Model(*FACTORS['n'], 3), tmp_path / 'whole.pt')
    data = (tmp_path / 'whole.pt').read_bytes()
    (tmp_path / 'half.pt').write_bytes(data[:len(data) // 2])
    with pytest.raises(UserError, match='half.pt: truncated'):
        read_inert(tmp_path / 'half.pt')
    (tmp_path / 'empty.pt').write_bytes(b'')
    with pytest.raises(UserError, match='empty.pt: truncated'):
        read_inert(tmp_path / 'empty.pt')
    with zipfile.ZipFile(tmp_path / 'other.pt', 'w') as archive:
        archive.writestr('readme.txt', 'hello')
    with pytest.raises(UserError, match='no data.pkl'):
        read_inert(tmp_path / 'other.pt')


def test_archive_with_damaged_records(tmp_path):
    save_like_the_original(Model(*FACTORS['n'], 3), tmp_path / 'whole.pt')
    edits = {
        'cut': lambda name, data: data[:-20] if name.endswith('data.pkl') else data,
        'short': lambda name, data: data[:8] if '/data/' in name and len(data) > 8 else data,
        'gone': lambda name, data: None if name.endswith('/data/0') else data,
        'big': lambda name, data: b'big' if name.endswith('byteorder') else data,
        'script': lambda name, data: data,
    }
    for kind, edit in edits.items():
        rewrite(tmp_path / 'whole.pt', tmp_path / f'{kind}.pt', edit)
    with zipfile.ZipFile(tmp_path / 'script.pt', 'a') as archive:
        archive.writestr(archive.namelist()[0].split('/')[0] + '/constants.pkl', b'')
    messages = dict(cut='broken', short='storage', gone='broken', big='big-endian', script='TorchScript')
    for kind, message in messages.items():
        with pytest.raises(UserError, match=message):
            read_inert(tmp_path / f'{kind}.pt')


def archive_with(path, data_pkl):
    """A PyTorch archive whose pickle is ``data_pkl``."""
    torch.save(dict(a=torch.zeros(2)), path)
    rewrite(path, path.with_suffix('.evil.pt'), lambda name, data: data_pkl if name.endswith('data.pkl') else data)
    return path.with_suffix('.evil.pt')


class Call:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_in_a_pickle_never_runs(tmp_path, protocol):
    trap = tmp_path / 'trap'
    calls = [Call(os.system, f'touch {trap}'), Call(eval, f"open({str(trap)!r}, 'w')"),
             Call(exec, 'import antigravity'), Call(__import__, 'this'), Call(open, str(trap), 'w')]
    content = dict(model=calls, ema=calls[0])
    path = archive_with(tmp_path / 'a.pt', pickle.dumps(content, protocol))
    loaded = read_inert(path)
    assert not trap.exists() and 'this' not in sys.modules and 'antigravity' not in sys.modules
    assert loaded['ema'].origin in ('posix.system', 'os.system')
    assert loaded['ema'].arguments == (f'touch {trap}',)
    with pytest.raises(UserError, match='holds no weights'):
        read_source(path)
    pickle.loads(pickle.dumps(content['model'][4], protocol))  # the trap is a real one: it springs in plain pickle
    assert trap.exists()


def test_the_unloaded_module_is_never_imported(tmp_path, monkeypatch):
    (tmp_path / 'wicked_module.py').write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    path = archive_with(tmp_path / 'a.pt', b'\x80\x02cwicked_module\nThing\n)\x81}b.')
    assert read_inert(path).origin == 'wicked_module.Thing'
    assert 'wicked_module' not in sys.modules


def test_old_style_and_chained_instructions_stay_inert(tmp_path):
    trap = tmp_path / 'trap'
    # INST, OBJ, and getattr(os, 'system')(...) as text of protocol 0
    for code in (b"(S'touch %s'\nios\nsystem\n." % str(trap).encode(),
                 b"(cos\nsystem\nS'touch %s'\no." % str(trap).encode(),
                 b"cbuiltins\ngetattr\n(cos\nenviron\nS'x'\ntR(S'touch %s'\ntR." % str(trap).encode()):
        read_inert(archive_with(tmp_path / 'a.pt', code))
        assert not trap.exists()


@pytest.mark.parametrize('code', [
    b"ctorch._utils\n_rebuild_tensor_v2\n}S'__defaults__'\n(tsb.",
    b"ctorch._utils\n_rebuild_tensor_v2\n(N}S'_function'\nNstb.",
    b"ctorch\nFloatStorage\n}S'dtype'\nNsb.",
    b'ctorch._utils\n_rebuild_tensor_v2\n(I1\nI2\ntR.',
    b'ctorch._utils\n_rebuild_tensor_v2\n(NI0\n(I1\nt(I1\nttR.',
    b"cos\nsystem\n}S'state'\nI1\nsb.",
    b'garbage',
])
def test_pickles_that_tamper_are_refused(tmp_path, code):
    with pytest.raises(UserError, match='broken, or not written by torch.save'):
        read_inert(archive_with(tmp_path / 'a.pt', code))


def test_tensor_larger_than_its_storage_is_refused(tmp_path):
    torch.save(torch.zeros(4), tmp_path / 'a.pt')
    with zipfile.ZipFile(tmp_path / 'a.pt') as archive:
        data = archive.read(archive.namelist()[0])
    big = data.replace(b'K\x04\x85', b'K\xff\x85')  # the size (4,)
    assert big != data
    with pytest.raises(UserError, match='broken'):
        read_inert(archive_with(tmp_path / 'b.pt', big))
