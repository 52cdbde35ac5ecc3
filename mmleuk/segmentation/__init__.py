"""Masks of cell parts predicted for images, and what is written about them (``mmleuk segment``)."""
