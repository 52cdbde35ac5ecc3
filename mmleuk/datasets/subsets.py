"""The 13 subsets of the Large Leukemia Dataset by name (LLD, Table 2 and section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass

from mmleuk.errors import UserError

SPLITS = ('train', 'test')


@dataclass(frozen=True)
class Subset:
    """One subset; :func:`mmleuk.datasets.release.find_files` looks up where its files lie.

    Args:
        name: MICROSCOPE_MAGNIFICATION_CAMERA, with ``_Sparse`` for Sparse-LeukemiaAttri.
        microscope: 'HCM' (Olympus CX23, high cost) or 'LCM' (XSZ-107BN, low cost).
        magnification: of the objective, e.g. 40.
        camera: model behind C1 or C2.
        images: number of images, with the papers' precision (2.4k in Table 2).
        is_sparse: only a patch of each training image is annotated.
    """

    name: str
    microscope: str
    magnification: int
    camera: str
    images: int
    is_sparse: bool = False

    @property
    def release_name(self) -> str:
        """The name of its folder in the release, such as ``H_100X_C2`` for ``HCM_100x_C2``."""
        microscope, magnification, *rest = self.name.split('_')
        return '_'.join([microscope[0], magnification.upper(), *rest])

    def ann_file(self, split: str) -> str:
        """Annotation file of a split as released, relative to the data root."""
        return f'{self.release_name}/json_labels/{known_split(split)}.json'

    def img_prefix(self, split: str) -> str:
        """Folder of a split's images as released, relative to the data root."""
        return f'{self.release_name}/Images/{known_split(split)}'

    def annotation(self, split: str) -> str:
        """'sparse' where only patches are annotated, else 'complete'."""
        return 'sparse' if self.is_sparse and known_split(split) == 'train' else 'complete'


CAMERAS = {'HCM': {'C1': 'Honor 9X Lite', 'C2': 'HD1500T'}, 'LCM': {'C1': 'Honor 9X Lite', 'C2': 'ZZCAT-5MP'}}

SUBSETS: dict[str, Subset] = {subset.name: subset for subset in (
    *(Subset(f'{microscope}_{magnification}x_{short}', microscope, magnification, camera, images=2400)
      for microscope, cameras in CAMERAS.items() for magnification in (100, 40, 10)
      for short, camera in cameras.items()),
    Subset('HCM_40x_C2_Sparse', 'HCM', 40, CAMERAS['HCM']['C2'], images=1546 + 185, is_sparse=True))}


def get_subset(name: str) -> Subset:
    """Subset of that name, ours or the release's, in any case.

    Raises:
        UserError: there is no such subset. The message lists the 13.

    Example:
        >>> get_subset('LCM_100x_C2').camera, get_subset('l_100x_c2').name
        ('ZZCAT-5MP', 'LCM_100x_C2')
    """
    for subset in SUBSETS.values():
        if name.casefold() in (subset.name.casefold(), subset.release_name.casefold()):
            return subset
    raise UserError(f'unknown subset {name!r}; the 13 are {", ".join(SUBSETS)} (in the release H_100X_C1 and so on)')


def known_split(split: str) -> str:
    """The split's name; a UserError where the release has none of that name."""
    if split not in SPLITS:
        raise UserError(f'unknown split {split!r}; the release has {" and ".join(SPLITS)}')
    return split
