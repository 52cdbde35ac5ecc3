"""How the pixels of one image map to those of another image of the same field: SIFT and a RANSAC homography.

Source: LLD, section 3.2. The paper names SIFT and RANSAC, not their settings; these are ours, and so is the refinement
by grey values (ECC, Evangelidis and Psarakis 2008).

Pixels count as in COCO's boxes: 0 is the left edge of the first pixel, its centre is 0.5.

Legend: K keypoints, M matches, P points.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Homography = NDArray[np.float64]
Pixels = NDArray[np.uint8]
"""(H, W, 3) BGR or (H, W)."""

MAX_SIDE_PX = 1600      # larger images are reduced for the search of keypoints
ENOUGH_INLIERS = 80     # with fewer, enlarged and stretched versions are tried, too
_FEW_INLIERS = 200       # with fewer, grey values refine the homography
_MAX_REFINEMENT_PX = 10.0
_MAX_KEYPOINTS = 6000
_RATIO = 0.8            # Lowe's ratio test
_RANSAC_PX = 3.0        # distance up to which a match is an inlier, at the size at which keypoints are searched
_REFINEMENTS = 10
_CENTRE = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # OpenCV's coordinates -> ours
_SQUEEZES = ((1, 1), (2, 2), (5 / 3, 1), (1, 5 / 3))
"""Factors (x, y) by which an image is enlarged or stretched; 5/3 undoes a frame that was squeezed to 0.6."""


@dataclass(frozen=True)
class Limits:
    """What a registration must reach to be believed.

    Args:
        min_inliers: matches that agree with the homography.
        max_residual_px: root mean square distance of the inliers, in pixels of the target.
        min_overlap: shared area as a share of the smaller field's area.
        min_correlation: of the grey values of both images in the shared area, -1 to 1.
        max_aspect: ratio of the largest and smallest local scale.
    """

    min_inliers: int = 20
    max_residual_px: float = 3.0
    min_overlap: float = 0.1
    min_correlation: float = 0.3
    max_aspect: float = 3.0


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Keypoints:
    """SIFT keypoints of an image.

    Args:
        points_xy: (K, 2) pixels of the image as it was given.
        descriptors: (K, 128) float32, RootSIFT (Arandjelovic and Zisserman 2012).
        px: size of a pixel of the searched version in pixels of the image as it was given.
        size_hw: of the image as it was given.
    """

    points_xy: Points
    descriptors: NDArray[np.float32]
    px: float
    size_hw: tuple[int, int]


@dataclass(frozen=True)
class Registration:
    """How a source image maps to a target image, and how well that is known.

    Args:
        homography: (3, 3), maps (x, y, 1) of the source to the target, pixels; None where there is none.
        matches: keypoints of both images that look alike.
        inliers: matches that agree with the homography.
        residual_px: root mean square distance of the inliers, pixels of the target; NaN without homography. Grey
            values that refine the homography leave it as it was.
        overlap_of_source: share of the source's field that the target shows, 0 to 1; NaN where the homography was
            refused before.
        overlap_of_target: share of the target's field that the source shows, 0 to 1; NaN likewise.
        correlation: of the grey values in the shared area, -1 to 1; NaN likewise.
        refusal: why it must not be believed; None where it may.
    """

    homography: Homography | None
    matches: int
    inliers: int
    residual_px: float = float('nan')
    overlap_of_source: float = float('nan')
    overlap_of_target: float = float('nan')
    correlation: float = float('nan')
    refusal: str | None = None

    @property
    def scale_and_turn(self) -> tuple[float, float]:
        """Scale (pixels of the target per pixel of the source) and turn in degrees, clockwise, -180 to 180."""
        if self.homography is None:
            return float('nan'), float('nan')
        linear = self.homography[:2, :2]
        turn = np.degrees(np.arctan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1]))
        return float(np.sqrt(abs(np.linalg.det(linear)))), float(turn)


def grey(image: Pixels) -> Pixels:
    """(H, W, 3) BGR or (H, W) -> (H, W), stretched so that light and stain matter less.

    Grey values between the 1st and 99th percentile fill 0 to 255.
    """
    plain = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image, np.uint8)
    low, high = np.percentile(plain, (1, 99))
    stretched = (plain.astype(np.float32) - low) * (255 / max(high - low, 1.0))
    return np.clip(stretched, 0, 255).astype(np.uint8)


def find_keypoints(image: Pixels, stretch_xy: tuple[float, float] = (1, 1),
                   max_keypoints: int = _MAX_KEYPOINTS) -> Keypoints:
    """SIFT keypoints of an image, searched in a stretched version.

    Args:
        image: (H, W, 3) BGR or (H, W), uint8.
        stretch_xy: factors of width and height; the result never has a side above 1600 px.
        max_keypoints: the strongest ones are kept.
    """
    height, width = image.shape[:2]
    reduction = min(1.0, MAX_SIDE_PX / max(width * stretch_xy[0], height * stretch_xy[1]))
    size = tuple(max(1, round(side * factor * reduction)) for side, factor in zip((width, height), stretch_xy))
    factors = np.array(size) / (width, height)
    searched = grey(image)
    if size != (width, height):
        way = cv2.INTER_AREA if max(factors) < 1 else cv2.INTER_CUBIC
        searched = np.asarray(cv2.resize(searched, size, interpolation=way), np.uint8)
    # A lower contrast than OpenCV's 0.04: red cells are pale, and blur makes them paler.
    # Without the precise upscaling all keypoints lie a quarter of a pixel off.
    sift = cv2.SIFT.create(nfeatures=max_keypoints, contrastThreshold=0.02, enable_precise_upscale=True)
    found, descriptors = sift.detectAndCompute(searched, None)  # type: ignore[call-overload]
    if descriptors is None:
        found, descriptors = (), np.zeros((0, 128), np.float32)
    points = np.array([point.pt for point in found], np.float64).reshape(-1, 2)
    roots = np.sqrt(descriptors / np.maximum(descriptors.sum(1, keepdims=True), 1e-7))
    return Keypoints((points + 0.5) / factors, roots.astype(np.float32), float(1 / factors.max()),
                     (height, width))


def match_keypoints(source: Keypoints, target: Keypoints) -> NDArray[np.int64]:
    """(M, 2) indices of keypoints that look alike: those that pass Lowe's ratio test in either direction."""
    pairs = _nearest(source.descriptors, target.descriptors)
    pairs |= {(first, second) for second, first in _nearest(target.descriptors, source.descriptors)}
    return np.array(sorted(pairs), np.int64).reshape(-1, 2)


def _nearest(queries: NDArray[np.float32], others: NDArray[np.float32]) -> set[tuple[int, int]]:
    if not len(queries) or len(others) < 2:
        return set()
    found = cv2.BFMatcher(cv2.NORM_L2).knnMatch(queries, others, k=2)
    return {(best.queryIdx, best.trainIdx) for best, second in found if best.distance < _RATIO * second.distance}


def fit(source: Keypoints, target: Keypoints) -> Registration:
    """Homography from keypoints alone: MAGSAC, then least squares on the inliers until these stay the same."""
    pairs = match_keypoints(source, target)
    if len(pairs) < 4:
        return Registration(None, len(pairs), 0)
    from_xy, to_xy = source.points_xy[pairs[:, 0]], target.points_xy[pairs[:, 1]]
    limit = _RANSAC_PX * target.px
    cv2.setRNGSeed(0)
    first, _ = cv2.findHomography(from_xy, to_xy, cv2.USAC_MAGSAC, limit, maxIters=20_000, confidence=0.9999)
    if first is None:
        return Registration(None, len(pairs), 0)
    homography = np.asarray(first, np.float64)
    inlier = _distances(homography, from_xy, to_xy) < limit
    for _ in range(_REFINEMENTS):
        if inlier.sum() < 4:
            return Registration(None, len(pairs), int(inlier.sum()))
        refined, _ = cv2.findHomography(from_xy[inlier], to_xy[inlier], 0)
        if refined is None:
            break
        homography, before = np.asarray(refined, np.float64), inlier
        inlier = _distances(homography, from_xy, to_xy) < limit
        if (inlier == before).all():
            break
    distances = _distances(homography, from_xy, to_xy)[inlier]
    # A keypoint that is matched by two is one piece of evidence.
    independent = min(len(np.unique(pairs[inlier, 0])), len(np.unique(pairs[inlier, 1])))
    residual = float(np.sqrt(np.mean(distances ** 2))) if len(distances) else float('nan')
    return Registration(homography, len(pairs), independent, residual)


def _distances(homography: Homography, from_xy: Points, to_xy: Points) -> NDArray[np.float64]:
    return np.linalg.norm(project_points(from_xy, homography) - to_xy, axis=1)


def project_points(points_xy: Points, homography: Homography) -> Points:
    """(P, 2) pixels moved by a homography; infinite behind the camera.

    >>> project_points(np.array([[1., 2.]]), np.array([[2., 0, 1], [0, 3, 0], [0, 0, 1]])).tolist()
    [[3.0, 6.0]]
    """
    moved = np.column_stack([points_xy, np.ones(len(points_xy))]) @ homography.T
    depth = np.where(moved[:, 2:] > 1e-9, moved[:, 2:], np.nan)
    return np.nan_to_num(moved[:, :2] / depth, nan=np.inf)


def register(source: Pixels, target: Pixels, limits: Limits = DEFAULT_LIMITS) -> Registration:
    """Find the homography from ``source`` to ``target``, both (H, W, 3) uint8 BGR, and judge it.

    Where the images as they are give few inliers, enlarged and stretched versions of either are tried; the version
    with the most inliers counts. The same images give the same result.
    """
    versions: dict[tuple[str, tuple[float, float]], Keypoints] = {}

    def keypoints(name: str, stretch: tuple[float, float]) -> Keypoints:
        if (name, stretch) not in versions:
            versions[name, stretch] = find_keypoints(source if name == 'source' else target, stretch)
        return versions[name, stretch]

    best = fit(keypoints('source', (1, 1)), keypoints('target', (1, 1)))
    for one, other in [((1, 1), stretch) for stretch in _SQUEEZES[1:]] + [(s, (1, 1)) for s in _SQUEEZES[1:]]:
        if best.inliers >= ENOUGH_INLIERS:
            break
        best = max(best, fit(keypoints('source', one), keypoints('target', other)), key=lambda found: found.inliers)
    if limits.min_inliers <= best.inliers < _FEW_INLIERS and best.homography is not None:
        if _shape_fault(best.homography, (source.shape[0], source.shape[1]), limits) is None:
            best = replace(best, homography=refine(best.homography, source, target))
    return judge(best, source, target, limits)


def refine(homography: Homography, source: Pixels, target: Pixels) -> Homography:
    """Raise the correlation of the grey values; few keypoints, as in blurred images, leave errors of some pixels.

    A homography that doesn't converge, or that would move a point of the shared area by more than 10 px of the target,
    stays as it was.
    """
    size_wh = target.shape[1], target.shape[0]
    reduction = min(1.0, MAX_SIDE_PX / max(size_wh))
    small = np.diag([reduction, reduction, 1.0])
    there = grey(target)
    if reduction < 1:
        reduced = round(size_wh[0] * reduction), round(size_wh[1] * reduction)
        there = np.asarray(cv2.resize(there, reduced, interpolation=cv2.INTER_AREA), np.uint8)
    seen = _smoothed(grey(source), small @ homography)
    start = np.linalg.inv(_CENTRE) @ np.linalg.inv(small @ homography) @ _CENTRE     # pixel centres, target to source
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-5)
    try:
        _, found = cv2.findTransformECC(there, seen, (start / start[2, 2]).astype(np.float32),
                                        cv2.MOTION_HOMOGRAPHY, stop, np.full(there.shape, 255, np.uint8), 5)
    except cv2.error:  # its way of saying that it doesn't converge
        return homography
    refined = np.linalg.inv(small) @ _CENTRE @ np.linalg.inv(np.asarray(found, np.float64)) @ np.linalg.inv(_CENTRE)
    height, width = source.shape[:2]
    grid = np.array([(x, y) for x in np.linspace(0, width, 9) for y in np.linspace(0, height, 9)])
    before, after = project_points(grid, homography), project_points(grid, refined)
    shared = ((before >= 0) & (before <= size_wh)).all(1)
    moved = np.linalg.norm(after[shared] - before[shared], axis=1)
    return refined / refined[2, 2] if (moved <= _MAX_REFINEMENT_PX).all() else homography


def judge(found: Registration, source: Pixels, target: Pixels, limits: Limits) -> Registration:
    """Add overlap and correlation, and the reason to refuse it where there is one."""
    if found.homography is None:
        return replace(found, refusal=f'no homography: {found.matches} keypoints look alike in both images')
    if found.inliers < limits.min_inliers:  # such a homography is mere chance; its shape says nothing
        return replace(found, refusal=f'{found.inliers} inliers of {found.matches} matches; at least '
                                      f'{limits.min_inliers} are needed')
    shape = _shape_fault(found.homography, (source.shape[0], source.shape[1]), limits)
    if shape is not None:
        return replace(found, refusal=f'{shape} ({found.inliers} inliers of {found.matches} matches)')
    size_wh = target.shape[1], target.shape[0]
    seen = warp(np.ones(source.shape[:2], np.uint8), found.homography, size_wh, cv2.INTER_NEAREST) > 0
    way_back = np.asarray(np.linalg.inv(found.homography), np.float64)
    back = warp(np.ones(target.shape[:2], np.uint8), way_back, (source.shape[1], source.shape[0]),
                cv2.INTER_NEAREST) > 0
    moved = warp_grey(source, found.homography, size_wh)
    judged = replace(found, overlap_of_source=float(back.mean()), overlap_of_target=float(seen.mean()),
                     correlation=correlation(moved[seen], grey(target)[seen]))
    return replace(judged, refusal=_refusal(judged, limits))


def warp_grey(source: Pixels, homography: Homography, size_wh: tuple[int, int]) -> Pixels:
    """The source's grey values in the target's pixels, averaged where the target has fewer pixels."""
    return warp(_smoothed(grey(source), homography), homography, size_wh)


def _smoothed(plain: Pixels, homography: Homography) -> Pixels:
    scale = float(np.sqrt(abs(np.linalg.det(homography[:2, :2]))))
    return plain if scale >= 1 else np.asarray(cv2.GaussianBlur(plain, (0, 0), 0.5 / scale), np.uint8)


def warp(pixels: Pixels, homography: Homography, size_wh: tuple[int, int],
         interpolation: int = cv2.INTER_LINEAR) -> Pixels:
    """An image moved by a homography, black where it shows nothing. OpenCV counts from pixel centres."""
    matrix = np.linalg.inv(_CENTRE) @ homography @ _CENTRE
    moved = cv2.warpPerspective(pixels, matrix, size_wh, flags=interpolation)
    return np.asarray(moved, np.uint8)


def correlation(one: Pixels, other: Pixels) -> float:
    """Pearson's correlation of two sets of grey values of one shape; 0 where one of them is flat or empty.

    >>> round(correlation(np.array([1, 2, 3], np.uint8), np.array([2, 4, 6], np.uint8)), 6)
    1.0
    """
    if one.size < 2:
        return 0.0
    a, b = (values.astype(np.float64).ravel() - values.mean() for values in (one, other))
    norm = np.sqrt((a ** 2).sum() * (b ** 2).sum())
    return float((a * b).sum() / norm) if norm > 0 else 0.0


def _shape_fault(homography: Homography, size_hw: tuple[int, int], limits: Limits) -> str | None:
    """What no two microscopes do: mirrored, folded, or stretched images of one field."""
    height, width = size_hw
    spots = np.array([(x, y) for x in (0, width / 2, width) for y in (0, height / 2, height)], np.float64)
    moved = project_points(spots, homography)
    if not np.isfinite(moved).all():
        return 'the homography folds the field'
    scales = []
    for spot, at in zip(spots, moved, strict=True):
        sides = project_points(spot + np.eye(2), homography) - at
        if np.linalg.det(sides) <= 0:
            return 'the homography mirrors or folds the field'
        scales.append(np.linalg.svd(sides, compute_uv=False))
    largest, smallest = np.max(scales), np.min(scales)
    if largest > limits.max_aspect * smallest:
        return f'the homography stretches the field by {largest / smallest:.1f}, more than {limits.max_aspect:g}'
    return None


def _refusal(found: Registration, limits: Limits) -> str | None:
    overlap = max(found.overlap_of_source, found.overlap_of_target)
    if found.residual_px > limits.max_residual_px:
        return f'residual of {found.residual_px:.1f} px; at most {limits.max_residual_px:g} px are allowed'
    if overlap < limits.min_overlap:
        return f'the fields share {overlap:.0%} of the smaller one; at least {limits.min_overlap:.0%} are needed'
    if found.correlation < limits.min_correlation:
        return (f'grey values of the shared area correlate by {found.correlation:.2f}; at least '
                f'{limits.min_correlation:g} is needed')
    return None
