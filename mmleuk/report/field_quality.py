"""How good a field is for reading: focus, thickness of the film, stain.

There is no common scale for these across microscopes, so a field is marked where it stands out among its film's fields,
or where it is beyond a limit that no readable field reaches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]
_SIDE_PX = 640
"""Longer side at which fields are looked at."""
BLURRED, THICK, EMPTY, PALE = 0.35, 0.7, 0.02, 0.06
"""Sharpness as a share of the film's median; covered area; covered area; contrast of cells with the background."""
_STAIN_OFF = 15.0
"""Distance of the background's colour from the film's median, in CIE Lab (just visible is about 2)."""


@dataclass(frozen=True)
class FieldQuality:
    """Figures of one field.

    Args:
        sharpness: fine detail as a share of all detail, 0 to 1; it falls when the field is out of focus.
        covered: share of the area that cells cover, 0 to 1.
        contrast: difference of covered and empty area in lightness, 0 to 1.
        background: colour of the empty area: CIE Lab (lightness 0 to 100, green to red, blue to yellow).
    """

    sharpness: float
    covered: float
    contrast: float
    background: tuple[float, float, float]


def field_quality(image: NDArray[np.uint8]) -> FieldQuality:
    """Figures of a field, a BGR image (height, width, 3).

    Fine detail is what a blur of 1 px takes away at 640 px on the longer side, all detail the variance of lightness.
    Cells are what differs from the most frequent colour by more than Otsu's threshold.
    """
    scale = _SIDE_PX / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    lab: Pixels = np.asarray(cv2.cvtColor(np.asarray(small, np.float32) / 255, cv2.COLOR_BGR2Lab), np.float32)
    light = lab[..., 0]
    fine_part: Pixels = np.asarray(light - cv2.GaussianBlur(light, (0, 0), 1.0), np.float32)
    fine, all_detail = float(np.var(fine_part)), float(np.var(light))
    background = _most_frequent(lab)
    distance = np.linalg.norm(lab - background, axis=2)
    limit, _ = cv2.threshold(np.clip(distance, 0, 255).astype(np.uint8), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    covered = distance > max(limit, 2)
    inside = float(light[covered].mean()) if covered.any() else float(background[0])
    return FieldQuality(fine / all_detail if all_detail > 1e-6 else 0.0, float(covered.mean()),
                        abs(float(background[0]) - inside) / 100,
                        (float(background[0]), float(background[1]), float(background[2])))


def _most_frequent(lab: Pixels) -> Pixels:
    """The most frequent colour among light ones, in cells of 4 units: empty plasma is light."""
    everything = lab.reshape(-1, 3)
    pixels = everything[everything[:, 0] >= np.median(everything[:, 0])]
    keys, counts = np.unique(np.round(pixels / 4), axis=0, return_counts=True)
    near = np.abs(pixels - 4 * keys[counts.argmax()]).max(1) <= 4
    return pixels[near].mean(0)


def judge(fields: Mapping[str, FieldQuality]) -> dict[str, tuple[str, ...]]:
    """What is wrong with each field, in words; nothing for a readable one.

    Args:
        fields: figures of the fields of one film, by name.
    """
    if not fields:
        return {}
    sharpness = float(np.median([field.sharpness for field in fields.values()]))
    usual = np.median([field.background for field in fields.values()], axis=0)
    return {name: tuple(_faults(field, sharpness, usual)) for name, field in fields.items()}


def _faults(field: FieldQuality, sharpness: float, usual: NDArray[np.float64]) -> Sequence[str]:
    faults = []
    if field.sharpness < BLURRED * sharpness:
        faults.append('blurred')
    if field.covered > THICK:
        faults.append('thick area: cells lie over each other')
    if field.covered < EMPTY:
        faults.append('almost empty')
    elif field.contrast < PALE:
        faults.append('pale stain')
    if np.linalg.norm(np.array(field.background) - usual) > _STAIN_OFF:
        faults.append("stain or light unlike the film's other fields")
    return faults
