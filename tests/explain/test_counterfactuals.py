"""Counterparts from an index: which cell is found, on files, and through the commands."""

import json

import numpy as np
import pytest
from PIL import Image

from mmleuk.cli import main
from mmleuk.errors import UserError
from mmleuk.explain import Bottleneck, ExplainedCell
from mmleuk.explain.counterfactuals import CellIndex, find_pairs
from mmleuk.schema import AttributeSchema

SCHEMA = AttributeSchema.from_dict({'granule_colour': ['nil', 'pink', 'purple'], 'ring': ['no', 'yes'],
                                    'size': ['small', 'big']})
BOTTLENECK = Bottleneck('linear', ('Basophil', 'Neutrophil'), SCHEMA, np.zeros(2),
                        np.array([[0, 0, 1, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0]], float))


def concepts(colour, ring, size):
    """Probabilities of a cell with these values."""
    return np.concatenate([np.eye(3)[colour], np.eye(2)[ring], np.eye(2)[size]]) * 0.8 + 0.05


def make_index(rows):
    """An index of (values, one feature) rows."""
    values, features = zip(*rows)
    names = tuple(f'{number}.png' for number in range(len(rows)))
    return CellIndex(names, names, np.zeros((len(rows), 4)), ('Neutrophil',) * len(rows), SCHEMA,
                     np.stack([concepts(*row) for row in values]), np.array(features, np.float32)[:, None], 'weights')


def cell(colour=1, ring=0, size=0, feature=0.0):
    return ExplainedCell('cell', 'cell.png', None, concepts(colour, ring, size), BOTTLENECK,
                         features=np.array([feature], np.float32))


def test_differs_in_the_edit_agrees_elsewhere_and_is_the_nearest():
    index = make_index([((1, 0, 0), 0.0),    # the cell itself: not edited
                        ((2, 1, 0), 0.1),    # very near, but its ring differs
                        ((2, 0, 0), 0.9), ((2, 0, 0), 0.5), ((0, 0, 0), 0.0)])
    found = index.find(cell().edit(granule_colour='purple'))
    assert (found.row, found.distance, found.also) == (3, pytest.approx(0.5), ())


def test_without_an_exact_counterpart_the_one_with_the_fewest_other_differences():
    index = make_index([((2, 1, 1), 0.0), ((2, 1, 0), 3.0), ((2, 0, 1), 2.0), ((1, 0, 0), 0.0)])
    found = index.find(cell().edit(granule_colour='purple'))
    assert (found.row, found.also) == (2, ('size',))


def test_two_edits_and_none():
    index = make_index([((2, 0, 0), 0.0), ((2, 1, 0), 1.0), ((2, 1, 1), 0.0)])
    assert index.find(cell().edit(granule_colour='purple', ring='yes')).row == 1
    assert index.find(cell()) is None
    assert index.find(cell().edit(granule_colour='nil')) is None  # nobody has it
    pairs = find_pairs([cell(), cell().edit(granule_colour='purple'), cell().edit(granule_colour='nil')], index)
    assert [pair.change for pair in pairs] == ['granule colour pink → purple']
    assert (pairs[0].found.name, pairs[0].found.type_name, pairs[0].also_changed) == ('0.png', 'Basophil', '')


def test_agrees_with_a_plain_search():
    generator = np.random.default_rng(0)
    rows = [(tuple(generator.integers(0, [3, 2, 2])), generator.normal()) for _ in range(60)]
    index = make_index(rows)
    for _ in range(40):
        edited = cell(*generator.integers(0, [3, 2, 2]), feature=generator.normal()).edit(
            {'granule_colour': int(generator.integers(0, 3))})
        if not edited.edits:
            continue
        colour, ring, size = edited.values.values()
        ranked = sorted((((r, s) != (ring, size)) + (r != ring and s != size), abs(f - edited.features[0]), number)
                        for number, ((c, r, s), f) in enumerate(rows) if c == colour)
        assert index.find(edited).row == ranked[0][2]


def test_a_file_gives_the_same_index(tmp_path):
    index = make_index([((2, 0, 0), 0.5), ((1, 1, 0), 0.25)])
    again = CellIndex.load(index.save(tmp_path / 'cells.npz'))
    assert again.names == index.names and again.schema.values_by_key == SCHEMA.values_by_key
    assert np.array_equal(again.features, index.features) and np.array_equal(again.concepts, index.concepts)
    for content in (b'', b'no zip', json.dumps({}).encode()):
        (tmp_path / 'bad.npz').write_bytes(content)
        with pytest.raises(UserError, match='not an index of cells'):
            CellIndex.load(tmp_path / 'bad.npz')
    with pytest.raises(UserError, match='cannot be read'):
        CellIndex.load(tmp_path / 'missing.npz')


def test_other_models_cells_are_refused():
    index = make_index([((2, 0, 0), 0.5)])
    plain = ExplainedCell('cell', 'cell.png', None, concepts(1, 0, 0), BOTTLENECK)
    with pytest.raises(UserError, match='serves the recogniser'):
        index.find(plain.edit(granule_colour='purple'))


def test_commands_make_an_index_and_show_pairs(lab, bottlenecks, tmp_path, capsys):
    index = tmp_path / 'cells.npz'
    assert main(['index', lab.config, lab.checkpoint, '--out', str(index), '--device', 'cpu']) == 0
    stored = CellIndex.load(index)
    assert len(stored.names) == 12 and stored.boxes_xyxy[0].tolist() == [0, 0, 48, 48]
    some = stored.values[:, 0]
    value = stored.schema.decode('granule_colour', int(np.bincount(some).argmax()))
    arguments = ['explain', lab.crops, lab.config, lab.checkpoint, str(bottlenecks / 'linear.json'), '--device', 'cpu',
                 '--set', f'granule_colour={value}', '--index', str(index)]
    out = tmp_path / 'out'
    assert main([*arguments, '--out', str(out)]) == 0
    edited = int((some != np.bincount(some).argmax()).sum())
    assert f'{edited} of 12 cells with a counterpart' in capsys.readouterr().out
    assert (out / 'explanation.html').read_text().count('<div class="pair">') == edited
    assert (out / 'pairs.jpg').exists() == bool(edited)
    if edited:
        assert Image.open(out / 'pairs.jpg').width > 500
    other = tmp_path / 'other.pth'
    other.write_bytes(open(lab.checkpoint, 'rb').read() + b' ')
    for changed, message in ((arguments[:-4] + ['--index', str(index)], '--index finds cells that differ'),
                             ([*arguments[:3], str(other), *arguments[4:]], 'made with other weights')):
        assert main([*changed, '--out', str(tmp_path / 'never')]) == 2
        assert message in capsys.readouterr().err and not (tmp_path / 'never').exists()
    assert main(['index', lab.config, lab.checkpoint, '--out', str(index)]) == 2
    assert 'is there already' in capsys.readouterr().err
