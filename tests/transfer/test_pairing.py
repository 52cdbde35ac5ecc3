"""Which image belongs to which: by a file, by names, by content."""

import json

import numpy as np
import pytest

from mmleuk.errors import UserError
from mmleuk.synthetic.film import render_film
from mmleuk.transfer.pairing import Pair, pair_by_content, pair_by_name, read_pairs


@pytest.fixture
def pairs_file(tmp_path):
    def write(content):
        path = tmp_path / 'pairs.json'
        path.write_text(json.dumps(content))
        return path

    return write


@pytest.mark.parametrize('entry', [
    ['a.png', 'x.png'], dict(source='a.png', target='x.png'), dict(target='x.png', source='a.png'),
    dict(field_100x='a.png', field_40x='x.png'), dict(low='x.png', high='a.png'), ['a.png', 'elsewhere/x.png']])
def test_files_of_pairs(pairs_file, entry):
    assert read_pairs(pairs_file([entry]), ['a.png', 'b.png'], ['sub/x.png', 'y.png']) == [
        Pair('a.png', 'sub/x.png', 'file')]


@pytest.mark.parametrize('content, words', [
    ([], 'no list of pairs'), (dict(a='b'), 'no list of pairs'), ([['a.png']], 'pair 0: .* two file names'),
    ([['a.png', 3]], 'two file names'), ([['c.png', 'x.png']], 'c.png is no image of the annotation file'),
    ([['a.png', 'z.png']], 'z.png is no image of the folder'),
    ([['a.png', 'x.png'], ['b.png', 'x.png']], 'x.png occurs twice')])
def test_bad_files_of_pairs_say_what_is_wrong(pairs_file, content, words):
    with pytest.raises(UserError, match=words):
        read_pairs(pairs_file(content), ['a.png', 'b.png'], ['x.png', 'y.png'])


def test_names():
    sources = ['hcm/f1.png', '21_32_1000_CLL.jpg', '21_33_1000_CLL.jpg', '4_1_1000_ALL.jpg']
    targets = ['lcm/F1.jpg', '21_32_41_400_CLL.jpg', '4_1_5_400_ALL.jpg', '4_1_6_400_ALL.jpg', '21_33_1_400_AML.jpg']
    # 4_1 has two targets, and 21_33 one of another diagnosis: names don't tell.
    assert pair_by_name(sources, targets) == [Pair('hcm/f1.png', 'lcm/F1.jpg', 'name'),
                                              Pair('21_32_1000_CLL.jpg', '21_32_41_400_CLL.jpg', 'name')]
    assert pair_by_name([], targets) == [] == pair_by_name(sources, [])


def test_content():
    films = {name: render_film(np.random.default_rng(seed), [3], 320).image for seed, name in enumerate('abc')}
    turned = {'3.png': np.ascontiguousarray(films['a'][::-1, ::-1]), '1.png': films['b'][20:, 30:].copy(),
              '2.png': np.full((300, 300, 3), 220, np.uint8)}
    found = pair_by_content({name: lambda image=image: image for name, image in films.items()},
                            {name: lambda image=image: image for name, image in turned.items()})
    assert {(pair.source, pair.target) for pair in found} == {('a', '3.png'), ('b', '1.png')}
    assert pair_by_content({}, {}) == []
