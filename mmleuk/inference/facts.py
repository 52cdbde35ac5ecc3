"""What an exported file says about itself: all that is needed to run it beside its graphs.

In ONNX files it stands in ``metadata_props``, for OpenVINO in a JSON file beside the ``.xml``; each entry is JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from mmleuk.errors import UserError

FORMAT = 'mmleuk.exported/1'


@dataclass(frozen=True)
class Suppression:
    """How a detector's many locations become detections; most names are those of MMDetection's ``test_cfg``.

    Args:
        inside: whether the graph does it; else whoever runs the graph.
        score_thr: locations need a higher score; it is the class's probability times the objectness (FCOS: centerness).
        iou_threshold: of two detections of one class that overlap more, the better one stays.
        max_per_img: most detections of an image.
        nms_pre: most locations and classes of an image that are compared.
        multi_label: whether a location may have several classes.
        clip_first: whether boxes are cut at the picture's border before they are compared, not after; those without an
            area don't count then.
        class_probs: whether detections come with the probabilities of all classes.
    """

    inside: bool
    score_thr: float
    iou_threshold: float
    max_per_img: int
    nms_pre: int = 30_000
    multi_label: bool = True
    clip_first: bool = False
    class_probs: bool = True


@dataclass(frozen=True)
class RedCellScale:
    """How images get the scale of training: by their red cells, which the model finds itself.

    Args:
        label: of red cells.
        diameter: pixels of a red cell in the network's input.
        film_colours: of :class:`mmleuk.calibration.colour.TrainingColours`; None: films keep their colours.
    """

    label: int
    diameter: float
    film_colours: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Facts:
    """Everything about an exported model that isn't in its graphs.

    Args:
        classes, attributes, leukocytes: as of the data set; attributes as :meth:`AttributeSchema.to_dict` gives them.
        described: labels of the detector whose cells get attributes.
        steps: of the test pipeline that change the image: Resize and Pad, as configs write them.
        mean, std: of the network's channels, 0 to 255.
        bgr_to_rgb: whether the network takes RGB.
        pad_size_divisor: a batch is padded to a multiple of it, by ``pad_value`` after the normalisation.
        suppression: see :class:`Suppression`.
        min_score, min_scores: lowest score of a cell, and by class where it differs.
        image_size: pixels of the longer side of the network's input; None where it depends on the image.
        model, config, checkpoint, weights_sha256: where the weights come from.
        red_cells: how images get their scale; None: they have ``image_size``.
        attribute_min_score: detections below it keep unknown attributes.
        version, created: of mmleuk, and when.
        onnx_opset: of the graphs.
        format: of these facts.
    """

    classes: tuple[str, ...]
    attributes: Mapping[str, Any]
    leukocytes: tuple[str, ...] | None
    described: tuple[int, ...]
    steps: tuple[Mapping[str, Any], ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bgr_to_rgb: bool
    pad_size_divisor: int
    pad_value: float
    suppression: Suppression
    min_score: float
    min_scores: Mapping[str, float]
    image_size: int | None
    model: str
    config: str
    checkpoint: str
    weights_sha256: str
    red_cells: RedCellScale | None = None
    attribute_min_score: float = 0.0
    version: str = ''
    created: str = ''
    onnx_opset: int = 18
    format: str = field(default=FORMAT)

    def to_texts(self) -> dict[str, str]:
        """A JSON text per fact; :meth:`from_texts` reads them back to equal facts."""
        return {key: json.dumps(value, ensure_ascii=False) for key, value in asdict(self).items()}

    @classmethod
    def from_texts(cls, texts: Mapping[str, str], source: str) -> Facts:
        """Facts from the texts of a file.

        Raises:
            UserError: they aren't those of an exported model of this version; the message names ``source``.
        """
        try:
            values = {key: json.loads(text) for key, text in texts.items() if key in {f.name for f in fields(cls)}}
        except ValueError as error:
            raise UserError(f'{source}: its metadata is broken ({error}); export the model again') from error
        if values.get('format') != FORMAT:
            raise UserError(f'{source}: is no model that mmleuk export of this version wrote (its metadata has no '
                            f'format {FORMAT}); export it again')
        try:
            return cls(**_with_tuples(values) | dict(
                suppression=Suppression(**values['suppression']),
                red_cells=None if values.get('red_cells') is None else RedCellScale(**values['red_cells']),
                steps=tuple(_with_tuples(step) for step in values['steps'])))
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f'{source}: its metadata is broken ({error!r}); export the model again') from error


def _with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON knows only lists."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
