"""The plot of the analysis of pseudo-labels."""

from mmleuk.report.pseudo_labels import plot


def test_a_dollar_in_a_name_is_no_formula():
    numbers = dict(right=2, wrong_class=1, wrong_place=0, precision=0.7, precision_any_class=1.0, recall=0.5)
    report = dict(epochs=[dict(epoch=1, criteria=dict(kept=numbers, all=numbers))], images=1, hidden=dict(WBC=4),
                  config='configs/$x^$.py', weights='student', min_iou=0.5)
    assert plot(report).startswith(b'\x89PNG')
