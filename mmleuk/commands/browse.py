"""``mmleuk data browse``: draw training samples as the network gets them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmleuk.errors import UserError
from mmleuk.utils.config_file import SettingsAction, building, read_config
from mmleuk.utils.new_folder import new_folder
from mmleuk.utils.progress import progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument('config', help='config of a training')
    parser.add_argument('--out-dir', type=Path, default=Path('browse'), help='a new folder (default: browse)')
    parser.add_argument('--count', type=int, default=16, metavar='N',
                        help='samples, evenly spread over the data set (default: 16)')
    parser.add_argument('--seed', type=int, default=0, help='of the augmentation (default: 0)')
    parser.add_argument('--cfg-options', nargs='+', action=SettingsAction, metavar='KEY=VALUE',
                        help='override settings of the config')


def run(args: argparse.Namespace) -> int:
    """Draw and write.

    Raises:
        UserError: bad config or data, a pipeline that packs nothing, or the folder exists already.
    """
    from mmleuk.pictures.drawing import save_picture
    from mmleuk.pictures.samples import describe_masked_view, describe_view, draw_masked_view, draw_view, views_of
    from mmleuk.schema import AttributeSchema
    if args.count < 1:
        raise UserError(f'--count {args.count}: at least one sample is needed')
    dataset = training_set(args.config, args.cfg_options)
    classes = dataset.metainfo['classes']
    schema = AttributeSchema.from_dict(dataset.metainfo.get('attributes') or {})
    lines = []
    with new_folder(args.out_dir) as folder:
        for index, packed in samples(dataset, args.count, args.seed):
            for view in views_of(packed):
                file = f'{index:06d}{view.name and "_"}{view.name}.jpg'
                if 'gt_instances' in view.sample:
                    picture, words = draw_view(view, classes, schema), describe_view(view)
                else:  # masks alone
                    picture = draw_masked_view(view, dataset.metainfo['palette'])
                    words = describe_masked_view(view, classes)
                save_picture(picture, folder / file)
                lines.append(f'  {file}: {words}')
    print('\n'.join([f'{args.out_dir}: dark is what the annotation leaves unknown', *lines]))
    return 0


def training_set(path: str, options: dict | None) -> Any:
    """Build the training set of a config.

    Raises:
        UserError: the config has no training set, or it can't be read.
    """
    from mmleuk.registry import DATASETS
    cfg = read_config(path, options, ('train_dataloader',))
    with building(cfg):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    if not len(dataset):
        raise UserError(f'{path}: its training set is empty; check ann_file and filter_cfg')
    return dataset


def samples(dataset: Any, count: int, seed: int) -> Iterator[tuple[int, Any]]:
    """Up to ``count`` samples with their indices in the data set; the augmentation depends on seed and index.

    Raises:
        UserError: the pipeline doesn't return a detector's input.
    """
    from mmleuk.engine.seed_hook import seed_everything
    count = min(count, len(dataset))
    for number in progress(range(count), total=count, desc='drawing'):
        index = number * len(dataset) // count
        seed_everything(seed, index, cuda=False)
        packed = dataset[index]
        if not {'inputs', 'data_samples'} <= set(packed):
            raise UserError(f'the training pipeline gives {sorted(packed)}, not inputs and data_samples; end it with '
                            'mmleuk.PackCells or PackDetInputs')
        yield index, packed
