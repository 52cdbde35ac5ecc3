"""Tiny inputs for tests: records, results of a pipeline, data samples."""

from mmleuk.testing.samples import random_record, tiny_results, tiny_sample

__all__ = ['random_record', 'tiny_results', 'tiny_sample']
