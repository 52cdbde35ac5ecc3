"""What a bank keeps. Legend: a look is one run's view of one field, with all the cells that it found there.

A cell's id is its look's id times 10,000,000 plus its number in the look, from 1. So the cells of a look are one range
of ids.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import REAL, Double

CELLS_PER_LOOK = 10_000_000
_KNOWN = text('diameter_um IS NOT NULL')
CellId = BigInteger().with_variant(Integer, 'sqlite')  # SQLite's 64-bit row number is called INTEGER


class Base(DeclarativeBase):
    """Common metadata; constraints have names, so that a migration can change them."""

    metadata = MetaData(naming_convention=dict(
        ix='ix_%(table_name)s_%(column_0_N_name)s', uq='uq_%(table_name)s_%(column_0_N_name)s',
        fk='fk_%(table_name)s_%(column_0_name)s', pk='pk_%(table_name)s'))
    type_annotation_map = {float: Double, Any: JSON(none_as_null=True)}


class BankRun(Base):
    """One run of inference. ``digest`` is the SHA-256 of its predictions file: a file is added once."""

    __tablename__ = 'runs'
    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    source: Mapped[str]
    model: Mapped[str]
    config: Mapped[str]
    checkpoint: Mapped[str]
    weights_sha256: Mapped[str | None] = mapped_column(String(64))
    version: Mapped[str]
    device: Mapped[str]
    made: Mapped[str] = mapped_column(String(40))
    """ISO 8601, of the inference."""
    added: Mapped[str] = mapped_column(String(40))
    """ISO 8601, into the bank."""
    min_score: Mapped[float]
    min_scores: Mapped[Any | None]
    """Lowest score by class where it isn't ``min_score``; None where the version that added the run kept none."""
    image_size: Mapped[int | None]
    classes: Mapped[Any]
    leukocytes: Mapped[Any | None]
    attributes: Mapped[Any]
    """The attribute schema, as in the predictions file."""
    fields: Mapped[int]
    cells: Mapped[int]
    """How many the file has."""


class Patient(Base):
    """A patient, by whatever name the laboratory uses."""

    __tablename__ = 'patients'
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Film(Base):
    """A blood film; its name is unique in a bank."""

    __tablename__ = 'films'
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    patient_id: Mapped[int | None] = mapped_column(ForeignKey('patients.id'), index=True)


class BankField(Base):
    """One image of a film."""

    __tablename__ = 'fields'
    __table_args__ = (UniqueConstraint('film_id', 'name'),)
    id: Mapped[int] = mapped_column(primary_key=True)
    film_id: Mapped[int] = mapped_column(ForeignKey('films.id'))
    name: Mapped[str]
    path: Mapped[str | None]
    sha256: Mapped[str | None] = mapped_column(String(64))
    width_px: Mapped[int]
    height_px: Mapped[int]
    um_per_px_x: Mapped[float | None]
    um_per_px_y: Mapped[float | None]
    """Micrometres that a pixel is wide and high; None where that isn't known."""
    intensity: Mapped[str | None]
    """How the file's samples became 8 bits in the newest run; None where they have 8."""


class Look(Base):
    """One run's view of one field. Only the newest look at a field counts; the earlier ones stay."""

    __tablename__ = 'looks'
    __table_args__ = (UniqueConstraint('run_id', 'field_id'),)
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey('runs.id'))
    field_id: Mapped[int] = mapped_column(ForeignKey('fields.id'), index=True)
    newest: Mapped[bool]
    compared: Mapped[bool]
    """Whether cells that other fields of the film show as well were looked for."""


class CellType(Base):
    """The name of a type of cells."""

    __tablename__ = 'types'
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class BankAttribute(Base):
    """A morphological attribute."""

    __tablename__ = 'attributes'
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)


class AttributeValue(Base):
    """One value of an attribute."""

    __tablename__ = 'attribute_values'
    __table_args__ = (UniqueConstraint('attribute_id', 'name'),)
    id: Mapped[int] = mapped_column(primary_key=True)
    attribute_id: Mapped[int] = mapped_column(ForeignKey('attributes.id'))
    name: Mapped[str]


class BankCell(Base):
    """One cell as one look found it.

    ``type_id`` is the model's; ``current_type_id`` is the last reviewer's, at first the model's. ``counted`` is false
    for cells of earlier looks, for cells that another field shows as well (``same_as``) and for what a reviewer called
    no cell. The box and the sizes are the last reviewer's; the model's box is the old value of the first review about
    it (:func:`mmleuk.bank.boxes.first_boxes`).

    The database doesn't check the references of this table: that would take longer than the insertion, which writes all
    of a look's rows in one transaction. :func:`mmleuk.bank.checks.problems` does.
    """

    __tablename__ = 'cells'
    __table_args__ = (
        Index('ix_cells_type', 'current_type_id', 'counted', 'score'),
        Index('ix_cells_film', 'film_id', 'current_type_id', 'counted', 'score'),
        Index('ix_cells_score', 'score'),
        Index('ix_cells_size_px', 'size_px'),
        Index('ix_cells_diameter_um', 'diameter_um', sqlite_where=_KNOWN, postgresql_where=_KNOWN))
    id: Mapped[int] = mapped_column(CellId, primary_key=True, autoincrement=False)
    look_id: Mapped[int]
    film_id: Mapped[int]
    x1: Mapped[float]
    y1: Mapped[float]
    x2: Mapped[float]
    y2: Mapped[float]
    size_px: Mapped[float]
    """Square root of the box's area."""
    diameter_um: Mapped[float | None]
    score: Mapped[float]
    type_id: Mapped[int]
    current_type_id: Mapped[int]
    type_probabilities: Mapped[Any | None]
    """One number per class of the run, in its order."""
    novelty: Mapped[float | None]
    """Out-of-distribution score of a model that gives one; larger is less like the training cells."""
    same_as: Mapped[int | None] = mapped_column(CellId)
    """The cell that is counted instead, in another field."""
    counted: Mapped[bool]
    drawn_by: Mapped[str | None]
    """The person who drew it; None where the look's model found it."""


class CellAttribute(Base):
    """One attribute of one cell; no row where it is unknown.

    The key is the question's order: cells with a value. A cell's attributes are found by asking for every value.
    """

    __tablename__ = 'cell_attributes'
    __table_args__ = (dict(sqlite_with_rowid=False),)
    value_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """The last reviewer's, at first the model's."""
    cell_id: Mapped[int] = mapped_column(CellId, primary_key=True, autoincrement=False)
    model_value_id: Mapped[int | None]
    """The model's; None where only a reviewer said something."""
    prob: Mapped[float | None] = mapped_column(REAL)
    """The model's probability of its value."""


class Embedding(Base):
    """A cell's feature vector, float32, lowest byte first; of one length per run."""

    __tablename__ = 'embeddings'
    cell_id: Mapped[int] = mapped_column(CellId, primary_key=True, autoincrement=False)
    vector: Mapped[bytes] = mapped_column(LargeBinary)


class BankReview(Base):
    """What a person said about a cell. Rows are only added: the database refuses to change or delete one."""

    __tablename__ = 'reviews'
    id: Mapped[int] = mapped_column(primary_key=True)
    cell_id: Mapped[int] = mapped_column(CellId, ForeignKey('cells.id'), index=True)
    who: Mapped[str]
    at: Mapped[str] = mapped_column(String(40))
    """ISO 8601."""
    subject: Mapped[str]
    """'type', 'cell', 'box' or an attribute's key."""
    old_value: Mapped[str | None]
    new_value: Mapped[str | None]
    note: Mapped[str]


class ReviewedRegion(Base):
    """A rectangle of a field in which a person says that every cell of a look is answered and none is missing.

    Rows are only added. One that names an earlier one in ``withdraws`` takes it back.
    """

    __tablename__ = 'reviewed_regions'
    id: Mapped[int] = mapped_column(primary_key=True)
    look_id: Mapped[int] = mapped_column(ForeignKey('looks.id'), index=True)
    who: Mapped[str]
    at: Mapped[str] = mapped_column(String(40))
    """ISO 8601."""
    x1: Mapped[float]
    y1: Mapped[float]
    x2: Mapped[float]
    y2: Mapped[float]
    withdraws: Mapped[int | None] = mapped_column(ForeignKey('reviewed_regions.id'))


class ReviewWork(Base):
    """What an answer on the page cost its author: seconds of work, clicks and keys since the answer before."""

    __tablename__ = 'review_work'
    id: Mapped[int] = mapped_column(primary_key=True)
    film_id: Mapped[int] = mapped_column(ForeignKey('films.id'), index=True)
    who: Mapped[str]
    at: Mapped[str] = mapped_column(String(40))
    """ISO 8601."""
    seconds: Mapped[float]
    clicks: Mapped[int]
    keys: Mapped[int]
