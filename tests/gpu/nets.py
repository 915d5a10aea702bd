# SPDX-License-Identifier: Apache-2.0
"""Networks of our own, with torch alone: what model libraries lack, and what every machine has.

A name says kind and sizes: `mlp-d8-w1024` has depth 8 and width 1024.
"""
import re

from torch import nn
import torch

CLASSES = 16


def make(name, shape):
    """The network of that name for inputs of that shape (without batch)."""
    kind, *sizes = name.split('-')
    if kind not in KINDS:
        raise ValueError(f'no network of our own is called {name}')
    return KINDS[kind](shape, **{size[0]: int(size[1:]) for size in sizes if _SIZE.match(size)})


_SIZE = re.compile(r'[a-z]\d+$')


def _mlp(shape, d, w):
    """`d` linear layers of width `w`."""
    widths = [shape[-1]] + [w] * (d - 1)
    layers = []
    for before, after in zip(widths, widths[1:]):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], CLASSES))


class _Recurrent(nn.Module):
    """Layers of an LSTM or GRU over [steps, features]; the last step is classified."""

    def __init__(self, kind, shape, layers, width):
        super().__init__()
        self.cells = kind(shape[-1], width, layers, batch_first=True)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, steps):
        return self.head(self.cells(steps)[0][:, -1])


def _encoder(shape, l, w, h):
    """torch's own transformer encoder: `l` layers, width `w`, `h` heads, over [steps, w]."""
    layer = nn.TransformerEncoderLayer(w, h, 4 * w, batch_first=True, norm_first=True)
    return nn.Sequential(nn.Linear(shape[-1], w),
                         nn.TransformerEncoder(layer, l, enable_nested_tensor=False))


class _Dilated(nn.Module):
    """A residual block of two dilated 1-D convolutions, as in temporal convolutional networks."""

    def __init__(self, width, dilation):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation), nn.BatchNorm1d(width),
            nn.ReLU(), nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation),
            nn.BatchNorm1d(width))

    def forward(self, signal):
        return torch.relu(signal + self.body(signal))


def _tcn(shape, l, w):
    """`l` dilated residual blocks of `w` channels over [channels, steps]."""
    blocks = [_Dilated(w, 2 ** (level % 8)) for level in range(l)]
    return nn.Sequential(nn.Conv1d(shape[0], w, 1), *blocks, nn.AdaptiveAvgPool1d(1), nn.Flatten(),
                         nn.Linear(w, CLASSES))


def _double(before, after):
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after),
                         nn.ReLU(inplace=True), nn.Conv2d(after, after, 3, padding=1, bias=False),
                         nn.BatchNorm2d(after), nn.ReLU(inplace=True))


class _UNet(nn.Module):
    """A U-Net of `d` levels whose first has `w` channels; a class for each pixel."""

    def __init__(self, shape, d, w):
        super().__init__()
        widths = [w << level for level in range(d)]
        self.down = nn.ModuleList(_double(before, after)
                                  for before, after in zip([shape[0]] + widths, widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * width, width, 2, stride=2)
                                for width in reversed(widths[:-1]))
        self.join = nn.ModuleList(_double(2 * width, width) for width in reversed(widths[:-1]))
        self.head = nn.Conv2d(w, CLASSES, 1)

    def forward(self, image):
        levels = []
        for block in self.down:
            image = block(image if not levels else nn.functional.max_pool2d(image, 2))
            levels.append(image)
        for up, join, skipped in zip(self.up, self.join, reversed(levels[:-1])):
            image = join(torch.cat([skipped, up(image)], 1))
        return self.head(image)


KINDS = {
    'mlp': _mlp,
    'lstm': lambda shape, l, w: _Recurrent(nn.LSTM, shape, l, w),
    'gru': lambda shape, l, w: _Recurrent(nn.GRU, shape, l, w),
    'encoder': _encoder,
    'tcn': _tcn,
    'unet': _UNet,
}
