"""Measure what SLA-Det's terms cost: a training iteration of plain YOLOv5 beside one with all terms.

python tools/profile_sla.py [--size n] [--image-size 640] [--batch-size 4] [--repeats 5]

Runs forward and backward alternately, plain and full, with 0, 40 and 100 confident predictions planted per image, and
prints medians and ratios. Seconds are CPU seconds of the process. Images are random; there is no optimiser step,
and one thread unless --threads sets another number.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed

from mmleuk.models.detectors import SLADet
from mmleuk.registry import MODELS

CONFIGS = Path(__file__).resolve().parent.parent / 'configs' / '_base_' / 'models'
UNSURE, CONFIDENT = 2.4, 6.0
"""Logits of objectness that make a planted prediction unsure (0.92) or a pseudo-label (0.998)."""


def build(size: str, num_classes: int, image_size: int, full: bool) -> SLADet:
    """SLA-Det with or without its terms; the same random weights in both."""
    config = Config.fromfile(CONFIGS / f'yolov5{size}.py').model
    config.bbox_head.update(num_classes=num_classes, image_size=image_size, truth='regions' if full else 'everywhere')
    torch.manual_seed(0)
    model = MODELS.build(dict(type='mmleuk.SLADet', detector=config, pseudo_weight=0.1 if full else 0,
                              loss_triplet=dict(type='mmleuk.TripletLoss') if full else None))
    model.init_weights()
    model.activity.pseudo = model.activity.triplet = full
    return model.train()


def samples(batch_size: int, image_size: int, num_classes: int, cells: int = 8) -> list[DetDataSample]:
    """Images with cells in an annotated region, a fifth of their area."""
    side = image_size * 0.2 ** 0.5
    found = []
    for _ in range(batch_size):
        corner = torch.rand(cells, 2) * side * 0.8
        instances = InstanceData(bboxes=torch.cat([corner, corner + 30 + 40 * torch.rand(cells, 2)], 1),
                                 labels=torch.arange(cells) % num_classes)
        sample = DetDataSample(metainfo=dict(
            annotated_regions=torch.tensor([[0., 0., side, side]]), img_shape=(image_size, image_size),
            batch_input_shape=(image_size, image_size)), gt_instances=instances)
        sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
        found.append(sample)
    return found


def planting(level: Tensor, count: int, num_anchors: int) -> tuple[Tensor, Tensor]:
    """Values and mask that make ``count`` predictions per image of a level (B, A * (5 + C), H, W) confident.

    They stand apart from each other and outside the region, every second one unsure of its class by confidence, the
    others fit for pseudo-labels.
    """
    values = torch.zeros_like(level).unflatten(1, (num_anchors, -1))
    mask = torch.zeros_like(values, dtype=torch.bool)
    height, width = level.shape[-2:]
    places = [(row, column) for row in range(0, height, 4) for column in range(0, width, 2)
              if row > height // 2 or column > width // 2]
    if count > len(places):
        raise ValueError(f'{count} predictions do not fit, only {len(places)}; use a larger --image-size')
    for index, (row, column) in enumerate(places[:count]):
        mask[:, 0, :, row, column] = True
        values[:, 0, 4, row, column] = UNSURE if index % 2 else CONFIDENT
        values[:, 0, 5:, row, column] = -9.
        values[:, 0, 5 + index % (values.shape[2] - 5), row, column] = 7.
    return values.flatten(1, 2), mask.flatten(1, 2)


def planted(model: SLADet, count: int) -> None:
    """Plant on the middle level in every forward from now on; gradients flow as before."""
    cache: list[tuple[Tensor, Tensor]] = []

    def hook(head: torch.nn.Module, inputs: tuple, outputs: tuple) -> tuple:
        raw = list(outputs[0])
        if not cache:
            cache.append(planting(raw[1].detach(), count, head.num_anchors))
        values, mask = cache[0]
        raw[1] = raw[1] + (values - raw[1].detach()) * mask
        return (raw,)
    model.detector.bbox_head.register_forward_hook(hook)


def iteration(model: SLADet, images: Tensor, batch: list[DetDataSample]) -> float:
    """Seconds of a forward and backward."""
    model.zero_grad()
    start = time.process_time()
    sum(model.loss(images, batch).values()).backward()
    return time.process_time() - start


def loss_part(model: SLADet, images: Tensor, feats: list[Tensor], batch: list[DetDataSample]) -> float:
    """Seconds of the head and the losses alone, forward and backward, on ready feature maps."""
    feats = [feat.detach().requires_grad_() for feat in feats]
    model.zero_grad()
    extract, model.detector.extract_feat = model.detector.extract_feat, lambda _: feats
    start = time.process_time()
    sum(model.loss(images, batch).values()).backward()
    seconds = time.process_time() - start
    model.detector.extract_feat = extract
    return seconds


def alternate(repeats: int, *runs: Callable[[], float]) -> list[float]:
    """Median seconds of each, taken in turns after one unmeasured turn."""
    times = [[run() for run in runs] for _ in range(repeats + 1)][1:]
    return [statistics.median(column) for column in zip(*times)]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', default='n', choices=list('nsmlx'))
    parser.add_argument('--image-size', type=int, default=640)
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--classes', type=int, default=14)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--loss-only', action='store_true', help='leave out whole iterations')
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    init_default_scope('mmdet')
    MMLogger.get_instance('profile_sla', log_level='ERROR')  # not a line per initialised tensor
    torch.manual_seed(0)
    batch = samples(args.batch_size, args.image_size, args.classes)
    images = torch.rand(args.batch_size, 3, args.image_size, args.image_size)
    counts = (0, 40, 100)
    plain = build(args.size, args.classes, args.image_size, full=False)
    planted(plain, 0)
    models = [build(args.size, args.classes, args.image_size, full=True) for _ in counts]
    for model, count in zip(models, counts):
        planted(model, count)
    with torch.no_grad():
        feats = plain.extract_feat(images)
    base, *parts = alternate(
        4 * args.repeats, *(lambda m=m: loss_part(m, images, feats, batch) for m in (plain, *models)))
    print(f'head and losses alone: plain YOLOv5 {base:.3f} s')
    for model, count, seconds in zip(models, counts, parts):
        kinds = model.labeller.count(model.last_judged)
        print(f'  all terms, {count:3d} confident per image {seconds:.3f} s, {seconds / parts[0]:.2f} x that with none '
              f'(pseudo-labels {kinds["kept"]}, unsure {kinds["unsure"]} in the batch)')
    if args.loss_only:
        return 0
    base, *wholes = alternate(args.repeats, *(lambda m=m: iteration(m, images, batch) for m in (plain, *models)))
    print(f'whole iteration: plain YOLOv5 {base:.3f} s')
    for count, seconds in zip(counts, wholes):
        print(f'  all terms, {count:3d} confident per image {seconds:.3f} s, {seconds / base:.2f} x plain')
    return 0


if __name__ == '__main__':
    sys.exit(main())
