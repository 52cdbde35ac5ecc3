"""mmleuk config: the printed text is the config."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmleuk.cli import main
from mmleuk.commands.config import config_files

ROOT = Path(__file__).resolve().parents[2]
BOTTLENECK = ROOT / 'configs/cbm/yolov5n_cbm_synthetic.py'


@pytest.fixture
def printed(tmp_path, capsys):
    def run(*words):
        assert main(['config', *map(str, words)]) == 0
        text = capsys.readouterr().out
        (tmp_path / 'resolved.py').write_text(text)
        return text, Config.fromfile(str(tmp_path / 'resolved.py')).to_dict()
    return run


def test_what_is_printed_is_the_config_with_its_bases(printed, monkeypatch):
    monkeypatch.chdir(ROOT)
    text, read = printed(BOTTLENECK)
    assert read == Config.fromfile(str(BOTTLENECK)).to_dict()
    lines = text.splitlines()
    comment = lines[lines.index(next(line for line in lines if line.startswith('model = '))) - 1]
    assert comment == ('# configs/_base_/models/yolov5n.py, configs/_base_/models/cbm_yolov5n.py, '
                       'configs/cbm/yolov5n_cbm_synthetic.py')


def test_options_are_in_it_and_named(printed):
    text, read = printed(BOTTLENECK, '--cfg-options', 'train_cfg.max_epochs=3', 'mine=(1,2)')
    assert read['train_cfg']['max_epochs'] == 3 and read['mine'] == (1, 2)
    assert 'short_10e.py, --cfg-options train_cfg.max_epochs\ntrain_cfg = ' in text
    assert '# --cfg-options mine\nmine = ' in text


@pytest.mark.parametrize('text, value', [
    ('/my films/a.json', '/my films/a.json'), ("'/my films (old)/a.json'", '/my films (old)/a.json'),
    ('[Red cell, WBC]', ['Red cell', 'WBC']), ('Red cell,WBC', ['Red cell', 'WBC']),
    ('[(1, 2) , [a b, c]]', [(1, 2), ['a b', 'c']]), (' 5 ', 5), ('( 1, None )', (1, None)), ('[]', [])])
def test_spaces_within_a_text_stay(printed, text, value):
    assert printed(BOTTLENECK, '--cfg-options', f'mine={text}')[1]['mine'] == value


def test_files_come_as_they_are_merged(tmp_path):
    (tmp_path / 'a.py').write_text('a = 1')
    (tmp_path / 'b.json').write_text('{"b": 2}')
    (tmp_path / 'c.py').write_text("_base_ = ['a.py', 'b.json']\nc = {{_base_.a}}")
    (tmp_path / 'd.py').write_text("_base_ = './c.py'\nb = 3")
    assert [Path(file).name for file in config_files(tmp_path / 'd.py')] == ['a.py', 'b.json', 'c.py', 'd.py']


def test_a_misspelt_key_is_named(tmp_path, capsys):
    (tmp_path / 'a.py').write_text('trian_cfg = dict()')
    assert main(['config', str(tmp_path / 'a.py')]) == 2
    assert "unknown key 'trian_cfg'; did you mean 'train_cfg'" in capsys.readouterr().err
