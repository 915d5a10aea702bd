# SPDX-License-Identifier: Apache-2.0
"""The runtime network as PyTorch computes it: one network, in each technique of the ALICE paper.

Every technique has the same weights and answers the same questions, so that what it computes can be
held against `Weights.reference` before it is timed. Batch normalisation is folded into the weights,
as ours is; the paper's is not. Shapes: a matrix is [outputs, inputs], as in torch.nn.Linear.
"""
import math

import torch
from torch import nn
from torch.nn import functional

CATEGORIES = 14     # one-hot fields
NUMBERS = 6
OUTPUTS = 10        # Source: kOutputCount in shared/prediction.h
INPUTS = 19809      # Source: the paper, section 2.3
PADDED_TO = 64      # inputs of 2:4: 19,840. Source: the paper, section 2.3
SEED = 5

DTYPES = {'fp32': torch.float32, 'tf32': torch.float32, 'bf16': torch.bfloat16,
          'fp16': torch.float16, 'int8w': torch.bfloat16}
# Most that an output may differ from the reference, over all outputs: |out - ref| / |ref|.
# Source: about three times what these types show on random weights of this network.
BOUNDS = {'fp32': 1e-4, 'tf32': 5e-3, 'bf16': 3e-2, 'fp16': 5e-3, 'int8w': 5e-2}


class Weights:
    """Random ones, float32, on the CPU; activations stay near one."""

    def __init__(self, hidden, inputs=INPUTS):
        random = torch.Generator().manual_seed(SEED)
        self.inputs, self._pruned = inputs, None
        values, rest = divmod(inputs - NUMBERS, CATEGORIES)
        self.fields = [values + (field < rest) for field in range(CATEGORIES)]
        self.matrices, self.biases = [], []
        active = CATEGORIES + NUMBERS  # inputs that are not zero
        for before, width in zip([inputs, *hidden], [*hidden, OUTPUTS]):
            matrix = torch.randn(width, before, generator=random) / math.sqrt(active)
            self.matrices.append(matrix)
            self.biases.append(0.1 * torch.randn(width, generator=random))
            active = width / 2

    def pruned(self):
        """Of each four weights in a row the two largest; inputs padded; the last layer is whole."""
        if self._pruned:
            return self._pruned
        other = object.__new__(Weights)
        other.inputs, other.fields = -(-self.inputs // PADDED_TO) * PADDED_TO, self.fields
        other.biases = self.biases
        wider = functional.pad(self.matrices[0], (0, other.inputs - self.inputs))
        other.matrices = [two_of_four(one) for one in [wider, *self.matrices[1:-1]]]
        other.matrices.append(self.matrices[-1])
        self._pruned = other
        return other

    def reference(self, indices, numbers):
        """[batch, OUTPUTS] in double precision."""
        first, last = self.matrices[0], sum(self.fields)
        rows = first[:, indices.long().flatten()].double()
        sums = rows.reshape(len(first), *indices.shape).sum(-1)
        given = sums.t() + numbers.double() @ first[:, last:last + NUMBERS].double().t()
        given = given + self.biases[0].double()
        for matrix, bias in zip(self.matrices[1:], self.biases[1:]):
            given = given.relu() @ matrix.double().t() + bias.double()
        return given


def two_of_four(matrix):
    groups = matrix.reshape(-1, 4)
    kept = groups.abs().topk(2, dim=1).indices
    return torch.zeros_like(groups).scatter(1, kept, groups.gather(1, kept)).reshape(matrix.shape)


class Inputs:
    """Several batches on the device, taken in turn, so that no call sees what the last one saw."""

    def __init__(self, weights, batch, dtype, device, dense, room):
        each = batch * (weights.inputs if dense else CATEGORIES) * 4
        count = max(2, min(64, room // each))
        random = torch.Generator(device=device).manual_seed(SEED + batch)
        self.indices, self.numbers, self.calls = [], [], []
        for _ in range(count):
            indices, numbers = self._draw(weights, batch, device, random)
            numbers_given = numbers.to(dtype)
            self.indices.append(indices)
            self.numbers.append(numbers_given)
            self.calls.append((one_hot(weights, indices, numbers_given),) if dense
                              else (indices, numbers_given))

    @staticmethod
    def _draw(weights, batch, device, random):
        columns, start = [], 0
        for values in weights.fields:
            columns.append(torch.randint(start, start + values, (batch, 1), generator=random,
                                         device=device, dtype=torch.int32))
            start += values
        numbers = torch.randn(batch, NUMBERS, generator=random, device=device)
        return torch.cat(columns, 1), numbers


def one_hot(weights, indices, numbers):
    dense = torch.zeros(len(indices), weights.inputs, dtype=numbers.dtype, device=numbers.device)
    dense.scatter_(1, indices.long(), 1)
    last = sum(weights.fields)
    dense[:, last:last + NUMBERS] = numbers
    return dense


def linear(matrix, bias):
    layer = nn.Linear(matrix.shape[1], matrix.shape[0])
    layer.weight, layer.bias = nn.Parameter(matrix), nn.Parameter(bias)
    return layer


def chain(layers):
    """With what activates between them."""
    parts = []
    for layer in layers:
        parts += [layer, nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def dense(weights):
    return chain(linear(*pair) for pair in zip(weights.matrices, weights.biases))


class Int8Linear(nn.Module):
    """Weights in INT8 with a scale for each output, made floating point again in each forward."""

    def __init__(self, matrix, bias):
        super().__init__()
        scale = matrix.abs().amax(1) / 127
        self.register_buffer('weight', (matrix / scale[:, None]).round().to(torch.int8))
        self.register_buffer('scale', scale)
        self.register_buffer('bias', bias)

    def forward(self, given):
        """The scale is of the product, as in torchao."""
        return torch.mm(given, self.weight.t().to(given.dtype)) * self.scale + self.bias


class Int8LinearScaledFirst(Int8Linear):
    """The scale is of the weights. torch.compile makes other kernels of it, which may be faster."""

    def forward(self, given):
        weight = self.weight.to(given.dtype) * self.scale[:, None]
        return functional.linear(given, weight, self.bias)


def int8_weights(weights, layer=Int8Linear):
    return chain(layer(*pair) for pair in zip(weights.matrices, weights.biases))


def int8_weights_scaled(weights):
    return int8_weights(weights, Int8LinearScaledFirst)


class EmbeddingBag(nn.Module):
    """The first layer as a sum of rows, the others dense."""

    def __init__(self, weights):
        super().__init__()
        first, last = weights.matrices[0], sum(weights.fields)
        self.rows = nn.Parameter(first[:, :last].t().contiguous())
        self.numbers = linear(first[:, last:last + NUMBERS].contiguous(), weights.biases[0])
        self.tail = chain(linear(*pair) for pair in zip(weights.matrices[1:], weights.biases[1:]))

    def forward(self, indices, numbers):
        rows = functional.embedding_bag(indices, self.rows, mode='sum')
        return self.tail(functional.relu(rows + self.numbers(numbers)))


class FusedReLU(nn.Module):
    """A layer whose bias and ReLU are cublasLt's epilogue; elsewhere the same by itself."""

    def __init__(self, matrix, bias):
        super().__init__()
        self.weight, self.bias = nn.Parameter(matrix), nn.Parameter(bias)

    def forward(self, given):
        return torch._addmm_activation(self.bias, given, self.weight.t())


def embedding_bag_fused(weights):
    bag = EmbeddingBag(weights)
    pairs = list(zip(weights.matrices[1:], weights.biases[1:]))
    bag.tail = nn.Sequential(*(FusedReLU(*pair) for pair in pairs[:-1]), linear(*pairs[-1]))
    return bag


def semi_structured(module):
    """A dense network with pruned weights; as placed, since only a GPU knows the format."""
    convert = torch.sparse.to_sparse_semi_structured
    for layer in [part for part in module if isinstance(part, nn.Linear)][:-1]:
        layer.weight = nn.Parameter(convert(layer.weight.detach().contiguous()),
                                    requires_grad=False)
    return module


class Replayed:
    """A CUDA graph of one batch: inputs are copied to where it reads them, then it is replayed."""

    def __init__(self, module, inputs):
        self._inputs = [one.clone() for one in inputs]
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(3):  # libraries choose and load before the capture
                module(*self._inputs)
        torch.cuda.current_stream().wait_stream(beside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._output = module(*self._inputs)

    def __call__(self, *inputs):
        for own, given in zip(self._inputs, inputs):
            own.copy_(given, non_blocking=True)
        self._graph.replay()
        return self._output


BUILD = {'dense': dense, 'int8_weights': int8_weights, 'int8_weights_scaled': int8_weights_scaled,
         'semi_structured': dense, 'embedding_bag': EmbeddingBag,
         'embedding_bag_fused': embedding_bag_fused}
