"""Repeat factors, beside MMEngine's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from mmengine.dataset import ClassBalancedDataset

from mmleuk.transforms.repeat_factors import cells_per_image, repeat_factors


class Counted:
    """A data set with these cells, in the form that MMEngine asks for."""

    def __init__(self, counts):
        self.counts = counts
        self.metainfo = dict(classes=tuple(map(str, range(counts.shape[1]))))

    def __len__(self):
        return len(self.counts)

    def get_cat_ids(self, index):
        return np.flatnonzero(self.counts[index]).tolist()

    def get_data_info(self, index):
        labels = np.repeat(np.arange(self.counts.shape[1]), self.counts[index])
        return dict(instances=[dict(bbox_label=label, ignore_flag=0) for label in labels])


@given(arrays(int, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.integers(0, 3)), st.floats(0, 1))
def test_they_are_mmengines(counts, threshold):
    dataset = Counted(counts)
    assert np.array_equal(cells_per_image(dataset), counts)
    theirs = ClassBalancedDataset._get_repeat_factors(dataset_holder(dataset), dataset, threshold)
    assert repeat_factors(counts, threshold) == pytest.approx(theirs)


def dataset_holder(dataset):
    holder = ClassBalancedDataset.__new__(ClassBalancedDataset)
    holder.dataset = dataset
    return holder


def test_without_images_or_cells():
    assert repeat_factors(np.zeros((0, 3), int), 1.0).tolist() == []
    assert repeat_factors(np.zeros((2, 3), int), 1.0).tolist() == [1.0, 1.0]
    assert cells_per_image(Counted(np.zeros((0, 2), int))).shape == (0, 2)
