"""Turn a YOLOv5 checkpoint of Ultralytics (release 6) into one that the configs here load.

python tools/convert_yolov5.py best.pt best_mmleuk.pth

No code from the file runs. Sizes n, s, m, l and x, any number of classes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed

from mmleuk.models.convert_yolov5 import convert, save_converted
from mmleuk.models.yolov5_source import read_source
from mmleuk.utils.command_line import exit_status


def main(arguments: list[str] | None = None) -> int:
    """Convert; 0, or 2 and one line on stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', help='.pt file of YOLOv5 release 6')
    parser.add_argument('target', help='.pth file to write')
    return exit_status(run, parser.parse_args(arguments))


def run(args: argparse.Namespace) -> None:
    """Convert, and print the config that goes with it.

    Raises:
        UserError: the source is no checkpoint of YOLOv5, or the target can't be written.
    """
    converted = convert(read_source(args.source), args.source)
    save_converted(converted, args.target)
    print(f'{args.target}: YOLOv5{converted.size}, {converted.num_classes} classes')
    if converted.anchors is not None:
        print('Its anchors are not the usual ones: the config below sets them, without them boxes come out wrong.')
    print(f'Config to load it with (load_from={args.target!r}):\n{converted.config_hint()}')


if __name__ == '__main__':
    sys.exit(main())
