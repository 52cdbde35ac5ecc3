"""YOLOv5 release 6 in the original's names, written from the published architecture: an oracle for the converter."""

import math
import sys
import types
from contextlib import contextmanager

import torch
from torch import nn

PIXEL_ANCHORS = [[10, 13, 16, 30, 33, 23], [30, 61, 62, 45, 59, 119], [116, 90, 156, 198, 373, 326]]


class Conv(nn.Module):
    def __init__(self, c_in, c_out, kernel=1, stride=1, padding=None):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2 if padding is None else padding, bias=False)
        self.bn = nn.BatchNorm2d(c_out, eps=1e-3, momentum=0.03)
        self.act = nn.SiLU()

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    def __init__(self, channels, shortcut):
        super().__init__()
        self.cv1 = Conv(channels, channels, 1)
        self.cv2 = Conv(channels, channels, 3)
        self.shortcut = shortcut

    def forward(self, x):
        y = self.cv2(self.cv1(x))
        return x + y if self.shortcut else y


class C3(nn.Module):
    def __init__(self, c_in, c_out, blocks, shortcut):
        super().__init__()
        half = c_out // 2
        self.cv1 = Conv(c_in, half)
        self.cv2 = Conv(c_in, half)
        self.cv3 = Conv(2 * half, c_out)
        self.m = nn.Sequential(*[Bottleneck(half, shortcut) for _ in range(blocks)])

    def forward(self, x):
        return self.cv3(torch.cat([self.m(self.cv1(x)), self.cv2(x)], 1))


class SPPF(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.cv1 = Conv(c_in, c_in // 2)
        self.cv2 = Conv(c_in * 2, c_out)
        self.m = nn.MaxPool2d(5, 1, 2)

    def forward(self, x):
        a = self.cv1(x)
        b = self.m(a)
        c = self.m(b)
        return self.cv2(torch.cat([a, b, c, self.m(c)], 1))


class Concat(nn.Module):
    def forward(self, xs):
        return torch.cat(xs, 1)


class Detect(nn.Module):
    def __init__(self, num_classes, channels):
        super().__init__()
        anchors = torch.tensor(PIXEL_ANCHORS, dtype=torch.float32).view(3, 3, 2)
        self.register_buffer('anchors', anchors / torch.tensor([8., 16., 32.]).view(3, 1, 1))
        self.m = nn.ModuleList([nn.Conv2d(c, 3 * (5 + num_classes), 1) for c in channels])

    def forward(self, xs):
        return [conv(x) for conv, x in zip(self.m, xs)]


# layer -> where its input comes from, when that isn't the layer before
SOURCES = {12: [-1, 6], 16: [-1, 4], 19: [-1, 14], 22: [-1, 10], 24: [17, 20, 23]}


class Model(nn.Module):
    def __init__(self, depth, width, num_classes, names=None):
        super().__init__()
        c1, c2, c3, c4, c5 = (math.ceil(c * width / 8) * 8 for c in (64, 128, 256, 512, 1024))
        n3, n6, n9 = (max(round(n * depth), 1) for n in (3, 6, 9))
        self.model = nn.Sequential(
            Conv(3, c1, 6, 2, 2), Conv(c1, c2, 3, 2), C3(c2, c2, n3, True), Conv(c2, c3, 3, 2), C3(c3, c3, n6, True),
            Conv(c3, c4, 3, 2), C3(c4, c4, n9, True), Conv(c4, c5, 3, 2), C3(c5, c5, n3, True), SPPF(c5, c5),
            Conv(c5, c4), nn.Upsample(scale_factor=2), Concat(), C3(2 * c4, c4, n3, False),
            Conv(c4, c3), nn.Upsample(scale_factor=2), Concat(), C3(2 * c3, c3, n3, False),
            Conv(c3, c3, 3, 2), Concat(), C3(2 * c3, c4, n3, False),
            Conv(c4, c4, 3, 2), Concat(), C3(2 * c4, c5, n3, False), Detect(num_classes, [c3, c4, c5]))
        self.names = names
        self.yaml = dict(depth_multiple=depth, width_multiple=width)

    def forward(self, x):
        outputs = []
        for index, layer in enumerate(self.model):
            if index in SOURCES:
                x = [x if source == -1 else outputs[source] for source in SOURCES[index]]
            x = layer(x)
            outputs.append(x)
        return x


CLASSES = {'models.common': (Conv, Bottleneck, C3, SPPF, Concat), 'models.yolo': (Detect, Model)}


def randomized(model, seed=0):
    """Weights and statistics unlike the initial ones, so that no two tensors could be swapped unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in ((module.weight, 0.8, 1.4), (module.bias, -0.3, 0.3),
                                      (module.running_mean, -0.3, 0.3), (module.running_var, 0.5, 1.5)):
                tensor.data.uniform_(low, high, generator=generator)
    return model.eval()


@contextmanager
def original_module_names():
    """Pickle the classes above as if they lived in the original's modules, which don't exist afterwards."""
    here = {c: (c.__module__, c.__qualname__) for classes in CLASSES.values() for c in classes}
    for name, classes in {'models': (), **CLASSES}.items():
        sys.modules[name] = types.ModuleType(name)
        for c in classes:
            setattr(sys.modules[name], c.__name__, c)
            c.__module__ = name
    try:
        yield
    finally:
        for name in ('models', *CLASSES):
            del sys.modules[name]
        for c, (module, _) in here.items():
            c.__module__ = module


def save_like_the_original(model, path, **entries):
    """A training checkpoint: whole modules in half precision next to plain values."""
    with original_module_names():
        torch.save(dict(epoch=-1, best_fitness=0.5, model=model, ema=None, updates=None, **entries), path)
