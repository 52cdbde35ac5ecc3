"""Rendered blood films: 14 classes of leukocytes whose look follows from their attributes.

One film's journey: ``classes.py`` (what classes look like) -> ``looks.py`` (one cell's features) -> ``leukocytes.py``,
``nucleus.py``, ``artifacts.py`` (its pixels) -> ``film.py`` (a whole film) -> ``camera.py`` (its photograph) ->
``writer.py`` (its annotations, and a whole data set).
"""

from mmleuk.synthetic.film import Cell, Film, render_film
from mmleuk.synthetic.writer import synthesize

__all__ = ['Cell', 'Film', 'render_film', 'synthesize']
