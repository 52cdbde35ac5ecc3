import pytest
import torch
from mmcv.cnn import ConvModule
from torch import nn

from mmleuk.utils.batch_norm import fold_batch_norms


@pytest.mark.parametrize('order', [('conv', 'norm', 'act'), ('norm', 'conv', 'act'), ('conv', 'act', 'norm')])
def test_outputs_stay(order):
    torch.manual_seed(0)
    model = nn.Sequential(ConvModule(3, 8, 3, norm_cfg=dict(type='BN'), order=order), nn.BatchNorm2d(8),
                          ConvModule(8, 4, 1, norm_cfg=dict(type='GN', num_groups=2)), ConvModule(4, 2, 1, bias=True))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias)
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    model.eval()
    image = torch.randn(2, 3, 9, 9)
    expected = model(image)
    for _ in range(2):  # the second time there is nothing to fold
        fold_batch_norms(model)
        torch.testing.assert_close(model(image), expected)
    left = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert left == (1 if order == ('conv', 'norm', 'act') else 2)
