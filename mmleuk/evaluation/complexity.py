"""Parameters, operations and images per second of a config's model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Complexity:
    """What a model costs.

    Args:
        config, checkpoint: paths; without a checkpoint ('') the weights are random, which changes how many boxes the
            suppression of overlaps has to sort.
        parameters: number of weights.
        multiply_adds: of convolutions and matrix products in one prediction on an input of ``input_hw``, one
            multiplication and addition counted as one (what most papers call FLOPs). Heads that work on detections
            count as often as there were some. RoIAlign counts on a CPU, where it is a matrix product here.
        input_hw: what the network sees, padding included.
        images_per_second: transforms, network and suppression of overlaps, one image at a time, decoding left out.
        n_timed: passes whose median this is.
        device: name of the processor and, on a CPU, its threads.
        pictures: what was timed, in words.
    """

    config: str
    checkpoint: str
    parameters: int
    multiply_adds: float
    input_hw: tuple[int, int]
    images_per_second: float
    n_timed: int
    device: str
    pictures: str
