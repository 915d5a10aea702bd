# SPDX-License-Identifier: Apache-2.0
"""Measures one configuration: latency, memory and energy of a model."""
import contextlib
import gc
import math
import os
import time

import torch

import energy
import models
import nvml
import plan

ENERGY_S = 0.4         # four steps of the slowest energy counter
TOGETHER_S = 0.02
ENERGY_TIMED_S = 0.35  # timed runs that take as long are watched themselves
KEPT_MOST_BYTES = 128 << 20  # libraries keep workspaces; more is a leak
DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16}
FORMATS = {'contiguous': torch.contiguous_format, 'channels_last': torch.channels_last}


class Unable(Exception):
    """The device cannot be used by this process at all."""


class Bench:
    """The device, and the model that lies on it."""

    def __init__(self, device):
        self.device = torch.device(device)
        self.cuda = self.device.type == 'cuda'
        self.card = nvml.Card()
        self.measured = 0  # configurations, by this process
        self._open = False
        self._subject = None

    def open(self):
        """Makes the context, with nothing in it."""
        if self._open or not self.cuda:
            return
        try:
            torch.zeros(1, device=self.device)
        except Exception as error:
            raise Unable(brief(error)) from error
        torch.backends.cudnn.benchmark = False
        self.fresh()
        self._open = True

    def fresh(self):
        """Gives back all memory that holds nothing, so that the next one starts as a job does."""
        gc.collect()
        if self.cuda:
            torch.cuda.synchronize()
            with contextlib.suppress(AttributeError):  # cuBLAS's workspace, which torch would keep
                torch._C._cuda_clearCublasWorkspaces()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            torch.cuda.reset_accumulated_memory_stats()

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()

    def held(self):
        """Bytes that live tensors take on the device."""
        return torch.cuda.memory_allocated() if self.cuda and self._open else 0

    def memory_used(self):
        """NVML's (process, card), bytes; Nones without a GPU."""
        return self.card.memory_used(os.getpid()) if self.cuda else (None, None)

    def subject(self, task):
        """The task's model; the one before it goes."""
        wanted = (task['model'], tuple(task['input']))
        if self._subject is None or self._subject.wanted != wanted:
            self._subject = None
            self.fresh()
            self._subject = Subject(wanted, self)
        return self._subject

    def fit(self):
        """Whether the next configuration can be measured here: it answers, and nothing leaks."""
        try:
            if self._subject:
                self._subject.rest()
            self.fresh()
        except Exception:  # after a device-side error every call fails
            return False
        return self.held() <= (self._subject.held if self._subject else 0) + KEPT_MOST_BYTES


class Subject:
    """A model, made once, and placed on the device in one type and layout at a time."""

    def __init__(self, wanted, bench):
        started_s = time.perf_counter()
        self.wanted = wanted
        self._bench = bench
        self._placed = None
        self.held = 1 << 62  # bytes on the device; unknown while it is built or moved
        self.base = bench.memory_used()
        self.module = models.build(*wanted, bench.device)
        self.build_s = time.perf_counter() - started_s

    def place(self, dtype, memory_format):
        """Moves it by way of the host, so that it lies there as it would in a job of its own."""
        if self._placed == (dtype, memory_format):
            return
        self._placed, self.held = None, 1 << 62
        self.module.to('cpu')
        self._bench.fresh()
        self.module.to(self._bench.device, DTYPES[dtype], memory_format=FORMATS[memory_format])
        self._placed = (dtype, memory_format)
        self._bench.fresh()
        self.held = self._bench.held()

    def rest(self):
        """Drops what training has left on the weights."""
        self.module.zero_grad(set_to_none=True)

    def sizes(self):
        parameters, buffers = list(self.module.parameters()), list(self.module.buffers())
        return {'parameters': sum(one.numel() for one in parameters),
                'parameter_bytes': sum(one.numel() * one.element_size() for one in parameters),
                'buffer_bytes': sum(one.numel() * one.element_size() for one in buffers)}


def measure(task, bench):
    """The task's record without the task's own fields. Never raises but Unable."""
    bench.open()
    record = {'status': 'ok', 'stage': 'build', 'measured_before': bench.measured}
    bench.measured += 1
    try:
        _measure(task, bench, record)
        del record['stage']
    except Exception as error:  # whatever a library raises is this configuration's result
        record.update(status='oom' if out_of_memory(error) else 'error', error=brief(error))
        if bench.cuda and record['status'] == 'oom':
            record['memory'] = peaks()
    return record


def _measure(task, bench, record):
    subject = bench.subject(task)
    record['stage'] = 'place'
    subject.place(plan.weights(task), task['memory_format'])
    precision(task['precision'] == 'tf32')
    bench.fresh()
    record.update(subject.sizes(), build_s=round(subject.build_s, 3),
                  attention=models.attention(task['model'], subject.module))
    before = {'allocated_before_bytes': bench.held(),
              'reserved_before_bytes': torch.cuda.memory_reserved() if bench.cuda else 0,
              **named('base', subject.base), **named('before', bench.memory_used())}

    record['stage'] = 'run'
    inference = torch.inference_mode() if task['mode'] == 'inference' else contextlib.nullcontext()
    with inference:
        run, settings = step(task, subject.module, bench)
        record.update(settings)
        record['latency'], record['energy'], record['state'], grown = timed(run, bench)
    record['memory'] = {**before, **peaks(), 'grown_bytes': grown,
                        **named('after', bench.memory_used())} if bench.cuda else None


def precision(tf32):
    """Strict fp32 or TF32, for products and convolutions alike; bf16 is not touched by it."""
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32


def step(task, module, bench):
    """(a function that runs the configuration once, what is to be known about it).

    The function's result keeps the autograd graph alive where there is one.
    """
    training = task['mode'] == 'train'
    module.train(training)
    half = task['precision'] == 'bf16'
    dtype = DTYPES[plan.weights(task)]
    arguments, by_name = models.example(task['model'], task['input'], task['batch'], dtype,
                                        bench.device)
    if task['memory_format'] == 'channels_last':
        arguments = tuple(one.to(memory_format=torch.channels_last) for one in arguments)
    given = [*arguments, *by_name.values()]
    settings = {'bf16_by': (('autocast' if training else 'weights') if half else None),
                'module_mode': 'train' if training else 'eval',
                'loss': 'cross_entropy' if training else None,
                'input_bytes': sum(one.numel() * one.element_size() for one in given)}
    if not training:
        return lambda: module(*arguments, **by_name), settings

    targets = []
    optimizer = make_optimizer(task['optimizer'], module)
    cast = (lambda: torch.autocast(bench.device.type, torch.bfloat16)) if half \
        else contextlib.nullcontext

    def train():
        optimizer.zero_grad(set_to_none=True)
        with cast():
            value = models.loss(module(*arguments, **by_name), targets)
        value.backward()
        optimizer.step()
    return train, settings


def make_optimizer(name, module):
    """As torch has them by default; steps small enough that random labels do no harm."""
    if name == 'sgd':
        return torch.optim.SGD(module.parameters(), lr=1e-4, momentum=0.9)
    return torch.optim.Adam(module.parameters(), lr=1e-5)


def timed(run, bench):
    """(latency, energy, state of the card at its end, bytes held more than after the warm-up)."""
    gc.disable()  # a collection in the middle of a run is nobody's latency
    try:
        first = once(run, bench)
        warm_s, warm_ups = warm_up(run, bench)
        held = bench.held()
        count = plan.runs(warm_s)
        joint = warm_s * count >= ENERGY_TIMED_S
        watched = energy.Watch(bench.card) if joint and bench.cuda else contextlib.nullcontext()
        with watched as watch:
            started_s = time.perf_counter()
            runs = [once(run, bench) for _ in range(count)]
            loop_s, loop_runs = time.perf_counter() - started_s, count
        if bench.cuda and not joint:
            watch, loop_s, loop_runs = back_to_back(run, warm_s, bench)
        state = bench.card.state() if bench.cuda else None
        grown = bench.held() - held
    finally:
        gc.enable()
    latency = {'warm_ups': warm_ups, 'runs': count, 'first_wall_ms': round(first[1], 4),
               'event_ms': spread([event for event, _ in runs]),
               'wall_ms': spread([wall for _, wall in runs]),
               'back_to_back_ms': None if joint or not bench.cuda
               else round(1000 * loop_s / loop_runs, 5)}
    power = watch.mean_power() if watch else None
    if power:
        power['runs'] = loop_runs
        power['per_run_j'] = round(power['mean_power_w'] * loop_s / loop_runs, 6)
    return latency, power, state, grown


def warm_up(run, bench):
    """After the first run: (the fastest one's seconds, how many there were with the first)."""
    started_s = time.perf_counter()
    fastest_ms, count, spent_s = math.inf, 1, 0.0
    while (count < 2 or spent_s < plan.WARM_UP_S) and (
            count < plan.WARM_UPS or spent_s < plan.WARM_UP_LEAST_S):
        fastest_ms = min(fastest_ms, once(run, bench)[1])
        count += 1
        spent_s = time.perf_counter() - started_s
    return fastest_ms / 1000, count


def once(run, bench):
    """One run, waited for: (ms between CUDA events or None, ms on the host's clock)."""
    if not bench.cuda:
        started_s = time.perf_counter()
        run()
        return None, 1000 * (time.perf_counter() - started_s)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    started_s = time.perf_counter()
    start.record()
    kept = run()
    end.record()
    end.synchronize()
    wall_ms = 1000 * (time.perf_counter() - started_s)
    del kept  # the graph is freed outside of what is timed
    return start.elapsed_time(end), wall_ms


def back_to_back(run, warm_s, bench):
    """Runs one behind another for long enough to tell their energy.

    Waits now and then, for the GPU's queue would take in seconds of work before it blocks.
    """
    together = max(1, math.ceil(TOGETHER_S / warm_s))
    count = 0
    with energy.Watch(bench.card) as watch:
        started_s = time.perf_counter()
        while time.perf_counter() - started_s < ENERGY_S:
            for _ in range(together):
                run()
            bench.wait()
            count += together
        loop_s = time.perf_counter() - started_s
    return watch, loop_s, count


def spread(values):
    """Mean, median and the 10th and 90th percentile, between neighbours in proportion."""
    if None in values:
        return None
    ordered = sorted(values)

    def at(fraction):
        place = fraction * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return round(ordered[low] + (place - low) * (ordered[high] - ordered[low]), 5)
    return {'mean': round(sum(ordered) / len(ordered), 5), 'median': at(0.5), 'p10': at(0.1),
            'p90': at(0.9)}


def peaks():
    """What torch's allocator has counted since caches were emptied; older versions count less."""
    counted = torch.cuda.memory_stats()
    return {'peak_allocated_bytes': counted.get('allocated_bytes.all.peak'),
            'peak_requested_bytes': counted.get('requested_bytes.all.peak'),
            'peak_reserved_bytes': counted.get('reserved_bytes.all.peak'),
            'reserved_after_bytes': counted.get('reserved_bytes.all.current'),
            'alloc_retries': counted.get('num_alloc_retries')}


def named(moment, used):
    """NVML's two figures under their names."""
    return {f'nvml_process_{moment}_bytes': used[0], f'nvml_card_{moment}_bytes': used[1]}


def out_of_memory(error):
    known = getattr(torch.cuda, 'OutOfMemoryError', MemoryError)
    text = str(error).lower()
    return isinstance(error, (known, MemoryError)) or any(
        part in text for part in ('out of memory', 'alloc_failed', 'not enough memory'))


def brief(error):
    """Type and first line."""
    return f'{type(error).__name__}: ' + (str(error).strip() or '(no text)').split('\n')[0][:300]
