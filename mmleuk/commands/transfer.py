"""``mmleuk transfer``: annotations of one microscope's images -> another microscope's images of the same fields."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from mmleuk.errors import UserError
from mmleuk.utils.command_line import fraction, non_negative

if TYPE_CHECKING:
    from mmleuk.datasets.converters.coco_files import CocoFile
    from mmleuk.transfer.pairing import Pair
    from mmleuk.transfer.registration import Limits
    from mmleuk.transfer.run import PairResult


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('annotations', help='COCO JSON of the annotated images')
    parser.add_argument('targets', type=Path, help="folder of the other microscope's images")
    parser.add_argument('--images', type=Path, required=True, help='folder of the annotated images')
    parser.add_argument('--out', type=Path, required=True, help='new folder: annotations.json, pairs.csv, '
                        'review/*.jpg, with --compare also compare.csv')
    parser.add_argument('--pairs', type=Path, metavar='FILE', help='JSON that says which target shows the same field: '
                        '[["source.jpg", "target.jpg"], ...]')
    parser.add_argument('--match', choices=('auto', 'name', 'content'), default='auto', help='how pairs are found '
                        'without --pairs: by file name, by content, or by name and the rest by content (default: auto)')
    parser.add_argument('--compare', metavar='TRUTH.json', help="the targets' own annotation: says where it "
                        'contradicts the carried one')
    parser.add_argument('--domain', help="value of the key 'domain' of the written images (default: none)")
    parser.add_argument('--min-visible', type=fraction, default=0.5, metavar='SHARE', help='share of its area by which '
                        'a cell must lie in the target (default: %(default)s)')
    parser.add_argument('--min-inliers', type=int, default=20, metavar='N', help='a pair with fewer agreeing keypoints '
                        'is refused (default: %(default)s)')
    parser.add_argument('--max-residual', type=non_negative, default=3.0, metavar='PX', help='a pair whose agreeing '
                        'keypoints lie further apart, in pixels of the target, is refused (default: %(default)s)')
    parser.add_argument('--min-overlap', type=fraction, default=0.1, metavar='SHARE', help='a pair that shares less of '
                        'the smaller field is refused (default: %(default)s)')
    parser.add_argument('--no-review', action='store_true', help='draw no pictures')


def run(args: argparse.Namespace) -> int:
    """Carry, write, and say what was found; 1 if a pair was refused, or a UserError with nothing written."""
    from mmleuk.datasets.annotations import parse_ground_truth
    from mmleuk.datasets.converters.coco_files import read_coco
    from mmleuk.transfer.registration import Limits
    from mmleuk.transfer.run import check_rows, find_truth, load_pixels, make_coco, transfer_pair
    from mmleuk.utils.json_files import write_json
    from mmleuk.utils.new_folder import new_folder, write_text
    from mmleuk.utils.progress import progress
    from mmleuk.utils.tables import csv_text
    _check(args)
    limits = Limits(min_inliers=args.min_inliers, max_residual_px=args.max_residual, min_overlap=args.min_overlap)
    coco = read_coco(args.annotations)
    parse_ground_truth(coco.data, args.annotations)  # refuses a file in which only some images state their regions
    truth = read_coco(args.compare) if args.compare else None
    targets = _target_names(args.targets, args.out)
    pairs = _find_pairs(args, coco, targets, limits)
    results: list[PairResult] = []
    names = review_names([(pair.source, pair.target) for pair in pairs])
    with new_folder(args.out) as folder:
        for pair, name in zip(progress(pairs, len(pairs), 'registering'), names):
            source, target = load_pixels(args.images / pair.source), load_pixels(targets[pair.target])
            result = transfer_pair(pair, coco, source, target, limits, args.min_visible,
                                   find_truth(truth, pair.target))
            results.append(result)
            if not args.no_review:
                _draw(folder / 'review' / name, result, coco, source, target)
        write_json(folder / 'annotations.json', make_coco(coco, results, limits, args.min_visible, args.domain))
        write_text(folder / 'pairs.csv', csv_text(_full_rows(results)))
        if truth is not None:
            write_text(folder / 'compare.csv', csv_text(check_rows(results)))
    unpaired = [image.file_name for image in coco.images if image.file_name not in {pair.source for pair in pairs}]
    _report(results, unpaired if not args.pairs else [], args)
    return int(any(result.carried is None for result in results))


def _check(args: argparse.Namespace) -> None:
    if args.min_inliers < 8:
        raise UserError(f'--min-inliers is {args.min_inliers}; at least 8 are needed to tell a field from chance')
    for name, value in (('--min-visible', args.min_visible), ('--min-overlap', args.min_overlap)):
        if not 0 < value <= 1:
            raise UserError(f'{name} is {value:g}; it is a share, above 0 and at most 1')
    if not args.max_residual > 0:
        raise UserError(f'--max-residual is {args.max_residual:g}; it is a distance in pixels, above 0')
    if not args.targets.is_dir():
        raise UserError(f'{args.targets}: is no folder; name the folder of the target images')
    if args.pairs and args.match != 'auto':
        raise UserError('--match has no effect with --pairs; give one of them')


def _target_names(folder: Path, out: Path) -> dict[str, Path]:
    """Paths by name below the folder."""
    from mmleuk.utils.image_inputs import list_images
    return {path.relative_to(folder).as_posix(): path for path in list_images(folder, skip=out)}


def _find_pairs(args: argparse.Namespace, coco: CocoFile, targets: dict[str, Path], limits: Limits) -> list[Pair]:
    """Pairs by file, name or content, in the order of the annotation file."""
    from mmleuk.transfer.pairing import pair_by_content, pair_by_name, read_pairs
    from mmleuk.transfer.registration import Pixels
    from mmleuk.transfer.run import load_pixels
    sources = [image.file_name for image in coco.images]
    if args.pairs:
        return read_pairs(args.pairs, sources, list(targets))
    pairs = [] if args.match == 'content' else pair_by_name(sources, list(targets))
    if args.match != 'name':
        used = {pair.source for pair in pairs} | {pair.target for pair in pairs}
        free: list[dict[str, Callable[[], Pixels]]] = [
            {name: partial(load_pixels, path) for name, path in side.items() if name not in used}
            for side in ({name: args.images / name for name in sources}, targets)]
        pairs += pair_by_content(free[0], free[1], limits)
    if not pairs:
        raise UserError(f'{args.targets}: no image shows a field of {args.annotations}, by --match {args.match}; name '
                        'the pairs with --pairs')
    return sorted(pairs, key=lambda pair: sources.index(pair.source))


def review_names(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """File name of each pair's picture: both names without suffix, with them where two pairs would share one.

    >>> review_names([('a/1.png', '2.png')]), review_names([('1.png', 'x.png'), ('1.jpg', 'x.tif')])
    (['a_1__2.jpg'], ['1.png__x.png.jpg', '1.jpg__x.tif.jpg'])
    """
    short = ['__'.join(str(PurePosixPath(part).with_suffix('')) for part in pair).replace('/', '_') for pair in pairs]
    whole = ['__'.join(pair).replace('/', '_') for pair in pairs]
    names = [one if short.count(one) == 1 else other for one, other in zip(short, whole)]
    # a/b.png beside a_b.png: the number of the pair tells them apart
    return [f'{name}.jpg' if names.count(name) == 1 else f'{name}__{number}.jpg'
            for number, name in enumerate(names, start=1)]


def _draw(path: Path, result: PairResult, coco: CocoFile, source: Any, target: Any) -> None:
    from mmleuk.pictures.drawing import save_picture
    from mmleuk.transfer.review import draw_pair
    image = next(image for image in coco.images if image.file_name == result.pair.source)
    ids = {cell.annotation_id for cell in image.cells}
    found = result.registration
    words = f'{result.pair.source} -> {result.pair.target}: ' + (
        f'refused, {found.refusal}' if found.refusal else f'{found.inliers} inliers, residual {found.residual_px:.2f} '
        f'px, {found.overlap_of_target:.0%} of the target')
    picture = draw_pair(
        source, target, [entry for entry in coco.data['annotations'] if entry['id'] in ids],
        result.carried.annotations if result.carried else (),
        {entry['id']: entry['name'] for entry in coco.data['categories']},
        None if found.refusal else found.homography, words, result.own_xyxy.tolist())
    save_picture(picture, path)


def _full_rows(results: list[PairResult]) -> list[dict[str, Any]]:
    """Rows with the same columns: those of a comparison are empty where a pair has none."""
    rows = [result.row for result in results]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return [{key: row.get(key) for key in columns} for row in rows]


def _report(results: list[PairResult], unpaired: list[str], args: argparse.Namespace) -> None:
    from mmleuk.utils.tables import lines, text_table
    from mmleuk.utils.words import plural_n
    columns = ['target', 'inliers', 'residual_px', 'overlap_of_target', 'turn_deg', 'cells', 'carried', 'dropped']
    if args.compare:
        columns += ['agree', 'shifted', 'no_box', 'median_iou', 'median_centre_px']
    print(text_table(lines(_full_rows(results), columns)) if results else '')
    done = [result for result in results if result.carried is not None]
    print(f'{args.out}: {len(done)} of {plural_n(len(results), "pair")} carried, '
          f'{plural_n(sum(result.row["carried"] for result in done), "cell")}; '
          f'{sum(result.row["dropped"] for result in done)} left the field and were dropped')
    for result in results:
        if result.registration.refusal:
            print(f'  refused: {result.pair.source} -> {result.pair.target}: {result.registration.refusal}')
    if unpaired:
        print(f'  without a target: {", ".join(unpaired)}')
    if args.compare:
        _report_comparison(done, args.compare)


def _report_comparison(done: list[PairResult], path: str) -> None:
    """How the carried cells lie beside the targets' own boxes, and the fields in which these contradict."""
    from statistics import median

    from mmleuk.transfer.comparison import AGREES, NO_BOX, SHIFTED
    from mmleuk.utils.words import plural_n
    checks = [(result, result.check) for result in done if result.check is not None]
    total = {verdict: sum(check.count(verdict) for _, check in checks) for verdict in (AGREES, SHIFTED, NO_BOX)}
    agreeing = [cell for _, check in checks for cell in check.cells if cell.verdict == AGREES]
    figures = (f' (median IoU {median(cell.iou for cell in agreeing):.3f}, centres '
               f'{median(cell.distance_px or 0.0 for cell in agreeing):.1f} px apart)') if agreeing else ''
    print(f'{path}: {plural_n(total[AGREES], "carried cell")} with its box at IoU 0.5{figures}, {total[SHIFTED]} with '
          f'a shifted box, {total[NO_BOX]} without a box; {sum(check.extra for _, check in checks)} boxes that '
          f'no carried cell claims' + (f'; {plural_n(len(done) - len(checks), "field")} not in this file'
                                       if len(done) > len(checks) else ''))
    for result, check in checks:
        if check.contradicts:
            x, y = check.shift_px or (0.0, 0.0)
            print(f'  contradicts: {result.pair.target}: {check.count(SHIFTED)} of {plural_n(len(check.cells), "cell")}'
                  f' with a box that lies beside it, by ({x:+.0f}, {y:+.0f}) px (median); both images look alike where '
                  f'the cells were carried to (correlation at least {min(result.cell_correlations):.2f})')
