# SPDX-License-Identifier: Apache-2.0
"""What is timed of PyTorch, and in which order: time may be up before all is measured."""
import collections

GRAPHS, TUNED = 'reduce-overhead', 'max-autotune-no-cudagraphs'  # modes of torch.compile
COMPILED = (GRAPHS, TUNED)
REPLAY = 'cuda-graph'
BAGS = ('embedding_bag', 'embedding_bag_fused')
INT8 = ('int8_weights', 'int8_weights_scaled')

# technique, precision, how it is run. All networks of a level are measured before the next one.
LEVELS = (
    # The paper's techniques and the fair peer, as they are without compiling.
    [('dense', 'bf16', 'eager'), ('dense', 'fp32', 'eager'), ('int8_weights', 'int8w', 'eager'),
     ('semi_structured', 'bf16', 'eager'), ('embedding_bag', 'bf16', 'eager'),
     ('embedding_bag', 'bf16', REPLAY), ('embedding_bag_fused', 'bf16', REPLAY)],
    # What we are compared with.
    [('int8_weights', 'int8w', GRAPHS), ('int8_weights', 'int8w', TUNED)],
    [('dense', 'tf32', 'eager'), ('dense', 'fp16', 'eager'), ('semi_structured', 'fp16', 'eager'),
     ('embedding_bag', 'fp32', 'eager'), ('embedding_bag', 'fp32', REPLAY),
     ('embedding_bag_fused', 'fp32', 'eager'),
     ('int8_weights_scaled', 'int8w', 'eager')],
    [('dense', 'bf16', GRAPHS), ('embedding_bag', 'bf16', GRAPHS)],
    [('int8_weights_scaled', 'int8w', GRAPHS), ('int8_weights_scaled', 'int8w', TUNED),
     ('dense', 'bf16', TUNED)],
    [('embedding_bag', 'fp32', GRAPHS), ('embedding_bag', 'bf16', TUNED)],
    [('dense', one, how) for how in COMPILED for one in ('fp32', 'tf32', 'fp16')]
    + [('embedding_bag', 'fp32', TUNED)],
)
# Each batch is compiled for itself, which takes seconds: first for those that tell most, which are
# also batches of ours, and when all has been compiled for them, for the others.
COMPILED_FIRST = (1, 16384, 64, 4096)

Task = collections.namedtuple('Task', 'technique precision how hidden batches')


def techniques():
    return sorted({one[0] for level in LEVELS for one in level})


def tasks(networks, batches, only, how):
    """Tasks in order. only, how: techniques and ways; empty: all."""
    wanted = [(*one, network) for level in LEVELS for network in networks for one in level
              if (not only or one[0] in only) and (not how or one[2] in how)]
    first = [batch for batch in COMPILED_FIRST if batch in batches]
    rest = sorted(set(batches) - set(first))
    listed = [Task(*one, first if one[2] in COMPILED else sorted(batches)) for one in wanted]
    listed += [Task(*one, rest) for one in wanted if one[2] in COMPILED]
    return [task for task in listed if task.batches]
