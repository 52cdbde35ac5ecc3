"""The tables of the first version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0001'
down_revision = None
CELL_ID = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    """Make all tables."""
    _names()
    _runs()
    _looks()
    _cells()
    _details()


def _names() -> None:
    """Types, attributes and their values, patients, films."""
    op.create_table(
        'types',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_types'),
        sa.UniqueConstraint('name', name='uq_types_name'))
    op.create_table(
        'attributes',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('key', sa.String(), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_attributes'),
        sa.UniqueConstraint('key', name='uq_attributes_key'))
    op.create_table(
        'attribute_values',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('attribute_id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(), nullable=False),
        sa.ForeignKeyConstraint(['attribute_id'], ['attributes.id'], name='fk_attribute_values_attribute_id'),
        sa.PrimaryKeyConstraint('id', name='pk_attribute_values'),
        sa.UniqueConstraint('attribute_id', 'name', name='uq_attribute_values_attribute_id_name'))
    op.create_table(
        'patients',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_patients'),
        sa.UniqueConstraint('name', name='uq_patients_name'))
    op.create_table(
        'films',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(), nullable=False),
        sa.Column('patient_id', sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(['patient_id'], ['patients.id'], name='fk_films_patient_id'),
        sa.PrimaryKeyConstraint('id', name='pk_films'),
        sa.UniqueConstraint('name', name='uq_films_name'))
    op.create_index('ix_films_patient_id', 'films', ['patient_id'], unique=False)


def _runs() -> None:
    """Runs."""
    op.create_table(
        'runs',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('digest', sa.String(length=64), nullable=False),
        sa.Column('source', sa.String(), nullable=False),
        sa.Column('model', sa.String(), nullable=False),
        sa.Column('config', sa.String(), nullable=False),
        sa.Column('checkpoint', sa.String(), nullable=False),
        sa.Column('weights_sha256', sa.String(length=64), nullable=True),
        sa.Column('version', sa.String(), nullable=False),
        sa.Column('device', sa.String(), nullable=False),
        sa.Column('made', sa.String(length=40), nullable=False),
        sa.Column('added', sa.String(length=40), nullable=False),
        sa.Column('min_score', sa.Double(), nullable=False),
        sa.Column('image_size', sa.Integer(), nullable=True),
        sa.Column('classes', sa.JSON(), nullable=False),
        sa.Column('leukocytes', sa.JSON(), nullable=True),
        sa.Column('attributes', sa.JSON(), nullable=False),
        sa.Column('fields', sa.Integer(), nullable=False),
        sa.Column('cells', sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_runs'),
        sa.UniqueConstraint('digest', name='uq_runs_digest'))


def _looks() -> None:
    """Fields and looks."""
    op.create_table(
        'fields',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('film_id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(), nullable=False),
        sa.Column('path', sa.String(), nullable=True),
        sa.Column('sha256', sa.String(length=64), nullable=True),
        sa.Column('width_px', sa.Integer(), nullable=False),
        sa.Column('height_px', sa.Integer(), nullable=False),
        sa.Column('um_per_px_x', sa.Double(), nullable=True),
        sa.Column('um_per_px_y', sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(['film_id'], ['films.id'], name='fk_fields_film_id'),
        sa.PrimaryKeyConstraint('id', name='pk_fields'),
        sa.UniqueConstraint('film_id', 'name', name='uq_fields_film_id_name'))
    op.create_table(
        'looks',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('run_id', sa.Integer(), nullable=False),
        sa.Column('field_id', sa.Integer(), nullable=False),
        sa.Column('newest', sa.Boolean(), nullable=False),
        sa.Column('compared', sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(['field_id'], ['fields.id'], name='fk_looks_field_id'),
        sa.ForeignKeyConstraint(['run_id'], ['runs.id'], name='fk_looks_run_id'),
        sa.PrimaryKeyConstraint('id', name='pk_looks'),
        sa.UniqueConstraint('run_id', 'field_id', name='uq_looks_run_id_field_id'))
    op.create_index('ix_looks_field_id', 'looks', ['field_id'], unique=False)


def _cells() -> None:
    """Cells."""
    op.create_table(
        'cells',
        sa.Column('id', CELL_ID, autoincrement=False, nullable=False),
        sa.Column('look_id', sa.Integer(), nullable=False),
        sa.Column('film_id', sa.Integer(), nullable=False),
        sa.Column('x1', sa.Double(), nullable=False),
        sa.Column('y1', sa.Double(), nullable=False),
        sa.Column('x2', sa.Double(), nullable=False),
        sa.Column('y2', sa.Double(), nullable=False),
        sa.Column('size_px', sa.Double(), nullable=False),
        sa.Column('diameter_um', sa.Double(), nullable=True),
        sa.Column('score', sa.Double(), nullable=False),
        sa.Column('type_id', sa.Integer(), nullable=False),
        sa.Column('current_type_id', sa.Integer(), nullable=False),
        sa.Column('type_probabilities', sa.JSON(), nullable=True),
        sa.Column('novelty', sa.Double(), nullable=True),
        sa.Column('same_as', CELL_ID, nullable=True),
        sa.Column('counted', sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_cells'))
    known = sa.text('diameter_um IS NOT NULL')
    op.create_index('ix_cells_diameter_um', 'cells', ['diameter_um'], unique=False, sqlite_where=known,
                    postgresql_where=known)
    op.create_index('ix_cells_film', 'cells', ['film_id', 'current_type_id', 'counted', 'score'], unique=False)
    op.create_index('ix_cells_score', 'cells', ['score'], unique=False)
    op.create_index('ix_cells_size_px', 'cells', ['size_px'], unique=False)
    op.create_index('ix_cells_type', 'cells', ['current_type_id', 'counted', 'score'], unique=False)


def _details() -> None:
    """What belongs to a cell."""
    op.create_table(
        'cell_attributes',
        sa.Column('value_id', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('cell_id', CELL_ID, autoincrement=False, nullable=False),
        sa.Column('model_value_id', sa.Integer(), nullable=True),
        sa.Column('prob', sa.REAL(), nullable=True),
        sa.PrimaryKeyConstraint('value_id', 'cell_id', name='pk_cell_attributes'),
        sqlite_with_rowid=False)
    op.create_table(
        'embeddings',
        sa.Column('cell_id', CELL_ID, autoincrement=False, nullable=False),
        sa.Column('vector', sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint('cell_id', name='pk_embeddings'))
    op.create_table(
        'reviews',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('cell_id', CELL_ID, nullable=False),
        sa.Column('who', sa.String(), nullable=False),
        sa.Column('at', sa.String(length=40), nullable=False),
        sa.Column('subject', sa.String(), nullable=False),
        sa.Column('old_value', sa.String(), nullable=True),
        sa.Column('new_value', sa.String(), nullable=True),
        sa.Column('note', sa.String(), nullable=False),
        sa.ForeignKeyConstraint(['cell_id'], ['cells.id'], name='fk_reviews_cell_id'),
        sa.PrimaryKeyConstraint('id', name='pk_reviews'))
    op.create_index('ix_reviews_cell_id', 'reviews', ['cell_id'], unique=False)


def downgrade() -> None:
    """Drop all tables."""
    for name in ('reviews', 'embeddings', 'cell_attributes', 'cells', 'looks', 'fields', 'runs', 'films', 'patients',
                 'attribute_values', 'attributes', 'types'):
        op.drop_table(name)
