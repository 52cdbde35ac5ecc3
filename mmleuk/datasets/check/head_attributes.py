"""Does the model predict the attributes that the data have, in their order?"""

from __future__ import annotations

from collections.abc import Mapping

from mmleuk.errors import UserError
from mmleuk.schema import AttributeSchema, resolve_schema
from mmleuk.utils.config_tree import walk

HEADS = ('AttriHead', 'ConceptBottleneck')
"""Ends of the types of heads with ``attributes`` in their config."""


def check_head_attributes(cfg: Mapping, schema: AttributeSchema, *, training: bool = False) -> None:
    """Compare the schema of every head that tells attributes in ``cfg.model`` with the data's.

    Data without attributes fit any head in testing, where boxes can be judged without them, and none in training.

    With as many attributes in another order, training would run and learn each under another one's name.

    Args:
        cfg: the config.
        schema: of the data.
        training: whether the data are to be learnt from.

    Raises:
        UserError: they differ; the message names the head's place in the config.

    Example:
        >>> head = dict(type='mmleuk.AttriHead', attributes={'size': ['small', 'big']})
        >>> check_head_attributes(dict(model=dict(attri_head=head)), AttributeSchema.from_dict(head['attributes']))
    """
    if not len(schema) and not training:
        return
    for place, head in walk(cfg.get('model'), 'model'):
        if not str(head.get('type')).endswith(HEADS) or 'attributes' not in head:
            continue
        predicted = resolve_schema(head['attributes']).values_by_key
        if predicted != schema.values_by_key:
            raise UserError(f'config: {place}.attributes predicts {predicted}, but the data have '
                            f'{schema.values_by_key or "no attributes"}; give '
                            "head and data set's metainfo the same attributes in the same order")
