"""Small random annotation files and detections, full of ties, crowds and empty images."""

import numpy as np
import pytest

NAMES = ('WBC', 'RBC', 'Platelets')
IDS = {'WBC': 3, 'RBC': 1, 'Platelets': 2}


def random_files(seed, n_images=6, crowds=True, n_classes=3):
    """An annotation file's dict and COCO results on a coarse grid, so that scores and overlaps are often equal."""
    rng = np.random.default_rng(seed)
    images = [dict(id=int(number), file_name=f'{number}.png', width=200, height=200,
                   domain=str(rng.choice(['a', 'b'])), factors=[str(f) for f in ('blur', 'dust') if rng.random() < 0.4])
              for number in rng.permutation(100)[:n_images]]
    names = NAMES[:n_classes]
    annotations, results = [], []
    for image in images:
        cells = [[int(v) for v in rng.integers([0, 0, 2, 2], [12, 12, 9, 9]) * 10] for _ in range(rng.integers(0, 6))]
        for x, y, w, h in cells:
            annotations.append(dict(id=len(annotations) + 1, image_id=image['id'], bbox=[x, y, w, h], area=w * h,
                                    category_id=IDS[str(rng.choice(names))],
                                    iscrowd=int(crowds and rng.random() < 0.15)))
        near = [cells[i] for i in rng.integers(0, len(cells), 10)] if cells else []
        for x, y, w, h in [*near, [20, 20, 40, 40]][:rng.integers(0, 12)]:
            dx, dy = rng.choice([-10, 0, 0, 0, 10], 2)
            results.append(dict(image_id=image['id'], bbox=[float(x + dx), float(y + dy), float(w), float(h)],
                                score=float(rng.integers(0, 11) / 10), category_id=IDS[str(rng.choice(names))]))
    order = rng.permutation(len(results))
    return (dict(images=images, annotations=annotations, categories=[dict(id=IDS[n], name=n) for n in names]),
            [results[i] for i in order])


@pytest.fixture(scope='session')
def make_files():
    return random_files
