"""Predictions -> words, tables and pictures for people.

Everything here works on :class:`~mmleuk.structures.prediction.Prediction` objects and needs no model:
``statistics`` counts, ``sentence`` describes, ``drawing`` paints, ``page`` lays out, ``files`` writes, ``cli`` wires.
"""
