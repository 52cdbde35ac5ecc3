"""The morphology bank (LLD 4.2): the cells of many films in a database that can be asked.

``tables`` says what is kept, ``connection`` opens a bank, ``adding`` writes predictions into it, ``same_cells`` counts
a cell that two fields show once, ``queries``, ``similar`` and ``exporting`` read, ``reviews`` notes what people say,
``standing`` tells which of it was not taken back. SQLite in a file, or PostgreSQL by its URL; ``migrations`` brings
banks of earlier versions up to date. Needs the extra ``bank``.
"""

from mmleuk.errors import UserError

try:
    import alembic  # noqa: F401
    import sqlalchemy  # noqa: F401
except ModuleNotFoundError as error:
    raise UserError(f"a bank needs {error.name}, which is not installed; run pip install 'mmleuk[bank]'") from error
