"""Folders of drawn cells."""

import pytest
from drawn_cells import draw_cells


@pytest.fixture
def cells(tmp_path):
    """``train`` and ``val`` below ``wbc_seg``, as the public data set has them."""
    draw_cells(tmp_path / 'wbc_seg' / 'train', 16)
    draw_cells(tmp_path / 'wbc_seg' / 'val', 4, seed=1)
    return tmp_path / 'wbc_seg'
