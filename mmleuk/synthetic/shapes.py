"""Closed contours, (N, 2) arrays in units of the thing's own radius."""

from __future__ import annotations

import numpy as np

_ANGLES = np.linspace(0, 2 * np.pi, 96, endpoint=False)


def polar(radii: np.ndarray) -> np.ndarray:
    """Contour from 96 radii at equal angles."""
    return np.stack([radii * np.cos(_ANGLES), radii * np.sin(_ANGLES)], 1)


def waves(rng: np.random.Generator, amplitude: float, lowest: int = 2, highest: int = 6) -> np.ndarray:
    """(96,) smooth random undulation, harmonics ``lowest`` to ``highest`` falling off with their number."""
    total = np.zeros_like(_ANGLES)
    for harmonic in range(lowest, highest + 1):
        strength = amplitude * rng.normal() * lowest / harmonic
        total += strength * np.cos(harmonic * _ANGLES + rng.uniform(0, 2 * np.pi))
    return total


def dent(angle: float, depth: float, width: float) -> np.ndarray:
    """(96,) inward bump of ``depth`` around ``angle``, ``width`` radians wide (one sigma)."""
    offset = (_ANGLES - angle + np.pi) % (2 * np.pi) - np.pi
    return -depth * np.exp(-0.5 * (offset / width) ** 2)


def ellipse(centre_xy: tuple[float, float], radii_xy: tuple[float, float], angle: float = 0.0) -> np.ndarray:
    """An ellipse's contour."""
    x, y = radii_xy[0] * np.cos(_ANGLES), radii_xy[1] * np.sin(_ANGLES)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([centre_xy[0] + cos * x - sin * y, centre_xy[1] + sin * x + cos * y], 1)


def ribbon(centreline: np.ndarray, half_widths: np.ndarray) -> np.ndarray:
    """Contour of a band along an open line, round at its ends; (M, 2), (M,) -> (2M + caps, 2)."""
    tangent = np.gradient(centreline, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1)
    left = centreline + normal * half_widths[:, None]
    right = centreline - normal * half_widths[:, None]
    turn = np.linspace(0, np.pi, 10)[1:-1, None]
    end_cap = centreline[-1] + half_widths[-1] * (np.cos(turn) * normal[-1] + np.sin(turn) * tangent[-1])
    start_cap = centreline[0] + half_widths[0] * (-np.cos(turn) * normal[0] - np.sin(turn) * tangent[0])
    return np.concatenate([left, end_cap, right[::-1], start_cap])


def arc(radius: float, span: float, points: int = 32) -> np.ndarray:
    """Open circular arc of ``span`` radians, symmetric around the x axis; (points, 2)."""
    angle = np.linspace(-span / 2, span / 2, points)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
