"""AttriDet on the small Faster R-CNN, with WBCAtt's attributes; a leaf sets the classes.

500 proposals, of which most lie outside the regions of sparse labels; complete labels and plain training get as many.
"""

_base_ = ['./faster-rcnn_r18.py', './attri-det_wbcatt.py']

model = dict(
    _base_.attri_det, _delete_=True,
    detector=dict(
        _base_.model,
        train_cfg=dict(
            _base_.model.train_cfg,
            rpn_proposal=dict(_base_.model.train_cfg.rpn_proposal, nms_pre=500, max_per_img=500))))
