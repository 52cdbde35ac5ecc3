"""SLA-Det: YOLOv5n on TXL-PBC at 320 px, a fifth of each training image annotated. 20 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/sla_det/yolov5n_sla_txl-pbc.py
"""

_base_ = '../yolov5/yolov5n_txl-pbc.py'

model = dict(
    type='mmleuk.SLADet',
    bbox_head=dict(truth='regions'),
    selector=dict(type='mmleuk.PseudoLabelSelector', min_confidence=0.70, sure_confidence=0.95, max_entropy=0.26),
    pseudo_weight=0.1,
    pseudo_mean='shared',  # with 'own' a few pseudo-labels a batch outweigh the labels (docs/fidelity.md, Eq. 7)
    loss_triplet=dict(type='mmleuk.TripletLoss', margin=0.05, reading='text', loss_weight=0.1))
train_dataloader = dict(dataset=dict(dataset=dict(ann_file='annotations/train_sparse.json', annotation='sparse')))
# The paper starts from a trained detector. From random weights the terms wait for half of the epochs; L_Tri then has
# four fifths of the rest, as in the paper 40 of 50.
default_hooks = dict(pseudo_labels=dict(
    type='mmleuk.PseudoLabelHook', pseudo_epochs=(11, None), triplet_epochs=(11, 18)))
