"""YOLOv5n on TXL-PBC's PBC images: 5 leukocyte types, RBC, platelets; detection only, 320 px, 40 epochs on a CPU.

MMLEUK_DATA=... python tools/train.py configs/yolov5/yolov5n_wbcatt.py
"""

_base_ = [
    '../_base_/models/yolov5n.py',
    '../_base_/datasets/wbcatt_320.py',
    '../_base_/schedules/short.py',
    '../_base_/default_runtime.py',
]

# Five leukocyte types must be distinguished after 70 cells each: the gain of the class loss is six times YOLOv5's.
model = dict(bbox_head=dict(num_classes=_base_.num_classes, image_size=_base_.image_size, gain_class=3.0))
train_cfg = dict(max_epochs=40, val_interval=10)

# The attributes' reference: every cell has the training data's most frequent values. mmleuk.AttributeF1Metric scores
# models that predict them under the same names.
most_frequent = dict(
    type='mmleuk.MajorityF1Metric',
    train_ann_file='{{$MMLEUK_DATA:data}}/txl_pbc/annotations/attri_train.json',
    binary='macro')
val_evaluator = _base_.val_evaluator + [most_frequent, dict(most_frequent, mode='gt_boxes')]
test_evaluator = val_evaluator
