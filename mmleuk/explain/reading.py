"""Read the probabilities of attributes: of a data set's cells, of crops, and of the cells that a detector finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.runner import Runner

from mmleuk.apis import Inferencer, load_weights
from mmleuk.errors import UserError
from mmleuk.explain.fitting import flat_concepts
from mmleuk.models.attributes import AttributeRecognizer
from mmleuk.pictures.drawing import load_image
from mmleuk.schema import TYPE_ATTRIBUTE, AttributeSchema
from mmleuk.structures.prediction import Run
from mmleuk.utils.checkpoint import load_checkpoint_safely
from mmleuk.utils.config_file import build_model, building, read_config
from mmleuk.utils.image_inputs import name_images
from mmleuk.utils.image_size import kind_of
from mmleuk.utils.progress import progress
from mmleuk.utils.square_crops import square_crop

OWN_MARGIN = 0.4
"""Margin of a crop around a box, as a share of the longer side, where the config has neither ``crop_margin`` nor
CropCell. WBCAtt's cells take about half of their images' sides."""
_BATCH = 64


@dataclass(frozen=True)
class Concepts:
    """Attribute probabilities of N cells.

    Args:
        names: N names.
        schema: the A attributes, without the type.
        probabilities: (N, K) of their values.
        types: N true types; '' where unknown.
        black_box: N types that the model predicted directly; empty if it doesn't.
        values: (N, A) int true values, IGNORE where unknown.
        features: (N, D) float32 of the encoder; None unless asked for.
        paths, boxes_xyxy: N image files, and (N, 4) boxes in their pixels, of a recogniser's cells.
    """

    names: tuple[str, ...]
    schema: AttributeSchema
    probabilities: np.ndarray
    types: tuple[str, ...]
    black_box: tuple[str, ...]
    values: np.ndarray
    features: np.ndarray | None = None
    paths: tuple[str, ...] = ()
    boxes_xyxy: np.ndarray | None = None


@dataclass(frozen=True)
class FoundCell:
    """One cell of an image.

    Args:
        name, path: of the cell, and its image file.
        box_xyxy: in pixels; None if the image is a crop of the cell.
        concepts: (K,) attribute probabilities.
        type_name: by the detector; '' if there is none.
        features: (D,) of the encoder; None for a detector's cells.
    """

    name: str
    path: str
    box_xyxy: tuple[float, float, float, float] | None
    concepts: np.ndarray
    type_name: str = ''
    features: np.ndarray | None = None


def concept_schema(schema: AttributeSchema) -> AttributeSchema:
    """The schema without the type: a bottleneck predicts it, so it must not read it."""
    return schema.select(key for key in schema.keys if key != TYPE_ATTRIBUTE)


class ConceptReader:
    """A trained model that predicts attributes: :class:`AttributeRecognizer` on crops, or a detector with them.

    Args:
        config: config file or config.
        checkpoint: weights of its model.
        device: such as 'cpu'; default: a GPU if there is one.
        min_score: leave out a detector's cells with a lower score.

    Raises:
        UserError: a file is missing or broken, or the model predicts no attributes.
    """

    def __init__(self, config: str | Path | Config, checkpoint: str | Path, device: str | None = None,
                 min_score: float = 0.25) -> None:
        self.cfg = config if isinstance(config, Config) else read_config(config, needed=('model', 'test_dataloader'))
        self.detector: Inferencer | None = None
        self.model: Any = build_model(self.cfg)
        if isinstance(self.model, AttributeRecognizer):
            load_weights(self.model, load_checkpoint_safely(checkpoint, map_location='cpu'), str(checkpoint))
            self.model.to(device or ('cuda:0' if torch.cuda.is_available() else 'cpu')).eval()
            self.full_schema = self.model.schema
        else:
            self.detector = Inferencer(self.cfg, checkpoint, device, min_score)
            self.model, self.full_schema = self.detector.model, self.detector.schema
        self.schema = concept_schema(self.full_schema)
        if not len(self.schema):
            raise UserError(f'{self.cfg.filename}: its model predicts no attributes; give an AttributeRecognizer, or a '
                            'detector with AttriHead')

    def flat(self, probabilities: np.ndarray) -> np.ndarray:
        """(N, A', Vmax) of all attributes -> (N, K) of those without the type."""
        columns = [self.full_schema.keys.index(key) for key in self.schema.keys]
        return flat_concepts(probabilities[:, columns], self.schema)

    def read_data(self, dataloader: dict, features: bool = False) -> Concepts:
        """Every described cell of a config's data, as the test pipeline shows it.

        Args:
            dataloader: of the config.
            features: also keep the encoder's features (recognisers only).

        Raises:
            UserError: the data is wrong, or has no described cell.
        """
        if self.detector is not None:
            self.model.on_ground_truth = True
        loader = Runner.build_dataloader(self._in_order(dataloader), seed=0)
        metainfo, kept, read = loader.dataset.metainfo, [], 0
        described = set(metainfo.get('described') or metainfo['classes'])
        for batch in progress(loader, total=len(loader), desc='Reading cells'):
            with torch.no_grad():
                samples = self.model.test_step(batch)
                drawn = self._features(batch) if features else None
            for index, sample in enumerate(samples):
                kept += [(*cell, None if drawn is None else drawn[index], read + index)
                         for cell in self._cells_of(sample, metainfo['classes']) if cell[1] in described]
            read += len(samples)
        if not kept:
            raise UserError(f'{self.cfg.filename}: the data has no cell of {", ".join(sorted(described))}')
        names, types, probabilities, values, drawn_rows, records = zip(*kept)
        stacked, infos = np.stack(probabilities), [loader.dataset.get_data_info(index) for index in records]
        columns = [self.full_schema.keys.index(key) for key in self.schema.keys]
        return Concepts(_unique(names), self.schema, self.flat(stacked), types, self._black_box(stacked),
                        np.stack(values)[:, columns], np.stack(drawn_rows) if features else None,
                        tuple(info['img_path'] for info in infos),
                        None if self.detector else np.array([info['instances'][0]['bbox'] for info in infos], float))

    def tested(self, dataloader: dict) -> Iterator[Any]:
        """Samples of a config's data with the predictions for their annotated cells, ``gt_attributes``."""
        if self.detector is not None:
            self.model.on_ground_truth = True
        loader = Runner.build_dataloader(self._in_order(dataloader), seed=0)
        for batch in progress(loader, total=len(loader), desc='Reading cells'):
            with torch.no_grad():
                yield from self.model.test_step(batch)

    def _cells_of(self, sample: Any, classes: Sequence[str]) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
        """Name, true type, (A', Vmax) probabilities and (A',) true values of a sample's cells."""
        truth, found = sample.gt_instances, sample.get('gt_attributes')
        if found is None:
            raise UserError(f'{self.cfg.filename}: a {type(self.model).__name__} predicts no attributes of annotated '
                            'cells; give an AttributeRecognizer or an AttriDet')
        name, several = str(sample.get('img_id')), len(truth) > 1 or self.detector is not None
        rows = zip(truth.labels.tolist(), found.attribute_probs.cpu().numpy(), truth.attributes.cpu().numpy())
        for number, (label, probabilities, values) in enumerate(rows, start=1):
            yield f'{name}#{number}' if several else name, classes[label], probabilities, values

    def _black_box(self, probabilities: np.ndarray) -> tuple[str, ...]:
        if TYPE_ATTRIBUTE not in self.full_schema.keys:
            return ()
        column, names = self.full_schema.keys.index(TYPE_ATTRIBUTE), self.full_schema[TYPE_ATTRIBUTE].values
        return tuple(names[index] for index in probabilities[:, column].argmax(1))

    def _features(self, batch: dict) -> np.ndarray:
        if self.detector is not None:
            raise UserError('only a recogniser of crops has one feature vector per cell; give one')
        inputs = self.model.data_preprocessor(batch, False)['inputs']
        return self.model.extract_feat(inputs).float().cpu().numpy()

    def _in_order(self, dataloader: dict) -> dict:
        """The dataloader in its own order, with the test pipeline."""
        dataset = _with_pipeline(dataloader['dataset'], get_test_pipeline_cfg(self.cfg))
        return dict(batch_size=_BATCH if self.detector is None else 1, num_workers=0, drop_last=False,
                    sampler=dict(type='DefaultSampler', shuffle=False), dataset=dataset)

    def read_crops(self, paths: Sequence[Path]) -> list[FoundCell]:
        """One cell per image; for a recogniser."""
        names = name_images(paths)
        found = self.read_arrays([np.asarray(load_image(path))[:, :, ::-1] for path in paths])
        return [FoundCell(name, str(path), None, concepts, features=features)
                for name, path, concepts, features in zip(names, paths, *found)]

    def read_boxes(self, run: Run, paths: Sequence[Path]) -> list[FoundCell]:
        """The leukocytes that another model found, as crops around their boxes; for a recogniser.

        Args:
            run: predictions of ``mmleuk infer``.
            paths: the images; each is one of the run's.

        Raises:
            UserError: an image isn't in the run.
        """
        by_path = {str(Path(str(p.path)).resolve()): p for p in run.predictions if p.path}
        found = []
        for name, path in zip(name_images(paths), paths):
            prediction = by_path.get(str(Path(path).resolve()))
            if prediction is None:
                raise UserError(f'{path}: the predictions have no such image; run mmleuk infer on it')
            image = np.asarray(load_image(path))[:, :, ::-1]
            cells = [(number, cell) for number, cell in enumerate(prediction.cells, start=1)
                     if run.info.leukocytes is None or cell.class_name in run.info.leukocytes]
            crops = [square_crop(image, cell.box, self.margin()) for _, cell in cells]
            found += [FoundCell(f'{name}#{number}', str(path), cell.box, concepts, cell.class_name, features)
                      for (number, cell), concepts, features in zip(cells, *self.read_arrays(crops))]
        return found

    def read_films(self, paths: Sequence[Path]) -> list[FoundCell]:
        """The described cells that a detector with attributes finds."""
        assert self.detector is not None
        found = []
        for name, prediction in zip(name_images(paths), self.detector(list(paths))):
            for number, cell in enumerate(prediction.cells, start=1):
                if cell.probabilities:
                    probs = np.concatenate([cell.probabilities[key] for key in self.schema.keys])
                    found.append(FoundCell(f'{name}#{number}', str(prediction.path), cell.box, probs, cell.class_name))
        return found

    def read_arrays(self, images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """N crops, BGR images of any size -> probabilities (N, K) and the encoder's features (N, D)."""
        read = [np.zeros((0, sum(self.schema.cardinalities)))]
        drawn = [np.zeros((0, self.model.extractor.out_features), np.float32)]
        for batch in self.batches(images):
            with torch.no_grad():
                samples = self.model.test_step(batch)
                drawn.append(self._features(batch))
            read.append(self.flat(np.concatenate([s.gt_attributes.attribute_probs.cpu().numpy() for s in samples])))
        return np.concatenate(read), np.concatenate(drawn)

    def batches(self, images: Sequence[np.ndarray]) -> Iterator[dict]:
        """Crops, BGR images of any size, as the test pipeline shows them, for ``test_step``."""
        with building(self.cfg):
            pipeline = Compose(self._crop_steps())
        for start in range(0, len(images), _BATCH):
            data = [pipeline(dict(img=np.ascontiguousarray(image), img_id=0)) for image in images[start:start + _BATCH]]
            yield dict(inputs=[d['inputs'] for d in data], data_samples=[d['data_samples'] for d in data])

    def _crop_steps(self) -> list[dict]:
        """The test pipeline for an array that is a crop: without loaders, scaled instead of cut."""
        steps: list[dict] = [dict(type='mmdet.LoadImageFromNDArray')]
        for step in get_test_pipeline_cfg(self.cfg):
            if kind_of(step) == 'CropCell':
                steps.append(dict(type='mmdet.Resize', scale=(step['size'], step['size'])))
            elif not kind_of(step).startswith('Load'):
                steps.append(step)
        return steps

    def margin(self) -> float:
        """Margin of the config's crops: its variable ``crop_margin``, or CropCell's."""
        if 'crop_margin' in self.cfg:
            return float(self.cfg.crop_margin)
        stated = [step.get('margin', 0.15) for step in get_test_pipeline_cfg(self.cfg) if kind_of(step) == 'CropCell']
        return stated[0] if stated else OWN_MARGIN


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Names with '#' and a number where several cells share an image.

    >>> _unique(['a', 'b', 'a'])
    ('a#1', 'b', 'a#2')
    """
    total, seen, unique = Counter(names), Counter[str](), []
    for name in names:
        seen[name] += 1
        unique.append(f'{name}#{seen[name]}' if total[name] > 1 else name)
    return tuple(unique)


def _with_pipeline(dataset: dict, pipeline: Sequence[dict]) -> dict:
    """The innermost data set's config, with this pipeline and without what only training needs."""
    if 'dataset' in dataset:
        return _with_pipeline(dataset['dataset'], pipeline)
    if 'datasets' in dataset:
        raise UserError(f'the training data is a {dataset.get("type")} of several; name a config with one data set')
    return {**dataset, 'pipeline': list(pipeline), 'test_mode': True}
