"""``mmleuk serve``: a page to try a model: drop a film in, see cells, cards and report."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmleuk.commands.desk_options import add_server_arguments, need_desk
from mmleuk.commands.infer import write_run
from mmleuk.commands.run_files import PICTURES
from mmleuk.errors import UserError
from mmleuk.pictures.drawing import save_picture
from mmleuk.report.sentence import describe
from mmleuk.schema import leukocyte_classes
from mmleuk.structures.prediction import FailedImage, Prediction, Run
from mmleuk.utils.command_line import fraction

if TYPE_CHECKING:
    from mmleuk.apis import Inferencer
    from mmleuk.desk.jobs import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument('model', nargs='*', metavar='CONFIG CHECKPOINT', help='default: the model in the package')
    parser.add_argument('--min-score', type=fraction, help='lowest score of a cell (default: as mmleuk infer)')
    parser.add_argument('--device', help='such as cpu or cuda:0 (default: a GPU if there is one)')
    for name, kind, value, meaning in (
            ('megabytes', float, 50, 'largest film, all images together'),
            ('megapixels', float, 40, 'largest image'), ('images', int, 20, 'images of a film'),
            ('waiting', int, 8, 'films in the queue'), ('kept', int, 20, 'results that are kept')):
        parser.add_argument(f'--max-{name}', type=kind, default=value, help=f'{meaning} (default: {value})')
    add_server_arguments(parser, 8711)


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C.

    Raises:
        UserError: bad input, or the extra isn't installed.
    """
    need_desk()
    if len(args.model) not in (0, 2):
        raise UserError('give a config and its checkpoint, or neither for the model in the package')
    names = ('megabytes', 'megapixels', 'images', 'waiting', 'kept')
    values = {name: getattr(args, f'max_{name}') for name in names}
    if wrong := [f'--max-{name} {value}' for name, value in values.items() if not 0 < value < math.inf]:
        raise UserError(f'{wrong[0]}: must be a number above 0')
    # Late: the extra may be missing, and --help must not wait for torch.
    from mmleuk.apis import Inferencer
    from mmleuk.desk.jobs import Films, Limits
    from mmleuk.desk.pages import listen, serve, token_for
    from mmleuk.desk.serve_app import serve_app
    token = token_for(args.host)
    with listen(args.host, args.port) as found:
        config, checkpoint = args.model or (None, None)
        films = Films(FilmReader(Inferencer(config, checkpoint, args.device, args.min_score)), Limits(**values))
        shown = Path(config).name if config else 'the model in the package'
        try:
            serve(serve_app(films, shown, token), found, token, 'A page to try the model')
        finally:
            films.close()
    return 0


class FilmReader:
    """Reads the images of a film as ``mmleuk infer`` does, into pictures, tables and a report."""

    def __init__(self, inferencer: Inferencer) -> None:
        self.inferencer = inferencer

    def __call__(self, paths: Sequence[Path], names: Sequence[str], out: Path, progress: Progress) -> dict[str, Any]:
        """Read; see :data:`mmleuk.desk.jobs.Reader`.

        Raises:
            UserError: an image can't be read.
        """
        model = self.inferencer
        model.forget_scales()
        model.calibrate(paths)
        leukocytes = leukocyte_classes(model.classes, model.leukocytes)
        predictions: list[Prediction] = []
        pictures: dict[str, str] = {}
        for number, (name, found) in enumerate(zip(names, model.predict(paths)), start=1):
            if isinstance(found, FailedImage):
                raise UserError(f'{name}: {found.error}')
            predictions.append(replace(found, image=name))
            pictures[name] = f'{PICTURES}/{number:04d}.jpg'
            save_picture(model.draw(found), out / pictures[name])
            progress(number)
        run = Run(model.run_info(), tuple(predictions))
        write_run(run, out, (), True, pictures, leukocytes)
        # The tables say nothing of where the server keeps the images.
        write_run(replace(run, predictions=tuple(replace(one, path=None) for one in predictions)), out, ('json', 'csv'),
                  False, {}, leukocytes)
        film = describe(run.predictions, run.info.classes, run.info.schema, leukocytes)
        return dict(sentence=film.text, evidence=film.evidence, fields=[
            dict(name=one.image, picture=pictures[one.image], cells=len(one.cells),
                 leukocytes=sum(cell.class_name in leukocytes for cell in one.cells)) for one in predictions])
