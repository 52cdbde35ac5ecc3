"""The words that have a plainer one are found, and what only looks like them is not."""

import pytest


@pytest.fixture
def tool(load_tool):
    return load_tool('check_words')


@pytest.mark.parametrize('line, word', [
    ('remove or mend it', 'mend'), ('a STRANGE key', 'STRANGE'), ('the surest detection', 'surest'),
    ('how sure the model is', 'sure'), ('for place, key in enumerate(keys):', 'for place'),
    ('a settled config', 'settled'), ('The dearest first', 'dearest'), ('runs at home on CPUs', 'at home on'),
    ('its word counts', 'its word'), ('it heeds regions', 'heeds'), ('Told, not judged', 'Told, not judged'),
    ('their fates', 'fates')])
def test_private_words_are_found(tool, line, word):
    assert [found[:2] for found in tool.findings(f'\n{line}')] == [(2, word)]


@pytest.mark.parametrize('line', [
    'make sure that it runs', 'takes place in place', 'a Placeholder', 'measure, pressure, assure', 'recommended',
    'amended', 'the settlement', 'in its words', 'to be sure', 'for sure', 'at home'])
def test_others_are_not(tool, line):
    assert list(tool.findings(line)) == []


def test_files_and_counts(tool, tmp_path, capsys):
    (tmp_path / 'a.md').write_text('mend\nmend and heed\n')
    (tmp_path / 'b.md').write_text('fix\n')
    files = [str(tmp_path / name) for name in ('a.md', 'b.md')]
    assert tool.main(files) == 1
    assert capsys.readouterr().out.splitlines()[1] == f"{tmp_path / 'a.md'}:2: 'mend': write fix"
    assert tool.main(['--count', *files]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"   3  {tmp_path / 'a.md'}: mend 2, heed 1", '3 in 1 of 2 files']
    assert tool.main(files[1:]) == 0


def test_the_repository_is_looked_through(tool):
    names = {path.relative_to(tool.ROOT).as_posix() for path in tool.tracked_files()}
    assert {'README.md', 'mmleuk/errors.py', 'setup.py', 'docs/training.md'} <= names
    assert not any(name.startswith('benchmarks/results') for name in names)
