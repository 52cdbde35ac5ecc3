"""Grad-CAM per attribute: by hand, on a network that must look at one corner, on crops, on a detector's cells."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from small_attri_det import write_attri_det, write_films
from torch import nn

from mmleuk.cli import main
from mmleuk.errors import UserError
from mmleuk.explain.activation_reading import ActivationReader
from mmleuk.explain.activation_sheet import CellRow, activation_sheet, overlay
from mmleuk.explain.gradcam import class_activation, explain_attributes
from mmleuk.explain.reading import ConceptReader
from mmleuk.models.attributes.classifier import AttributeClassifier
from mmleuk.registry import MODELS
from mmleuk.structures.prediction import Cell, Prediction, Run, RunInfo
from mmleuk.structures.prediction_files import to_json
from mmleuk.utils.config_file import build_model
from mmleuk.utils.image_inputs import list_images

ROOT = Path(__file__).parents[2]


def test_by_hand():
    """Score 2 * mean of channel 0 - mean of channel 1 on 2 x 2 points: weights 0.5 and -0.25."""
    maps = torch.tensor([[[[4.0, 0.0], [2.0, 0.0]], [[0.0, 8.0], [2.0, 0.0]]]], requires_grad=True)
    score = 2 * maps[:, 0].mean((1, 2)) - maps[:, 1].mean((1, 2))
    # 0.5 * (4, 0, 2, 0) - 0.25 * (0, 8, 2, 0) = (2, -2, 0.5, 0), cut at 0 and divided by 2
    assert class_activation(maps, score).tolist() == [[[1.0, 0.0], [0.25, 0.0]]]


def test_nothing_speaks_for_the_score():
    maps = torch.ones(1, 1, 2, 2, requires_grad=True)
    assert class_activation(maps, -maps.mean((1, 2, 3))).tolist() == [[[0.0, 0.0], [0.0, 0.0]]]


class Corners(nn.Module):
    """Features are the means of the input's red and of its blue."""

    def __init__(self):
        super().__init__()
        self.colours = nn.Conv2d(3, 2, 1, bias=False)
        self.colours.weight.data = torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]).reshape(2, 3, 1, 1)

    def forward(self, images):
        return self.colours(images).mean((2, 3))


@pytest.mark.parametrize('loss_binary', [None, dict(type='mmleuk.AsymmetricLoss')])
def test_each_attribute_has_its_own_map(loss_binary):
    """A red spot at the top left decides one attribute, a blue one at the bottom right the other."""
    classifier = AttributeClassifier({'red': ['no', 'yes'], 'blue': ['no', 'yes']}, 2, loss_binary=loss_binary).eval()
    width = len(classifier.layers[0].weight) // 2
    weight = torch.zeros(2 * width, 2)
    weight[width - 1, 0] = weight[-1, 1] = 50.0
    classifier.layers[0].weight.data, classifier.layers[0].bias.data = weight, torch.zeros(2 * width)
    images = torch.zeros(1, 3, 8, 8)
    images[0, 0, :2, :2], images[0, 2, 6:, 6:] = 1, 1
    network = Corners()
    for _ in range(2):
        found = explain_attributes(network, lambda: classifier(network(images)), classifier)
        assert found.layer == 'colours' and found.values.tolist() == [[1, 1]]
        assert (found.maps[0, 0] == (images[0, 0] > 0).numpy()).all()
        assert (found.maps[0, 1] == (images[0, 2] > 0).numpy()).all()
    with pytest.raises(UserError, match="no layer of that name has feature maps .did you mean 'colours'"):
        explain_attributes(network, lambda: classifier(network(images)), classifier, 'colour')
    assert not network.colours._forward_hooks


def test_the_deepest_map_that_is_wide_enough_is_shown():
    encoder = dict(type='mmdet.ResNet', depth=18, base_channels=8, num_stages=4, out_indices=(3,), frozen_stages=-1)
    model = MODELS.build(dict(type='mmleuk.AttributeRecognizer', attributes='wbcatt_crops', crop_size=64,
                              encoder=encoder)).eval()
    images = torch.rand(2, 3, 64, 64)
    found = explain_attributes(model.extractor, lambda: model(images, mode='tensor'), model.classifier)
    assert found.layer == 'encoder.layer2' and found.maps.shape == (2, 12, 8, 8)
    assert found.maps.min() >= 0 and found.maps.max() == 1
    deeper = explain_attributes(model.extractor, lambda: model(images, mode='tensor'), model.classifier,
                                'encoder.layer4')
    assert deeper.maps.shape == (2, 12, 2, 2)
    alone = explain_attributes(model.extractor, lambda: model(images[:1], mode='tensor'), model.classifier)
    np.testing.assert_allclose(alone.maps[0], found.maps[0], atol=1e-4)


def test_an_overlay_is_red_where_it_is_hot_and_unchanged_elsewhere():
    grey = Image.new('RGB', (4, 2), (100, 100, 100))
    heat = np.zeros((2, 4))
    heat[:, 3] = 1
    drawn = np.asarray(overlay(grey, heat)).astype(int)
    assert (drawn[:, 0] == 100).all()
    assert (drawn[:, 3, 0] > drawn[:, 3, 2] + 50).all()


def test_a_sheet_has_a_tile_per_attribute():
    row = CellRow('a.png', np.zeros((9, 9, 3), np.uint8), np.zeros((2, 3, 3)), ('small\n0.90', 'pink\n0.80'))
    one, two = activation_sheet([row], ['Size', 'Hue']), activation_sheet([row, row], ['Size', 'Hue'])
    assert one.width == two.width and two.height > one.height


@pytest.fixture
def crops(tmp_path):
    """Three crops, and config and checkpoint of an untrained recogniser."""
    generator = np.random.default_rng(0)
    (tmp_path / 'cells').mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'cells/{number}.png'), generator.integers(0, 255, (50, 50, 3), np.uint8))
    config = ROOT / 'configs/attributes/narrow-resnet_wbcatt-crops_center.py'
    torch.manual_seed(0)
    model = build_model(Config.fromfile(str(config)))
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'weights.pth')
    return tmp_path, str(config)


def test_the_command_draws_crops(crops, capsys):
    folder, config = crops
    command = ['gradcam', str(folder / 'cells'), config, str(folder / 'weights.pth'), '--out', str(folder / 'out'),
               '--device', 'cpu']
    assert main([*command, '--attributes', 'nucleus_shape', 'granularity']) == 0
    assert '3 cells, 2 attributes' in capsys.readouterr().out
    assert [path.name for path in (folder / 'out').iterdir()] == ['gradcam_01.jpg']
    assert main(command) == 2
    assert 'exists already' in capsys.readouterr().err


@pytest.mark.parametrize('options, message', [
    (['--attributes', 'nucleus_shap'], "unknown attribute 'nucleus_shap' (did you mean 'nucleus_shape'?)"),
    (['--layer', 'encoder.layer9'], "no layer of that name has feature maps (did you mean 'encoder.layer")])
def test_the_command_says_what_is_wrong_and_writes_nothing(crops, capsys, options, message):
    folder, config = crops
    assert main(['gradcam', str(folder / 'cells'), config, str(folder / 'weights.pth'), '--out', str(folder / 'out'),
                 '--device', 'cpu', *options]) == 2
    assert message in capsys.readouterr().err
    assert not (folder / 'out').exists()


def test_pictures_are_what_the_network_sees(crops):
    """The middle 136 pixels; here the whole crop, scaled to 64."""
    folder, config = crops
    reader = ActivationReader(ConceptReader(config, folder / 'weights.pth', 'cpu'))
    rows = reader.read_crops(sorted((folder / 'cells').iterdir()))
    image = cv2.resize(cv2.imread(str(folder / 'cells/0.png')), (64, 64))
    assert np.abs(rows[0].picture[..., ::-1].astype(int) - image).max() <= 1
    assert len(rows) == 3 and rows[0].maps.shape == (12, 8, 8)


def test_a_detectors_cells_have_maps_over_their_boxes(tmp_path):
    """The head reads the same values from the drawn boxes as the detector printed, so the boxes are the same."""
    config, checkpoint = write_attri_det(tmp_path)
    films = list_images(write_films(tmp_path / 'films'))[:2]
    reader = ConceptReader(config, checkpoint, 'cpu', min_score=0.01)
    rows = ActivationReader(reader).read_films(films)
    told = [cell for prediction in reader.detector(films) for cell in prediction.cells if cell.attributes]
    assert len(rows) == len(told) > 0
    for row, cell in zip(rows, told, strict=True):
        assert row.maps.shape == (2, 12, 15) and row.maps.max() <= 1
        values, probs = zip(*[text.split('\n') for text in row.values])
        assert list(values) == [reading['value'] for reading in cell.attributes.values()]
        assert [float(prob) for prob in probs] == pytest.approx(
            [reading['prob'] for reading in cell.attributes.values()], abs=0.02)
        x1, y1, x2, y2 = cell.box
        assert np.abs(np.array(row.picture.shape[:2]) - [y2 - y1, x2 - x1]).max() <= 1


def test_the_leukocytes_of_predictions_are_shown(lab, tmp_path, capsys):
    """Two leukocytes of three cells; the first one's crop is the image around its box."""
    film = np.full((60, 90, 3), 200, np.uint8)
    film[20:40, 20:40], film[5:15, 60:70] = (90, 20, 60), (30, 60, 90)
    cv2.imwrite(str(tmp_path / 'film.png'), film)
    cells = [Cell((20.0, 20.0, 40.0, 40.0), 0.9, 0, 'Disc'), Cell((0.0, 0.0, 9.0, 9.0), 0.8, 1, 'RBC'),
             Cell((60.0, 5.0, 70.0, 15.0), 0.7, 0, 'Disc')]
    run = Run(RunInfo(('Disc', 'RBC'), leukocytes=('Disc',)),
              (Prediction('film.png', (60, 90), tuple(cells), str(tmp_path / 'film.png')),))
    to_json(run, tmp_path / 'found.json')
    command = ['gradcam', str(tmp_path / 'film.png'), lab.config, lab.checkpoint, '--device', 'cpu', '--cells',
               str(tmp_path / 'found.json'), '--out', str(tmp_path / 'out')]
    assert main(command) == 0
    assert '2 cells, 3 attributes' in capsys.readouterr().out
    reader = ActivationReader(ConceptReader(lab.config, lab.checkpoint, 'cpu'))
    rows = reader.read_boxes(run, [tmp_path / 'film.png'])
    assert [row.name for row in rows] == ['film.png#1', 'film.png#3']
    expected = cv2.resize(film[12:48, 12:48, ::-1], (32, 32))  # 40% of 20 px on each side
    assert np.abs(rows[0].picture.astype(int) - expected).max() <= 1
    cv2.imwrite(str(tmp_path / 'other.png'), film)
    with pytest.raises(UserError, match='other.png: the predictions have no such image'):
        reader.read_boxes(run, [tmp_path / 'other.png'])
