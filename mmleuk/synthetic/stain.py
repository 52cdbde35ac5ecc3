"""How a film was stained and photographed: all that its cells share.

Colours are optical densities, so that overlapping things darken as they do under a microscope (Beer-Lambert:
intensity = light * exp(-density)). Every vector is RGB density per unit amount of the dye. No two films have
the same ones, so that colour alone doesn't tell a cell's class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_NUCLEUS = (0.62, 1.05, 0.36)
_BASOPHILIC = (0.75, 0.80, 0.22)
_EOSIN = (0.08, 0.72, 0.80)
_AZURE = (0.50, 1.15, 0.50)
_RED_CELLS = ((0.80, 0.62, 0.36), (0.62, 0.42, 0.26), (0.30, 0.78, 0.40), (0.48, 0.72, 0.36), (0.20, 0.52, 0.50))


@dataclass(frozen=True)
class Stain:
    """RGB optical density per unit amount of each dye, (3,) float32 each."""

    nucleus: np.ndarray
    basophilic: np.ndarray
    eosin: np.ndarray
    azure: np.ndarray
    red_cell: np.ndarray


@dataclass(frozen=True)
class FilmStyle:
    """One film's look.

    Attributes:
        stain: its dyes.
        light: (3,) RGB of an empty place, 0 to 255.
        squeeze_xy: horizontal and vertical scale.
        scale: magnification relative to the nominal one, image size included.
        red_cells: how many per 640 x 640 nominal pixels.
        red_cell_diameter: nominal pixels.
        pallor: depth of red cells' pale centres, 0 to 1.
        crenation, teardrops, rouleaux: shares of red cells of that form.
        platelets, dust: how many, at the nominal size.
        blur_px, halo, noise: defocus (sigma), bright fringe around dark things (unsharp gain), grain (grey levels).
        vignette, unevenness: darkening of the corners, slow variation of the background; shares of the light.
    """

    stain: Stain
    light: np.ndarray
    squeeze_xy: tuple[float, float]
    scale: float
    red_cells: int
    red_cell_diameter: float
    pallor: float
    crenation: float
    teardrops: float
    rouleaux: float
    platelets: int
    dust: int
    blur_px: float
    halo: float
    noise: float
    vignette: float
    unevenness: float


def _dye(rng: np.random.Generator, vector: tuple[float, ...], strength: float, hue: float = 0.16) -> np.ndarray:
    return (np.asarray(vector) * strength * np.exp(rng.normal(0, hue, 3))).astype(np.float32)


def sample_stain(rng: np.random.Generator) -> Stain:
    """Dyes of one film: common strength, each dye's own strength, a shift of hue per dye."""
    common = np.exp(rng.normal(0, 0.17))
    red, other = rng.permutation(len(_RED_CELLS))[:2]
    share = rng.uniform()
    red_cell = share * np.asarray(_RED_CELLS[red]) + (1 - share) * np.asarray(_RED_CELLS[other])
    return Stain(nucleus=_dye(rng, _NUCLEUS, 1.35 * common * np.exp(rng.normal(0, 0.15))),
                 basophilic=_dye(rng, _BASOPHILIC, common * np.exp(rng.normal(0, 0.15)), 0.22),
                 eosin=_dye(rng, _EOSIN, common, 0.22),
                 azure=_dye(rng, _AZURE, 1.1 * common, 0.2),
                 red_cell=_dye(rng, tuple(red_cell), rng.uniform(0.55, 1.25), 0.12))


def sample_style(rng: np.random.Generator, size: int, magnification: float = 1.0) -> FilmStyle:
    """A film's look for images of ``size`` x ``size`` pixels."""
    field = 1 / magnification ** 2  # share of the nominal field's area, hence of its red cells and dirt
    grey = rng.uniform(165, 235)
    light = np.clip(grey * np.exp(rng.normal(0, 0.055, 3)), 120, 250).astype(np.float32)
    squeeze = rng.uniform(0.72, 1.0)
    squeeze_xy = (squeeze, 1.0) if rng.uniform() < 0.75 else (1.0, squeeze)
    return FilmStyle(
        stain=sample_stain(rng), light=light, squeeze_xy=squeeze_xy,
        scale=size / 640 * magnification * rng.uniform(0.92, 1.12), red_cells=int(rng.integers(55, 140) * field),
        red_cell_diameter=rng.uniform(44, 54), pallor=rng.uniform(0.15, 0.85),
        crenation=rng.choice([0.0, 0.05, 0.7], p=[0.5, 0.3, 0.2]), teardrops=rng.uniform(0, 0.12),
        rouleaux=rng.choice([0.1, 0.4, 0.7]), platelets=int(rng.integers(2, 16) * field),
        dust=int(rng.choice([10, 60, 220], p=[0.5, 0.3, 0.2]) * field), blur_px=rng.uniform(0.45, 0.95),
        halo=rng.uniform(0.0, 0.7), noise=rng.uniform(1.0, 3.0), vignette=rng.uniform(0, 0.22),
        unevenness=rng.uniform(0.01, 0.05))
