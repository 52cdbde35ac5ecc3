"""Find cells in images and describe them.

    python tools/infer.py INPUT CONFIG CHECKPOINT --out-dir outputs
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed

from mmleuk.commands import infer as cli
from mmleuk.utils.command_line import exit_status


def main() -> int:
    """Run the command; a user's error is one line and exit code 2."""
    parser = argparse.ArgumentParser(description='Find cells in images and describe them.')
    cli.add_arguments(parser)
    return exit_status(cli.run, parser.parse_args())


if __name__ == '__main__':
    sys.exit(main())
