"""YOLOv5's path aggregation network."""

from __future__ import annotations

from collections.abc import Sequence

from mmdet.models.necks import YOLOXPAFPN
from torch import nn

from mmleuk.models.backbones.yolov5 import ACT_CFG, INIT_CFG, NORM_CFG, scaled_blocks
from mmleuk.registry import MODELS


@MODELS.register_module()
class YOLOv5PAFPN(YOLOXPAFPN):
    """Neck of YOLOv5, release 6: YOLOX's (which took it from YOLOv5) without the last 1x1 convolutions.

    Args:
        in_channels: channels of the backbone's maps, from stride 8 on; the outputs have the same.
        deepen_factor: as for the backbone.
    """

    def __init__(self, *, in_channels: Sequence[int], deepen_factor: float, norm_cfg: dict = NORM_CFG,
                 act_cfg: dict = ACT_CFG, init_cfg: dict | None = INIT_CFG) -> None:
        super().__init__(
            in_channels=list(in_channels), out_channels=in_channels[0],
            num_csp_blocks=scaled_blocks(3, deepen_factor), norm_cfg=norm_cfg, act_cfg=act_cfg, init_cfg=init_cfg)
        self.out_convs = nn.ModuleList()
