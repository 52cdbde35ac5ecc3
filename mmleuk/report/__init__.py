"""Predictions -> words, tables and pages for people.

Nothing here needs a model: ``statistics`` counts, ``sentence`` describes, ``page`` and ``evaluation_page`` fill the
templates, ``evaluation_plots``, ``evaluation_pictures``, ``comparison`` and ``pseudo_labels`` draw.
"""
