"""Attributes of cells: features from boxes or crops, one classifier, and heads that combine them."""

from mmleuk.models.attributes.attri_head import AttriHead
from mmleuk.models.attributes.concept_bottleneck import ConceptBottleneck
from mmleuk.models.attributes.most_frequent import MostFrequentValues
from mmleuk.models.attributes.recognizer import AttributeRecognizer
from mmleuk.models.attributes.structure_recognizer import StructureAwareRecognizer

__all__ = ['AttriHead', 'AttributeRecognizer', 'ConceptBottleneck', 'MostFrequentValues',
           'StructureAwareRecognizer']
