"""Two processes with a share of the batch each learn what one with the whole batch learns."""

import pytest
import torch
from mmengine.structures import InstanceData
from torch import nn

from mmleuk.engine import YOLOv5OptimWrapper
from mmleuk.models.dense_heads.yolov5_head import YOLOv5Head

ANCHORS = (((10, 13), (16, 30), (33, 23)),)


class Network(nn.Module):
    """As much of a detector as DistributedDataParallel needs: its forward gives the losses."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.head = YOLOv5Head(num_classes=2, in_channels=[4], strides=(8,), anchors=ANCHORS,
                               objectness_balance=(1.0,), image_size=64)

    def forward(self, maps, cells, metas):
        return sum(self.head.loss_by_feat(*self.head([maps]), cells, metas).values())


def step(network, images):
    """Weights after one step on ``images`` times the same image."""
    torch.manual_seed(1)
    maps = torch.randn(1, 4, 8, 8).repeat(images, 1, 1, 1)
    cells = [InstanceData(bboxes=torch.tensor([[20., 20., 40., 44.]]), labels=torch.tensor([1]))] * images
    wrapper = YOLOv5OptimWrapper(torch.optim.SGD(network.parameters(), lr=0.01))
    wrapper.update_params(network(maps, cells, [{}] * images))
    return {key.removeprefix('module.'): value.detach().clone() for key, value in network.named_parameters()}


def process(rank, folder):
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/meeting', rank=rank, world_size=2)
    torch.save(step(nn.parallel.DistributedDataParallel(Network()), images=1), f'{folder}/{rank}.pth')
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_a_step_is_the_same_however_the_batch_is_shared_out(tmp_path):
    before = dict(Network().named_parameters())
    together = step(Network(), images=2)
    torch.multiprocessing.spawn(process, args=(tmp_path,), nprocs=2)
    for rank in range(2):
        shared = torch.load(tmp_path / f'{rank}.pth')
        for key, value in together.items():
            assert not torch.equal(value, before[key])
            torch.testing.assert_close(shared[key] - before[key], value - before[key], rtol=1e-3, atol=1e-7)
