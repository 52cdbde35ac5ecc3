"""``mmleuk evaluate`` from files to files; what is unknown is marked; the same input gives the same output."""

import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmleuk import cli
from mmleuk.commands.evaluate import write_evaluation
from mmleuk.datasets.annotations import read_ground_truth
from mmleuk.errors import UserError
from mmleuk.evaluation.detections import from_results
from mmleuk.evaluation.evaluate import Settings, evaluate
from mmleuk.evaluation.tables import CSV_FILES, class_rows, notes, summary, to_dict
from mmleuk.report.evaluation_page import GalleryEntry, render_evaluation
from mmleuk.report.evaluation_pictures import draw_marks, marks_of
from mmleuk.report.evaluation_plots import class_plot, confusion_plot, curve_plot, draw_plots, group_plot
from mmleuk.utils.tables import csv_text

PNG_START = b'\x89PNG\r\n\x1a\n'


@pytest.fixture
def files(tmp_path, make_files):
    """Annotations, predictions and images as they lie on a user's disk."""
    data, results = make_files(11)
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'images').mkdir()
    rng = np.random.default_rng(0)
    for image in data['images']:
        Image.fromarray(rng.integers(0, 255, (200, 200, 3), np.uint8)).save(tmp_path / 'images' / image['file_name'])
    paths = tmp_path / 'annotations' / 'test.json', tmp_path / 'r.bbox.json'
    for path, content in zip(paths, (data, results)):
        path.write_text(json.dumps(content))
    return [str(path) for path in paths]


def run(*argv):
    return cli.main(['evaluate', *map(str, argv)])


def test_everything_is_written(files, tmp_path, capsys):
    out = tmp_path / 'out'
    assert run(*files, '--out', out, '--gallery', '2') == 0
    said = capsys.readouterr().out
    assert said.startswith('mAP 0.') and 'domain' in said and str(out / 'evaluation.html') in said
    plots = {'classes.png', 'pr_curves.png', 'confusion.png', 'errors.png', 'groups.png'}
    assert {path.name for path in out.iterdir() if path.suffix != '.lock'} == {
        'evaluation.html', 'evaluation.json', 'worst', *CSV_FILES, *plots}
    assert all((out / name).read_bytes().startswith(PNG_START) for name in plots)
    assert len(list((out / 'worst').iterdir())) == 2
    data = json.loads((out / 'evaluation.json').read_text())
    page = (out / 'evaluation.html').read_text()
    assert f'mAP {data["coco"]["mAP"]:.3f}' in page and page.count('data:image/jpeg') == 2
    assert page.count('data:image/png') == 5 and 'http' not in page and '<script' not in page
    rows = list(csv.DictReader((out / 'classes.csv').open()))
    assert [row['class'] for row in rows] == [row['class'] for row in data['classes']] == ['RBC', 'Platelets', 'WBC']
    assert float(rows[0]['AP']) == data['classes'][0]['AP']


def test_twice_gives_the_same_bytes(files, tmp_path):
    for name in ('one', 'two'):
        assert run(*files, '--out', tmp_path / name, '--no-plots') == 0
    for path in (tmp_path / 'one').iterdir():
        if path.suffix == '.csv':
            assert path.read_bytes() == (tmp_path / 'two' / path.name).read_bytes()
    assert not list((tmp_path / 'one').glob('*.png'))


def test_a_second_run_leaves_nothing_of_the_first_beside_its_own(tmp_path, make_files):
    """What the first run wrote and the second doesn't goes; everything else in the folder stays."""
    found, out = evaluate_data(tmp_path, *make_files(11)), tmp_path / 'out'
    others = [out / 'notes.txt', out / 'worst.jpg', out / 'worst' / '01_mine.jpg']

    def write(plots, *links):
        gallery = [(GalleryEntry('a.png', '', None, link), Image.new('RGB', (9, 9))) for link in links]
        write_evaluation(found, dict.fromkeys(plots, PNG_START), gallery, 'now', out)
        return {path.relative_to(out).as_posix() for path in out.rglob('*.*')} - {*CSV_FILES, 'evaluation.html'}

    assert write(['errors.png', 'groups.png'], 'worst/01_a.jpg', 'worst/02_b.jpg') == {
        'evaluation.json', 'errors.png', 'groups.png', 'worst/01_a.jpg', 'worst/02_b.jpg'}
    for path in others:
        path.write_text('mine')
    mine = {path.relative_to(out).as_posix() for path in others}
    assert write(['errors.png'], 'worst/01_b.jpg') == {'evaluation.json', 'errors.png', 'worst/01_b.jpg', *mine}
    assert write([]) == {'evaluation.json', *mine} and all(path.read_text() == 'mine' for path in others)
    others[-1].unlink()
    write([], 'worst/01_b.jpg')
    write([])
    assert not (out / 'worst').exists()


def test_a_foreign_record_removes_nothing(files, tmp_path):
    out = tmp_path / 'out'
    (out / 'worst').mkdir(parents=True)
    names = ['../r.bbox.json', 'notes.txt', 'worst/mine.png', '/etc/hosts', 3]
    for content in ('{', '[]', json.dumps(dict(files=['errors.png'])),
                    json.dumps(dict(format='mmleuk.evaluation/1', files=names)),
                    json.dumps(dict(format='mmleuk.evaluation/1', files=5))):
        (out / 'evaluation.json').write_text(content)
        for name in ('notes.txt', 'errors.png', 'worst/mine.png'):
            (out / name).write_text('mine')
        assert run(*files, '--out', out, '--no-plots') == 0
        assert {path.name for path in out.rglob('*')} >= {'notes.txt', 'errors.png', 'mine.png'}


def test_an_image_of_another_size_is_not_drawn_on(files, tmp_path, capsys):
    out = tmp_path / 'out'
    for path in (tmp_path / 'images').iterdir():
        Image.new('RGB', (100, 150)).save(path)
    assert run(*files, '--out', out, '--gallery', '1') == 2
    error = capsys.readouterr().err
    assert 'png: the image is 100x150 px' in error and 'test.json says 200x200' in error and not out.exists()
    assert run(*files, '--out', out, '--gallery', '0', '--no-plots') == 0


def test_bad_input_writes_nothing(files, tmp_path, capsys):
    out = tmp_path / 'out'
    (tmp_path / 'r.bbox.json').write_text('[{"image_id": 12345}]')
    assert run(*files, '--out', out) == 2
    assert 'r.bbox.json: record 0: image_id 12345' in capsys.readouterr().err and not out.exists()


@pytest.mark.parametrize('flags, message', [
    (['--images', 'nowhere'], '--images is the folder'), (['--gallery', '-1'], '--gallery is -1'),
    (['--min-iou', '0.1'], '--min-iou is 0.1'), (['--checkpoint', 'x.pth'], '--checkpoint is for timing'),
    (['--device', 'cpu'], '--device is for timing'), (['--config', 'none.py'], 'none.py: no such config')])
def test_bad_flags(files, tmp_path, capsys, flags, message):
    assert run(*files, '--out', tmp_path / 'out', *flags) == 2
    assert message in capsys.readouterr().err and not (tmp_path / 'out').exists()


@pytest.mark.parametrize('flag', ['--min-score', '--min-iou'])
@pytest.mark.parametrize('value', ['2', 'nan', '-0.1'])
def test_shares_lie_between_0_and_1(files, capsys, flag, value):
    with pytest.raises(SystemExit, match='2'):
        run(*files, f'{flag}={value}')
    assert f"{flag}: '{value}' is no number from 0 to 1" in capsys.readouterr().err


def evaluate_data(folder, data, results):
    (folder / 'truth.json').write_text(json.dumps(data))
    return evaluate(*from_results(results, read_ground_truth(folder / 'truth.json'), 'r.json'), Settings())


def without(data, results, *what):
    return ({**data, 'annotations': [] if 'cells' in what else data['annotations']},
            [] if 'detections' in what else results)


def numbers(data):
    """Every number in nested dicts and lists."""
    if isinstance(data, dict):
        return [number for value in data.values() for number in numbers(value)]
    if isinstance(data, list):
        return [number for value in data for number in numbers(value)]
    return [data] if isinstance(data, (int, float)) else []


@pytest.mark.parametrize('what, marks, said', [
    (['cells'], 'no ground truth', 'no cell'), (['detections'], 'nothing detected', 'Nothing was detected'),
    (['cells', 'detections'], 'no ground truth, nothing detected', 'Nothing was detected')])
def test_empty_files_are_marked_and_break_nothing(tmp_path, make_files, what, marks, said):
    found = evaluate_data(tmp_path, *without(*make_files(11, crowds=False, n_classes=1), *what))
    assert all(row['note'] == marks for row in class_rows(found)) and said in ' '.join(notes(found))
    assert summary(found)['mAP'] == (None if 'cells' in what else 0.0)  # 0: there are cells, and none was found
    assert all(row['precision'] is None for row in class_rows(found) if 'detections' in what)
    assert all(value >= 0 for value in numbers(to_dict(found, 'now')))  # no -1, and NaN fails the comparison
    for rows in CSV_FILES.values():
        assert 'nan' not in csv_text(rows(found)).lower()
    plots = draw_plots(found) if len(what) == 1 else {}  # drawing takes most of the time
    assert marks.split(',')[0] in render_evaluation(found, plots, [], 'now')


def test_a_class_without_a_cell_is_in_no_mean(tmp_path, make_files):
    data, results = make_files(11, crowds=False)
    rare = next(c['id'] for c in data['categories'] if c['name'] == 'RBC')
    data = {**data, 'annotations': [a for a in data['annotations'] if a['category_id'] != rare]}
    found = evaluate_data(tmp_path, data, results)
    rows = {row['class']: row for row in class_rows(found)}
    assert rows['RBC']['AP'] is None and rows['RBC']['recall'] is None and rows['RBC']['note'] == 'no ground truth'
    assert summary(found)['mAP'] == pytest.approx((rows['WBC']['AP'] + rows['Platelets']['AP']) / 2)
    assert 'no cells of RBC' in ' '.join(notes(found))
    assert not any(row['class'] == 'RBC' for row in CSV_FILES['pr_curves.csv'](found))


def test_partly_annotated_images_are_told(tmp_path, make_files):
    data, results = make_files(11)
    data['images'][0]['annotated_region'] = [0, 0, 50, 50]
    partly = r'image \d+.png: has no annotated_region, but image \d+.png is only partly annotated'
    with pytest.raises(UserError, match=partly):
        evaluate_data(tmp_path, data, results)
    for image in data['images'][1:]:
        image['annotated_region'] = [0, 0, 200, 200]
    assert '1 of 6 images are only partly annotated' in ' '.join(notes(evaluate_data(tmp_path, data, results)))


def test_names_are_escaped(tmp_path, make_files):
    data, results = make_files(11)
    data['images'][0]['domain'] = '<script>alert(1)</script>'
    page = render_evaluation(evaluate_data(tmp_path, data, results), {}, [], 'now')
    assert '<script' not in page and '&lt;script&gt;' in page


def test_a_dollar_in_a_name_is_no_formula(tmp_path, make_files):
    data, results = make_files(11)
    data['images'][0]['domain'] = '$x^$'
    assert draw_plots(evaluate_data(tmp_path, data, results))['groups.png'].startswith(PNG_START)


def renamed(data, **names):
    """The same classes under other names."""
    return {**data, 'categories': [{**c, 'name': names.get(c['name'], c['name'])} for c in data['categories']]}


def test_classes_called_like_our_columns(tmp_path, make_files):
    data, results = make_files(11)
    plain = evaluate_data(tmp_path, data, results)
    found = evaluate_data(tmp_path, renamed(data, RBC='missed', WBC='true class', Platelets='background'), results)
    rows = CSV_FILES['confusion.csv'](found)
    assert list(rows[0]) == ['(true class)', 'missed', 'background', 'true class', '(missed)']
    assert [row['(true class)'] for row in rows] == ['missed', 'background', 'true class', '(background)']
    counts = [[count for count in row.values() if not isinstance(count, str)] for row in rows]
    assert counts == plain.confusion.counts.tolist()
    page = render_evaluation(found, {}, [], 'now')
    assert page.count('(missed)') == 1 and page.count('(background)') == 1


def test_names_that_json_tells_apart_and_text_does_not(tmp_path, make_files):
    data, results = make_files(11)
    with pytest.raises(UserError, match="the name '1' occurs twice"):
        evaluate_data(tmp_path, renamed(data, RBC=1, WBC='1'), results)


def height_px(png):
    return Image.open(io.BytesIO(png)).height


def test_more_groups_than_fit_into_a_plot(tmp_path, make_files):
    """matplotlib draws at most 65,536 pixels, some 1,700 groups; nobody reads them."""
    found = evaluate_data(tmp_path, *make_files(11))
    many = replace(found, groups=found.groups * 500)
    assert len(CSV_FILES['groups.csv'](many)) >= 2000 and 2000 < height_px(group_plot(many)) < 3000


@pytest.mark.slow
@pytest.mark.parametrize('plot', [class_plot, confusion_plot, curve_plot])
def test_more_classes_than_fit_into_a_plot(tmp_path, make_files, plot):
    data, results = make_files(11)
    data['categories'] += [dict(id=10 + n, name=f'class {n} ' + 'x' * 300) for n in range(70)]
    assert 300 < height_px(plot(evaluate_data(tmp_path, data, results))) < 4000


def test_pictures_show_every_error_once(tmp_path, make_files):
    found = evaluate_data(tmp_path, *make_files(11))
    images = found.images
    for index in range(len(found.truth.images)):
        marks = marks_of(found, index)
        kinds = [mark.kind for mark in marks]
        assert kinds.count('correct') == images.found[index] and kinds.count('not found') == images.not_found[index]
        assert len(marks) == images.found[index] + images.not_found[index] + images.false[index].sum()
    image = Image.new('RGB', (200, 200), (9, 9, 9))
    drawn = draw_marks(image, marks_of(found, int(images.worst(1)[0])), 'title')
    assert drawn.width == 1200 and drawn.height > 1200 and image.getpixel((0, 0)) == (9, 9, 9)


def test_the_worst_come_first(tmp_path, make_files):
    images = evaluate_data(tmp_path, *make_files(11)).images
    order = images.worst(100)
    assert list(images.f1[order]) == sorted(images.f1[order])
    assert all(images.not_found[i] + images.false[i].sum() > 0 for i in order)
    assert all(math.isnan(images.f1[i]) or images.f1[i] == 1 for i in set(range(6)) - set(order.tolist()))
