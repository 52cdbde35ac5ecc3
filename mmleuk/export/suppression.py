"""The suppression of overlaps as an ONNX graph, and the graphs of a model joined to one.

Legend: B images, P locations, C classes, S detections before and N after the limit per image, K of them with
attributes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import onnx
from onnx import compose, parser

from mmleuk.export.parts import OPSET
from mmleuk.inference.facts import Suppression
from mmleuk.schema import IGNORE

_HEADER = '<ir_version: {ir}, opset_import: ["": {opset}]>\n'
_SUPPRESS = """
suppress (float[batch, p, 4] all_boxes, float[batch, p, c1] probs, float[batch, 2] sizes)
    => (int64[n] image, float[n, 4] boxes, float[n] scores, int64[n] labels, float[n, c] class_probs, float[n, 5] rois)
<int64[1] zero = {{0}}, int64[1] one = {{1}}, int64[1] two = {{2}}, int64[1] far = {{9223372036854775807}},
 int64 first = {{0}}, int64 next = {{1}}, int64[1] most = {{{most}}}, int64 limit = {{{most}}},
 float[1] iou = {{{iou}}}, float[1] low = {{{low}}}, float[1] nothing = {{0}}, float half = {{2}}>
{{
    objectness = Slice(probs, zero, one, two)
    classes = Slice(probs, one, far, two)
    {scores}
    xyxy = Constant<value = int64[4] {{1, 0, 1, 0}}>()
    widths = Gather<axis = 1>(sizes, xyxy)
    {compared}
    by_class = Transpose<perm = [0, 2, 1]>(counted)
    selected = NonMaxSuppression(compared, by_class, most, iou, low)
    found = GatherND(by_class, selected)
    of = Gather<axis = 1>(selected, first)
    apart = Cast<to = 1>(of)
    spread = Mul(apart, half)
    key = Sub(found, spread)
    count = Shape(key)
    ordered, order = TopK<axis = 0, largest = 1>(key, count)
    sorted_rows = Gather(selected, order)
    sorted_of = Gather(of, order)
    batch_size = Shape<start = 0, end = 1>(probs)
    batch_number = Squeeze(batch_size)
    images = Range(first, batch_number, next)
    each = Unsqueeze(sorted_of, one)
    belongs = Equal(each, images)
    ones = Cast<to = 7>(belongs)
    numbers = ReduceSum<keepdims = 0>(ones, zero)
    starts = CumSum<exclusive = 1>(numbers, first)
    start = Gather(starts, sorted_of)
    total = Squeeze(count)
    rows = Range(first, total, next)
    rank = Sub(rows, start)
    within = Less(rank, limit)
    locations_kept = Compress<axis = 0>(sorted_rows, within)
    image = Gather<axis = 1>(locations_kept, first)
    labels = Gather<axis = 1>(locations_kept, next)
    scores = GatherND(by_class, locations_kept)
    pick = Constant<value = int64[2] {{0, 2}}>()
    where = Gather<axis = 1>(locations_kept, pick)
    free = GatherND(compared, where)
    class_probs = GatherND(classes, where)
    limits = Gather(widths, image)
    above = Max(free, nothing)
    boxes = Min(above, limits)
    as_float = Cast<to = 1>(image)
    column = Unsqueeze(as_float, one)
    rois = Concat<axis = 1>(column, boxes)
}}
"""
_AS_THEY_ARE = """compared = Identity(all_boxes)
    counted = Identity(locations)"""
_CLIPPED = """ends = Unsqueeze(widths, one)
    positive = Max(all_boxes, nothing)
    compared = Min(positive, ends)
    low_ends = Slice(compared, zero, two, two)
    high_ends = Slice(compared, two, far, two)
    sides = Sub(high_ends, low_ends)
    shorter = ReduceMin<keepdims = 1>(sides, two)
    shown = Greater(shorter, nothing)
    counted = Where(shown, locations, nothing)"""
"""Boxes cut at the picture's border; those without an area don't count."""
_ALL = 'locations = Mul(objectness, classes)'
_BEST = """every = Mul(objectness, classes)
    best = ReduceMax<keepdims = 1>(every, two)
    is_best = Equal(every, best)
    locations = Where(is_best, every, nothing)"""
"""Only a location's most probable class."""

_CHOOSE = """
choose (float[n, 5] rois, int64[n] labels, float[n] scores) => (int64[k, 1] chosen, float[k, 5] chosen_rois)
<bool[{classes}] described = {{{described}}}, float low = {{{low}}}, int64[1] zero = {{0}},
 float[1, 5] corner = {{0, 0, 0, 1, 1}}>
{{
    named = Gather(described, labels)
    unlikely = Less(scores, low)
    likely = Not(unlikely)
    both = And(named, likely)
    flags = Cast<to = 7>(both)
    number = ReduceSum(flags, zero)
    nobody = Equal(number, zero)
    both_more = Concat<axis = 0>(both, nobody)
    rois_more = Concat<axis = 0>(rois, corner)
    found = NonZero(both_more)
    chosen = Transpose<perm = [1, 0]>(found)
    chosen_rois = GatherND(rois_more, chosen)
}}
"""
"""Where there is no such detection, one box that isn't any: some runtimes refuse an empty batch."""
_SPREAD = """
spread (int64[k, 1] chosen, float[n] scores, float[k, {tail}] of_chosen) => (float[n, {tail}] of_all)
<int64[{rank}] tail = {{{tail}}}, int64[1] zero = {{0}}, int64[1] one = {{1}}>
{{
    n = Shape(scores)
    n_more = Add(n, one)
    size = Concat<axis = 0>(n_more, tail)
    nothing = ConstantOfShape<value = float[1] {{0}}>(size)
    filled = ScatterND(nothing, chosen, of_chosen)
    of_all = Slice(filled, zero, n, zero)
}}
"""
_VALUES = """
values (float[n, {tail}] probs) => (int64[n, {attributes}] attributes)
<int64[1] two = {{2}}, float[1] nothing = {{0}}, int64[1] unknown = {{{unknown}}}>
{{
    best = ArgMax<axis = 2, keepdims = 0>(probs)
    largest = ReduceMax<keepdims = 0>(probs, two)
    known = Greater(largest, nothing)
    attributes = Where(known, best, unknown)
}}
"""


def join(locations: onnx.ModelProto, cells: onnx.ModelProto | None, rules: Suppression, num_classes: int,
         described: Collection[int], attribute_min_score: float,
         naming: onnx.ModelProto | None = None) -> onnx.ModelProto:
    """One graph: images (B, 3, H, W) and the sizes (B, 2) of the pictures in them -> detections of all images.

    Args:
        locations: see :class:`mmleuk.export.parts.Locations`.
        cells: see :class:`mmleuk.export.parts.Cells` and ``Reader``; None for a model without attributes.
        rules: of the suppression.
        num_classes: C.
        described: labels of the detections that get attributes.
        attribute_min_score: those with a lower score get none.
        naming: see :class:`mmleuk.export.parts.Naming`; needs a ``Reader`` as ``cells``.

    Returns:
        Outputs ``image`` (N,), ``boxes`` (N, 4) xyxy in input pixels, ``scores`` (N,), ``labels`` (N,) and, where the
        rules have them, ``class_probs`` (N, C), images in order and the highest score first; with cells
        ``attribute_probs`` (N, A, V), 0 where there are none, and ``attributes`` (N, A), IGNORE where unknown; with
        naming ``novelty`` (N,).
    """
    text = _SUPPRESS.format(most=rules.max_per_img, iou=_number(rules.iou_threshold), low=_number(rules.score_thr),
                            scores=_ALL if rules.multi_label else _BEST,
                            compared=_CLIPPED if rules.clip_first else _AS_THEY_ARE)
    maps = [output.name for output in locations.graph.output[2:]]
    joined = _merged(locations, _parsed(text, locations.ir_version, 'suppress_'), [('boxes', 'suppress_all_boxes'),
                                                                             ('probs', 'suppress_probs')], keep=maps)
    source = {name: f'suppress_{name}' for name in ('image', 'boxes', 'scores', 'labels', 'class_probs')}
    if not rules.class_probs:
        del source['class_probs']
    if cells is not None:
        joined = _with_cells(joined, cells, num_classes, described, attribute_min_score)
        source['attribute_probs'] = 'attribute_probs_of_all'
    if naming is not None:
        wires = {**source, 'novelty': 'novelty_of_all'}
        wires = {name: wires[name] for name in (entry.name for entry in naming.graph.input)}
        joined = _then(joined, compose.add_prefix(naming, 'naming_'),
                       [(output, f'naming_{name}') for name, output in wires.items()])
        source |= {entry.name.removeprefix('final_'): f'naming_{entry.name}' for entry in naming.graph.output}
    elif cells is not None:
        attributes, values = _shape(cells, 'attribute_probs')
        text = _VALUES.format(tail=f'{attributes}, {values}', attributes=attributes, unknown=IGNORE)
        values_of = _parsed(text, joined.ir_version, 'values_')
        joined = _then(joined, values_of, [('attribute_probs_of_all', 'values_probs')])
        source['attributes'] = 'values_attributes'
    return _with_named_sides(
        _renamed(joined, {'suppress_sizes': 'sizes'}, {output: name for name, output in source.items()}))


def _with_cells(joined: onnx.ModelProto, cells: onnx.ModelProto, num_classes: int, described: Collection[int],
                low: float) -> onnx.ModelProto:
    """The graph with each output of ``cells`` for all detections, ``NAME_of_all``, zero where they aren't described."""
    flags = ', '.join(str(int(label in described)) for label in range(num_classes))
    choose = _parsed(_CHOOSE.format(classes=num_classes, described=flags, low=_number(low)), joined.ir_version,
                     'choose_')
    joined = _then(joined, choose, [(f'suppress_{name}', f'choose_{name}') for name in ('rois', 'labels', 'scores')])
    prefixed = compose.add_prefix(cells, 'cells_')
    maps = [entry.name for entry in prefixed.graph.input if entry.name != 'cells_rois']
    joined = _then(joined, prefixed, [('choose_chosen_rois', 'cells_rois'),
                                      *((name.removeprefix('cells_'), name) for name in maps)])
    for output in cells.graph.output:
        shape = _shape(cells, output.name)
        text = _SPREAD.format(tail=', '.join(map(str, shape)), rank=len(shape))
        spread = _parsed(text, joined.ir_version, f'{output.name}_')
        joined = _then(joined, spread, [('choose_chosen', f'{output.name}_chosen'),
                                        ('suppress_scores', f'{output.name}_scores'),
                                        (f'cells_{output.name}', f'{output.name}_of_chosen')])
    return joined


def _shape(model: onnx.ModelProto, output: str) -> list[int]:
    """Of an output's rows."""
    found, = (each for each in model.graph.output if each.name == output)
    return [dim.dim_value for dim in found.type.tensor_type.shape.dim[1:]]


def _parsed(text: str, ir_version: int, prefix: str) -> onnx.ModelProto:
    model = parser.parse_model(_HEADER.format(ir=ir_version, opset=OPSET) + text)
    return compose.add_prefix(model, prefix)


def _then(first: onnx.ModelProto, second: onnx.ModelProto, wires: Sequence[tuple[str, str]]) -> onnx.ModelProto:
    """Both graphs, as :func:`_merged`; all outputs of the first stay outputs."""
    return _merged(first, second, wires, keep=[output.name for output in first.graph.output])


def _merged(first: onnx.ModelProto, second: onnx.ModelProto, wires: Sequence[tuple[str, str]],
            keep: Sequence[str]) -> onnx.ModelProto:
    """Both graphs, outputs of the first wired to inputs of the second; ``keep`` stay outputs."""
    outputs = [*keep, *(output.name for output in second.graph.output)]
    return compose.merge_models(first, second, io_map=list(wires), outputs=list(dict.fromkeys(outputs)))


def _renamed(model: onnx.ModelProto, inputs: dict[str, str], outputs: dict[str, str]) -> onnx.ModelProto:
    """The model with other names of inputs, and with these outputs alone, in this order."""
    kept = {output.name: output for output in model.graph.output}
    del model.graph.output[:]
    model.graph.output.extend(kept[name] for name in outputs)
    names = inputs | outputs
    taken = {name: f'{name}_of_locations' for name in outputs.values()}
    for node in model.graph.node:
        for part in (node.input, node.output):
            for index, name in enumerate(part):
                part[index] = names.get(name, taken.get(name, name))
    for entry in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        entry.name = names.get(entry.name, taken.get(entry.name, entry.name))
    return model


def _with_named_sides(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with names for the free sides of its inputs and outputs that people understand."""
    images = next(entry for entry in model.graph.input if entry.name == 'images')
    for axis, side in ((2, 'height'), (3, 'width')):
        images.type.tensor_type.shape.dim[axis].dim_param = side
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[0].dim_param = 'cells'
    return model


def _number(value: float) -> str:
    """As the text format of ONNX has it: no exponent, no sign."""
    return f'{value:.9f}'
