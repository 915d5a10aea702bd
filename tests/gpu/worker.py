# SPDX-License-Identifier: Apache-2.0
"""The process that measures, and the one that stands ready to become it.

The program started here imports what models need and never touches the GPU. At a request it forks:
the child opens the GPU, answers this and the following requests, and is gone with all that it held
when it is told to finish, when it fails or when it is killed. So each model has a process of its
own (its context memory is that of a job which runs this model) without paying for the imports
again, and a GPU error that would poison a process ends with it.

One JSON object a line, requests on stdin, answers on stdout, never two under way:
    {"do": "machine" | "calibrate" | "measure" | "finish", "task": {...}}
    {"event": "ready" | "serving" | "reply" | "unable" | "left", ...}
"""
import ctypes
import gc
import json
import os
import platform
import signal
import sys
import time

import torch

import calibrate
import measure
import models
import plan

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main():
    settings = json.loads(sys.argv[1])
    channel = Channel()
    die_with_parent()
    versions = models.load(settings['libraries'])
    gc.collect()
    gc.freeze()  # a million objects of the libraries need no second look between measurements
    channel.say('ready', libraries=sorted(versions))
    # A library that has opened the GPU while it was imported leaves nothing that a child could use.
    if settings['fork'] and not torch.cuda.is_initialized():
        stand_ready(channel, settings, versions)
    else:
        serve(channel, channel.hear(), settings, versions)


class Channel:
    """The pipes of this process: what libraries print must not get between the answers."""

    def __init__(self):
        self._out = os.dup(1)
        os.dup2(2, 1)
        self._heard = b''

    def say(self, event, **fields):
        os.write(self._out, json.dumps({'event': event, **fields}).encode() + b'\n')

    def hear(self):
        """The next request, or None when nobody is left to answer to."""
        while b'\n' not in self._heard:
            part = os.read(0, 1 << 16)
            if not part:
                return None
            self._heard += part
        line, self._heard = self._heard.split(b'\n', 1)
        return json.loads(line)


def die_with_parent():
    """Nobody may be left on the GPU when the program above is killed; signals are its business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def stand_ready(channel, settings, versions):
    while True:
        request = channel.hear()
        if request is None:
            return
        if request['do'] == 'finish':  # meant for a child that has just died by itself
            continue
        child = os.fork()
        if not child:
            die_with_parent()
            serve(channel, request, settings, versions)
        _, status = os.waitpid(child, 0)
        channel.say('left', code=os.waitstatus_to_exitcode(status))


def serve(channel, request, settings, versions):
    """Answers until told to finish or no longer fit to; does not return."""
    channel.say('serving', pid=os.getpid())
    os.environ.pop('PYTORCH_NVML_BASED_CUDA_CHECK', None)  # was for the imports; now as in any job
    bench = measure.Bench(settings['device'])
    fit = True
    while fit and request is not None and request['do'] != 'finish':
        try:
            reply = answer(request, bench, versions)
        except measure.Unable as error:
            channel.say('unable', error=str(error))
            break
        # After an error only a new process is known to be whole.
        fit = reply.get('status') != 'error' and bench.fit()
        channel.say('reply', record=reply, leaving=not fit)
        if fit:
            request = channel.hear()
    os._exit(0)  # the driver frees the GPU at once; tidying up object by object takes seconds


def answer(request, bench, versions):
    started_s = time.perf_counter()
    if request['do'] == 'machine':
        return machine(bench, versions)
    if request['do'] == 'calibrate':
        record = calibrate.calibrate(request['task']['name'], bench)
    else:
        record = measure.measure(request['task'], bench)
    record['seconds'] = round(time.perf_counter() - started_s, 3)
    return record


def machine(bench, versions):
    """What the figures depend on, and nothing that tells whose machine it is."""
    bench.open()
    record = {'kind': 'machine', 'date': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()),
              'device': bench.device.type, 'card': None, 'cpu': processor(),
              'cpu_count': len(os.sched_getaffinity(0)), 'python': platform.python_version(),
              'torch': torch.__version__, 'cuda': torch.version.cuda,
              'cudnn': torch.backends.cudnn.version() if bench.cuda else None,
              'cudnn_benchmark': torch.backends.cudnn.benchmark, **bench.card.limits()}
    record.update({name: versions.get(name) for name in plan.LIBRARIES})
    for name in ('PYTORCH_CUDA_ALLOC_CONF', 'PYTORCH_ALLOC_CONF', 'CUDA_MODULE_LOADING',
                 'NVIDIA_TF32_OVERRIDE'):
        record[name.lower()] = os.environ.get(name)
    if bench.cuda:
        card = torch.cuda.get_device_properties(0)
        record.update(card=card.name, sm_count=card.multi_processor_count,
                      memory_bytes=card.total_memory, compute_capability=[card.major, card.minor],
                      l2_bytes=getattr(card, 'L2_cache_size', None))
    return record


def processor():
    with open('/proc/cpuinfo', encoding='utf-8') as file:
        names = [line.split(':', 1)[1].strip() for line in file if line.startswith('model name')]
    return names[0] if names else platform.machine()


if __name__ == '__main__':
    main()
