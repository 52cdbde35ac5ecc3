"""DINO with a small ResNet-18, for cells at 320 px and a CPU.

Half of ResNet-18's width, 128 channels, 3 layers of encoder and decoder each, 100 queries for up to 35 cells. Random
weights: nothing is frozen, and normalisation layers learn their statistics.
"""

_base_ = './dino_r50.py'

model = dict(
    num_queries=100,
    data_preprocessor=dict(pad_value=114),
    backbone=dict(depth=18, base_channels=32),
    neck=dict(in_channels=[64, 128, 256], out_channels=128),
    encoder=dict(
        num_layers=3,
        layer_cfg=dict(
            self_attn_cfg=dict(embed_dims=128), ffn_cfg=dict(embed_dims=128, feedforward_channels=512))),
    decoder=dict(
        num_layers=3,
        layer_cfg=dict(
            self_attn_cfg=dict(embed_dims=128), cross_attn_cfg=dict(embed_dims=128),
            ffn_cfg=dict(embed_dims=128, feedforward_channels=512))),
    positional_encoding=dict(num_feats=64),
    bbox_head=dict(embed_dims=128),
    dn_cfg=dict(group_cfg=dict(num_dn_queries=40)),
    test_cfg=dict(max_per_img=100))
