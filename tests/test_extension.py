"""docs/architecture.md shows how to extend the package; here its code is run from outside of it."""

import copy
import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from mmleuk.registry import DATASETS
from mmleuk.testing import detector_contract as contract
from mmleuk.utils.strict_config import check_config_keys

ROOT = Path(__file__).resolve().parents[1]


def code_blocks(heading):
    text = (ROOT / 'docs/architecture.md').read_text()
    section = re.search(rf'^## {heading}\n(.*?)(?=^## )', text, re.DOTALL | re.MULTILINE).group(1)
    return re.findall(r'```py(?:thon)?\n(.*?)```', section, re.DOTALL)


def write_split(folder, name, seed):
    """One image with a cell of each class; red cells have no attributes."""
    pixels = np.random.default_rng(seed).integers(0, 255, (64, 80, 3), dtype=np.uint8)
    (folder / 'images').mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / f'images/{name}.png'), pixels)
    described = dict(granules='fine', vacuoles='yes'), dict(granules='coarse', vacuoles='no'), {}
    (folder / f'{name}.json').write_text(json.dumps(dict(
        images=[dict(id=1, file_name=f'{name}.png', width=80, height=64)],
        categories=[dict(id=2, name='Lymphocyte'), dict(id=1, name='Blast'), dict(id=3, name='Red cells')],
        annotations=[dict(id=n, image_id=1, category_id=n, bbox=[8 * n, 6, 20, 20], area=400, iscrowd=0,
                          attributes=values) for n, values in enumerate(described, 1)])))


@pytest.fixture
def my_cells(tmp_path, monkeypatch):
    """The config of the section, with data and declaration in a folder of somebody else's."""
    from mmleuk.schema import DECLARATIONS
    declaration, config = code_blocks('Another data set')
    (tmp_path / 'my_cells.py').write_text(declaration)
    (tmp_path / 'config.py').write_text(config.replace("'configs/", f"'{ROOT}/configs/"))
    for seed, name in enumerate(('train', 'val')):
        write_split(tmp_path / 'data/my_cells', name, seed)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield Config.fromfile('config.py')
    DECLARATIONS.pop('my_cells', None)
    sys.modules.pop('my_cells', None)


def test_another_data_set_is_one_file_and_a_config(my_cells):
    from mmleuk.datasets.check import examine_config
    from mmleuk.registry import MODELS
    check_config_keys(my_cells)
    report = examine_config(my_cells)
    assert report.findings == ()
    assert report.summaries[0].classes == {'Blast': 1, 'Lymphocyte': 1, 'Red cells': 1}
    data = DATASETS.build(my_cells.val_dataloader.dataset)
    assert data.metainfo['leukocytes'] == data.metainfo['described'] == ('Blast', 'Lymphocyte')
    cells = data[0]['data_samples'].gt_instances
    assert cells.attributes.tolist() == [[1, 1], [2, 0], [-1, -1]] and cells.labels.tolist() == [0, 1, 2]
    model = MODELS.build(my_cells.model)
    assert model.attri_head.schema == data.schema
    assert model.detector.bbox_head.num_classes == 3


@pytest.fixture
def my_crops(tmp_path, monkeypatch):
    """The crop task's file and config, with images in the layout that its reader expects."""
    from mmleuk.schema import DECLARATIONS
    reader, config = code_blocks('A crop task')
    (tmp_path / 'my_crops.py').write_text(reader)
    (tmp_path / 'config.py').write_text(config.replace("'configs/", f"'{ROOT}/configs/"))
    for number, name in enumerate(['BL_odd_1', 'BL_round_2', 'MA_odd_3', 'MA_round_4']):
        for split in ('train', 'test'):
            (tmp_path / 'my_crops' / split).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / f'my_crops/{split}/{name}.png'), np.full((40, 40, 3), 60 * number, np.uint8))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / 'config.py'
    DECLARATIONS.pop('my_crops', None)
    DATASETS.module_dict.pop('NamedCrops', None)
    sys.modules.pop('my_crops', None)


def test_a_crop_task_is_one_file_and_a_config(my_crops, capsys):
    """It trains and is scored through the tools."""
    from mmleuk.engine.launch import test_main, train_main
    options = ['train_dataloader.batch_size=2', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1',
               *[f'{loader}_dataloader.{key}' for loader in ('train', 'val', 'test')
                                       for key in ('num_workers=0', 'persistent_workers=False')]]
    assert train_main([str(my_crops), '--work-dir', 'run', '--cfg-options', *options, 'experiment_name=crops']) == 0
    assert test_main([str(my_crops), 'run/epoch_1.pth', '--work-dir', 'test', '--cfg-options', *options,
                      'experiment_name=crops_test']) == 0
    out = capsys.readouterr().out
    assert 'attribute_crops/cell_type' in out and 'attribute_crops/nucleus' in out
    data = DATASETS.build(Config.fromfile(str(my_crops)).test_dataloader.dataset)
    assert [data[index]['data_samples'].gt_instances.attributes.tolist() for index in range(4)] == [
        [[0, 1]], [[0, 0]], [[1, 1]], [[1, 0]]]


@pytest.fixture
def from_outside(tmp_path, monkeypatch):
    """Builds the model of a section's config, with the section's module in a folder of somebody else's."""
    from mmleuk.registry import MODELS, TASK_UTILS
    before = dict(MODELS.module_dict), dict(TASK_UTILS.module_dict)

    def build(heading, module):
        code, config = code_blocks(heading)
        (tmp_path / f'{module}.py').write_text(code)
        (tmp_path / 'config.py').write_text(config.replace("'configs/", f"'{ROOT}/configs/"))
        cfg = Config.fromfile('config.py')
        check_config_keys(cfg)
        return MODELS.build(cfg.model).train()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield build
    for registry, kept in zip((MODELS, TASK_UTILS), before):
        for name in set(registry.module_dict) - set(kept):
            registry.module_dict.pop(name)
    for module in ('round_cells', 'agreement'):
        sys.modules.pop(module, None)


def found(*rows):
    """Predictions of rows (box, score, source), all of class 1."""
    boxes, scores, sources = zip(*rows)
    return InstanceData(bboxes=torch.tensor(boxes), scores=torch.tensor(scores), source=torch.tensor(sources),
                        labels=torch.ones(len(rows), dtype=torch.long),
                        probabilities=torch.tensor([[0.0, 0.99, 0.0]] * len(rows)))


NO_CELLS = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
CORNER = torch.tensor([[0., 0., 20., 20.]])


def test_a_criterion_for_pseudo_labels_is_one_file_and_a_config(from_outside):
    model = from_outside('A new criterion for pseudo-labels', 'round_cells')
    assert model.labeller.max_aspect == 1.5 and model.labeller.sure_confidence == 0.95
    judged = model.labeller.select(found(([30., 30., 60., 50.], 0.99, 1), ([30., 70., 60., 89.], 0.99, 1),
                                         ([70., 30., 90., 90.], 0.8, 1)), NO_CELLS, CORNER)
    names = [model.labeller.criteria[index] for index in judged.criterion]
    assert names == ['kept', 'shape', 'unsure'] and judged.weight.tolist() == [1, 0, 0]
    assert set(model.labeller.count([judged])) == {'confidence', 'area', 'unsure', 'entropy', 'kept', 'shape'}


def test_a_method_for_sparse_labels_is_one_file_and_a_config(from_outside):
    model = from_outside('A new method for sparse labels', 'agreement')
    seen = [([30., 30., 60., 50.], 0.9, 1), ([30., 30., 60., 52.], 0.6, 2), ([70., 30., 90., 50.], 0.9, 2),
            ([5., 5., 15., 15.], 0.9, 1), ([5., 5., 15., 15.], 0.9, 2)]
    judged = model.labeller.select(found(*seen), NO_CELLS, CORNER)
    assert judged.criterion.tolist() == [1, 0] and judged.weight.tolist() == pytest.approx([0.6, 0.0])
    # it learns, from its own predictions and a teacher's
    model.labeller.min_score = 1e-4
    model.set_teacher(copy.deepcopy(model))
    contract.freeze_statistics(model)  # the student then sees what the teacher does
    model.activity.pseudo = True
    gradients = contract.gradients_of(model, contract.make_batch(([contract.CELL], contract.LEFT_HALF)))
    assert model.labeller.count(model.last_judged)['kept'] > 0
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    assert contract.stem_gradient(gradients).any()
