"""The documents tell the truth: code parses, imports resolve, commands and files exist."""

import argparse
import ast
import json
import re
import shlex
from copy import deepcopy
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmleuk import cli
from mmleuk.testing.samples import draw_image, random_record

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob('*.md'), *(ROOT / 'docs').rglob('*.md'), *(ROOT / 'configs').rglob('*.md')])
BLOCK = re.compile(r'^```(\w+)\n(.*?)^```', re.MULTILINE | re.DOTALL)
LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')


def blocks(*languages: str) -> list:
    """Code blocks of all documents, as test parameters."""
    return [pytest.param(text, id=f'{path.relative_to(ROOT)}-{number}') for path in DOCUMENTS
            for number, (language, text) in enumerate(BLOCK.findall(path.read_text())) if language in languages]


def commands() -> list:
    """Every command line of the shell blocks, comments and line continuations resolved."""
    lines = []
    for block in blocks('bash', 'sh', 'console'):
        for line in block.values[0].replace('\\\n', ' ').splitlines():
            words = shlex.split(line.removeprefix('$ '), comments=True)
            while words and re.fullmatch(r'[A-Z_]+=.*', words[0]):
                words = words[1:]
            if words:
                lines.append(pytest.param(words, id=f'{block.id}: {" ".join(words)[:60]}'))
    return lines


@pytest.mark.parametrize('text', blocks('python'))
def test_python_parses_and_imports_resolve(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                import_module(alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f'{node.module} has no {alias.name}'


@pytest.mark.parametrize('text', blocks('python'))
def test_types_in_configs_are_registered(text):
    from mmengine.registry import init_default_scope

    from mmleuk import registry
    init_default_scope('mmdet')
    registries = [value for name, value in vars(registry).items() if name.isupper() and not isinstance(value, str)
                  and not name.startswith(('MMDET', 'MMENGINE'))]
    for name in re.findall(r"type='(mmleuk\.\w+)'", text):
        assert any(known.get(name) for known in registries), f'{name} is in no registry'


def test_readmes_attribute_config_works_on_somebodys_detector(tmp_path):
    """As a reader would: paste it beside a config of MMDetection's, here a Faster R-CNN."""
    from mmengine.config import Config
    from mmengine.dataset import Compose
    from mmengine.registry import init_default_scope

    from mmleuk.datasets.presets import make_metainfo
    from mmleuk.registry import MODELS
    from mmleuk.schema import AttributeSchema
    from mmleuk.utils.strict_config import check_config_keys
    text = next(text for language, text in BLOCK.findall((ROOT / 'README.md').read_text()) if 'AttriHead' in text)
    base = re.search(r"^_base_ = '\./(\w+\.py)'", text, re.MULTILINE).group(1)
    (tmp_path / base).write_text("_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'\n"
                                 'model = dict(roi_head=dict(bbox_head=dict(num_classes=14)))\n'
                                 'classes = [f"type {number}" for number in range(14)]\n'
                                 'train_dataloader = dict(dataset=dict(metainfo=dict(classes=classes)))\n'
                                 'val_dataloader = dict(dataset=dict(metainfo=dict(classes=classes)))\n'
                                 'test_dataloader = val_dataloader\n'
                                 'val_evaluator = dict(ann_file="val.json")\n'
                                 'test_evaluator = dict(ann_file="test.json")\n')
    (tmp_path / 'mine.py').write_text(text)
    config = Config.fromfile(str(tmp_path / 'mine.py'))
    init_default_scope('mmdet')
    check_config_keys(config)
    for evaluator, file in ((config.val_evaluator, 'val.json'), (config.test_evaluator, 'test.json')):
        assert (evaluator[0].type, evaluator[0].ann_file) == ('mmleuk.CocoMetric', file)  # classes by name, own split
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        known = make_metainfo(loader.dataset.metainfo)
        assert known['classes'][13] == 'type 13'  # the base's
        assert known['attributes'] == AttributeSchema.from_dict(config.model.attri_head.attributes).to_dict()
    model = MODELS.build(config.model)
    assert model.detector.roi_head.bbox_head.num_classes == 14
    assert model.attri_head.in_channels == (256, 512)  # the first two stages of a ResNet-50
    record = random_record(np.random.default_rng(0), annotation='complete') | dict(img_path=str(tmp_path / 'film.png'))
    cv2.imwrite(record['img_path'], draw_image(record))
    for loader, moved in ((config.train_dataloader, True), (config.val_dataloader, False),
                          (config.test_dataloader, False)):
        assert loader.dataset.type == 'mmleuk.CellDataset'
        packed = Compose(loader.dataset.pipeline)(deepcopy(record))
        assert packed['data_samples'].cells_moved == moved  # metrics need the truth in the picture's own pixels


def test_readmes_sparse_config_reads_somebodys_films(tmp_path):
    """As a reader would: in a clone, with films of two classes beside it."""
    from mmengine.config import Config

    from mmleuk.datasets.check import check_config
    from mmleuk.utils.config_file import build_model
    text = next(text for language, text in BLOCK.findall((ROOT / 'README.md').read_text()) if 'my_films/' in text)
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    (tmp_path / 'mine.py').write_text(text.replace("'my_films/'", repr(f'{tmp_path / "my_films"}/')))
    (tmp_path / 'my_films' / 'images').mkdir(parents=True)
    for seed, name in enumerate(('train_sparse.json', 'val.json')):
        pixels = np.random.default_rng(seed).integers(0, 255, (64, 64, 3))
        cv2.imwrite(str(tmp_path / f'my_films/images/{name}.png'), pixels)
        image = dict(id=1, file_name=f'{name}.png', width=64, height=64)
        cell = dict(id=1, image_id=1, category_id=1, bbox=[10, 10, 9, 9], area=81, iscrowd=0)
        (tmp_path / 'my_films' / name).write_text(json.dumps(dict(
            images=[image | dict(annotated_region=[5, 5, 30, 30]) if 'sparse' in name else image], annotations=[cell],
            categories=[dict(id=1, name='Blast'), dict(id=2, name='Lymphocyte')])))
    config = Config.fromfile(str(tmp_path / 'mine.py'))
    assert [found for found in check_config(config) if found.severity == 'problem'] == []
    model = build_model(config)
    assert model.bbox_head.num_classes == 2 and model.bbox_head.truth == 'regions'
    assert config.train_dataloader.dataset.dataset.annotation == 'sparse'


@pytest.mark.parametrize('words', commands())
def test_commands_exist(words):
    program, *rest = words
    if program == 'make':
        targets = re.findall(r'^([\w-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE)
        assert {word for word in rest if '=' not in word} <= set(targets)
    elif program == 'mmleuk':
        assert cli.chosen(rest), f'no such command: {" ".join(words)}'
    elif program in ('python', 'torchrun'):
        for script in (word for word in rest if word.startswith('tools/')):
            assert (ROOT / script).is_file(), f'{script} does not exist'
    for config in (word for word in rest if word.startswith('configs/')):
        assert (ROOT / config).exists(), f'{config} does not exist'


@pytest.mark.parametrize('path', DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_folders_and_patterns_match_something(path):
    for pattern in re.findall(r'`((?:configs|tools|docs|mmleuk|tests)/[\w./*-]*(?:\*|/)[\w./*-]*)`', path.read_text()):
        assert next(ROOT.glob(pattern.rstrip('/')), None), f'{path.name} names {pattern}'


@pytest.mark.parametrize('words', [param for param in commands() if param.values[0][0] == 'mmleuk'])
def test_flags_of_our_commands_exist(words):
    command = cli.chosen(words[1:])
    parser = argparse.ArgumentParser()
    import_module(command.module).add_arguments(parser)
    known = set(parser._option_string_actions)
    assert {word.split('=')[0] for word in words if word.startswith('--')} <= known


def parse(tool: str, words: list[str], load_tool) -> None:
    """Let the parser of tools/<tool>.py read a command's words; SystemExit where it wouldn't take them."""
    from benchmarking import carry
    from benchmarking import cli as benchmarks
    from mmleuk.engine import launch
    parsers = dict(train=launch.train_parser, test=launch.test_parser, benchmark=benchmarks.benchmark_parser,
                   benchmark_cost=benchmarks.cost_parser, benchmark_report=benchmarks.report_parser,
                   benchmark_carry=carry.carry_parser)
    commands = dict(infer='mmleuk.commands.infer', ensemble='mmleuk.commands.ensemble')
    if tool in parsers:
        parsers[tool]().parse_args(words)
    elif tool in commands:
        parser = argparse.ArgumentParser()
        import_module(commands[tool]).add_arguments(parser)
        parser.parse_args(words)
    else:
        load_tool(tool).build_parser().parse_args(words)


UNPARSED = ('bootstrap', 'compare', 'convert_yolov5', 'demo', 'profile_attri_head', 'profile_sla', 'runs')
"""Tools without a parser to call; next to no flags."""
TOOL_COMMANDS = [param for param in commands() for script in param.values[0][1:2]
                 if re.fullmatch(r'tools/\w+\.py', script) and Path(script).stem not in UNPARSED]


@pytest.mark.parametrize('words', TOOL_COMMANDS)
def test_tools_take_the_commands(words, load_tool):
    """Brackets in a usage line stand around what may be left out."""
    parse(Path(words[1]).stem, [word.strip('[]') for word in words[2:]], load_tool)


@pytest.mark.parametrize(('tool', 'words'), [
    ('benchmark', ['a']), ('benchmark_cost', ['a', '--weights', 'b']), ('benchmark_report', []),
    ('analyse_pseudo_labels', ['a', 'b'])])
def test_an_unknown_flag_is_seen(tool, words, capsys, load_tool):
    parse(tool, words, load_tool)
    with pytest.raises(SystemExit):
        parse(tool, [*words, '--no-such-flag'], load_tool)
    assert 'unrecognized arguments: --no-such-flag' in capsys.readouterr().err


@pytest.mark.parametrize('path', DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_named_files_exist(path):
    text = path.read_text()
    for target in LINK.findall(text):
        if not re.match(r'\w+:|#', target):
            assert (path.parent / target.split('#')[0]).exists(), f'{path.name} links to {target}'
    for name in re.findall(r'`((?:configs|tools|docs|mmleuk|tests)/[\w./-]+\.(?:py|md|sh))`', text):
        assert (ROOT / name).exists(), f'{path.name} names {name}'
