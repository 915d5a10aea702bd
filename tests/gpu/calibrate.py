# SPDX-License-Identifier: Apache-2.0
"""Measures the machine itself: what a context costs, what an operator costs, how fast what can be.

The ground truth below a roofline. Each part returns rows; times are of one call, in microseconds,
the mean of as many as fit into `LOOP_S`, launched one behind another and waited for at the end:
what is shorter than its launch shows the launch, as it does in a model. Nothing is computed on
zeros, which are faster than data.
"""
import math
import time

import torch
from torch.nn import functional

import energy
import measure

LOOP_S = 0.015
IDLE_S = 1.5
LAUNCHES = 2000
# A CPU takes part to test this program only; there, what is larger would take minutes.
CPU_MOST = 3e7  # elements or FLOP
PRECISIONS = {'fp32': (torch.float32, False), 'tf32': (torch.float32, True),
              'bf16': (torch.bfloat16, False), 'fp16': (torch.float16, False)}


def calibrate(name, bench):
    """The record of one part, without its task's fields."""
    try:
        return {'status': 'ok', 'rows': PARTS[name](bench)}
    except measure.Unable:
        raise
    except Exception as error:  # one part less; the others are measured
        return {'status': 'oom' if measure.out_of_memory(error) else 'error',
                'error': measure.brief(error)}


def _context(*loads):
    """Bytes of this process and of the card before and after the context and each library."""
    def rows(bench):
        if not bench.cuda:
            return []
        before = bench.memory_used()[1]
        bench.open()
        seen = [{'after': 'context', 'card_before_bytes': before, **_used(bench)}]
        for name, load in loads:
            load(bench.device)
            bench.fresh()
            seen.append({'after': name, **_used(bench)})
        return seen
    return rows


def _used(bench):
    process, card = bench.memory_used()
    return {'process_bytes': process, 'card_bytes': card,
            'torch_reserved_bytes': torch.cuda.memory_reserved()}


def _cublas(device):
    some = torch.randn(256, 256, device=device)
    some @ some


def _cudnn(device):
    functional.conv2d(torch.randn(2, 16, 32, 32, device=device),
                      torch.randn(16, 16, 3, 3, device=device))


def _idle(bench):
    """Watts of the card with nobody on it, and with a context that does nothing."""
    rows = []
    for context in (False, True):
        if context:
            bench.open()
        time.sleep(0.5)  # the card falls back to its clocks of rest
        with energy.Watch(bench.card) as watch:
            time.sleep(IDLE_S)
        rows.append({'context': context, 'power': watch.mean_power(), 'state': bench.card.state()})
    return rows


def _launch(bench):
    """Host time of one eager operator too small to keep the GPU busy, and until all are done."""
    bench.open()
    small = torch.randn(8, 8, device=bench.device)
    image = torch.randn(1, 8, 8, 8, device=bench.device)
    kernel = torch.randn(8, 8, 3, 3, device=bench.device)
    grown = small.clone().requires_grad_()
    line = torch.nn.Linear(8, 8, device=bench.device)
    calls = {'add_': lambda: small.add_(1e-6), 'add': lambda: small + small,
             'view': lambda: small.view(64), 'matmul': lambda: small @ small,
             'linear_module': lambda: line(small), 'layer_norm': lambda: functional.layer_norm(
                 small, (8,)), 'conv2d': lambda: functional.conv2d(image, kernel, padding=1)}
    rows = [_launches(name, call, bench, grad=False) for name, call in calls.items()]
    rows.append(_launches('add', lambda: grown + grown, bench, grad=True))
    rows.append(_launches('add_and_backward', lambda: (grown + grown).backward(small), bench,
                          grad=True))
    return rows


def _launches(name, call, bench, grad):
    with torch.set_grad_enabled(grad):
        for _ in range(100):
            call()
        bench.wait()
        started_s = time.perf_counter()
        for _ in range(LAUNCHES):
            call()
        host_s = time.perf_counter() - started_s
        bench.wait()
        all_s = time.perf_counter() - started_s
    return {'op': name, 'grad': grad, 'host_us': round(1e6 * host_s / LAUNCHES, 3),
            'with_wait_us': round(1e6 * all_s / LAUNCHES, 3)}


def _copy(bench):
    """Device to device, bytes read and written; from what the L2 cache holds to far beyond."""
    bench.open()
    rows = []
    for mib in (1, 4, 8, 16, 24, 32, 48, 64, 128, 256, 1024, 4096) if bench.cuda else (1, 4):
        source = torch.randint(0, 127, (mib << 20,), dtype=torch.int8, device=bench.device)
        target = torch.empty_like(source)
        rows.append(_row('copy', [mib << 20], 'int8', lambda: target.copy_(source), bench,
                         moved=2 * (mib << 20)))
        del source, target
    return rows


def _matmul(bench):
    rows = []
    shapes = [(size,) * 3 for size in (128, 256, 512, 1024, 2048, 4096, 8192)]
    shapes += [(32, 4096, 4096), (256, 1024, 4096), (6272, 768, 3072), (50176, 96, 384)]
    for name in PRECISIONS:
        for m, k, n in shapes:
            make = {'a': (m, k), 'b': (k, n)}
            rows += _op('matmul', [m, k, n], name, make, lambda a, b: a @ b, bench,
                        flop=2 * m * k * n)
    return rows


def _elementwise(bench):
    calls = {'add': lambda a: a + a, 'relu': torch.relu, 'gelu': functional.gelu,
             'silu': functional.silu, 'sigmoid': torch.sigmoid,
             'to_fp32': lambda a: a.to(torch.float32), 'transposed': lambda a: a.t().contiguous(),
             'sum': torch.sum}
    rows = []
    for name in ('fp32', 'bf16'):
        for side in (64, 256, 1024, 2048, 4096, 8192):
            for op, call in calls.items():
                rows += _op(op, [side, side], name, {'a': (side, side)}, call, bench)
    return rows


def _normalisation(bench):
    rows = []
    for name in ('fp32', 'bf16'):
        for shape in ((6272, 384), (25088, 96), (25088, 768), (12544, 1024), (96, 512, 512)):
            last = shape[-1:]
            rows += _op('softmax', shape, name, {'a': shape}, lambda a: a.softmax(-1), bench)
            rows += _op('layer_norm', shape, name, {'a': shape, 'w': last, 'b': last},
                        lambda a, w, b: functional.layer_norm(a, w.shape, w, b), bench)
        for shape in ((32, 64, 112, 112), (32, 256, 56, 56), (32, 2048, 7, 7)):
            channels = shape[1:2]
            rows += _op('batch_norm', shape, name, {'a': shape, 'w': channels, 'b': channels},
                        lambda a, w, b: functional.batch_norm(a, None, None, w, b, True), bench)
            rows += _op('max_pool', shape, name, {'a': shape},
                        lambda a: functional.max_pool2d(a, 2), bench)
    return rows


# channels in, out, side, kernel, stride, groups: of ResNet, VGG, MobileNet, ResNeXt and ConvNeXt
_CONVOLUTIONS = [(3, 64, 224, 7, 2, 1), (3, 64, 224, 3, 1, 1), (64, 64, 56, 3, 1, 1),
                 (128, 128, 28, 3, 1, 1), (256, 256, 14, 3, 1, 1), (512, 512, 7, 3, 1, 1),
                 (128, 128, 56, 3, 2, 1), (64, 256, 56, 1, 1, 1), (512, 128, 28, 1, 1, 1),
                 (1024, 256, 14, 1, 1, 1), (2048, 512, 7, 1, 1, 1), (3, 96, 224, 4, 4, 1),
                 (32, 32, 112, 3, 1, 32), (144, 144, 56, 3, 2, 144), (192, 192, 28, 5, 1, 192),
                 (384, 384, 14, 3, 1, 384), (960, 960, 7, 3, 1, 960), (96, 96, 56, 7, 1, 96),
                 (384, 384, 14, 7, 1, 384), (128, 128, 56, 3, 1, 32), (256, 256, 28, 3, 1, 32),
                 (1024, 1024, 7, 3, 1, 32), (64, 64, 56, 3, 1, 2)]


def _convolution(bench):
    rows = []
    for name in ('fp32', 'tf32', 'bf16'):
        for batch in (1, 32):
            for before, after, side, kernel, stride, groups in _CONVOLUTIONS:
                out = (side + 2 * (kernel // 2) - kernel) // stride + 1
                flop = 2 * batch * after * out * out * kernel * kernel * before // groups
                for layout in ('contiguous', 'channels_last'):
                    rows += _op('conv2d', [batch, before, after, side, kernel, stride, groups],
                                name, {'a': (batch, before, side, side),
                                       'w': (after, before // groups, kernel, kernel)},
                                lambda a, w: functional.conv2d(
                                    a, w, None, stride, kernel // 2, 1, groups),
                                bench, flop, layout, train=layout == 'contiguous' and batch > 1)
    return rows


def _attention(bench):
    rows = []
    for name in ('fp32', 'bf16'):
        for batch, heads, length, width in ((32, 3, 197, 64), (32, 12, 197, 64), (8, 12, 512, 64),
                                            (2, 16, 2048, 64), (2048, 3, 49, 32)):
            shape = (batch, heads, length, width)
            rows += _op('attention', list(shape), name, {'q': shape, 'k': shape, 'v': shape},
                        functional.scaled_dot_product_attention, bench,
                        flop=4 * batch * heads * length * length * width, train=True)
    return rows


def _op(op, shape, name, make, call, bench, flop=0, layout='contiguous', train=False):
    """Rows of one operator: forward, and forward with backward where that is asked for."""
    elements = sum(math.prod(size) for size in make.values())
    if not bench.cuda and (max(flop, elements) > CPU_MOST or name == 'fp16'):
        return []
    bench.open()
    dtype, tf32 = PRECISIONS[name]
    measure.precision(tf32)
    given = [torch.randn(size, dtype=dtype, device=bench.device) for size in make.values()]
    if layout == 'channels_last':
        given = [one.to(memory_format=torch.channels_last) for one in given]
    with torch.no_grad():
        result = call(*given)
        moved = sum(one.numel() * one.element_size() for one in (*given, result))
        rows = [_row(op, shape, name, lambda: call(*given), bench, moved, flop)]
    if train:
        back = torch.randn_like(result)
        given = [one.requires_grad_() for one in given]
        rows.append(_row(op + '_train', shape, name,
                         lambda: torch.autograd.grad(call(*given), given, back), bench, None,
                         3 * flop))
    return [{**row, 'memory_format': layout} for row in rows]


def _row(op, shape, name, call, bench, moved, flop=0):
    for _ in range(3):
        call()
    bench.wait()
    started_s = time.perf_counter()
    call()
    bench.wait()
    count = min(200, max(4, int(LOOP_S / (time.perf_counter() - started_s))))

    def several():
        for _ in range(count):
            call()
    event_ms, wall_ms = measure.once(several, bench)
    one_us = 1000 * (wall_ms if event_ms is None else event_ms) / count
    return {'op': op, 'shape': list(shape), 'precision': name, 'us': round(one_us, 3),
            'tflop_per_s': round(flop / one_us / 1e6, 3) if flop else None,
            'gb_per_s': round(moved / one_us / 1000, 2) if moved else None}


PARTS = {
    'context-bare': _context(),
    'context-cublas': _context(('cublas', _cublas)),
    'context-cudnn': _context(('cudnn', _cudnn)),
    'context-both': _context(('cublas', _cublas), ('cudnn', _cudnn)),
    'idle-power': _idle,
    'launch': _launch,
    'copy': _copy,
    'matmul': _matmul,
    'elementwise': _elementwise,
    'normalisation': _normalisation,
    'convolution': _convolution,
    'attention': _attention,
}
