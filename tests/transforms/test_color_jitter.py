import copy

import numpy as np
import pytest
import torch
from mmdet.datasets.transforms import MultiBranch
from mmengine.registry import init_default_scope
from PIL import Image, ImageEnhance

from mmleuk.engine.seed_hook import SeededFetch
from mmleuk.errors import UserError
from mmleuk.testing.samples import tiny_results
from mmleuk.transforms import ColorJitter, PackCells

IMAGE = np.random.default_rng(0).integers(60, 200, (24, 32, 3), dtype=np.uint8)
BRANCHES = dict(branch_field=['original', 'augmented'], original=[dict(type='mmleuk.PackCells')],
                augmented=[dict(type='mmleuk.ColorJitter', prob=1.0), dict(type='mmleuk.PackCells')])


def pillow(image, step, value):
    """Pillow's version of a step on a BGR image."""
    picture = Image.fromarray(image[..., ::-1])
    if step == 3:
        hue, *others = picture.convert('HSV').split()
        turned = (np.asarray(hue).astype(int) + int(value * 255)) % 256
        picture = Image.merge('HSV', (Image.fromarray(turned.astype(np.uint8)), *others)).convert('RGB')
    else:
        picture = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[step](picture).enhance(value)
    return np.asarray(picture)[..., ::-1]


@pytest.mark.parametrize('step', range(4))
def test_each_step_is_pillows(step):
    amounts = [0., 0., 0., 0.]
    amounts[step] = 0.2 if step == 3 else 0.8
    jitter = ColorJitter(**dict(zip(('brightness', 'contrast', 'saturation', 'hue'), amounts)), prob=1.0)
    changes = []
    for seed in range(4):
        np.random.seed(seed)
        _, _, drawn = jitter._draw()
        np.random.seed(seed)
        changed = jitter(dict(img=IMAGE))['img'].astype(int)
        assert abs(changed - pillow(IMAGE, step, float(drawn[step] + (step != 3)))).mean() < 3  # OpenCV's hue has steps
        changes.append(abs(changed - IMAGE).mean())
    assert max(changes) > 10


def test_rarely_means_rarely_and_the_input_stays():
    before, results = IMAGE.copy(), dict(img=IMAGE)
    assert ColorJitter(prob=0.)(dict(results))['img'] is IMAGE
    changes = sum(ColorJitter(prob=0.5)(dict(results))['img'] is not IMAGE for _ in range(100))
    assert 30 < changes < 70 and (IMAGE == before).all()


@pytest.mark.parametrize('wrong', [dict(hue=0.6), dict(contrast=-0.1), dict(prob=2)])
def test_arguments_out_of_range(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        ColorJitter(**wrong)


def test_floats_are_refused():
    with pytest.raises(UserError, match='float32'):
        ColorJitter()(dict(img=IMAGE.astype(np.float32)))


def test_views_share_everything_but_colour_and_repeat_with_the_seed():
    results = tiny_results(np.random.default_rng(0), annotation='sparse') | dict(scale_factor=(1., 1.))
    init_default_scope('mmdet')
    branch = MultiBranch(**BRANCHES)

    class Films:
        def __getitem__(self, index):
            return branch(copy.deepcopy(results))

    first, second = (SeededFetch(Films(), 7, torch.tensor(3))([0, 1]) for _ in range(2))
    for one, other in zip(first, second):
        assert all(torch.equal(one['inputs'][view], other['inputs'][view]) for view in ('original', 'augmented'))
    view = first[0]
    alone = PackCells()(results)
    assert torch.equal(view['inputs']['original'], alone['inputs'])
    assert not torch.equal(view['inputs']['augmented'], alone['inputs'])
    assert not torch.equal(view['inputs']['augmented'], first[1]['inputs']['augmented'])
    for sample in view['data_samples'].values():
        assert torch.equal(sample.gt_instances.bboxes.tensor, alone['data_samples'].gt_instances.bboxes.tensor)
        assert torch.equal(sample.annotated_regions, alone['data_samples'].annotated_regions)
