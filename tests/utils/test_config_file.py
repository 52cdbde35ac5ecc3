"""Building from a config leaves it as it is."""

import copy

from mmengine.config import Config

from mmleuk.utils.config_file import build_model


def test_a_config_builds_twice():
    """MMDetection's DINO writes into the dicts that it is built from, and refuses them the second time."""
    config = Config.fromfile('configs/dino/dino_r18_synthetic.py')
    config.model.backbone.init_cfg = None
    before = copy.deepcopy(config.model)
    first, second = build_model(config), build_model(config)
    assert config.model == before
    assert list(first.state_dict()) == list(second.state_dict())
