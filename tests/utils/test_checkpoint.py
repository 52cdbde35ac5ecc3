"""Checkpoints: nothing but weights gets in, and only where it fits."""

import os
import pickle

import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler import OneCycleLR
from mmengine.runner.checkpoint import _load_checkpoint
from torch import nn

from mmleuk.errors import UserError
from mmleuk.models.task_modules.class_balance import ClassBalance
from mmleuk.schema import AttributeSchema
from mmleuk.utils.checkpoint import (
    check_attributes,
    fit_checkpoint,
    load_checkpoint_safely,
    load_from_http,
    load_weights,
    use_safe_loading,
)


class Command:
    """Runs a command when unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


class Reach:
    """Reaches for an attribute when unpickled, as mmengine's log buffers do for theirs."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, '__init__')


class Detector(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
        self.head = nn.Conv2d(4, classes, 1)


class Wrapper(nn.Module):
    def __init__(self):
        super().__init__()
        self.detector = Detector()
        self.attri_head = nn.Linear(4, 2)


def saved(path, content):
    torch.save(content, path)
    return path


def test_what_mmengine_saves_comes_back(tmp_path):
    buffer = HistoryBuffer([1.0, 3.0], [1, 1])
    import numpy as np
    path = saved(tmp_path / 'c.pth', {
        'state_dict': {'w': torch.ones(2)}, 'message_hub': {'log_scalars': {'train/loss': buffer}},
        'meta': {'dataset_meta': {'classes': ('a', 'b'), 'palette': [(1, 2, 3)]}, 'seed': np.int64(3),
                 'scores': np.array([0.5])}})
    checkpoint = load_checkpoint_safely(path)
    assert checkpoint['message_hub']['log_scalars']['train/loss'].mean() == 2.0
    assert checkpoint['meta']['dataset_meta']['classes'] == ('a', 'b')
    assert checkpoint['meta']['scores'].tolist() == [0.5]


@pytest.mark.parametrize('archive', [True, False])
def test_code_is_refused_and_does_not_run(tmp_path, archive):
    witness = tmp_path / 'ran'
    path = tmp_path / 'evil.pth'
    content = {'state_dict': {'w': torch.ones(2)}, 'extra': Command(f'touch {witness}')}
    if archive:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match='evil.pth: holds code'):
        load_checkpoint_safely(path)
    assert not witness.exists()


def test_getattr_reaches_nothing_but_the_log_buffers_four_methods(tmp_path):
    with pytest.raises(UserError, match='reach.pth'):
        load_checkpoint_safely(saved(tmp_path / 'reach.pth', {'x': Reach()}))


def test_a_pickled_module_is_refused(tmp_path):
    with pytest.raises(UserError, match='holds code'):
        load_checkpoint_safely(saved(tmp_path / 'm.pth', Detector()))


@pytest.mark.parametrize('content', [b'', b'hello', b'PK\x03\x04', None])
def test_broken_files_are_named(tmp_path, content):
    path = tmp_path / 'broken.pth'
    if content is None:
        saved(path, {'state_dict': Detector().state_dict()})
        content = path.read_bytes()[:-400]
    path.write_bytes(content)
    with pytest.raises(UserError, match='broken.pth: truncated or no checkpoint'):
        load_checkpoint_safely(path)


def test_missing_and_wrong_kinds(tmp_path):
    with pytest.raises(UserError, match='no such checkpoint'):
        load_checkpoint_safely(tmp_path / 'nothing.pth')
    with pytest.raises(UserError, match='holds a list'):
        load_checkpoint_safely(saved(tmp_path / 'list.pth', [1, 2]))
    (tmp_path / 'text.pth').write_text('text\n')
    with pytest.raises(UserError, match='text.pth: truncated or no checkpoint'):
        load_checkpoint_safely(tmp_path / 'text.pth')
    (tmp_path / 'a.safetensors').write_bytes(b'\x02' + bytes(7) + b'no')
    with pytest.raises(UserError, match='no file of safetensors'):
        load_checkpoint_safely(tmp_path / 'a.safetensors')
    for content in (dict(state_dict=3), {1: 2}, dict(state_dict={1: torch.zeros(1)})):
        with pytest.raises(UserError, match='no dict of names and tensors'):
            load_checkpoint_safely(saved(tmp_path / 'odd.pth', content))
    for meta in ([1], dict(dataset_meta='WBC')):
        with pytest.raises(UserError, match='its meta is no dict'):
            load_checkpoint_safely(saved(tmp_path / 'odd.pth', dict(state_dict={}, meta=meta)))


def test_every_path_of_mmengine_is_safe(tmp_path):
    use_safe_loading()
    evil = str(saved(tmp_path / 'evil.pth', {'x': Command('true')}))
    with pytest.raises(UserError, match='holds code'):
        _load_checkpoint(evil)
    with pytest.raises(UserError, match='files and http'):
        _load_checkpoint('s3://bucket/x.pth')


def test_each_address_has_its_own_file(tmp_path, monkeypatch):
    """Two servers' epoch_12.pth differ; a name with a hash, as of PyTorch, is one file, and may lie there already."""
    downloads = []

    def download(url, path, progress):
        downloads.append(url)
        torch.save(dict(state_dict={'weight': torch.tensor([float(len(downloads))])}), path)

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    addresses = ['https://one.example/epoch_12.pth', 'https://two.example/epoch_12.pth',
                 'https://one.example/other/epoch_12.pth', 'https://one.example/epoch_12.pth?version=2']
    for _ in range(2):
        found = [load_from_http(address)['state_dict']['weight'].item() for address in addresses]
        assert found == [1, 2, 3, 4] and downloads == addresses
    torch.save(dict(state_dict={'weight': torch.zeros(1)}), tmp_path / 'checkpoints/resnet50-0676ba61.pth')
    for server in ('download.pytorch.org/models', 'mirror.example'):
        assert load_from_http(f'https://{server}/resnet50-0676ba61.pth')['state_dict']['weight'].item() == 0
    assert downloads == addresses


def test_weights_arrive_twice_alike(tmp_path):
    source = Detector()
    path = saved(tmp_path / 'w.pth', {'state_dict': source.state_dict(), 'meta': {'epoch': 3}})
    for _ in range(2):
        target = Detector()
        assert load_weights(target, path)['meta'] == {'epoch': 3}
        assert all(torch.equal(a, b) for a, b in zip(source.state_dict().values(), target.state_dict().values()))


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_a_detectors_weights_fit_into_its_wrapper(tmp_path, prefix):
    source, target = Detector(), Wrapper()
    state = {prefix + key: value for key, value in source.state_dict().items()}
    path = saved(tmp_path / 'd.pth', state)
    with pytest.raises(UserError, match=r"d.pth: lacks 2 of the model's 13 tensors, first 'attri_head.weight'"):
        load_weights(target, path)
    load_weights(target, path, exact=False)
    assert torch.equal(target.detector.backbone[0].weight, source.backbone[0].weight)
    assert torch.equal(target.detector.head.bias, source.head.bias)


def test_a_detector_starts_from_one_in_a_wrapper(tmp_path):
    """As SLA-Det from an AttriDet; testing it with the plain config would silently leave the attributes out."""
    source, target = Wrapper(), Detector()
    path = saved(tmp_path / 'w.pth', {'state_dict': source.state_dict()})
    load_weights(target, path, exact=False)
    assert torch.equal(target.backbone[0].weight, source.detector.backbone[0].weight)
    assert torch.equal(target.head.bias, source.detector.head.bias)
    with pytest.raises(UserError, match='another architecture'):
        load_weights(Detector(), path)


def test_a_wrappers_own_weights_stay(tmp_path):
    source, target = Wrapper(), Wrapper()
    load_weights(target, saved(tmp_path / 'w.pth', {'state_dict': source.state_dict()}))
    assert torch.equal(target.attri_head.weight, source.attri_head.weight)


def test_counts_of_a_training_are_no_part_of_the_architecture(tmp_path):
    """A detector that counts types loads what one without has learnt, and the reverse; its own counts come back."""
    counting, plain = Detector(), Detector()
    counting.balance = ClassBalance(3)
    counting.balance.counts += torch.tensor([4., 2., 1.])
    with_counts, without = (saved(tmp_path / name, {'state_dict': model.state_dict()})
                            for name, model in (('counts.pth', counting), ('plain.pth', plain)))
    for path, source in ((with_counts, counting), (without, plain)):
        for balance in (None, ClassBalance(3)):
            target = Detector()
            target.balance = balance
            load_weights(target, path)
            assert torch.equal(target.head.weight, source.head.weight)
            if balance:
                assert balance.counts.tolist() == ([4, 2, 1] if source is counting else [0, 0, 0])


def test_another_architecture_is_refused_by_name(tmp_path):
    path = saved(tmp_path / 'other.pth', {'state_dict': {'stem.weight': torch.ones(1), 'head.bias': torch.ones(3)}})
    with pytest.raises(UserError) as error:
        load_weights(Detector(), path)
    assert 'only 1 of the model\'s 11 tensors match' in str(error.value)
    assert 'backbone.0.weight' in str(error.value) and 'stem.weight' in str(error.value)


def test_another_number_of_classes_is_an_error_only_where_it_must_fit():
    state = {'state_dict': Detector(classes=5).state_dict()}
    fit_checkpoint(Detector(), state, 'five.pth')
    with pytest.raises(UserError, match=r'head.weight.*\(5, 4, 1, 1\) in the file, \(3, 4, 1, 1\) in the model'):
        fit_checkpoint(Detector(), state, 'five.pth', exact=True)


class Describer(nn.Module):
    """A model with a head whose outputs mean a schema."""

    def __init__(self, **attributes):
        super().__init__()
        self.head = nn.Linear(2, 2)
        self.head.schema = AttributeSchema.from_dict(attributes)


SHAPE, HUE = ['round', 'odd'], ['red', 'blue']


@pytest.mark.parametrize('meta', [
    {}, {'dataset_meta': None}, {'dataset_meta': {'classes': ('a',)}},
    {'dataset_meta': {'attributes': {}}}, {'dataset_meta': {'attributes': {'shape': SHAPE, 'hue': HUE}}}])
def test_the_same_attributes_pass_and_so_do_unknown_ones(meta):
    check_attributes(Describer(shape=SHAPE, hue=HUE), {'state_dict': {}, 'meta': meta}, 'a.pth')
    check_attributes(Detector(), {'state_dict': {}, 'meta': meta}, 'a.pth')


@pytest.mark.parametrize('attributes', [
    dict(hue=HUE, shape=SHAPE), dict(shape=SHAPE, hue=HUE[::-1]), dict(shape=SHAPE, tone=HUE)])
def test_attributes_in_another_order_are_refused(attributes):
    checkpoint = {'meta': {'dataset_meta': {'attributes': AttributeSchema.from_dict(attributes).to_dict()}}}
    with pytest.raises(UserError, match=r"a.pth: was trained on .*the config has \(\('shape'.*pass the config"):
        check_attributes(Describer(shape=SHAPE, hue=HUE), checkpoint, 'a.pth')


class Holder(nn.Module):
    """As much of AttriDet or SparseLabelDetector as the names of tensors need."""

    def __init__(self, detector, **parts):
        super().__init__()
        self.detector = detector
        for name, part in parts.items():
            self.add_module(name, part)


def names_after(model, *names):
    """A checkpoint's names once it is fitted to the model, each tensor as large as the model's."""
    sizes = {key.removeprefix('detector.').removeprefix('detector.').removeprefix('labeller.'): value
             for key, value in model.state_dict().items()}
    state = {name: sizes[name.removeprefix('detector.')].clone() for name in names}
    fit_checkpoint(model, state, 'old.pth', exact=True)
    return set(state)


def test_checkpoints_from_before_the_wrapper_fit():
    """SLADet was the detector itself, alone or in AttriDet, and counted for its thresholds itself."""
    stem = nn.ModuleDict(dict(backbone=nn.Linear(2, 2)))
    counts = nn.ModuleDict(dict(calibration=nn.Linear(3, 1, bias=False)))
    plain = 'backbone.weight', 'backbone.bias'
    sla = Holder(stem)
    assert names_after(sla, *plain) == set(sla.state_dict())
    plus = Holder(stem, labeller=counts)
    assert names_after(plus, *plain, 'calibration.weight') == set(plus.state_dict())
    attri = Holder(Holder(stem), attri_head=nn.Linear(4, 4))
    assert names_after(attri, *(f'detector.{name}' for name in plain), 'attri_head.weight', 'attri_head.bias') == set(
        attri.state_dict())


@pytest.mark.parametrize('curve', ['cos', 'linear'])
def test_a_training_with_one_cycle_is_read(tmp_path, curve):
    """Its scheduler's state holds a function of mmengine's, by name; no other name of that class gets through."""
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    state = OneCycleLR(optimizer, eta_max=0.1, total_steps=10, anneal_strategy=curve).state_dict()
    path = saved(tmp_path / 'last.pth', dict(state_dict={}, param_schedulers=[state]))
    assert load_checkpoint_safely(path)['param_schedulers'][0]['anneal_func'] is state['anneal_func']
    with pytest.raises(UserError, match='holds code'):
        load_checkpoint_safely(saved(tmp_path / 'other.pth', dict(f=OneCycleLR.build_iter_from_epoch)))


@pytest.mark.parametrize('exact', [False, True])
def test_weights_of_a_diverged_training_are_refused(tmp_path, exact):
    """They find no cell in any image, and nothing else says so."""
    model = Detector()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    fit_checkpoint(model, dict(state_dict=dict(state)), 'fine.pth', exact=exact)
    state['head.weight'][0, 0] = float('nan')
    with pytest.raises(UserError, match="last.pth: 'head.weight' holds NaN or infinity"):
        fit_checkpoint(model, dict(state_dict=state), 'last.pth', exact=exact)


def test_torchscript_is_named(tmp_path):
    torch.jit.script(nn.Linear(1, 1)).save(tmp_path / 'model.pt')
    with pytest.raises(UserError, match='model.pt: a TorchScript program, not weights'):
        load_checkpoint_safely(tmp_path / 'model.pt')
