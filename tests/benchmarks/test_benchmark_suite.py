"""A suite is read strictly, and a row is what its config, data and seed say."""

import json
from collections import Counter
from pathlib import Path

import pytest
from mmengine.config import Config

from benchmarking.cells import cells_tested_on, check_cells
from benchmarking.identity import annotation_files, case_hash, config_hash, data_hash, resolve_config
from benchmarking.results import missing_configs
from benchmarking.suite import read_suite, read_suites
from mmleuk.errors import UserError
from mmleuk.utils.config_file import build_model

ROOT = Path(__file__).parents[2]
TXL = ROOT / 'configs/yolov5/yolov5n_txl-pbc.py'
ROW = dict(name='a', config='configs/a.py', seeds=[0])
FUSED = dict(name='f', seeds=[0])


def measured(**changes):
    """A row that is a command on row a."""
    whole = dict(of='a', command='mmleuk bottleneck {config} {checkpoint} --seed {seed} --out {out}',
                 table='scores.csv', line=dict(model='linear bottleneck'),
                 metrics={'attributes/type_accuracy': 'accuracy'})
    return dict(name='m', seeds=[0], measured=whole | changes)


MEASURED = measured()


@pytest.mark.parametrize('changes, message', [
    (dict(titel='x'), 'small.yaml: titel: unknown key'),
    (dict(rows=[]), 'rows: List should have at least 1 item'),
    (dict(rows=[ROW, ROW]), "two rows have the name 'a'"),
    (dict(rows=[ROW | dict(seed=1)]), 'rows 1: seed: unknown key'),
    (dict(rows=[dict(name='a', seeds=[0])]), 'rows 1: a needs either config, ensemble, measured or suite'),
    (dict(rows=[dict(name='a', config='c.py')]), 'rows 1: seeds: key is missing'),
    (dict(rows=['a']), "rows 1: Input should be a valid dictionary .*got 'a'"),
    (dict(rows=[ROW | dict(name='A b')]), "rows 1: name: 'A b' names files"),
    (dict(rows=[ROW | dict(seeds=[0, 0])]), 'rows 1: seeds: seeds are different integers'),
    (dict(rows=[ROW | dict(seeds=[True])]), 'rows 1: seeds 1: Input should be a valid integer, got True'),
    (dict(rows=[ROW | dict(seeds=[-1])]), 'seeds 1: Input should be greater than or equal to 0'),
    (dict(rows=[ROW | dict(seeds=0)]), 'rows 1: seeds: Input should be a valid list, got 0'),
    (dict(rows=[ROW | {'cfg-options': {'randomness.seed': 3}}]), 'comes from the row'),
    ({'cfg-options': {'train_cfg': {'max_epochs': 3}}}, 'with dots'),
    (dict(roles=dict(upper='b')), "roles: 'b' is none of the rows a"),
    (dict(roles=dict(best='a')), "roles: best: .*should be 'upper' or 'lower'"),
    (dict(metrics={'mAP': 3}), 'metrics: mAP: Input should be a valid string, got 3'),
    (dict(title=['x']), 'title: Input should be a valid string'),
    (dict(order=True), 'order: Input should be a valid integer, got True'),
    (dict(classes=['x'], cells=dict(y=3)), "cells: 'y' is none of the classes x"),
    (dict(classes=['x'], cells=dict(x=-3)), 'cells: x: Input should be greater than or equal to 0, got -3'),
    (dict(classes=[5]), 'classes 1: Input should be a valid string, got 5'),
    (dict(rows=[ROW, FUSED | dict(ensemble=['a', ['b']])]), 'rows 2: ensemble 2: Input should be a valid string'),
    (dict(rows=[ROW, FUSED | dict(ensemble=['a'])]), 'f: ensemble lists two rows or more'),
    (dict(rows=[ROW, FUSED | dict(ensemble=['a', 'a'])]), 'each once'),
    (dict(rows=[ROW, FUSED | dict(ensemble=['a', 'b']), ROW | dict(name='b')]), 'that stand above it'),
    (dict(rows=[ROW, ROW | dict(name='b'), FUSED | dict(ensemble=['a', 'b'], seeds=[1])]), 'and have its seeds'),
    (dict(rows=[FUSED | dict(ensemble=['a', 'b'], config='c.py')]), 'f needs either config, ensemble, measured'),
    (dict(rows=[ROW, ROW | dict(name='b'), FUSED | {'ensemble': ['a', 'b'], 'cfg-options': {'x': 1}}]),
     'takes no cfg-options'),
    (dict(rows=[MEASURED]), "m: measured: of names a row that stands above it.*one of none; got 'a'"),
    (dict(rows=[ROW, MEASURED | dict(seeds=[1])]), 'has its seeds'),
    (dict(rows=[ROW | {'cfg-options': {'x': 1}}, MEASURED]), 'no cfg-options'),
    (dict(rows=[ROW, MEASURED | dict(config='c.py')]), 'm needs either config, ensemble, measured or suite'),
    (dict(rows=[ROW, measured(command='mmleuk infer {checkpoint}')]), 'measured: command: .*and {out}'),
    (dict(rows=[ROW, measured(command='rm {checkpoint} {out}')]), 'write an mmleuk command'),
    (dict(rows=[ROW, measured(command='mmleuk infer {weights} {checkpoint} {out}')]), '{weights} stands for nothing'),
    (dict(rows=[ROW, measured(metrics={})]), 'measured: metrics: Dictionary should have at least 1 item'),
])
def test_mistakes_are_named(make_suite, changes, message):
    with pytest.raises(UserError, match=message):
        make_suite(**changes)


@pytest.mark.parametrize('text', [
    'title: a\ntitle: b\nrows: []\n', 'title: a\nrows:\n- {name: a, config: c, name: b}\n'])
def test_a_key_that_stands_twice_is_refused(tmp_path, text):
    (tmp_path / 'twice.yaml').write_text(text)
    with pytest.raises(UserError, match='twice.yaml: not YAML .*stands twice'):
        read_suite(tmp_path / 'twice.yaml')


def test_an_ensemble_is_its_members(make_suite):
    rows = [dict(name=name, config='configs/yolov5/yolov5n_txl-pbc.py', seeds=[0, 1]) for name in 'ab']
    fused = make_suite(rows=[*rows, FUSED | dict(ensemble=['a', 'b'])]).cases()[2]
    assert fused.name == 'f_seed0' and [member.name for member in fused.members] == ['a_seed0', 'b_seed0']
    rows[1]['cfg-options'] = {'train_cfg.max_epochs': 3}
    other = make_suite(rows=[*rows, FUSED | dict(ensemble=['a', 'b'])]).cases()[2]
    assert case_hash(fused) != case_hash(other) and not missing_configs(fused)
    rows[1]['config'] = 'configs/gone.py'
    gone = make_suite(rows=[*rows, FUSED | dict(ensemble=['a', 'b'])]).cases()[2]
    assert missing_configs(gone) == ['configs/gone.py']


def test_a_measured_row_is_its_training_and_its_command(make_suite):
    def case(**changes):
        return make_suite(rows=[dict(name='a', config='configs/yolov5/yolov5n_txl-pbc.py', seeds=[0, 1]),
                                measured(**changes) | dict(seeds=[1])]).choose('m')[0]
    source, = case().members
    assert source.name == 'a_seed1' and case_hash(case()) == case_hash(case()) != case_hash(source)
    assert case_hash(case(line=dict(model='boosted bottleneck'))) != case_hash(case())


READS = {'model.detector_checkpoint': 'work_dirs/benchmarks/small/a_seed1/epoch_20.pth'}


def reader(make_suite, **of_its_source):
    """The training of a row that reads a checkpoint of the row above it."""
    config = 'configs/yolov5/yolov5n_txl-pbc.py'
    return make_suite(rows=[dict(name='a', config=config, seeds=[0, 1]) | of_its_source,
                            dict(name='b', config='configs/cbm/yolov5n_cbm_wbcatt.py', seeds=[0]) | {
                                'cfg-options': READS}]).choose('b')[0]


def test_a_row_that_reads_anothers_checkpoint_changes_with_it(make_suite, monkeypatch):
    """Without the checkpoint being there. Its own settings are the same; a row that reads none keeps its hash."""
    monkeypatch.chdir(ROOT)
    case, other = reader(make_suite), reader(make_suite, **{'cfg-options': {'train_cfg.max_epochs': 3}})
    own = [config_hash(ROOT / of.row.config, of.cfg_options()) for of in (case, other)]
    assert own[0] == own[1] and case_hash(case) == case_hash(reader(make_suite)) != case_hash(other)
    assert own[0] not in (case_hash(case), case_hash(other))
    source, = case.sources
    assert source.name == 'a_seed1' and source.sources == ()
    assert case_hash(source) == config_hash(ROOT / source.row.config, source.cfg_options())
    assert missing_configs(reader(make_suite, config='configs/gone.py')) == ['configs/gone.py']


@pytest.mark.parametrize('path', [
    'work_dirs/benchmarks/small/a_seed2/epoch_20.pth', 'work_dirs/benchmarks/small/b_seed0/epoch_20.pth',
    'work_dirs/benchmarks/large/a_seed0/epoch_20.pth', '../x/work_dirs/benchmarks/small/c_seed0/epoch_20.pth'])
def test_a_checkpoint_of_no_row_above_is_refused(make_suite, path):
    rows = [ROW | dict(seeds=[0, 1]), dict(name='b', config='configs/b.py', seeds=[0]) | {'cfg-options': {
        'load_from': path}}]
    with pytest.raises(UserError, match=r'b: cfg-options: load_from: .*are small/a_seed0, small/a_seed1'):
        make_suite(rows=rows)


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(UserError, match='cannot be read'):
        read_suite(tmp_path / 'no.yaml')
    (tmp_path / 'bad.yaml').write_text('title: [')
    with pytest.raises(UserError, match='bad.yaml: not YAML'):
        read_suite(tmp_path / 'bad.yaml')
    (tmp_path / 'list.yaml').write_text('- 1')
    with pytest.raises(UserError, match='list.yaml: Input should be a valid dictionary'):
        read_suite(tmp_path / 'list.yaml')


def test_the_first_seed_of_every_row_comes_first(make_suite):
    suite = make_suite(rows=[ROW | dict(seeds=[3, 1, 2]), ROW | dict(name='b', seeds=[7])])
    assert [case.name for case in suite.cases()] == ['a_seed3', 'b_seed7', 'a_seed1', 'a_seed2']
    assert [case.name for case in suite.choose('b,a:2')] == ['b_seed7', 'a_seed2']
    with pytest.raises(UserError, match=r"'a:4'.*no such row; it has a \(seeds 3, 1, 2\), b"):
        suite.choose('a:4')


def test_a_rows_options_win_and_the_seed_is_added(make_suite):
    row = ROW | {'cfg-options': {'train_cfg.max_epochs': 3, 'model.neck': None, 'model.sizes': [1, 2]}}
    case = make_suite(rows=[row], **{'cfg-options': {'train_cfg.max_epochs': 20, 'x': 0.5}}).cases()[0]
    assert case.cfg_options() == [
        'train_cfg.max_epochs=3', 'x=0.5', 'model.neck=None', 'model.sizes=[1,2]', 'randomness.seed=0']


def test_identity_follows_what_changes_a_result_and_nothing_else(monkeypatch):
    monkeypatch.setenv('MMLEUK_DATA', '/somewhere')
    first = config_hash(TXL, ['randomness.seed=0'])
    assert first == config_hash(TXL, ['randomness.seed=0'])
    for other in ('randomness.seed=1', 'train_cfg.max_epochs=3', 'model.bbox_head.gain_box=0.1',
                  'train_dataloader.dataset.dataset.ann_file=annotations/train_sparse.json'):
        assert config_hash(TXL, ['randomness.seed=0', other]) != first, other
    for same in ('train_dataloader.num_workers=0', 'default_hooks.logger.interval=1', 'log_level=ERROR',
                 'default_hooks.checkpoint.max_keep_ckpts=1'):
        assert config_hash(TXL, ['randomness.seed=0', same]) == first, same
    monkeypatch.setenv('MMLEUK_DATA', '/elsewhere')
    assert config_hash(TXL, ['randomness.seed=0']) == first


def test_data_are_the_annotations_of_training_and_validation(monkeypatch, tmp_path):
    monkeypatch.setenv('MMLEUK_DATA', str(tmp_path))
    cfg = resolve_config(TXL)
    folder = tmp_path / 'txl_pbc' / 'annotations'
    assert annotation_files(cfg) == [folder / 'train.json', folder / 'val.json']
    with pytest.raises(UserError, match='train.json: cannot be read.*MMLEUK_DATA'):
        data_hash(cfg)
    folder.mkdir(parents=True)
    (folder / 'train.json').write_text('{}')
    (folder / 'val.json').write_text('{}')
    before = data_hash(cfg)
    (folder / 'val.json').write_text('{} ')
    assert data_hash(cfg) != before == data_hash_after(cfg, folder / 'val.json', '{}')


def test_boxes_of_a_voc_folder_are_its_annotations(tmp_path):
    """Its ann_file only lists names: a moved box must change the data's identity, too."""
    (tmp_path / 'Annotations').mkdir()
    (tmp_path / 'list.txt').write_text('a\n')
    for name in ('b', 'a'):
        (tmp_path / f'Annotations/{name}.xml').write_text('<annotation/>')
    dataset = dict(type='mmleuk.VOCCellsDataset', data_root=str(tmp_path), ann_file='list.txt')
    cfg = Config(dict(train_dataloader=dict(dataset=dataset)))
    found = [tmp_path / name for name in ('Annotations/a.xml', 'Annotations/b.xml', 'list.txt')]
    assert annotation_files(cfg) == found
    before = data_hash(cfg)
    assert data_hash_after(cfg, found[0], '<annotation> </annotation>') != before
    (tmp_path / 'mmleuk_side.json').write_text('{}')
    assert len(annotation_files(cfg)) == 4


def test_masks_and_images_that_no_file_lists_are_data(tmp_path):
    """A changed, added or renamed image or mask changes the data; other files do not."""
    for name in ('crops/a.png', 'crops/b.png', 'masks/a.png', 'masks/b.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / 'table.csv').write_text('x')
    cells = dict(type='mmleuk.CellMaskDataset', data_root=str(tmp_path), data_prefix=dict(img='crops/', mask='masks/'))
    load = dict(type='mmleuk.LoadPartMask', folder=str(tmp_path / 'masks'))
    crops = dict(type='mmleuk.CellCropDataset', data_root=str(tmp_path), ann_file='table.csv',
                 data_prefix=dict(img='crops/'), pipeline=[load])
    segmenter, recogniser, plain = (Config(dict(train_dataloader=dict(dataset=dataset))) for dataset in (
        cells, crops, crops | dict(pipeline=[])))
    assert annotation_files(segmenter) == [tmp_path / 'crops', tmp_path / 'masks']
    assert annotation_files(recogniser) == [tmp_path / 'table.csv', tmp_path / 'masks']
    seen = {data_hash(segmenter), data_hash(recogniser), data_hash(plain)}
    (tmp_path / 'masks/measures.csv').write_text('1')
    assert {data_hash(segmenter), data_hash(recogniser), data_hash(plain)} == seen and len(seen) == 3
    before = data_hash(plain)
    for change in (lambda: (tmp_path / 'masks/a.png').write_bytes(b'x'), lambda: (tmp_path / 'masks/c.png').write_bytes(
            b''), lambda: (tmp_path / 'masks/c.png').rename(tmp_path / 'masks/d.png')):
        change()
        now = {data_hash(segmenter), data_hash(recogniser)}
        assert not now & seen and data_hash(plain) == before
        seen |= now
    (tmp_path / 'crops/c.png').write_bytes(b'')
    assert data_hash(segmenter) not in seen and data_hash(recogniser) in seen
    gone = Config(dict(train_dataloader=dict(dataset=cells | dict(data_root=str(tmp_path / 'none')))))
    with pytest.raises(UserError, match='none/crops: cannot be read'):
        data_hash(gone)


def data_hash_after(cfg: Config, path: Path, text: str) -> str:
    path.write_text(text)
    return data_hash(cfg)


def test_subsets_have_annotations_too(monkeypatch):
    monkeypatch.setenv('MMLEUK_DATA', 'data')
    found = annotation_files(resolve_config(ROOT / 'configs/sla_det/yolov5_sla.py'))
    names = ['train', 'test']
    assert found == [Path(f'data/LeukemiaAttri/H_40X_C2_Sparse/json_labels/{name}.json') for name in names]


@pytest.mark.parametrize('suite', read_suites(ROOT / 'benchmarks'), ids=lambda suite: suite.name)
def test_committed_suites_are_sound(suite):
    """Configs that exist take the row's options, and models those that are theirs."""
    for row in suite.rows:
        if (ROOT / row.config).is_file():
            cfg = resolve_config(ROOT / row.config, suite.choose(row.name)[0].cfg_options())
            if any(option.startswith('model.') for option in suite.choose(row.name)[0].cfg_options()):
                build_model(cfg)
            assert cfg.randomness.seed == row.seeds[0]
            assert cfg.train_cfg.max_epochs % cfg.train_cfg.val_interval == 0


def test_the_cells_of_a_suite_are_those_of_its_data(make_suite, tiny_config):
    """Of classes that the data lack nothing is known: rows of one suite may merge classes."""
    counts = cells_tested_on(resolve_config(tiny_config))
    coco = json.loads((tiny_config.parent / 'annotations.json').read_text())
    assert counts == Counter(coco['categories'][cell['category_id'] - coco['categories'][0]['id']]['name']
                             for cell in coco['annotations'])
    rows = [dict(name='a', config=str(tiny_config), seeds=[0])]

    def suite(**cells):
        return make_suite(rows=rows, classes=['round', 'square', 'any'], cells=cells)
    check_cells(right := suite(**counts, any=7), right.cases())
    wrong = suite(square=counts['square'] + 1)
    with pytest.raises(UserError, match=rf"small: cells: square: {counts['square'] + 1} in the suite, "
                                        rf"{counts['square']} in .*of row 'a'; correct the suite"):
        check_cells(wrong, wrong.cases())


@pytest.mark.parametrize('suite', [suite for suite in read_suites(ROOT / 'benchmarks') if suite.cells],
                         ids=lambda suite: suite.name)
def test_the_cells_of_a_committed_suite_are_those_of_its_data(suite):
    """Where the data are there."""
    for case in suite.cases():
        files = annotation_files(resolve_config(ROOT / case.row.config, case.cfg_options()))
        if not all(path.exists() for path in files):
            pytest.skip(f'{files[0]} is not there; MMLEUK_DATA names the folder')
    check_cells(suite, suite.cases())


OTHER = dict(name='b', suite='other', seeds=[1])


def test_a_row_of_another_suite_is_that_ones(make_suite):
    """Its config and options, filed where that one files it; not the options of the suite that shows it."""
    options = {'train_cfg.max_epochs': 3, 'x': 1}
    other = make_suite('other', rows=[ROW | dict(name='c'), ROW | dict(name='b', seeds=[0, 1], title='B', group='g')],
                       **{'cfg-options': options})
    suite = make_suite(rows=[OTHER, ROW, OTHER | dict(name='c', seeds=[0], title='Mine', group='here')],
                       **{'cfg-options': {'y': 2}})
    taken, own, renamed = suite.cases()
    assert (taken.suite, taken.name, taken.row.config) == ('other', 'b_seed1', ROW['config']) and own.suite == 'small'
    assert taken.cfg_options() == ['train_cfg.max_epochs=3', 'x=1', 'randomness.seed=1']
    assert own.cfg_options() == ['y=2', 'randomness.seed=0']
    assert [(case.row.title, case.row.group) for case in (taken, renamed)] == [('B', 'g'), ('Mine', 'here')]
    assert renamed.suite == 'other' and renamed.cfg_options() == other.choose('c')[0].cfg_options()


@pytest.mark.parametrize('row, message', [
    (OTHER | dict(seeds=[0, 5]), 'small.yaml: b: suite: other trains no row of this name with these seeds, but none'),
    (OTHER | dict(name='c', seeds=[0]), 'c: suite: other trains no row of this name with these seeds, but a, b'),
    (OTHER | dict(suite='gone'), 'gone.yaml: cannot be read'),
    (OTHER | dict(suite='small'), 'b: suite: small trains no row of this name'),
    (OTHER | dict(config='c.py'), 'b needs either config, ensemble, measured or suite'),
    (OTHER | {'cfg-options': {'x': 1}}, 'b: is not trained here and takes no cfg-options')])
def test_a_row_that_the_other_suite_does_not_train_is_refused(make_suite, row, message):
    make_suite('other', rows=[ROW, ROW | dict(name='b', seeds=[0, 1])])
    with pytest.raises(UserError, match=message):
        make_suite(rows=[ROW, row])


def test_two_suites_may_show_rows_of_each_other(make_suite):
    make_suite('other', rows=[ROW | dict(name='b', seeds=[1])])
    make_suite(rows=[ROW, OTHER])
    other = make_suite('other', rows=[ROW | dict(name='b', seeds=[1]), ROW | dict(config='') | dict(suite='small')])
    assert [(case.suite, case.name) for case in other.cases()] == [('other', 'b_seed1'), ('small', 'a_seed0')]


@pytest.mark.parametrize('name', ['pbc', 'txl'])
def test_rows_of_a_share_are_those_of_a_fifth_with_another_file(name):
    """Same config, same options; the model is built, and only the annotations and the precision are others."""
    shares, fifth = (read_suite(ROOT / f'benchmarks/{name}_{kind}.yaml') for kind in ('shares', 'sparse'))
    complete, = shares.choose('complete')
    assert (complete.suite, case_hash(complete)) == (fifth.name, case_hash(fifth.choose('complete:0')[0]))
    for number, share in ((10, '0.1'), (20, '0.05')):
        for method in ('naive', 'soft-sampling', 'lr', 'sla-plus'):
            case, = shares.choose(f'{method}-{number}')
            cfg, of_fifth = (resolve_config(ROOT / one.row.config, one.cfg_options())
                             for one in (case, fifth.choose(f'{method}:0')[0]))
            build_model(cfg)
            assert cfg.train_dataloader.dataset.dataset.ann_file == f'annotations/train_sparse_{share}.json'
            cfg.train_dataloader.dataset.dataset.ann_file = 'annotations/train_sparse.json'
            for one in (cfg, of_fifth):
                one.optim_wrapper = {key: one.optim_wrapper[key] for key in ('constructor', 'optimizer')}
            assert cfg.to_dict() == of_fifth.to_dict()


def test_the_seed_in_a_path_is_the_trainings_own(make_suite):
    rows = [ROW | dict(seeds=[0, 1]), dict(name='b', config='configs/b.py', seeds=[0, 1]) | {'cfg-options': {
        'load_from': 'work_dirs/benchmarks/small/a_seed{seed}/epoch_20.pth'}}]
    for seed, case in enumerate(make_suite(rows=rows).choose('b')):
        assert [source.name for source in case.sources] == [f'a_seed{seed}']
        assert case.files_read == (f'work_dirs/benchmarks/small/a_seed{seed}/epoch_20.pth',)
        assert f'load_from=work_dirs/benchmarks/small/a_seed{seed}/epoch_20.pth' in case.cfg_options()
    rows[1]['seeds'] = [0, 2]
    with pytest.raises(UserError, match='a_seed2/epoch_20.pth is of no training above it'):
        make_suite(rows=rows)
