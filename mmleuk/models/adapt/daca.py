"""DACA: four changed copies of the most confident quarter of a target's image make one training image.

Legend: K cells of one quarter, h x w its size; H x W the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.structures import SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from mmleuk.datasets.source_target import SOURCE, TARGET
from mmleuk.models.adapt.base import SourceTargetDetector, known_everywhere, no_cells
from mmleuk.models.adapt.conf_mix import as_labels
from mmleuk.models.adapt.mixing import best_quarter, clip_to, large_enough, quarter_window, quarters_of
from mmleuk.registry import MODELS, TRANSFORMS
from mmleuk.structures import CellBoxes

AUGMENTATIONS = (
    dict(type='mmleuk.CropAroundCells', prob=0.2, erosion=0.1),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmleuk.ColorJitter', brightness=0.2, contrast=0.2, saturation=0.2, hue=0.2, prob=0.5),
    dict(type='mmleuk.Downscale', scale=(0.5, 0.99), prob=0.5),
    dict(type='mmleuk.ColorJitter', brightness=0.1, contrast=0.1, saturation=0.0, hue=0.0, prob=0.5),
)
"""The paper's, but for its blur over one pixel, which changes nothing."""


@MODELS.register_module()
class DACA(SourceTargetDetector):
    """DACA: detect, augment, compose, adapt.

    1. Detect: the student predicts on the target's image. A detection's score is as in :class:`mmleuk.ConfMix`,
       without the growing weight of uncertainty. The quarter with the highest mean score is chosen.
    2. Augment: the quarter and its detections are changed four times at random.
    3. Compose: the four results fill the quarters of an image whose other pixels have the source's mean colour.
       A cropped one keeps its scale.
    4. Adapt: the loss of the composed images is added to that of the source.

    Args:
        detector: config of the detector; the original's is YOLOv5s.
        labeller: default :class:`mmleuk.ScoreLabeller` with scores above 0.1.
        augmentations: transforms of a quarter, its ``img`` (h, w, 3) uint8 BGR and ``gt_bboxes``.
        min_side: labels with a shorter side in pixels are dropped.
        others: as of :class:`SourceTargetDetector`.

    It starts from a detector trained on the source (``load_from``). A target's image without a detection is
    left out.

    Source: DACA (BMVC 2023, arXiv 2308.15353), written from its description; docs/fidelity.md lists the differences.
    """

    def __init__(self, detector: dict, labeller: dict | None = None, *,
                 augmentations: Sequence[Mapping] = AUGMENTATIONS, min_side: float = 2.0, **kwargs: Any) -> None:
        super().__init__(detector, labeller or dict(type='mmleuk.ScoreLabeller', min_score=0.1), asks='student',
                         **kwargs)
        self.augment = Compose([TRANSFORMS.build(dict(transform)) for transform in augmentations])
        self.min_side = min_side

    def target_losses(self, images: Mapping[str, Tensor], samples: Mapping[str, SampleList],
                      source_outputs: tuple) -> dict[str, Any]:
        """The detector's losses on composed images."""
        seen = images[TARGET]
        metas = [known_everywhere(sample.metainfo, seen) for sample in samples[TARGET]]
        with torch.no_grad():
            judged = self.find(self.adapter.forward(seen), seen, metas, [None] * len(metas))
        self.last_judged = judged
        mean_colour = images[SOURCE].mean((0, 2, 3))
        composed = [self.compose(image, found, mean_colour) for image, found in zip(seen, self.kept(judged))
                    if len(found)]
        composed = [(image, cells) for image, cells in composed if len(cells)]
        taken = composed or [(seen[0], no_cells(seen))]
        where = [dict(meta, img_shape=tuple(seen.shape[-2:])) for meta in metas[:len(taken)]]  # composed to the border
        labels = [as_labels(cells, meta) for (_, cells), meta in zip(taken, where)]
        return self.losses_on(torch.stack([image for image, _ in taken]), labels, where, [None] * len(where),
                              learn=bool(composed))

    @torch.no_grad()
    def compose(self, image: Tensor, found: InstanceData, mean_colour: Tensor) -> tuple[Tensor, InstanceData]:
        """An image (3, H, W) made of four changed copies of the best quarter of this one, and its labels.

        Args:
            image: (3, H, W), as the network sees it.
            found: at least one detection, ``bboxes`` (N, 4), ``labels`` and ``scores``.
            mean_colour: (3,) of the source's images.
        """
        image_hw = image.shape[-2:]
        quarter = best_quarter(found.bboxes, found.scores, image_hw)
        assert quarter is not None
        left, top, right, bottom = window = quarter_window(quarter, image_hw)
        inside = found[quarters_of(found.bboxes, image_hw) == quarter]
        boxes = clip_to(inside.bboxes, window) - inside.bboxes.new_tensor([left, top, left, top])
        pixels = self.to_pixels(image[:, top:bottom, left:right])
        canvas = mean_colour[:, None, None].expand_as(image).clone()
        parts = []
        for number in range(4):
            part, cells, labels = self.change(pixels, boxes, inside.labels)
            x1, y1, x2, y2 = quarter_window(number, image_hw)
            height, width = min(part.shape[0], y2 - y1), min(part.shape[1], x2 - x1)
            canvas[:, y1:y1 + height, x1:x1 + width] = self.to_input(part[:height, :width], image)
            moved = clip_to(cells + cells.new_tensor([x1, y1, x1, y1]), (x1, y1, x1 + width, y1 + height))
            parts.append(InstanceData(bboxes=moved.to(image.device), labels=labels.to(image.device)))
        cells = InstanceData.cat(parts)
        return canvas, cells[large_enough(cells.bboxes, self.min_side)]

    def change(self, pixels: np.ndarray, boxes: Tensor, labels: Tensor) -> tuple[np.ndarray, Tensor, Tensor]:
        """One random change of a quarter (h, w, 3) uint8 BGR, its boxes (K, 4) and labels (K,)."""
        count = len(labels)
        results = self.augment(dict(
            img=pixels.copy(), img_shape=pixels.shape[:2], gt_bboxes_labels=labels.cpu().numpy(),
            gt_ignore_flags=np.zeros(count, bool), gt_bboxes=CellBoxes(
                boxes.cpu(), attributes=np.zeros((count, 0), np.int64), regions=torch.zeros(0, 4))))
        return results['img'], results['gt_bboxes'].tensor, torch.from_numpy(results['gt_bboxes_labels'])

    def to_pixels(self, image: Tensor) -> np.ndarray:
        """An image as the network sees it (3, h, w) -> (h, w, 3) uint8 BGR."""
        own: Any = self.data_preprocessor.data_preprocessor
        raw = image * own.std + own.mean if own._enable_normalize else image
        raw = raw.flip(0) if own._channel_conversion else raw
        return raw.round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()

    def to_input(self, pixels: np.ndarray, like: Tensor) -> Tensor:
        """The reverse of :meth:`to_pixels`."""
        own: Any = self.data_preprocessor.data_preprocessor
        raw = torch.from_numpy(np.ascontiguousarray(pixels)).to(like).permute(2, 0, 1)
        raw = raw.flip(0) if own._channel_conversion else raw
        return (raw - own.mean) / own.std if own._enable_normalize else raw
