"""A folder of drawn cells with masks: a disc of cytoplasm with a darker nucleus."""

import numpy as np
from PIL import Image

THREE = ('other', 'cytoplasm', 'nucleus')


def draw_cells(folder, number, seed=0, size=32, prefixes=('d1', 'd2')):
    """Write ``<prefix>_<n>.png`` and ``<prefix>_<n>_mask.png``."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(number):
        centre = rng.uniform(0.4, 0.6, 2) * size
        distance = np.hypot(x - centre[0], y - centre[1]) / size
        mask = ((distance < 0.35).astype(np.uint8) + (distance < 0.2)).astype(np.uint8)
        image = np.array([[240, 230, 230], [170, 190, 235], [110, 60, 150]])[mask] + rng.normal(0, 8, (size, size, 3))
        name = f'{prefixes[index % len(prefixes)]}_{index:03d}'
        Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(folder / f'{name}.png')
        Image.fromarray(mask).save(folder / f'{name}_mask.png')
    return folder
