"""Turn a YOLOv5 checkpoint of Ultralytics (release 6) into one that the configs here load.

python tools/model_converters/convert_yolov5.py best.pt best_mmleuk.pth

No code from the file runs. Sizes n, s, m, l and x, any number of classes.
"""

# The weights stay under whatever terms the user got them; none come with this package. Layer numbers and names are
# facts of the published architecture: 0 stem; 1, 3, 5, 7 strided convolutions; 2, 4, 6, 8 CSP stages; 9 pooling; 10 to
# 23 neck; 24 head.

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # runs from a clone that is not installed

from mmleuk.errors import UserError
from mmleuk.models.backbones.yolov5 import STAGE_CHANNELS, YOLOv5Backbone, scaled_channels
from mmleuk.models.dense_heads.yolov5_head import ANCHORS, YOLOv5Head
from mmleuk.models.necks.yolov5_pafpn import YOLOv5PAFPN
from mmleuk.utils.command_line import exit_status
from mmleuk.utils.files import write_atomic
from yolov5_source import STEM, Source, read_source

STRIDES = (8, 16, 32)
SIZES = {(16, 1): 'n', (32, 1): 's', (48, 2): 'm', (64, 3): 'l', (80, 4): 'x'}
"""Stem channels and blocks of the first stage -> size."""
FACTORS = dict(n=(0.33, 0.25), s=(0.33, 0.5), m=(0.67, 0.75), l=(1.0, 1.0), x=(1.33, 1.25))
"""Size -> depth and width relative to l."""

_PLAIN = {0: 'backbone.stem', 1: 'backbone.stage1.0', 3: 'backbone.stage2.0', 5: 'backbone.stage3.0',
          7: 'backbone.stage4.0', 10: 'neck.reduce_layers.0', 14: 'neck.reduce_layers.1', 18: 'neck.downsamples.0',
          21: 'neck.downsamples.1'}
_CSP = {2: 'backbone.stage1.1', 4: 'backbone.stage2.1', 6: 'backbone.stage3.1', 8: 'backbone.stage4.1',
        13: 'neck.top_down_blocks.0', 17: 'neck.top_down_blocks.1', 20: 'neck.bottom_up_blocks.0',
        23: 'neck.bottom_up_blocks.1'}
_CSP_PARTS = dict(cv1='main_conv', cv2='short_conv', cv3='final_conv')
_ANCHOR_KEYS = ('model.24.anchors', 'model.24.anchor_grid')


@dataclass(frozen=True)
class Converted:
    """A checkpoint in our names.

    Attributes:
        state_dict: float32 weights of a ``SingleStageDetector`` with our backbone, neck and head.
        size: 'n', 's', 'm', 'l' or 'x'.
        num_classes: C.
        class_names: C names, or None.
        anchors: per level (width, height) in pixels at training size; None where they are our defaults or unknown.
    """

    state_dict: dict[str, Tensor]
    size: str
    num_classes: int
    class_names: tuple[str, ...] | None
    anchors: tuple[tuple[tuple[float, float], ...], ...] | None

    def config_hint(self) -> str:
        """Lines for a config that takes these weights."""
        lines = [f"_base_ = 'configs/_base_/models/yolov5{self.size}.py'"]
        head = f'num_classes={self.num_classes}'
        if self.anchors is not None:
            head += f', anchors={self.anchors}'
        return '\n'.join([*lines, f'model = dict(bbox_head=dict({head}))'])


def our_name(name: str) -> str | None:
    """Our name of an original tensor, None where it has none.

    >>> our_name('model.2.m.0.cv1.bn.weight'), our_name('model.24.m.1.bias')
    ('backbone.stage1.1.blocks.0.conv1.bn.weight', 'bbox_head.convs.1.bias')
    """
    match = re.fullmatch(r'model\.(\d+)\.(.+)', name)
    if match is None:
        return None
    layer, rest = int(match[1]), match[2]
    if layer in _PLAIN:
        return f'{_PLAIN[layer]}.{rest}'
    if layer == 9:
        return re.sub(r'^cv([12])\.', r'backbone.stage4.2.conv\1.', rest)
    if layer == 24:
        return re.sub(r'^m\.', 'bbox_head.convs.', rest)
    if layer not in _CSP:
        return None
    part, _, inner = rest.partition('.')
    if part in _CSP_PARTS:
        return f'{_CSP[layer]}.{_CSP_PARTS[part]}.{inner}'
    return f'{_CSP[layer]}.' + re.sub(r'^m\.(\d+)\.cv([12])\.', r'blocks.\1.conv\2.', rest)


def known_misfit(tensors: Mapping[str, Tensor]) -> str | None:
    """Say which other model a checkpoint is of, by the names that give it away; None for none of those known."""
    def any_name(pattern: str) -> bool:
        return any(re.match(pattern, name) for name in tensors)

    if any_name(r'model\.0\.conv\.conv\.'):
        return 'YOLOv5 before release 6 (its stem is a Focus layer); retrain with release 6'
    if any_name(r'model\.24\.proto\.'):
        return 'a YOLOv5 segmentation model; take the detection model'
    if any_name(r'model\.33\.m\.'):
        return 'a YOLOv5 P6 model (four levels, for 1280 px); take the model without the 6 in its name'
    if any_name(r'model\.\d+\.(dfl|cv[23]\.\d+\.\d+)\.'):
        return 'YOLOv8 or later (or a "u" model: its head has no anchors); only YOLOv5 release 6 can be converted'
    if any_name(r'model\.9\.(conv|linear)\.'):
        return 'a YOLOv5 classification model; take the detection model'
    if 'model.0.conv.bias' in tensors:
        return 'a fused model (batch norm folded into the convolutions); take the file that training wrote'
    return None


def convert(source: Source, origin: str | Path = 'checkpoint') -> Converted:
    """Bring an original checkpoint into our names.

    Args:
        source: as of :func:`read_source`.
        origin: named in errors.

    Raises:
        UserError: a tensor is too many, missing or of another shape.
    """
    misfit = known_misfit(source.tensors)
    if misfit:
        raise UserError(f'{origin}: {misfit}')
    size, num_classes = _deduce(source.tensors, origin)
    wanted = expected_shapes(size, num_classes)
    state = {}
    for name, value in source.tensors.items():
        ours = our_name(name)
        if name in _ANCHOR_KEYS:
            continue
        if ours not in wanted:
            raise UserError(f'{origin}: tensor {name!r} is not part of YOLOv5{size} release 6; another architecture?')
        if tuple(value.shape) != wanted[ours]:
            raise UserError(f'{origin}: tensor {name!r} has the shape {tuple(value.shape)}, in YOLOv5{size} release 6 '
                            f'with {num_classes} classes it is {wanted[ours]}')
        state[ours] = _plain(value)
    missing = sorted(set(wanted) - set(state))
    if missing:
        raise UserError(f'{origin}: {len(missing)} of the {len(wanted)} tensors of YOLOv5{size} release 6 are missing, '
                        f'first {missing[0]!r}; a truncated state dict, or another architecture?')
    names = source.class_names
    if names is not None and len(names) != num_classes:
        raise UserError(f'{origin}: names {len(names)} classes, its head has {num_classes}')
    return Converted({name: state[name] for name in wanted}, size, num_classes, names, _other_anchors(source.tensors))


def _plain(value: Tensor) -> Tensor:
    value = value.detach().clone(memory_format=torch.contiguous_format)
    return value.float() if value.is_floating_point() else value


def _deduce(tensors: Mapping[str, Tensor], origin: str | Path) -> tuple[str, int]:
    for name in (STEM, 'model.24.m.0.weight'):
        if name not in tensors:
            raise UserError(f'{origin}: no tensor {name!r}; this is no YOLOv5 release 6 detection model')
    channels = len(tensors[STEM])
    blocks = len({name.split('.')[3] for name in tensors if name.startswith('model.2.m.')})
    if (channels, blocks) not in SIZES:
        raise UserError(f'{origin}: stem of {channels} channels and {blocks} blocks in the first stage is none of '
                        f'YOLOv5 n, s, m, l, x ({SIZES})')
    outputs = len(tensors['model.24.m.0.weight'])
    if outputs % 3 or outputs // 3 < 6:
        raise UserError(f'{origin}: {outputs} outputs per location are not 3 anchors x (5 + classes)')
    return SIZES[channels, blocks], outputs // 3 - 5


def expected_shapes(size: str, num_classes: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of our tensors for a size."""
    deepen, widen = FACTORS[size]
    channels = [scaled_channels(c, widen) for c in STAGE_CHANNELS[2:]]
    with torch.device('meta'):
        model = nn.ModuleDict(dict(
            backbone=YOLOv5Backbone(deepen_factor=deepen, widen_factor=widen),
            neck=YOLOv5PAFPN(in_channels=channels, deepen_factor=deepen),
            bbox_head=YOLOv5Head(num_classes=num_classes, in_channels=channels)))
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def _other_anchors(tensors: Mapping[str, Tensor]) -> tuple[tuple[tuple[float, float], ...], ...] | None:
    """Anchors in pixels where they differ from our defaults; the file holds them in grid units."""
    anchors = tensors.get('model.24.anchors')
    if anchors is None:
        return None
    if anchors.shape != (3, 3, 2):
        raise UserError(f'anchors have the shape {tuple(anchors.shape)}, release 6 has 3 levels of 3: (3, 3, 2)')
    pixels = anchors.double() * torch.tensor(STRIDES, dtype=torch.float64).view(3, 1, 1)
    if torch.allclose(pixels, torch.tensor(ANCHORS, dtype=torch.float64), rtol=1e-3):
        return None
    return tuple(tuple((round(w, 3), round(h, 3)) for w, h in level) for level in pixels.tolist())


def save_converted(converted: Converted, path: str | Path) -> None:
    """Write a checkpoint for mmengine: ``state_dict``, and ``meta`` with the class names; all of it or nothing.

    Raises:
        UserError: the file cannot be written.
    """
    meta: dict[str, Any] = dict(yolov5=dict(size=converted.size, num_classes=converted.num_classes,
                                            anchors=converted.anchors))
    if converted.class_names is not None:
        meta['dataset_meta'] = dict(classes=converted.class_names)
    content = io.BytesIO()
    torch.save(dict(state_dict=converted.state_dict, meta=meta), content)
    write_atomic(Path(path).expanduser(), content.getvalue())


def main(arguments: list[str] | None = None) -> int:
    """Convert; 0, or 2 and one line on stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', help='.pt file of YOLOv5 release 6')
    parser.add_argument('target', help='.pth file to write')
    return exit_status(run, parser.parse_args(arguments))


def run(args: argparse.Namespace) -> None:
    """Convert, and print the config that goes with it.

    Raises:
        UserError: the source is no checkpoint of YOLOv5, or the target can't be written.
    """
    if Path(args.source).expanduser().resolve() == Path(args.target).expanduser().resolve():
        raise UserError(f'{args.target}: is the source, which the result would replace; name a new file')
    converted = convert(read_source(args.source), args.source)
    save_converted(converted, args.target)
    print(f'{args.target}: YOLOv5{converted.size}, {converted.num_classes} classes')
    if converted.anchors is not None:
        print('Its anchors are not the usual ones: the config below sets them, without them boxes come out wrong.')
    print(f'Config to load it with (load_from={args.target!r}):\n{converted.config_hint()}')


if __name__ == '__main__':
    sys.exit(main())
