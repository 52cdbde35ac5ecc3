"""Annotations carried from one microscope's image to another's of the same field."""
