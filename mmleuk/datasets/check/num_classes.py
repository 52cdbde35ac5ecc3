"""Does the model have as many classes as the data?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mmleuk.errors import UserError
from mmleuk.utils.config_tree import walk

NOT_CELL_CLASSES = ('backbone', 'data_preprocessor', 'init_cfg', 'neck', 'rpn_head')
"""Parts of a model whose ``num_classes``, where they have one, doesn't count the data's classes."""


def check_num_classes(cfg: Mapping, classes: Sequence[str]) -> None:
    """Compare every head's ``num_classes`` in ``cfg.model`` with the data's classes.

    Raises:
        UserError: a head has another number; the message names its place in the config.

    Example:
        >>> check_num_classes(dict(model=dict(bbox_head=dict(num_classes=3))), ('WBC', 'RBC', 'Platelets'))
    """
    wrong = [(place, number) for place, number in find_num_classes(cfg.get('model') or {}, 'model')
             if number != len(classes)]
    if wrong:
        places = ', '.join(f'{place} = {number}' for place, number in wrong)
        raise UserError(f'config: {places}, but the data have {len(classes)} classes ({", ".join(classes)}); set '
                        f"num_classes={len(classes)}, or give the data set's metainfo the model's classes")


def find_num_classes(part: object, place: str) -> Iterator[tuple[str, int]]:
    """Place and value of every ``num_classes`` of a head under ``part``."""
    for where, node in walk(part, place, skip=NOT_CELL_CLASSES):
        if isinstance(node.get('num_classes'), int):
            yield f'{where}.num_classes', node['num_classes']
