"""Encoders: maps, strides, weights that stay, and errors in words; those of the paper's size in slow tests."""

import builtins
from pathlib import Path

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmleuk.errors import UserError
from mmleuk.models.backbones.transformers_encoder import ENCODERS, TransformersEncoder
from mmleuk.registry import MODELS

transformers = pytest.importorskip('transformers', reason="needs the extra: pip install -e '.[transformers]'")

ROOT = Path(__file__).parents[2]
SMALL = ['convnext-atto', 'swin-mini', 'vit-mini-8']


def build(name, **options):
    torch.manual_seed(0)
    return MODELS.build(dict(type='mmleuk.TransformersEncoder', name=name, **options)).eval()


@pytest.mark.parametrize('name', SMALL)
@pytest.mark.parametrize('height, width', [(64, 64), (64, 96)])
def test_maps_have_the_stated_channels_and_strides(name, height, width):
    encoder = build(name, **({} if name.startswith('vit') else dict(out_indices=(0, 1, 2, 3))))
    maps = encoder(torch.rand(2, 3, height, width))
    assert isinstance(maps, tuple)
    assert [tuple(found.shape) for found in maps] == [
        (2, channels, height // stride, width // stride)
        for channels, stride in zip(encoder.channels, encoder.strides, strict=True)]


def test_pyramid_has_strides_4_to_32():
    assert build('convnext-atto', out_indices=(0, 1, 2, 3)).strides == (4, 8, 16, 32)
    assert build('swin-mini', out_indices=(1, 3)).strides == (8, 32)


def test_patches_of_vit_stand_where_they_are_in_the_image():
    """A change of one patch's pixels changes the embedding there first; positions are rows, then columns."""
    encoder = build('vit-mini-8', settings=dict(num_hidden_layers=0))
    image = torch.zeros(1, 3, 32, 48)
    changed = image.clone()
    changed[:, :, 8:16, 32:40] = 1  # row 1, column 4
    moved = (encoder(changed)[0] - encoder(image)[0]).abs().sum(1)[0]
    assert moved.shape == (4, 6)
    assert moved.nonzero().tolist() == [[1, 4]]


@pytest.mark.parametrize('name', SMALL)
def test_weights_stay_when_the_model_around_it_is_initialised(name):
    """The recogniser's normal distribution is for its classifier, not for the encoder's linear layers."""
    torch.manual_seed(0)
    model = MODELS.build(dict(type='mmleuk.AttributeRecognizer', attributes='wbcatt_crops', crop_size=32,
                              encoder=dict(type='mmleuk.TransformersEncoder', name=name)))
    before = {key: value.clone() for key, value in model.extractor.state_dict().items()}
    classifier = model.classifier.layers[0].weight.clone()
    model.init_weights()
    assert all(torch.equal(value, before[key]) for key, value in model.extractor.state_dict().items())
    assert not torch.equal(classifier, model.classifier.layers[0].weight)
    assert model.classifier.layers[0].weight.std().item() == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize('name', ['convnext-atto', 'vit-mini-8'])
def test_pretrained_reads_a_folder(name, tmp_path):
    first = build(name)
    first.model.save_pretrained(tmp_path)
    torch.manual_seed(1)
    second = TransformersEncoder(name, pretrained=str(tmp_path)).eval()
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(second(image)[0], first(image)[0])


@pytest.mark.parametrize('options, message', [
    (dict(name='convnext-tinny'), "unknown encoder 'convnext-tinny'; known are convnext-tiny, "),
    (dict(name='convnext-atto', pretrained=True), 'no published weights of convnext-atto'),
    (dict(name='convnext-atto', pretrained='no/such/folder'), "no weights from 'no/such/folder'"),
    (dict(name='vit-mini-8', out_indices=(0, 3)), 'out_indices of vit-mini-8 are'),
    (dict(name='swin-mini', out_indices=(3, 1)), 'in ascending order')])
def test_errors_say_what_to_do(options, message, monkeypatch):
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    with pytest.raises(UserError, match=message):
        TransformersEncoder(**options)


def test_weights_of_another_architecture_are_refused(tmp_path):
    build('convnext-atto').model.save_pretrained(tmp_path)
    with pytest.raises(UserError, match='holds a convnext, not a swin'):
        TransformersEncoder('swin-mini', pretrained=str(tmp_path))


def test_a_missing_library_names_the_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name == 'transformers':
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, '__import__', without)
    with pytest.raises(UserError, match=r"pip install 'mmleuk\[transformers\]'"):
        TransformersEncoder('convnext-atto')


PUBLISHED = {
    # torchvision's figures of the whole classifiers less their last layers, (d + 1) * 1000
    'convnext-tiny': 28_589_128 - 769_000,
    'swin-tiny': 28_288_354 - 769_000,
    'vit-base-16': 86_567_656 - 769_000,
}


@pytest.mark.parametrize('name', sorted(PUBLISHED))
def test_numbers_of_weights_are_the_published_ones(name):
    with torch.device('meta'):
        encoder = TransformersEncoder(name)
    extra = sum(p.numel() for key, p in encoder.named_parameters() if 'hidden_states_norms' in key)
    swin_norm = 2 * 768 if name == 'swin-tiny' else 0  # the library's backbone has one of its own per map
    assert (extra > 0) == (name != 'vit-base-16')
    assert sum(p.numel() for p in encoder.parameters()) == PUBLISHED[name] + swin_norm


def test_small_siblings_are_small():
    for name in SMALL:
        assert sum(p.numel() for p in build(name).parameters()) < 4e6, name
    assert set(SMALL) | set(PUBLISHED) == set(ENCODERS)


def test_vgg_gives_a_tuple():
    vgg = MODELS.build(dict(type='mmleuk.VGG', depth=11, out_indices=(4,)))
    vgg.init_weights()
    assert [tuple(found.shape) for found in vgg(torch.rand(1, 3, 64, 64))] == [(1, 512, 2, 2)]


PAPER = {'vgg16': 14_714_688, 'resnet50': 23_508_032, 'vit-base-16': PUBLISHED['vit-base-16'],
         'convnext-tiny': PUBLISHED['convnext-tiny'], 'swin-tiny': PUBLISHED['swin-tiny'] + 2 * 768}
"""Weights of the encoders: torchvision's figures without the classifiers; of Swin-T with the map's own norm."""


@pytest.mark.slow
@pytest.mark.parametrize('name', sorted(PAPER))
def test_recogniser_of_the_papers_size_trains_and_predicts(name):
    """224 px, one step of the config's AdamW on two cells, and a prediction."""
    cfg = Config.fromfile(str(ROOT / f'configs/attributes/{name}_wbcatt-crops.py'))
    torch.manual_seed(0)
    init_default_scope('mmdet')
    model = MODELS.build(cfg.model)
    model.init_weights()
    assert sum(p.numel() for p in model.extractor.encoder.parameters()) == PAPER[name]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)
    images, samples = torch.randn(2, 3, cfg.model.crop_size, cfg.model.crop_size), []
    for _ in range(2):
        samples.append(DetDataSample())
        samples[-1].gt_instances = InstanceData(attributes=torch.zeros(1, 12, dtype=torch.int64))
    before = model.classifier.layers[0].weight.detach().clone()
    first = next(model.extractor.encoder.parameters())
    start = first.detach().clone()
    loss = model.train().loss(images, samples)['loss_attributes']
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss)
    assert not torch.equal(before, model.classifier.layers[0].weight)
    assert not torch.equal(start, first)
    found = model.eval().predict(images, samples)
    assert found[0].gt_attributes.attribute_probs.shape == (1, 12, 6)
