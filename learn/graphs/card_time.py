# SPDX-License-Identifier: Apache-2.0
"""The time of a step as graph/estimate.cc has it, for those who fit its constants.

The card's: a sum over kernels of the larger of computing and moving; the host's: a sum over what it
launches; of both the larger counts, each smoothly, by a norm of the fourth order.
"""
import numpy

PRODUCTS = ('convolution', 'dense', 'grouped', 'depthwise', 'channelwise', 'batched')
TRAFFIC = ('arithmetic', 'activation', 'batch norm', 'norm', 'pool', 'moves', 'matrix', 'images')
HOST = ('arithmetic', 'activation', 'batch norm', 'norm', 'pool', 'moves', 'products', 'products')  # of TRAFFIC
FULL = 132 * 64 * 64  # results that the card works on at a time


class Tasks:
    """What answers of `auspex graph --json --tasks` list, as arrays, one behind the other.

    Beside them, of each task: peak, width, tensor, half, task_trains; bytes_per_s; of each answer: mode,
    format, trains, optimizer_s.
    """

    def reach(self, _):
        """How many times as long the task's card takes to compute and to move."""
        return 1, 1

    def take_tasks(self, answers, channels_last):
        """channels_last: of the input. Shape: [answers] -> whose each task is [tasks]"""
        lists = [answer['work']['tasks'] for answer in answers]
        self.start = numpy.cumsum([0] + [len(one) for one in lists])[:-1]
        tasks = [task for one in lists for task in one]
        names = ('',) + PRODUCTS
        self.product = numpy.array([names.index(task[0]) for task in tasks])
        self.traffic = numpy.array([TRAFFIC.index(task[3]) for task in tasks])
        self.macs, self.results, self.elements, self.weights, self.steps = (
            numpy.array([task[place] for task in tasks], float) for place in (1, 2, 4, 5, 6))
        of = numpy.repeat(numpy.arange(len(lists)), [len(one) for one in lists])
        last = numpy.array([task[7] for task in tasks]) | channels_last[of]
        depthwise = self.product == names.index('depthwise')
        self.product[depthwise & last] = names.index('channelwise')
        self.reordered = (self.traffic == TRAFFIC.index('images')) & ~last
        self.padding = numpy.array([task[8] for task in tasks])
        self.views = numpy.array([answer['work']['views'] for answer in answers])
        self.launches = numpy.array([self.sum(self.traffic == kind) for kind in range(len(TRAFFIC))])
        return of

    def sum(self, values):
        """Shape: [tasks] -> [answers]"""
        return numpy.add.reduceat(values.astype(float), self.start)


def fourth(a, b):
    return (a ** 4 + b ** 4) ** 0.25


def device_s(rows, c):
    inverse = numpy.array([[0] + [c[f'{kind} {name}'] for name in PRODUCTS]
                           for kind in ('fp32', 'tensor')])
    idle = numpy.where(rows.tensor, c['idle tensor'], c['idle fp32'])
    unfilled = numpy.maximum(0, FULL / numpy.maximum(rows.results, 1) - 1)
    more_computing, more_moving = rows.reach(c)
    computing = rows.macs * rows.padding * inverse[rows.tensor.astype(int), rows.product] / rows.peak
    computing *= more_computing * (1 + idle * unfilled) * numpy.where(rows.task_trains, 1 + c['train macs'], 1)
    shares = numpy.array([c[f'bytes {name}'] for name in TRAFFIC])[rows.traffic]
    shares = shares + numpy.where(rows.reordered & rows.tensor, c['bytes reordered'], 0)
    moving = (rows.elements * shares * more_moving + rows.weights) * rows.width / rows.bytes_per_s
    moving *= numpy.where(rows.half, c['half bytes'], 1) * numpy.where(
        rows.task_trains, 1 + c['train bytes'], 1) * numpy.where(
        rows.task_trains & rows.half, c['autocast bytes'], 1)
    kernels = rows.steps * c['kernel us'] * 1e-6 * numpy.where(rows.task_trains, 3, 1)
    return rows.sum(fourth(computing, moving) + kernels) + rows.optimizer_s


def host_s(rows, c):
    launches = rows.launches
    each = rows.views * c['host view']
    for count, name in zip(launches, HOST):
        each = each + count * c[f'host {name}']
    mode = numpy.select([rows.mode == 'graph', rows.trains], [c['graph host'], c['train host']], 1)
    mode = mode * numpy.where(rows.trains & (rows.format == 2), c['autocast host'], 1)
    return 1e-6 * (each * mode + numpy.where(rows.trains, c['optimizer us'], 0))


def latency(rows, c):
    return fourth(device_s(rows, c), host_s(rows, c))
