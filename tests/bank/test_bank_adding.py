"""What goes into a bank comes out of it, on SQLite and on PostgreSQL alike."""

import gc
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from bank_fixtures import small_run
from run_fixtures import make_cell
from sqlalchemy import select, text

from mmleuk.bank import adding
from mmleuk.bank import connection as connection_module
from mmleuk.bank.adding import add_run
from mmleuk.bank.checks import problems
from mmleuk.bank.connection import Bank, alembic_config, newest_revision, upgrade
from mmleuk.bank.queries import Wanted, count_cells, find_cells
from mmleuk.bank.tables import BankField, BankRun, Base, Look, Patient
from mmleuk.errors import UserError
from mmleuk.structures.prediction import Prediction, Run


def add(bank, run, digest='d', film='film 1', **kwargs):
    return add_run(bank, run, {p.image: film for p in run.predictions}, digest, 'predictions.json', **kwargs)


def everything(bank, **wanted):
    with bank.reading() as connection:
        assert problems(connection) == []
        return find_cells(connection, Wanted(uncounted=True, **wanted))


def test_cells_come_back_as_they_were(where):
    bank, run = Bank(where, create=True), small_run()
    added = add(bank, run, patient='P 7')
    assert (added.fields, added.cells, added.new) == (2, 4, True)
    found = {(cell.field, cell.box): cell for cell in everything(bank)}
    assert len(found) == 4
    for prediction in run.predictions:
        for cell in prediction.cells:
            got = found[prediction.image, cell.box]
            assert (got.score, got.type, got.model_type) == (cell.score, cell.class_name, cell.class_name)
            known = {key: (r['value'], r['prob']) for key, r in cell.attributes.items() if r['value_index'] >= 0}
            assert {key: value for key, (value, _) in got.attributes.items()} == {
                key: value for key, (value, _) in known.items()}
            assert [got.attributes[key][1] for key in known] == pytest.approx([prob for _, prob in known.values()])
            assert (got.film, got.patient, got.counted, got.reviews) == ('film 1', 'P 7', True, 0)
            assert got.size_px == pytest.approx(
                ((cell.box[2] - cell.box[0]) * (cell.box[3] - cell.box[1])) ** 0.5)
    with bank.reading() as connection:
        stored = connection.execute(select(BankRun)).one()
    assert stored.classes == list(run.info.classes) and stored.attributes == run.info.schema.to_dict()
    assert (stored.min_score, stored.made, stored.leukocytes) == (0.25, run.info.created, None)
    bank.close()


def test_a_field_keeps_its_scale(where):
    """A run that doesn't know the scale says nothing about it; one that measured it again does."""
    bank, run, stored = Bank(where, create=True), small_run(), []
    for digest, scale in (('one', (0.2, 0.1)), ('two', None), ('three', (0.21, 0.11))):
        of_scale = replace(run, predictions=tuple(replace(p, um_per_px=scale) for p in run.predictions))
        assert add(bank, of_scale, digest).new
        with bank.reading() as connection:
            rows = connection.execute(select(BankField.um_per_px_x, BankField.um_per_px_y)).all()
        stored.append(sorted({tuple(row) for row in rows}, key=str))
    assert stored == [[(0.2, 0.1)], [(0.2, 0.1)], [(0.21, 0.11)]]
    bank.close()


def test_probabilities_novelty_and_hashes_are_kept(where, tmp_path):
    (tmp_path / 'w.pth').write_bytes(b'weights')
    run = small_run()
    probs = tuple(np.linspace(0, 1, len(run.info.classes)).tolist())
    cell = replace(run.predictions[0].cells[0], class_probs=probs, novelty=1.5, embedding=(0.25, -1.0))
    info = replace(run.info, checkpoint=str(tmp_path / 'w.pth'), leukocytes=('Myeloblast',))
    bank = Bank(where, create=True)
    add(bank, Run(info, (Prediction('a.png', (9, 9), (cell,)),)))
    got, = everything(bank)
    assert got.type_probabilities == probs and got.novelty == 1.5
    with bank.reading() as connection:
        vector, = connection.execute(text('SELECT vector FROM embeddings')).one()
        stored = connection.execute(select(BankRun)).one()
    assert np.frombuffer(vector, '<f4').tolist() == [0.25, -1.0]
    assert stored.weights_sha256 == hashlib.sha256(b'weights').hexdigest()
    assert stored.leukocytes == ['Myeloblast']


def test_a_file_is_added_once(where):
    bank, run = Bank(where, create=True), small_run()
    first, again = add(bank, run), add(bank, run)
    assert (again.new, again.run_id, again.fields, again.film_ids) == (False, first.run_id, 2, first.film_ids)
    assert len(everything(bank)) == 4


def test_no_images_and_no_cells(where):
    bank, run = Bank(where, create=True), small_run()
    assert add(bank, Run(run.info), 'none').cells == 0
    assert add(bank, Run(run.info, (Prediction('empty.png', (10, 10)),)), 'empty').fields == 1
    assert everything(bank) == []
    with bank.reading() as connection:
        assert len(connection.execute(select(Look)).all()) == 1 and count_cells(connection, Wanted()) == {}


def test_a_newer_run_counts_and_the_older_stays(where):
    bank = Bank(where, create=True)
    add(bank, small_run(), 'old')
    add(bank, small_run(score=0.5, images=('a.png',)), 'new')
    with bank.reading() as connection:
        assert count_cells(connection, Wanted()) == {'Lymphoblast': 1, 'Myeloblast': 1, 'Neutrophil': 1, 'None': 1}
        assert {c.score for c in find_cells(connection, Wanted(types=['Myeloblast']))} == {0.5}
        assert sum(count_cells(connection, Wanted(uncounted=True)).values()) == 7
    assert len(everything(bank, run=1)) == 4 and len(everything(bank, run=2)) == 3


def test_what_contradicts_the_bank_is_refused_whole(where, tmp_path):
    bank = Bank(where, create=True)
    add(bank, small_run(), patient='P 1')
    before = everything(bank)
    with pytest.raises(UserError, match='another patient'):
        add(bank, small_run(images=('c.png',)), 'other', patient='P 2')
    larger = Run(small_run().info, (Prediction('new.png', (5, 5)), Prediction('b.png', (999, 200))))
    with pytest.raises(UserError, match="another image called 'b.png'"):
        add(bank, larger, 'larger')
    assert everything(bank) == before
    with bank.reading() as connection:
        assert len(connection.execute(select(BankField)).all()) == 2
        assert connection.scalars(select(Patient.name)).all() == ['P 1']
        assert connection.scalars(select(BankRun.digest)).all() == ['d']


def test_the_tables_are_those_of_the_migrations(where):
    bank = Bank(where, create=True)
    with bank.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=dict(compare_type=True))
        assert compare_metadata(context, Base.metadata) == []
        assert context.get_current_revision() == newest_revision()


def test_an_earlier_bank_is_upgraded_and_keeps_its_cells(where):
    """A bank as revision 0001 made it: refused with the command that helps, and whole afterwards."""
    bank = Bank(where, create=True)
    add(bank, small_run())
    before = everything(bank)
    with bank.engine.connect() as connection, connection.begin():
        config = alembic_config()
        config.attributes['connection'] = connection
        command.downgrade(config, '0001')
    bank.close()
    with pytest.raises(UserError, match='mmleuk bank upgrade'):
        Bank(where)
    assert upgrade(where) == ('0001', newest_revision())
    assert upgrade(where) == (newest_revision(), newest_revision())
    assert everything(Bank(where)) == before


def test_the_database_refuses_to_change_or_delete_a_review(where):
    bank = Bank(where, create=True)
    cell = add(bank, small_run()) and everything(bank)[0].id
    with bank.writing() as connection:
        connection.execute(text('INSERT INTO reviews (cell_id, who, at, subject, new_value, note) '
                                f"VALUES ({cell}, 'A', '2026', 'type', 'None', '')"))
    for statement in ("UPDATE reviews SET who = 'B'", 'DELETE FROM reviews'):
        with pytest.raises(UserError, match='reviews are only added'), bank.writing() as connection:
            connection.execute(text(statement))
    assert everything(bank, cells=[cell])[0].reviews == 1


@pytest.mark.parametrize(('name', 'content', 'words'), [
    ('missing.db', None, 'no such bank'), ('text.db', b'hello, this is no bank', 'is no SQLite file'),
    ('empty.db', b'', 'is no bank'),
    ('broken.db', b'SQLite format 3\0' + bytes(range(256)) * 20, 'the database refuses')])
def test_what_is_no_bank_is_not_opened(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words):
        Bank(tmp_path / name)


@pytest.mark.parametrize('url', ['mysql://a@b/c', 'postgresql://nobody@/none?host=/no/such/folder', '://'])
def test_a_wrong_url_is_one_line(url):
    with pytest.raises(UserError) as caught:
        Bank(url, create=True)
    assert '\n' not in str(caught.value) and url.split('?')[0] in str(caught.value)


WRITER = """
import sys
from dataclasses import replace
from mmleuk.bank import adding
from mmleuk.bank.adding import add_run
from mmleuk.bank.connection import Bank
from mmleuk.structures.prediction_files import from_json
where, path, name, times = sys.argv[1:]
run = from_json(path)
bank = Bank(where, create=True)
print('ready', flush=True)
sys.stdin.readline()
for number in range(int(times)):
    images = [replace(p, image=f'{name}_{number}_{p.image}') for p in run.predictions]
    films = {p.image: f'film {(number + int(name)) % 3}' for p in images}
    add_run(bank, replace(run, predictions=tuple(images)), films, f'{name} {number}', path)
    print('added', flush=True)
"""


def start_writer(where, path, name, times):
    return subprocess.Popen([sys.executable, '-c', WRITER, where, str(path), str(name), str(times)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ)


def write_predictions(path, n_images, n_cells):
    from mmleuk.structures.prediction_files import to_json
    run = small_run()
    cells = tuple(make_cell('Myeloblast', nucleolus=i % 2, box=(i, 0., i + 10., 9.)) for i in range(n_cells))
    return to_json(Run(run.info, tuple(Prediction(f'{n}.png', (100, 9999), cells) for n in range(n_images))), path)


def test_two_writers_at_once_lose_nothing(where, tmp_path):
    """Three processes, the same films, a bank that isn't there yet."""
    path = write_predictions(tmp_path / 'p.json', 3, 20)
    writers = [start_writer(where, path, name, 6) for name in range(3)]
    for writer in writers:
        assert writer.stdout.readline() == 'ready\n'
    for writer in writers:
        writer.stdin.write('go\n')
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=120)
        assert writer.returncode == 0
    cells = everything(Bank(where))
    assert len(cells) == 3 * 6 * 3 * 20 == len({cell.id for cell in cells})
    assert len({(cell.film, cell.field) for cell in cells}) == 54
    assert all(cell.counted for cell in cells)


def test_who_makes_the_same_bank_waits_for_the_other(tmp_path, monkeypatch):
    """SQLite refuses to open a write-ahead log at once while another process makes its first tables."""
    where = tmp_path / 'bank.db'
    other = sqlite3.connect(where, isolation_level=None)
    other.execute('BEGIN IMMEDIATE')
    waited = []

    def pause(seconds):
        waited.append(seconds)
        if len(waited) == 3:
            other.execute('COMMIT')
    monkeypatch.setattr(connection_module.time, 'sleep', pause)
    bank = Bank(where, create=True)
    assert len(waited) == 3 and add(bank, small_run()).new
    other.execute('BEGIN IMMEDIATE')  # once there is a log, an open transaction keeps nobody from reading
    assert len(everything(Bank(where))) == 4 and len(waited) == 3
    monkeypatch.setattr(connection_module, 'WAIT_SECONDS', 0)
    busy = sqlite3.connect(tmp_path / 'busy.db', isolation_level=None)
    busy.execute('BEGIN IMMEDIATE')
    with pytest.raises(UserError, match='database is locked'):
        Bank(tmp_path / 'busy.db', create=True)
    other.close()
    busy.close()


@pytest.mark.parametrize('after', [0.0, 0.02, 0.08])
def test_a_killed_writer_leaves_a_consistent_bank(where, tmp_path, after):
    path = write_predictions(tmp_path / 'p.json', 20, 400)  # 8,000 cells per run, some tenths of a second
    writer = start_writer(where, path, 0, 1000)
    assert writer.stdout.readline() == 'ready\n'
    writer.stdin.write('go\n')
    writer.stdin.flush()
    assert writer.stdout.readline() == 'added\n'
    deadline = time.monotonic() + after
    while time.monotonic() < deadline:  # into the next addition, at another point of it
        pass
    writer.send_signal(signal.SIGKILL)
    added = 1 + writer.communicate()[0].count('added')
    bank = Bank(where)
    with bank.reading() as connection:
        assert problems(connection) == []
        runs = len(connection.execute(select(BankRun)).all())
        cells = sum(count_cells(connection, Wanted()).values())
    assert runs in (added, added + 1)  # killed between the commit and the message
    assert cells == 8000 * runs
    assert add(bank, small_run(), 'later').new  # and it can be written to
    bank.close()


def indices_are_there(bank):
    with bank.engine.connect() as connection:
        return compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_a_large_run_makes_the_indices_afterwards(where, monkeypatch):
    """The answers and the tables are the same as with indices that are kept up to date."""
    bank = Bank(where, create=True)
    add(bank, small_run(), 'first')
    monkeypatch.setattr(adding, '_CHUNK', 2)
    add(bank, small_run(images=('c.png', 'd.png', 'e.png', 'f.png')), 'second')
    assert indices_are_there(bank) and gc.isenabled()
    with bank.reading() as connection:
        assert count_cells(connection, Wanted()) == {'Lymphoblast': 4, 'Myeloblast': 2, 'Neutrophil': 2, 'None': 2}
        assert count_cells(connection, Wanted(max_score=0.6)) == {'None': 2} and problems(connection) == []


CRASH = """
import os, signal, sys
from mmleuk.bank import adding
from mmleuk.bank.bulk import bulk_insert
from mmleuk.bank.connection import Bank
from mmleuk.structures.prediction_files import from_json
def insert(connection, model, *rest):
    if model is adding.CellAttribute:
        os.kill(os.getpid(), signal.SIGKILL)
    bulk_insert(connection, model, *rest)
adding._CHUNK, adding.bulk_insert = 2, insert
run = from_json(sys.argv[2])
adding.add_run(Bank(sys.argv[1], create=True), run, {p.image: 'F' for p in run.predictions}, 'd', 'p.json')
"""


def test_killed_without_indices(where, tmp_path):
    path = write_predictions(tmp_path / 'p.json', 2, 50)
    assert subprocess.run([sys.executable, '-c', CRASH, where, str(path)], check=False).returncode == -signal.SIGKILL
    bank = Bank(where)
    assert everything(bank) == [] and indices_are_there(bank)
    assert add(bank, small_run(), 'later').new


def test_a_broken_bank_is_seen(where):
    bank = Bank(where, create=True)
    add(bank, small_run())
    with bank.writing() as connection:
        connection.execute(text('DELETE FROM cells WHERE score = 0.7'))
        connection.execute(text('UPDATE looks SET newest = false WHERE id = 1'))
    with bank.reading() as connection:
        assert problems(connection) == ['2 attributes without a cell', '3 counted cells of earlier looks',
                                        '1 runs that lack cells']
