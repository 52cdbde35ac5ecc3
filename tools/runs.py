"""What demo.py and compare.py share: shown commands, trainings that are not repeated, scores read back.

Every command is printed before it runs, so that a reader can run it alone, change it, and go on from there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from mmengine.config import Config

from mmleuk.errors import UserError

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
        """Render the films; the command leaves complete ones alone."""
        self.run('mmleuk', 'data', 'synthesize', str(self.out / 'synthetic'))

    def train(self, config: str, name: str) -> Path:
        """Train ``config`` in ``out/name``, go on where it was interrupted, or keep what is finished.

        Returns:
            The last checkpoint.
        """
        work_dir, stamp = self.out / name, self.out / name / 'finished.txt'
        wanted = self._fingerprint(config)
        if stamp.is_file() and stamp.read_text() == wanted:
            print(f'\nTrained already: {work_dir} (remove that folder to train anew)')
        else:
            command = ['python', 'tools/train.py', config, '--work-dir', str(work_dir)]
            self.run(*command, *(['--resume'] if (work_dir / 'last_checkpoint').is_file() else []))
            stamp.write_text(wanted)
        return Path((work_dir / 'last_checkpoint').read_text().strip())

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
        os.environ['MMLEUK_DATA'] = str(self.out)  # configs read it
        return hashlib.sha256(Config.fromfile(str(ROOT / config)).pretty_text.encode()).hexdigest()


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
