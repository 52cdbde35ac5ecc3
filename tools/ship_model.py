"""Join a trained finder and a trained reader into the model in the package.

    python tools/ship_model.py work_dirs/finder/epoch_40.pth work_dirs/reader/epoch_16.pth --out-dir mmleuk/shipped

It fits what training doesn't: temperatures of scores and types, the lowest score per class (by F1), and the limits
for 'unsure', all on validation splits. It writes the weights (safetensors, half precision), the resolved config and the
measured figures (JSON); the card beside them is written by hand around these figures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.runner import Runner
from numpy.typing import NDArray
from safetensors.torch import save_file
from scipy.special import expit, logit, softmax
from torch import Tensor

from mmleuk.apis import load_weights
from mmleuk.evaluation.crop_metric import AttributeReadings
from mmleuk.evaluation.reliability import reliability
from mmleuk.models.attributes.novelty import Novelty
from mmleuk.models.detectors.find_and_read import join_weights
from mmleuk.schema import get_declaration
from mmleuk.shipped import get_shipped
from mmleuk.structures.matching import match, pairwise_iou
from mmleuk.utils.checkpoint import load_checkpoint_safely
from mmleuk.utils.command_line import exit_status
from mmleuk.utils.config_file import build_model, building, read_config
from mmleuk.utils.files import replacing, write_atomic

CONFIGS = Path(__file__).parents[1] / 'configs' / 'shipped'
UNSURE_SHARE = 0.03
"""Share of the validation cells of known types that each of the two limits of 'unsure' lets go."""
RED_CELL_DIAMETER = 39
"""Pixels of a red cell in the network's input, as in training: ``mmleuk infer`` scales every film to it."""
FILM_COLOURS = dict(
    largest_red=0.85, red_cells=(0.22, 0.35, 0.16), nuclei=(0.41, 2.43, 1.35), glass=(203, 228, 255))
"""Films with blue-grey red cells get the colours of PBC's, which the reader knows. On TXL-PBC's four sources the median
ratio of red to green density is 0.48 to 0.68."""
FLAT_F1 = 0.0075
"""The lowest score of a class is the highest one whose F1 is that close to the largest: where F1 is flat on validation
images, a higher score saves films of other microscopes from false cells."""
TEMPERATURES = np.geomspace(0.3, 4, 200)


@torch.no_grad()
def main() -> int:
    """Fit, write, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('finder', help='checkpoint of configs/shipped/cell-finder_txl-pbc.py')
    parser.add_argument('reader', help='checkpoint of configs/shipped/cell-reader_wbcatt.py')
    parser.add_argument('--out-dir', type=Path, required=True, help='folder of the shipped models')
    args = parser.parse_args()
    finder_cfg, finder = _trained(CONFIGS / 'cell-finder_txl-pbc.py', args.finder)
    reader_cfg, reader = _trained(CONFIGS / 'cell-reader_wbcatt.py', args.reader)
    joined = _joined(finder_cfg, reader_cfg)
    figures: dict[str, Any] = {}
    classes = finder.dataset_meta['classes']
    figures['finder'], temperatures, lowest = _fit_scores(finder_cfg, finder, classes)
    figures['reader'], limits, novelty = _fit_types(reader_cfg, reader)
    joined.model.update(score_temperatures=temperatures, **limits)
    types = joined.model.classes[:-len(classes) + 1]
    joined.min_scores = {**dict.fromkeys(types, lowest[classes[0]]),
                         **{name: lowest[name] for name in classes[1:]}}
    weights = join_weights(finder.state_dict(), reader.state_dict(), novelty)
    _write(joined, weights, figures, args.out_dir)
    print(json.dumps(figures, indent=1))
    return 0


def _joined(finder: Config, reader: Config) -> Config:
    """The config of both parts together, without the numbers that are measured."""
    types = get_declaration(reader.metainfo.preset).classes
    classes = (*types, 'RBC', 'Platelets')
    loader = finder.test_dataloader.to_dict()
    # Without the paths of the machine that measures.
    loader['dataset'].update(data_root='', ann_file='', metainfo=dict(
        preset=reader.metainfo.preset, classes=classes, leukocytes=types, described=types))
    return Config(dict(
        default_scope='mmdet', model=dict(
            type='mmleuk.FindAndRead', finder=finder.model.to_dict(), reader=reader.model.to_dict(), classes=classes,
            window=reader.window, unsure=types[-1]),
        test_dataloader=loader, red_cell_diameter=RED_CELL_DIAMETER, film_colours=FILM_COLOURS))


def _trained(config: Path, checkpoint: str) -> tuple[Config, Any]:
    cfg = read_config(config, needed=('model', 'val_dataloader'))
    model: Any = build_model(cfg)
    loaded = load_checkpoint_safely(checkpoint)
    load_weights(model, loaded, checkpoint)
    model.dataset_meta = {key.lower(): value for key, value in loaded['meta']['dataset_meta'].items()}
    return cfg, model.eval()


def _outputs(cfg: Config, model: Any, loader: dict) -> Iterator[Any]:
    with building(cfg):
        batches = Runner.build_dataloader({**loader, 'num_workers': 0, 'persistent_workers': False}, seed=0)
    for batch in batches:
        yield model.data_preprocessor(batch, False)


def _fit_scores(cfg: Config, model: Any, classes: tuple[str, ...]) -> tuple[dict, list[float], dict[str, float]]:
    """Figures, the temperature of each class, and the lowest score of each class that is shown (after it)."""
    # By class and image: scores, whether they are right, and the number of true cells.
    found: list[list[tuple[NDArray, NDArray, int]]] = [[] for _ in classes]
    for data in _outputs(cfg, model, cfg.val_dataloader):
        for sample in model.predict(data['inputs'], data['data_samples'], rescale=True):
            for label in range(len(classes)):
                found[label].append(_hits(sample, label))
    figures, temperatures, lowest = {}, [], {}
    for label, name in enumerate(classes):
        score, hit = (np.concatenate([image[part] for image in found[label]]) for part in (0, 1))
        shown = score >= 0.05  # the rest is never shown, and would decide the temperature by its number
        temperature = _temperature(np.stack([np.zeros(shown.sum()), _logit(score[shown])], 1), hit[shown].astype(int))
        images = [(expit(_logit(scores) / temperature), hits, cells) for scores, hits, cells in found[label]]
        after = expit(_logit(score) / temperature)
        lowest[name] = round(_lowest_score(images), 3)
        temperatures.append(round(temperature, 3))
        cells, chosen = sum(image[2] for image in images), after >= lowest[name]
        right = int(hit[chosen].sum())
        figures[name] = dict(
            cells=cells, temperature=temperatures[-1], min_score=lowest[name],
            f1=round(2 * right / (int(chosen.sum()) + cells), 4),
            precision=round(right / int(chosen.sum()), 4), recall=round(right / cells, 4),
            ece_before=round(reliability(score[shown], hit[shown]).ece, 4),
            ece_after=round(reliability(after[shown], hit[shown]).ece, 4))
    return figures, temperatures, lowest


def _hits(sample: DetDataSample, label: int) -> tuple[NDArray, NDArray, int]:
    """Scores of one class in one image, whether each is a true cell, and the number of true cells."""
    found, true = sample.pred_instances, sample.gt_instances
    chosen = found.labels == label
    boxes = true.bboxes[true.labels == label]
    boxes = getattr(boxes, 'tensor', boxes).numpy()
    scores = found.scores[chosen].numpy()
    return scores, match(pairwise_iou(found.bboxes[chosen].numpy(), boxes), scores, min_iou=0.5) >= 0, len(boxes)


def _lowest_score(images: list[tuple[NDArray, NDArray, int]], resamples: int = 200) -> float:
    """The highest score with nearly the largest F1, averaged over resamples of the images.

    A few cells of one validation split move it by much; the average moves less.

    Args:
        images: scores, whether they are right, and the number of true cells.
        resamples: their number.
    """
    rng, highest = np.random.default_rng(0), []
    for _ in range(resamples):
        drawn = [images[index] for index in rng.integers(len(images), size=len(images))]
        score, hit = (np.concatenate([image[part] for image in drawn]) for part in (0, 1))
        order = np.argsort(-score)
        f1 = 2 * hit[order].cumsum() / (np.arange(len(order)) + 1 + sum(image[2] for image in drawn))
        highest.append(score[order][np.flatnonzero(f1 >= f1.max() - FLAT_F1)[0]])  # scores fall
    return float(np.mean(highest))


def _fit_types(cfg: Config, model: Any) -> tuple[dict, dict[str, float], Novelty]:
    """Figures, limits and temperature of the type, and the fitted novelty."""
    column = model.schema.position('cell_type')
    counts = model.classifier.logit_counts
    plain = cfg.val_dataloader.dataset.pipeline
    train = dict(cfg.train_dataloader, sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(
        type='ConcatDataset', datasets=[{**part, 'pipeline': plain, 'test_mode': True}
                                        for part in cfg.train_dataloader.dataset.datasets]))
    features, _, targets = _read(cfg, model, train)
    novelty = Novelty(counts[column], features.shape[1]).fit(features, targets[:, column])
    features, logits, targets = _read(cfg, model, cfg.val_dataloader)
    types = logits.split(counts, 1)[column].double().numpy()
    truth = targets[:, column].numpy()
    temperature = round(_temperature(types, truth), 3)
    before, after = (softmax(types / value, axis=1) for value in (1.0, temperature))
    right = after.argmax(1) == truth
    readings = AttributeReadings(model.schema, targets.numpy(), model.classifier.decode(logits).numpy(),
                                 np.arange(len(targets)))
    limits = dict(type_temperature=temperature,
                  min_type_prob=round(float(np.quantile(after.max(1), UNSURE_SHARE)), 3),
                  max_novelty=round(float(np.quantile(novelty(features).numpy(), 1 - UNSURE_SHARE)), 2))
    figures = dict(limits, cells=len(truth),
                   ece_before=round(reliability(before.max(1), before.argmax(1) == truth).ece, 4),
                   ece_after=round(reliability(after.max(1), right).ece, 4),
                   **{key: round(float(value), 4) for key, value in readings.summary().items()})
    return figures, limits, novelty


def _read(cfg: Config, model: Any, loader: dict) -> tuple[Tensor, Tensor, Tensor]:
    """Features (N, D), logits (N, K) and true values (N, A) of all crops."""
    parts = []
    for data in _outputs(cfg, model, loader):
        features = model.extract_feat(data['inputs'])
        truth = torch.cat([sample.gt_instances.attributes for sample in data['data_samples']])
        parts.append((features, model.classifier(features), truth))
    features, logits, values = (torch.cat(part) for part in zip(*parts))
    return features, logits, values


def _temperature(logits: NDArray, truth: NDArray) -> float:
    """The temperature with the smallest negative log-likelihood of (N, V) logits, by trying 200.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
    """
    rows = np.arange(len(truth))
    losses = [-np.log(softmax(logits / value, axis=1)[rows, truth] + 1e-12).mean() for value in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def _logit(scores: NDArray) -> NDArray:
    return logit(np.clip(scores.astype(np.float64), 1e-6, 1 - 1e-6))


def _write(cfg: Config, weights: dict[str, Tensor], figures: dict, folder: Path) -> None:
    name = get_shipped().stem
    half = {key: value.half().contiguous() if value.is_floating_point() else value.contiguous()
            for key, value in weights.items()}
    parts = ('default_scope', 'model', 'test_dataloader', 'red_cell_diameter', 'film_colours', 'min_scores')
    kept: Any = {part: cfg[part] for part in parts}
    with replacing(folder / f'{name}.safetensors') as temporary:
        save_file(half, temporary, metadata=dict(format='pt'))
        temporary.chmod(0o644)
    header = '"""The resolved config of the shipped model, written by tools/ship_model.py."""\n\n'
    write_atomic(folder / f'{name}.py', header + Config(kept).pretty_text)
    write_atomic(folder / f'{name}.json', json.dumps(figures, indent=1) + '\n')


if __name__ == '__main__':
    raise SystemExit(exit_status(lambda _: main(), [], 'ship_model'))
