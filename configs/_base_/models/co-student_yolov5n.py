"""Co-Student on YOLOv5n: Co-mining with pseudo-labels of a teacher, too. A leaf sets classes and image size."""

_base_ = './yolov5n.py'

model = dict(
    _delete_=True,
    type='mmleuk.CoStudent',
    detector={{_base_.model}},
    labeller=dict(type='mmleuk.TeacherMergeLabeller', min_score=0.5, teacher_score=0.6))
