"""What AttriHead adds to a detector's inference: alternating repeats in one process, medians.

python tools/profile_attri_head.py configs/attri_det/yolov5x_attri_leukemia-attri.py --cells 20
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone that is not installed

from mmleuk.models.detectors.attri_det import AttriDet
from mmleuk.utils.command_line import exit_status, non_negative
from mmleuk.utils.config_file import build_model, read_config


def parse_args() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of an AttriDet')
    parser.add_argument('--cells', type=int, default=20, help='cells in the image')
    parser.add_argument('--cell-size', type=non_negative, nargs=2, default=(40, 110), metavar=('MIN', 'MAX'),
                        help='pixels')
    parser.add_argument('--size', type=int, default=640, help='side of the image in pixels')
    parser.add_argument('--repeats', type=int, default=10)
    return parser.parse_args()


def random_boxes(count: int, image_size: int, cell_size: tuple[float, float]) -> torch.Tensor:
    """(count, 4) xyxy, the sides uniform in ``cell_size``."""
    low, high = cell_size
    sides = low + torch.rand(count, 2) * (high - low)
    corner = torch.rand(count, 2) * (image_size - sides)
    return torch.cat([corner, corner + sides], 1)


@torch.inference_mode()
def measure(model: AttriDet, image: torch.Tensor, boxes: torch.Tensor, repeats: int) -> tuple[list[float], list[float]]:
    """Seconds of the detector's forward pass, and of the head's prediction for ``boxes``, in turns.

    The first turn warms up and isn't counted. Without trained weights NMS sees a quarter of a million boxes, so it is
    left out: the head's share comes out a little too large rather than too small.
    """
    size = image.shape[2:]
    detector, head = [], []
    for _ in range(repeats + 1):
        sample = DetDataSample(metainfo=dict(
            img_shape=size, ori_shape=size, batch_input_shape=size, scale_factor=(1, 1)))
        start = time.perf_counter()
        with model.taps.open():
            model.detector._forward(image, [sample])
            middle = time.perf_counter()
            model.attri_head.predict(model.taps.take(), [boxes])
        detector.append(middle - start)
        head.append(time.perf_counter() - middle)
    return detector[1:], head[1:]


def main() -> int:
    """0, or 2 on bad input with one line that says what is wrong."""
    return exit_status(run, parse_args())


def run(args: argparse.Namespace) -> None:
    """Build the model, measure, print.

    Raises:
        UserError: the config cannot be read.
    """
    register_all_modules(init_default_scope=True)
    torch.manual_seed(0)
    model = build_model(read_config(args.config)).eval()
    image = torch.rand(1, 3, args.size, args.size)
    detector, head = measure(model, image, random_boxes(args.cells, args.size, args.cell_size), args.repeats)
    shares = [b / a for a, b in zip(detector, head)]
    print(f'detector {statistics.median(detector) * 1e3:.0f} ms, AttriHead for {args.cells} cells '
          f'{statistics.median(head) * 1e3:.0f} ms: {100 * statistics.median(shares):.1f}% '
          f'({torch.get_num_threads()} threads, {args.repeats} repeats)')


if __name__ == '__main__':
    sys.exit(main())
