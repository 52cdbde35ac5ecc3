"""Films for the tests of large images, and a detector that knows their truth."""

import numpy as np

from mmleuk.structures.prediction import AttributeReading, Cell, Prediction


def dots(size_hw, centres, radius=9, value=None):
    """A film with dark round cells; each cell's red channel is its number, so that a detector can tell them apart."""
    image = np.full((*size_hw, 3), 230, np.uint8)
    rows, columns = np.mgrid[:size_hw[0], :size_hw[1]]
    for number, (x, y) in enumerate(centres):
        image[(rows - y) ** 2 + (columns - x) ** 2 <= radius ** 2] = (90, 60, value or number % 200)
    return image


class DotDetector:
    """Boxes of the dark spots of an image, as far as it shows them; a spot's number decides its attribute."""

    def __init__(self):
        self.calls = 0

    def __call__(self, arrays):
        self.calls += 1
        return [self.predict(array) for array in arrays]

    def predict(self, image):
        import cv2
        count, labels, stats, _ = cv2.connectedComponentsWithStats((image[..., 1] == 60).astype(np.uint8))
        cells = []
        for index in range(1, count):
            x, y, width, height, area = stats[index].tolist()
            number = int(np.median(image[..., 2][labels == index]))
            reading = AttributeReading(value=('open', 'coarse')[number % 2], value_index=number % 2, prob=0.75)
            # Windows may differ in the score of one cell; a cut cell has a lower one here.
            cells.append(Cell((float(x), float(y), float(x + width), float(y + height)), min(1.0, area / 400), 0, 'WBC',
                              {'nuclear_chromatin': reading}))
        return Prediction('array', image.shape[:2], tuple(cells))
