# SPDX-License-Identifier: Apache-2.0
"""Times each technique: first held against the reference, then warmed up, then trial by trial."""
import functools
import gc
import json
import platform
import signal
import statistics
import sys
import time
import types

import torch

import journal
import peer_nets
import peer_plan

INPUT_ROOM = 3 << 30        # bytes of inputs that are taken in turn
WARM_UP_CALLS, WARM_UP_S = 10, 0.05
ROW_S, FIRST_ROW_S = 0.15, 2.0  # of a row's trials; of those at batch 1
FEWEST_TRIALS = 10
DEVICE_SHARE = 5            # of the trials one in so many is timed on the device once more
CEILINGS_S = 20
CEILING_CALLS = 10          # a few ms each, behind the warm-up
BUS_BYTES = 64 << 20
# Precision: type and side on a GPU; FP32, which has no tensor cores, is slow enough at half of it.
PRODUCTS = {'bf16': (torch.bfloat16, 8192), 'fp16': (torch.float16, 8192),
            'int8': (torch.int8, 8192), 'tf32': (torch.float32, 8192),
            'fp32': (torch.float32, 4096)}
CHECKED_MOST = 64           # samples of a batch that are held against the reference
LOST = 3                    # exit code


class TimeUp(BaseException):
    """The technique's time is over; no `except Exception` in a library may swallow it."""


class Differs(Exception):
    """The outputs are not the reference's."""


class Peers:
    def __init__(self, wish, out, deadline_s):
        self._wish, self._out, self._deadline_s = wish, out, deadline_s
        self._gpu = wish.device == 'cuda'
        self._weights = {}
        self._armed = False

    def measure(self):
        """All that fits into the time; returns the exit code."""
        signal.signal(signal.SIGALRM, self._time_up)
        first = self._wish.first
        if first == 0:
            self._machine()
        tasks = peer_plan.tasks(self._wish.hidden, self._wish.batch, self._wish.only,
                                self._wish.how)
        for number, task in enumerate(tasks[first:], first):
            self._write({**label(task), 'kind': 'begun', 'number': number})
            self._technique(task)
            if not self._alive():
                return LOST
        return 0

    def _machine(self):
        self._write({'kind': 'machine', **machine(self._gpu)})

        def work(_):
            for row in ceilings(self._wish.device):
                self._write({'kind': 'ceiling', **row})
        told = self._limited(CEILINGS_S, work)
        if told.error:
            self._write({'kind': 'ceiling', 'name': 'unfinished', 'error': told.error})

    def _technique(self, task):
        if self._left_s() <= 0:
            left = ', '.join(map(str, task.batches))
            self._write({**label(task), 'error': f'not begun: time is up; batch {left}'})
            return
        told = self._limited(min(self._wish.technique_seconds, self._left_s()),
                             lambda told: self._batches(task, told))
        if told.error:
            left = ', '.join(map(str, told.left))
            self._write({**label(task), 'batch': told.batch,
                         'error': told.error + (f'; not begun: batch {left}' if left else '')})
        self._tidy()

    def _batches(self, task, told):
        """All batches, unless the first two fail alike."""
        torch.set_float32_matmul_precision('high' if task.precision == 'tf32' else 'highest')
        subject = Subject(task, self._weights_of(task.hidden), self._wish.device)
        failures = []
        for number, batch in enumerate(task.batches):
            told.batch, told.left = batch, task.batches[number + 1:]
            try:
                result = subject.timed(batch, self._wish.trials)
            except Exception as error:  # a kernel may lack one shape and know the next
                result = {'error': brief(error)}
                failures.append(result['error'])
                if not self._alive():
                    raise
            else:
                failures.append(None)
            self._write({**label(task), 'batch': batch, **result})
            if failures == [result.get('error')] * 2 and failures[0]:
                told.batch = None
                raise RuntimeError('two batches failed alike')

    def _weights_of(self, hidden):
        key = tuple(hidden)
        if key not in self._weights:
            inputs = self._wish.inputs or peer_nets.INPUTS
            self._weights[key] = peer_nets.Weights(hidden, inputs)
        return self._weights[key]

    def _left_s(self):
        return self._deadline_s - time.monotonic()

    def _limited(self, seconds, work):
        """work(told): whatever goes wrong in it, or takes too long, is `told.error` and no more."""
        told = types.SimpleNamespace(error=None, batch=None, left=[])
        try:
            try:
                self._armed = True
                signal.setitimer(signal.ITIMER_REAL, seconds, 1)  # again, where it was swallowed
                work(told)
            finally:
                self._armed = False
        except TimeUp:
            self._armed = False  # it may have come just before the other one
            told.error = f'time is up after {seconds:.0f} s'
        except Exception as error:  # each version and card lacks another kernel
            told.error = brief(error)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return told

    def _time_up(self, *_):
        if self._armed:
            raise TimeUp

    def _alive(self):
        if not self._gpu:
            return True
        try:
            torch.cuda.synchronize()
            return True
        except RuntimeError:  # a context that is lost answers nothing any more
            return False

    def _tidy(self):
        if hasattr(torch, '_dynamo'):
            torch._dynamo.reset()
        gc.collect()
        if self._gpu and self._alive():
            torch.cuda.empty_cache()

    def _write(self, record):
        self._out.write(json.dumps(record) + '\n')
        self._out.flush()
        if record['kind'] != 'row':
            return
        what = ' '.join(str(record[key]) for key in ('technique', 'precision', 'how', 'hidden',
                                                     'batch') if record.get(key) is not None)
        told = record.get('error') or f"{record.get('median_us', 0):.1f} us"
        print(f'peers: {what}: {told}', file=sys.stderr, flush=True)


class Subject:
    """One network in one technique, on the device."""

    def __init__(self, task, weights, device):
        if task.how == peer_plan.REPLAY and device != 'cuda':
            raise RuntimeError('a CUDA graph needs a CUDA device')
        self._precision, self._how, self._device = task.precision, task.how, device
        self._dense = task.technique not in peer_plan.BAGS
        sparse = task.technique == 'semi_structured'
        self._weights = weights.pruned() if sparse else weights
        dtype = peer_nets.DTYPES[task.precision]
        # Integers stay what they are.
        built = peer_nets.BUILD[task.technique](self._weights).eval().requires_grad_(False)
        self._module = built.to(device, dtype)
        if sparse:
            self._module = peer_nets.semi_structured(self._module)

    def timed(self, batch, trials):
        inputs = peer_nets.Inputs(self._weights, batch, peer_nets.DTYPES[self._precision],
                                  self._device, self._dense, INPUT_ROOM)
        call = self._callable(inputs.calls[0])
        row = {'relative_error': self._checked(call, inputs)}
        turn = Turns(call, inputs.calls, self._device)
        turn.warm_up()
        times_us = turn.on_the_host(trials, FIRST_ROW_S if batch == 1 else ROW_S)
        device_us = turn.on_the_device(max(FEWEST_TRIALS, len(times_us) // DEVICE_SHARE))
        return {**row, 'median_us': round(statistics.median(times_us), 3),
                'p99_us': round(quantile(times_us, 0.99), 3),
                'device_median_us': device_us and round(statistics.median(device_us), 3),
                'trials': len(times_us), 'input_sets': len(inputs.calls)}

    def _callable(self, first):
        if self._how == 'eager':
            return self._module
        if self._how == peer_plan.REPLAY:
            return peer_nets.Replayed(self._module, first)
        torch._dynamo.config.cache_size_limit = 64  # beyond it, all runs uncompiled
        return torch.compile(self._module, mode=self._how, dynamic=False)

    def _checked(self, call, inputs):
        """|out - ref| / |ref| of a batch other than the one that it was made with."""
        outputs = call(*inputs.calls[1])[:CHECKED_MOST].double().cpu()
        expected = self._weights.reference(inputs.indices[1][:CHECKED_MOST].cpu(),
                                           inputs.numbers[1][:CHECKED_MOST].cpu())
        error = ((outputs - expected).norm() / expected.norm()).item()
        bound = peer_nets.BOUNDS[self._precision]
        if outputs.shape != expected.shape or not error <= bound:  # nor does NaN pass
            raise Differs(f'outputs differ from the reference by {error:.2g}, more than {bound}')
        return float(f'{error:.3g}')


class Turns:
    """Calls with inputs that change on every call."""

    def __init__(self, call, inputs, device):
        self._call, self._inputs, self._next = call, inputs, 0
        self._gpu = device == 'cuda'
        self._wait = torch.cuda.synchronize if self._gpu else (lambda: None)

    def _given(self):
        self._next += 1
        return self._inputs[self._next % len(self._inputs)]

    def warm_up(self):
        started_s = time.perf_counter()
        calls = 0
        while calls < WARM_UP_CALLS or time.perf_counter() - started_s < WARM_UP_S:
            self._call(*self._given())
            self._wait()
            calls += 1

    def on_the_host(self, trials, most_s):
        """Microseconds of each call, until its outputs are there."""
        call, wait, times_us, spent_us = self._call, self._wait, [], 0
        while len(times_us) < trials:
            given = self._given()
            wait()
            started_ns = time.perf_counter_ns()
            call(*given)
            wait()
            times_us.append((time.perf_counter_ns() - started_ns) / 1000)
            spent_us += times_us[-1]
            if spent_us > 1e6 * most_s and len(times_us) >= FEWEST_TRIALS:
                break
        return times_us

    def on_the_device(self, trials):
        """Microseconds between two events around each call; None without a GPU."""
        if not self._gpu:
            return None
        times_us = []
        for _ in range(trials):
            given = self._given()
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            self._call(*given)
            end.record()
            end.synchronize()
            times_us.append(1000 * begin.elapsed_time(end))
        return times_us


def label(task):
    return {'kind': 'row', 'technique': task.technique, 'backend': 'torch',
            'precision': task.precision, 'how': task.how,
            'sparsity': '2:4' if task.technique == 'semi_structured' else 'none',
            'input': 'gather' if task.technique in peer_plan.BAGS else 'dense',
            'hidden': '-'.join(map(str, task.hidden)), 'cache': 'warm'}


def quantile(values, level):
    """Linear between the two nearest."""
    values = sorted(values)
    at = level * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (at - low) * (values[high] - values[low])


def brief(error):
    text = str(error).strip().split('\n')[0]
    return journal.scrubbed(f'{type(error).__name__}: {text}')[:300]


def machine(gpu):
    told = {'torch': torch.__version__, 'python': platform.python_version()}
    if gpu:
        told['card'] = torch.cuda.get_device_name()
        told['capability'] = '.'.join(map(str, torch.cuda.get_device_capability()))
        told['cuda'] = torch.version.cuda
    return told


def ceilings(device):
    """What the machine does at best, a record each; one that fails tells its error."""
    gpu = device == 'cuda'
    works = {'copy': lambda: copied(device)}
    for precision, (dtype, side) in PRODUCTS.items():
        works[f'matmul_{precision}'] = functools.partial(multiplied, precision, dtype,
                                                         side if gpu else 64, device)
    if gpu:
        works['to_card'] = lambda: crossed('cpu', device)
        works['from_card'] = lambda: crossed(device, 'cpu')
    for name, work in works.items():
        try:
            record = work()
        except Exception as error:  # each version and card lacks another kernel
            record = {'error': brief(error)}
        yield {'name': name, **record}


def copied(device):
    """On the device: bytes read and bytes written."""
    size = 1 << 30 if device == 'cuda' else 1 << 20
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = median_s(lambda: target.copy_(source), device)
    return {'bytes': size, 'gb_per_s': round(2e-9 * size / seconds, 1)}


def crossed(source, target):
    """Between pinned memory of the host and the card: bytes of one way."""
    one, other = (torch.ones(BUS_BYTES, dtype=torch.uint8, device=device,
                             pin_memory=device == 'cpu') for device in (source, target))
    seconds = median_s(lambda: other.copy_(one, non_blocking=True), 'cuda')
    return {'bytes': BUS_BYTES, 'gb_per_s': round(1e-9 * BUS_BYTES / seconds, 1)}


def multiplied(precision, dtype, side, device):
    """Two square matrices: 2 side^3 operations, integer ones where the type is."""
    if dtype == torch.int8:  # the second one column by column, as the tensor cores want it
        one, other = (torch.randint(-127, 128, (side, side), dtype=dtype, device=device)
                      for _ in range(2))
        call = functools.partial(torch._int_mm, one, other.t())
    else:
        one, other = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        call = functools.partial(torch.mm, one, other)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('high' if precision == 'tf32' else 'highest')
    try:
        seconds = median_s(call, device)
    finally:
        torch.set_float32_matmul_precision(before)
    return {'side': side, 'tflop_per_s': float(f'{2e-12 * side ** 3 / seconds:.5g}')}


def median_s(call, device, calls=CEILING_CALLS):
    """The median of some calls: on the device's clock, or without one on the host's."""
    turn = Turns(call, [()], device)
    turn.warm_up()
    return 1e-6 * statistics.median(turn.on_the_device(calls) or turn.on_the_host(calls, 1))
