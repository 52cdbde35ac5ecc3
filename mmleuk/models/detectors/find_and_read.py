"""A detector that finds cells, and a recogniser that reads the type and the attributes of each leukocyte.

Legend: B images of H x W, N cells of one image, A attributes, V values of the attribute with the most.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import OptSampleList, SampleList
from torch import Tensor, nn

from mmleuk.errors import UserError
from mmleuk.models.attributes.novelty import Novelty
from mmleuk.models.attributes.roi_align import roi_align
from mmleuk.registry import MODELS
from mmleuk.schema import IGNORE


@MODELS.register_module()
class FindAndRead(BaseDetector):
    """Joins two models that were trained apart; it isn't trained itself.

    The reader sees a window of fixed size around the centre of each leukocyte in the network's input, as it stood in
    its training around the centre of single-cell images. So the input has to have the same scale: see
    :mod:`mmleuk.calibration`.

    Args:
        finder: config of a detector.
        reader: config of :class:`AttributeRecognizer`; its ``type_attribute`` names the leukocyte.
        leukocyte: label of the finder's leukocytes.
        classes: of the result: the reader's types in its order, then the finder's classes without the leukocyte.
        window: side of the reader's window in pixels of the input.
        type_attribute: key of the attribute with the type; it stays an attribute, unknown where the cell is ``unsure``
            and another type is more probable.
        unsure: one of the types, for leukocytes that look like none in training; None: the most probable type counts.
        min_type_prob: below this probability a leukocyte is ``unsure``.
        max_novelty: above this :class:`Novelty` it is ``unsure``, too.
        score_temperatures: by class of the finder, what the logit of its scores is divided by.
        type_temperature: the same for the logits of the type.

    Predictions have ``class_probs`` (N, C) float32 of all ``classes`` where the finder gives its own, ``attributes``
    (N, A) int64, IGNORE for cells that aren't leukocytes, ``attribute_probs`` (N, A, V) float32, and ``novelty`` (N,)
    float32, NaN for cells that aren't leukocytes.

    Raises:
        UserError: there is no such type attribute, or the classes don't fit.
    """

    def __init__(self, finder: dict, reader: dict, *, classes: Sequence[str], leukocyte: int = 0, window: int = 112,
                 type_attribute: str = 'cell_type', unsure: str | None = None, min_type_prob: float = 0.0,
                 max_novelty: float = float('inf'), score_temperatures: Sequence[float] = (),
                 type_temperature: float = 1.0, init_cfg: dict | list | None = None) -> None:
        super().__init__(data_preprocessor=finder['data_preprocessor'], init_cfg=init_cfg)
        self.finder, self.reader = MODELS.build(finder), MODELS.build(reader)
        self.schema, self.window, self.leukocyte = self.reader.schema, window, leukocyte
        column = self.schema.position(type_attribute)
        if column is None:
            raise UserError(f'FindAndRead: the reader has no attribute {type_attribute!r}; it has '
                            f'{", ".join(self.schema.keys)}')
        self.type_column, types = column, self.schema[type_attribute].values
        if tuple(classes[:len(types)]) != types:
            raise UserError(f"FindAndRead: classes start with the reader's types {types}; got {tuple(classes)}")
        if unsure is not None and unsure not in types:
            raise UserError(f'FindAndRead: unsure={unsure!r} is none of the types {types}')
        self.num_types, self.unsure = len(types), None if unsure is None else types.index(unsure)
        self.min_type_prob, self.max_novelty = min_type_prob, max_novelty
        self.type_temperature = type_temperature
        self.novelty = Novelty(self.num_types, self.reader.extractor.out_features)
        temperatures = torch.tensor([float(value) for value in score_temperatures])
        self.register_buffer('score_temperatures', temperatures, persistent=False)

    def extract_feat(self, batch_inputs: Tensor) -> Tensor:
        """The finder's features."""
        return self.finder.extract_feat(batch_inputs)

    def _forward(self, batch_inputs: Tensor, batch_data_samples: OptSampleList = None) -> tuple:
        """The finder's raw outputs."""
        return self.finder._forward(batch_inputs, batch_data_samples)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Not trained.

        Raises:
            UserError: always.
        """
        raise UserError('FindAndRead joins two trained models; train the finder and the reader by their own configs')

    @torch.no_grad()
    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """Cells with types and attributes.

        Args:
            batch_inputs: (B, 3, H, W), as the finder's preprocessor gives them.
            batch_data_samples: B samples.
            rescale: boxes in pixels of the original images.
        """
        samples = self.finder.predict(batch_inputs, batch_data_samples, rescale=False)
        for_reader = self.inputs_of_reader(batch_inputs)
        for index, sample in enumerate(samples):
            found = sample.pred_instances
            chosen = found.labels == self.leukocyte
            probs = found.scores.new_zeros(len(found), len(self.schema), max(self.schema.cardinalities))
            novelty = found.scores.new_zeros(len(found))
            rois = torch.cat([found.bboxes.new_zeros(len(found), 1), found.bboxes], 1)[chosen]
            probs[chosen], novelty[chosen] = self.read(for_reader[index:index + 1], rois)
            found.attribute_probs = probs
            if 'class_probs' in found:
                found.class_probs = self.class_probs(found.class_probs, found.labels, probs)
            found.scores, found.labels, found.attributes, found.novelty = self.name(
                found.scores, found.labels, probs, novelty)
            if rescale:
                found.bboxes = found.bboxes / found.bboxes.new_tensor([*sample.scale_factor, *sample.scale_factor])
        return samples

    def inputs_of_reader(self, batch_inputs: Tensor) -> Tensor:
        """Inputs of the finder -> inputs of the reader, (B, 3, H, W)."""
        own, other = self.data_preprocessor, self.reader.data_preprocessor
        return batch_inputs * (own.std / other.std) + (own.mean - other.mean) / other.std

    def read(self, for_reader: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (K, A, V) and novelty (K,) of leukocytes.

        Args:
            for_reader: (B, 3, H, W), :meth:`inputs_of_reader`.
            rois: (K, 5): image index, then the box in pixels of the input.
        """
        centres = (rois[:, 1:3] + rois[:, 3:]) / 2
        windows = torch.cat([rois[:, :1], centres - self.window / 2, centres + self.window / 2], 1)
        crops = roi_align(for_reader, windows, (self.window,) * 2, 1, sampling_ratio=1)
        if crops.shape[0] == 0:
            return crops.new_zeros(0, len(self.schema), max(self.schema.cardinalities)), crops.new_zeros(0)
        features = self.reader.extract_feat(crops)
        logits = list(self.reader.classifier(features).split(self.reader.classifier.logit_counts, 1))
        logits[self.type_column] = logits[self.type_column] / self.type_temperature
        return self.reader.classifier.decode(torch.cat(logits, 1)), self.novelty(features)

    def name(self, scores: Tensor, labels: Tensor, probs: Tensor,
             novelty: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Calibrated scores (N,), labels (N,), attributes (N, A) and novelty (N,), of what finder and reader say.

        Args:
            scores, labels: (N,), the finder's.
            probs, novelty: (N, A, V) and (N,), of :meth:`read`; those of cells that aren't leukocytes don't count.
        """
        chosen = labels == self.leukocyte
        others = labels - (labels > self.leukocyte).long() + self.num_types
        named = torch.where(chosen, self._types(probs[:, self.type_column, :self.num_types], novelty), others)
        attributes = torch.where(chosen[:, None], probs.argmax(2), IGNORE)
        of_type = torch.arange(len(self.schema), device=labels.device) == self.type_column
        unbelieved = of_type & (attributes != named[:, None])  # nobody believes the most probable type
        attributes = torch.where(unbelieved, IGNORE, attributes)
        return (self._calibrated(scores, labels), named, attributes,
                torch.where(chosen, novelty, novelty.new_tensor(float('nan'))))

    def _types(self, probs: Tensor, novelty: Tensor) -> Tensor:
        """Labels (N,) of the types from their probabilities (N, V)."""
        best, types = probs.max(1)
        if self.unsure is None:
            return types
        return torch.where((best < self.min_type_prob) | (novelty > self.max_novelty), self.unsure, types)

    def class_probs(self, found: Tensor, labels: Tensor, probs: Tensor) -> Tensor:
        """Probabilities (N, C) of all classes: the leukocyte's is shared among its types.

        Args:
            found: (N, finder's classes).
            labels: (N,), the finder's. The types of cells other than leukocytes aren't read: each gets an equal share.
            probs: (N, A, V), of :meth:`read`.
        """
        chosen = labels == self.leukocyte
        types = probs[:, self.type_column, :self.num_types]
        shares = torch.where(chosen[:, None], types, 1 / self.num_types)
        others = [label for label in range(found.shape[1]) if label != self.leukocyte]
        return torch.cat([found[:, self.leukocyte, None] * shares, found[:, others]], 1)

    def uncalibrated(self, score: float) -> float:
        """The lowest score of the finder that can become ``score``."""
        raw = torch.sigmoid(torch.logit(torch.tensor(score), eps=1e-6) * self.score_temperatures.cpu())
        return min(raw.tolist(), default=score)

    def _calibrated(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Scores whose logits are divided by their class's temperature."""
        if not len(self.score_temperatures):
            return scores
        return torch.sigmoid(torch.logit(scores, eps=1e-6) / self.score_temperatures[labels])


def join_weights(finder: dict[str, Tensor], reader: dict[str, Tensor], novelty: nn.Module) -> dict[str, Tensor]:
    """Weights of the joined model from those of its two parts and a fitted :class:`Novelty`."""
    return {**{f'finder.{key}': value for key, value in finder.items()},
            **{f'reader.{key}': value for key, value in reader.items()},
            **{f'novelty.{key}': value for key, value in novelty.state_dict().items()}}
