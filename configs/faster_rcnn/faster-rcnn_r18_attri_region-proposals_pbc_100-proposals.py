"""AttriDet with Faster R-CNN on PBC's sparse labels; in training 100 proposals per image, all from the regions.

MMLEUK_DATA=... python tools/train.py configs/faster_rcnn/faster-rcnn_r18_attri_region-proposals_pbc_100-proposals.py
"""

_base_ = './faster-rcnn_r18_attri_region-proposals_pbc.py'

model = dict(detector=dict(train_cfg=dict(rpn_proposal=dict(nms_pre=200, max_per_img=100))))
