"""Backbones of the library transformers, such as ConvNeXt, Swin and ViT, as MMDetection's backbones.

Legend: B images of H x W, C_l channels and s_l stride of feature map l.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from mmleuk.errors import UserError
from mmleuk.registry import MODELS


@dataclass(frozen=True)
class Architecture:
    """How transformers builds an encoder.

    Args:
        kind: its ``model_type``.
        settings: of its config; lists, since ConvNextConfig takes no tuples.
        hub: name of its ImageNet weights on the model hub; '' if nobody publishes any.
    """

    kind: str
    settings: Mapping[str, Any]
    hub: str = ''


ENCODERS: dict[str, Architecture] = {
    'convnext-tiny': Architecture('convnext', dict(depths=[3, 3, 9, 3], hidden_sizes=[96, 192, 384, 768]),
                                  'facebook/convnext-tiny-224'),
    'convnext-atto': Architecture('convnext', dict(depths=[2, 2, 6, 2], hidden_sizes=[40, 80, 160, 320])),
    'swin-tiny': Architecture('swin', dict(embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], window_size=7),
                              'microsoft/swin-tiny-patch4-window7-224'),
    'swin-mini': Architecture('swin', dict(embed_dim=40, depths=[2, 2, 2, 2], num_heads=[2, 4, 8, 16], window_size=5)),
    'vit-base-16': Architecture('vit', dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
                                            intermediate_size=3072, patch_size=16), 'google/vit-base-patch16-224'),
    'vit-mini-8': Architecture('vit', dict(hidden_size=192, num_hidden_layers=6, num_attention_heads=3,
                                           intermediate_size=768, patch_size=8)),
}
"""Encoders by name: those of WBCAtt+ with its segmenters' Swin-T, and a small one of each kind for CPUs."""


@MODELS.register_module()
class TransformersEncoder(BaseModule):
    """Feature maps of an encoder from the library transformers (``pip install 'mmleuk[transformers]'``).

    Encoders with stages (``AutoBackbone``: ConvNeXt, Swin) give a pyramid. Those without (``AutoModel``: ViT) give one
    map, the last layer's patches without the class token; images of any size work, since positions are interpolated.

    Args:
        name: a key of :data:`ENCODERS`.
        pretrained: False, the default, starts from random weights and needs no network. True downloads the
            architecture's ImageNet weights; a text is a folder of weights, as ``save_pretrained`` writes it.
        out_indices: stages of the returned maps, from 0 (stride 4) to 3 (stride 32); ViT has only its last.
        settings: of the library's config beside the architecture's, such as ``dict(drop_path_rate=0.1)``.

    ``channels`` has C_l of the returned maps, ``strides`` s_l.

    Raises:
        UserError: transformers is not installed, the name is unknown, or the weights can't be read.

    Example:
        >>> encoder = TransformersEncoder('convnext-atto', out_indices=(2, 3))  # doctest: +SKIP
        >>> encoder.channels, encoder.strides  # doctest: +SKIP
        ((160, 320), (16, 32))
    """

    def __init__(self, name: str, pretrained: bool | str = False, *, out_indices: Sequence[int] = (3,),
                 settings: Mapping[str, Any] | None = None, init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        if name not in ENCODERS:
            raise UserError(f'TransformersEncoder: unknown encoder {name!r}; known are {", ".join(ENCODERS)}')
        architecture = ENCODERS[name]
        self.name, self.out_indices = name, tuple(out_indices)
        self.has_stages = architecture.kind != 'vit'
        self._check_indices()
        source = architecture.hub if pretrained is True else pretrained
        if pretrained and not source:
            raise UserError(f'TransformersEncoder: there are no published weights of {name}; leave pretrained out, or '
                            'give a folder')
        options = {**architecture.settings, **(settings or {})}
        if self.has_stages:
            options['out_indices'] = [index + 1 for index in self.out_indices]  # the library counts the stem as 0
        self.model: Any = _build(architecture.kind, options, source or None, self.has_stages)
        config = self.model.config
        self.channels = tuple(self.model.channels) if self.has_stages else (config.hidden_size,)
        self.strides = tuple(config.patch_size * 2 ** (index if self.has_stages else 0) for index in self.out_indices)

    def _check_indices(self) -> None:
        allowed = range(4) if self.has_stages else (3,)
        if not self.out_indices or not set(self.out_indices) <= set(allowed) or (
                list(self.out_indices) != sorted(set(self.out_indices))):
            raise UserError(f'TransformersEncoder: out_indices of {self.name} are {self.out_indices}; it has '
                            f'{", ".join(map(str, allowed))}, in ascending order')

    def init_weights(self) -> None:
        """Keep the weights that the library has drawn or read, unless there is an ``init_cfg``."""
        if self.init_cfg:
            super().init_weights()
        self._is_init = True

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Images (B, 3, H, W) -> per output map (B, C_l, H / s_l, W / s_l)."""
        if self.has_stages:
            return tuple(self.model(inputs).feature_maps)
        tokens = self.model(inputs, interpolate_pos_encoding=True).last_hidden_state[:, 1:]
        rows, columns = (side // self.strides[0] for side in inputs.shape[2:])
        return (tokens.transpose(1, 2).unflatten(2, (rows, columns)).contiguous(),)


def _build(kind: str, settings: dict[str, Any], source: str | None, has_stages: bool) -> Any:
    """The library's model, with random weights or those of a folder or of the hub."""
    try:
        from transformers import AutoBackbone, AutoConfig, AutoModel
    except ImportError as error:
        raise UserError("TransformersEncoder needs the library transformers: pip install 'mmleuk[transformers]' "
                        '(with -c constraints.txt for the versions that are known to work together)') from error
    library = AutoBackbone if has_stages else AutoModel
    options = {} if has_stages else dict(add_pooling_layer=False)
    if source is None:
        return library.from_config(AutoConfig.for_model(kind, **settings), **options)
    try:
        config = AutoConfig.from_pretrained(source)
        if config.model_type != kind:
            raise UserError(f'TransformersEncoder: {source} holds a {config.model_type}, not a {kind}; give the folder '
                            'of weights that fit the name')
        config.update(settings)
        kind_of_model = type(library.from_config(config, **options))  # AutoBackbone itself asks the hub first
        return kind_of_model.from_pretrained(source, config=config, **options)
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f'TransformersEncoder: no weights from {source!r} ({str(error).splitlines()[0]}); leave '
                        'pretrained out to start from random weights, or give a folder that save_pretrained wrote'
                        ) from error
