"""What all tests of transforms need."""

import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def mmdet_scope():
    """As every config's default_scope; without it a test passes only after another that set one."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield
