"""The page to try a model: the queue, its limits, and the page in Chromium with the model in the package."""

import re
import threading
from urllib.request import urlopen

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from mmleuk import cli
from mmleuk.desk.jobs import Film, Films, Limits
from mmleuk.desk.pages import served
from mmleuk.desk.serve_app import serve_app
from mmleuk.errors import UserError


@pytest.fixture
def films():
    """Makes queues that read nothing; ``go`` lets the first film wait."""
    made = []

    def make(reader, **limits):
        made.append(Films(reader, Limits(**limits)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def empty_reader(paths, names, out, progress):
    (out / 'report.html').write_text('<p>report</p>')
    progress(len(paths))
    return dict(sentence='none', evidence='', fields=[])


def client_of(films):
    return TestClient(serve_app(films, 'm.py'), base_url='http://127.0.0.1')


def png(folder, name='a.png', size=(20, 10)):
    Image.new('RGB', size, 'pink').save(folder / 'image.png')
    return name, (folder / 'image.png').read_bytes(), 'image/png'


def send(client, *images):
    return client.post('/api/films', files=[('images', image) for image in images])


def wait_for(client, number, state):
    film = {}
    for _ in range(2000):
        film = client.get(f'/api/films/{number}').json()
        if film['state'] == state:
            return film
        threading.Event().wait(0.01)
    raise AssertionError(film)


def test_a_film_is_read_and_its_results_stay(films, tmp_path):
    queue = films(empty_reader, kept=1)
    client = client_of(queue)
    numbers = [send(client, png(tmp_path, '../../../etc/<b>x</b>.png'), png(tmp_path)).json()['id']]
    film = wait_for(client, numbers[0], 'done')
    assert film['names'] == ['b>.png', 'a.png'] and (film['done'], film['images']) == (2, 2)
    report = client.get(f'/api/films/{numbers[0]}/report.html')
    assert report.text == '<p>report</p>' and 'script-src' not in report.headers['content-security-policy']
    for path in ('../0001.png', '%2e%2e/0001.png', '..%2f0001.png', '/etc/passwd', '%2fetc%2fpasswd'):
        assert client.get(f'/api/films/{numbers[0]}/{path}').status_code in (400, 404), path
    for _ in range(2):
        numbers.append(send(client, png(tmp_path)).json()['id'])
        wait_for(client, numbers[-1], 'done')
    assert client.get(f'/api/films/{numbers[0]}').status_code == 400, 'the oldest is gone'


def test_the_queue(films, tmp_path):
    go = threading.Event()

    def slow(paths, names, out, progress):
        assert go.wait(20)
        return empty_reader(paths, names, out, progress)

    queue = films(slow, waiting=2)
    client = client_of(queue)
    numbers = [send(client, png(tmp_path)).json()['id']]
    wait_for(client, numbers[0], 'running')
    numbers += [send(client, png(tmp_path)).json()['id'] for _ in range(2)]
    assert [client.get(f'/api/films/{number}').json()['before'] for number in numbers] == [0, 0, 1]
    refused = send(client, png(tmp_path))
    assert refused.status_code == 400 and 'the queue is full (2 films wait)' in refused.json()['error']
    go.set()
    assert [wait_for(client, number, 'done')['state'] for number in numbers] == ['done'] * 3


@pytest.mark.parametrize(('names', 'limits', 'status', 'said'), [
    (['a.txt'], {}, 400, 'a.txt: is no image that is read here'), (['a.png'] * 3, dict(images=2), 400, 'at most 2'),
    (['a.png'], dict(megapixels=0.0001), 400, 'megapixels'), (['a.png'], dict(megabytes=-0.1999), 413, 'larger than'),
    ([], {}, 422, 'images')])
def test_limits(films, tmp_path, names, limits, status, said):
    client = client_of(films(empty_reader, **limits))
    answer = send(client, *(png(tmp_path, name) for name in names))
    assert answer.status_code == status and said in answer.json()['error']


def test_what_is_no_image(films, tmp_path):
    client = client_of(films(empty_reader))
    answer = send(client, ('<i>.png', b'<svg onload=alert(1)>', 'image/png'))
    assert answer.json()['error'] == '<i>.png: cannot be read as an image; send it as PNG, JPEG or TIFF'
    assert answer.headers['content-type'] == 'application/json'


def test_each_image_has_a_name_of_its_own(films):
    queue = films(empty_reader)
    film = queue.new()
    for name in ('a.png', '3 a.png', 'a.png', 'x/a.png'):
        queue.add_image(film, name)
    assert len(set(film.names)) == 4 and film.names[:2] == ['a.png', '3 a.png']


def test_a_failure_does_not_end_the_queue(films, tmp_path):
    def reader(paths, names, out, progress):
        if names[0] == 'bad.png':
            raise UserError(f'{paths[0]}: broken')
        if names[0] == 'worse.png':
            raise ZeroDivisionError
        return empty_reader(paths, names, out, progress)

    client = client_of(films(reader))
    bad, worse, good = (send(client, png(tmp_path, name)).json()['id'] for name in ('bad.png', 'worse.png', 'a.png'))
    assert wait_for(client, bad, 'failed')['error'] == '0001.png: broken', 'no path of the server'
    assert 'its log says why' in wait_for(client, worse, 'failed')['error']
    wait_for(client, good, 'done')


def film_of(queue, folder):
    film = queue.new()
    queue.add_image(film, 'a.png').write_bytes(png(folder)[1])
    return film


def test_a_film_without_space_for_results_does_not_end_the_queue(films, tmp_path):
    queue = films(empty_reader)
    film = film_of(queue, tmp_path)
    film.results.touch()  # no folder can be made there
    queue.submit(film)
    assert 'the server failed' in wait_for(client_of(queue), film.id, 'failed')['error']
    other = film_of(queue, tmp_path)
    queue.submit(other)
    wait_for(client_of(queue), other.id, 'done')


def test_a_full_disk_keeps_nothing_of_a_film(films, tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(28, 'No space left on device')

    queue = films(empty_reader)
    kept = queue.new().folder.parent
    monkeypatch.setattr('mmleuk.desk.serve_app.shutil.copyfileobj', full)
    with pytest.raises(OSError, match='No space left'):
        send(client_of(queue), png(tmp_path))
    assert len(list(kept.iterdir())) == 1


def test_a_film_may_come_while_the_films_are_counted(films, tmp_path):
    """The first film's state is read while the films are counted; meanwhile another one is sent."""
    class Watched(Film):
        def __getattribute__(self, name):
            if name == 'state' and threading.current_thread() is threading.main_thread() and not coming.is_alive():
                coming.start()
                coming.join(0.5)
            return super().__getattribute__(name)

    go = threading.Event()
    queue = films(lambda *args: go.wait(20) and {})
    first, second = film_of(queue, tmp_path), film_of(queue, tmp_path)
    coming = threading.Thread(target=lambda: queue.submit(second))
    queue._films['watched'] = Watched('watched', tmp_path)
    assert queue.position(first) == 0
    coming.join(10)
    go.set()
    wait_for(client_of(queue), second.id, 'done')


def test_serving_leaves_the_log_of_its_process_alone(films, tmp_path):
    """TensorBoard brings absl, whose handler closes its stream when somebody sets up logging again."""
    absl_logging = pytest.importorskip('absl.logging', reason='needs absl-py (pip install absl-py)')
    with (tmp_path / 'log.txt').open('w') as stream:
        handler = absl_logging.PythonHandler(stream)
        with served(serve_app(films(empty_reader), 'm.py')) as address:
            assert urlopen(address, timeout=20).status == 200
        assert not stream.closed
        del handler


def test_the_command_refuses(capsys, monkeypatch):
    monkeypatch.setattr('mmleuk.desk.pages.listen', lambda *_: pytest.fail('it serves'))
    for words, said in ((['only.py'], 'a config and its checkpoint'), (['--max-images', '0'], '--max-images 0'),
                        (['--max-megabytes', 'nan'], '--max-megabytes nan: must be a number above 0'),
                        (['--max-megapixels', 'inf'], '--max-megapixels inf: must be')):
        assert cli.main(['serve', *words]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.slow
def test_the_page_with_the_model_in_the_package(browser, films, tmp_path):
    from desk_fixtures import render_films

    from mmleuk.apis import Inferencer
    from mmleuk.commands.serve import FilmReader
    render_films(tmp_path / 'films', train=1)
    image = next(path for path in (tmp_path / 'films/images').rglob('*.*') if path.is_file())
    faults = []
    with served(serve_app(films(FilmReader(Inferencer(device='cpu'))), 'm')) as address:
        for width in (1280, 390):
            page = browser.new_page(viewport=dict(width=width, height=900))
            page.on('pageerror', lambda error: faults.append(str(error)))
            page.on('request', lambda request: None if request.url.startswith((address, 'data:'))
                    else faults.append(request.url))
            page.goto(address)
            page.locator('body[data-ready]').wait_for()
            page.set_input_files('#choose', [dict(name=f'<b>1</b>{image.suffix}', mimeType='image/png',
                                                  buffer=image.read_bytes())])
            page.locator('.job.done img').first.wait_for(timeout=120_000)
            assert page.locator('.job h2 b').count() == 0
            assert re.search(r'\d+ cells?,', page.locator('.job').inner_text())
            page.locator('summary').click()
            assert page.frame_locator('iframe').locator('h1').inner_text() == 'Blood-film report'
            assert page.evaluate('() => document.documentElement.scrollWidth') <= width
            page.set_input_files('#choose', [dict(name='a.png', mimeType='image/png', buffer=b'nothing')])
            page.locator('.job.failed').wait_for()
            assert 'cannot be read as an image' in page.locator('.job.failed').inner_text()
            page.close()
    assert faults == []
