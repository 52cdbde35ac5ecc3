"""Fuse several models' detections (Weighted Boxes Fusion) and compare the ensemble with them.

    python tools/ensemble.py --predictions a.bbox.json b.bbox.json c.bbox.json --annotations val.json --out fused.json
    python tools/ensemble.py --models CONFIG1 CHECKPOINT1 --models CONFIG2 CHECKPOINT2 --images DIR --out DIR
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed

from mmleuk.commands import ensemble as cli
from mmleuk.utils.command_line import exit_status


def main(argv: list[str] | None = None) -> int:
    """Run the command; a user's error is one line and exit code 2."""
    parser = argparse.ArgumentParser(description="Fuse several models' detections, and compare.")
    cli.add_arguments(parser)
    return exit_status(cli.run, parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
