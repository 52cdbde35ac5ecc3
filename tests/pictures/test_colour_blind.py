"""People with any kind of colour blindness tell types and results apart: by colour, else by the line."""

from itertools import combinations

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from run_fixtures import make_cell
from skimage.color import deltaE_ciede2000, rgb2lab

from mmleuk.pictures.colours import class_styles
from mmleuk.pictures.drawing import draw_overview
from mmleuk.report import evaluation_pictures, pseudo_labels
from mmleuk.schema import DECLARATIONS, LEUKEMIA_CLASSES
from mmleuk.shipped import get_shipped
from mmleuk.structures.prediction import Prediction

# Machado, Oliveira and Fernandes (2009), "A Physiologically-based Model for Simulation of Color Vision Deficiency",
# severity 1.0, for linear RGB.
VISIONS = {
    'all cones': np.eye(3),
    'protanopia': [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    'deuteranopia': [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    'tritanopia': [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]}
CLEARLY = 10.0
"""CIEDE2000; from about 2 on, two patches side by side differ."""


def seen(colour, vision):
    """'#RRGGBB' as a person with this vision sees it, in CIE Lab."""
    value = np.array([int(colour[start:start + 2], 16) for start in (1, 3, 5)]) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    found = np.clip(np.asarray(VISIONS[vision]) @ linear, 0, 1)
    return rgb2lab(np.where(found <= 0.0031308, 12.92 * found, 1.055 * found ** (1 / 2.4) - 0.055))


def difference(one, other, vision):
    return float(deltaE_ciede2000(seen(one, vision), seen(other, vision)))


def test_the_simulation_confuses_what_colour_blind_people_confuse():
    """Red and green of one lightness; blue and green for tritanopia; and grey stays grey."""
    assert difference('#B04A00', '#5E7A00', 'deuteranopia') < 8 < 40 < difference('#B04A00', '#5E7A00', 'all cones')
    assert difference('#009EA0', '#0098C8', 'tritanopia') < difference('#009EA0', '#0098C8', 'all cones')
    assert all(difference('#808080', '#808080', vision) == 0 for vision in VISIONS)
    assert all(np.allclose(seen('#808080', vision), seen('#808080', 'all cones'), atol=0.5) for vision in VISIONS)


@pytest.mark.parametrize('vision', VISIONS)
@pytest.mark.parametrize('name', sorted(set(DECLARATIONS) - {'munich_aml'}))
def test_types_that_occur_together_differ(name, vision):
    """In colour, or one line is dashed. Munich's 15 types are more than there are styles; they are crops, not boxes."""
    classes = DECLARATIONS[name].classes
    styles = class_styles(classes)
    for one, other in combinations(classes, 2):
        alike = styles[one].dashed == styles[other].dashed
        assert not alike or difference(styles[one].colour, styles[other].colour, vision) >= CLEARLY, (one, other)


@pytest.mark.parametrize('vision', VISIONS)
def test_the_classes_of_the_model_in_the_package_differ(vision):
    classes = Config.fromfile(get_shipped().config).model.classes
    styles = class_styles(classes)
    assert len(classes) == 8 and all(styles[one].dashed != styles[other].dashed or difference(
        styles[one].colour, styles[other].colour, vision) >= CLEARLY for one, other in combinations(classes, 2))


@pytest.mark.parametrize('vision', VISIONS)
@pytest.mark.parametrize('colours', [
    [style.colour for style in evaluation_pictures.STYLES.values()],
    [pseudo_labels._RIGHT, pseudo_labels._WRONG_CLASS, pseudo_labels._WRONG_PLACE],
    [pseudo_labels._PRECISION, pseudo_labels._ANY_CLASS, pseudo_labels._RECALL, pseudo_labels._CEILING]])
def test_colours_of_reports_differ(colours, vision):
    assert min(difference(*pair, vision) for pair in combinations(colours, 2)) >= CLEARLY


def test_types_of_one_colour_differ_in_an_overview():
    """Myeloblast and Myelocyte are orange: one has a whole frame, the other only corners."""
    cells = tuple(make_cell(name, box=box) for name, box in (('Myeloblast', (20., 20., 50., 50.)),
                                                             ('Myelocyte', (70., 20., 100., 50.))))
    picture = np.asarray(draw_overview(Image.new('RGB', (200, 100)), Prediction('a', (100, 200), cells),
                                       LEUKEMIA_CLASSES, scale=1))[:100]
    orange = class_styles(LEUKEMIA_CLASSES)['Myeloblast'].rgb
    assert orange == class_styles(LEUKEMIA_CLASSES)['Myelocyte'].rgb
    assert tuple(picture[20, 20]) == tuple(picture[20, 70]) == tuple(picture[20, 35]) == orange
    assert tuple(picture[20, 85]) == (0, 0, 0)
