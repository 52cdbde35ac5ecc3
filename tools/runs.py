"""What demo.py and compare.py share: shown commands, trainings that are not repeated, scores read back.

Every command is printed before it runs, so that a reader can run it alone, change it, and go on from there.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarking.identity import config_hash, files_hash
from mmleuk.errors import UserError
from mmleuk.utils.files import write_atomic

NEVER = 1_000_000
ROOT = Path(__file__).resolve().parent.parent
COCO_SCORES = {'mAP@50': 'coco/bbox_mAP_50', 'mAP@50-95': 'coco/bbox_mAP'}


class Workplace:
    """A folder that holds the rendered films (``synthetic/``) and one work dir per training.

    Args:
        out: the folder; commands run in the repository's root with ``MMLEUK_DATA`` set to it.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.start = time.monotonic()
        print('The commands below run as they stand after `. .venv/bin/activate`; [minutes:seconds] since the start.')

    def run(self, *command: str) -> None:
        """Show a command and run it.

        Raises:
            UserError: the command failed; its own output above says why.
        """
        shown = ' '.join(map(shlex.quote, command))
        minutes, seconds = divmod(int(time.monotonic() - self.start), 60)
        print(f'\n[{minutes:d}:{seconds:02d}] $ MMLEUK_DATA={shlex.quote(str(self.out))} {shown}', flush=True)
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get('PATH', os.defpath)])
        env = {**os.environ, 'MMLEUK_DATA': str(self.out), 'PATH': path}
        if subprocess.run(command, cwd=ROOT, env=env, check=False).returncode:
            raise UserError(f'this command failed, its last lines say why: {shown}')

    def render(self) -> None:
        """Render the films; the command leaves them alone where they are what it would render."""
        self.run('mmleuk', 'data', 'synthesize', str(self.out / 'synthetic'), '--overwrite')

    def train(self, config: str, name: str) -> Path:
        """Train ``config`` in ``out/name``, go on where it was interrupted, or keep what is finished.

        Finished is a training with the same config on the same films; one with others starts again.

        Returns:
            The last checkpoint.

        Raises:
            UserError: the folder holds something else, or the training failed.
        """
        work_dir, wanted = self.out / name, self._fingerprint(config)
        started, finished = work_dir / 'started.txt', work_dir / 'finished.txt'
        if finished.is_file() and finished.read_text() == wanted:
            print(f'\nTrained already: {work_dir} (remove that folder to train again)')
            return last_checkpoint(work_dir)
        resume = started.is_file() and started.read_text() == wanted and (work_dir / 'last_checkpoint').is_file()
        if not resume and work_dir.exists():
            if not started.is_file():
                raise UserError(f'{work_dir}: holds something that was not made here; name another folder with --out')
            shutil.rmtree(work_dir)
        work_dir.mkdir(parents=True, exist_ok=True)
        write_atomic(started, wanted)
        # tools/test.py follows: the last epoch need not be validated as well
        self.run('python', 'tools/train.py', config, '--work-dir', str(work_dir), *(['--resume'] if resume else []),
                 '--cfg-options', f'train_cfg.val_begin={NEVER}')
        write_atomic(finished, wanted)
        return last_checkpoint(work_dir)

    def test(self, config: str, checkpoint: Path, name: str) -> dict[str, object]:
        """Test ``checkpoint`` and return the scores, which test.py writes into its work dir as JSON."""
        work_dir = self.out / name / 'test'
        written = newest_scores(work_dir)
        if written is None or written.stat().st_mtime < checkpoint.stat().st_mtime:
            self.run('python', 'tools/test.py', config, str(checkpoint), '--work-dir', str(work_dir))
            written = newest_scores(work_dir)
        if written is None:
            raise UserError(f'{work_dir}: tools/test.py wrote no scores there')
        return json.loads(written.read_text())

    def _fingerprint(self, config: str) -> str:
        annotations = sorted((self.out / 'synthetic' / 'annotations').glob('*.json'))
        return f'{config_hash(ROOT / config)}\n{files_hash(annotations)}\n'


def last_checkpoint(work_dir: Path) -> Path:
    """Where the training's last epoch lies."""
    return Path((work_dir / 'last_checkpoint').read_text().strip())


def newest_scores(work_dir: Path) -> Path | None:
    """The scores of the last test in ``work_dir``: mmengine writes <time stamp>/<time stamp>.json."""
    return max(work_dir.glob('*/*.json'), default=None)


def table(rows: list[list[str]]) -> str:
    """Rows with columns of equal width; the first is the head.

    Example:
        >>> print(table([['what', 'mAP'], ['sparse', '0.5']]))
        what    mAP
        ------  ---
        sparse  0.5
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ['  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return '\n'.join([lines[0], '  '.join('-' * width for width in widths), *lines[1:]])


def number(scores: dict[str, object], key: str) -> str:
    """A score with three decimals; a score that is not there is an error, not a zero."""
    value = scores.get(key)
    if not isinstance(value, (int, float)):
        raise UserError(f'the test gave no {key!r}, only {", ".join(sorted(scores))}')
    return f'{value:.3f}'
