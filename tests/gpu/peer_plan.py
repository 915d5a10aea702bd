# SPDX-License-Identifier: Apache-2.0
"""What is timed of PyTorch, and in which order: time may be up before all is measured."""

GRAPHS, TUNED = 'reduce-overhead', 'max-autotune-no-cudagraphs'  # modes of torch.compile
COMPILED = (GRAPHS, TUNED)
REPLAY = 'cuda-graph'
INT8 = ('int8_weights', 'int8_weights_scaled')

# technique, precision, how it is run. All networks of a level are measured before the next one:
# what needs no compiler, the paper's best, what is compared with, the rest.
PLAN = (
    [('dense', one, 'eager') for one in ('bf16', 'fp32', 'tf32', 'fp16')]
    + [(one, 'int8w', 'eager') for one in INT8]
    + [('semi_structured', one, 'eager') for one in ('bf16', 'fp16')]
    + [('embedding_bag', one, how) for how in ('eager', REPLAY) for one in ('bf16', 'fp32')],
    [(one, 'int8w', how) for how in (GRAPHS, TUNED) for one in INT8],
    [('dense', 'bf16', GRAPHS), ('embedding_bag', 'bf16', GRAPHS), ('dense', 'bf16', TUNED)],
    [('embedding_bag', 'fp32', GRAPHS), ('embedding_bag', 'bf16', TUNED)],
    [('dense', one, how) for how in (GRAPHS, TUNED) for one in ('fp32', 'tf32', 'fp16')]
    + [('embedding_bag', 'fp32', TUNED)],
)
# Each batch is compiled for itself: those first that tell most.
COMPILED_FIRST = (1, 16384, 64, 4096, 1024, 256, 16, 4)


def techniques():
    return sorted({task[0] for level in PLAN for task in level})


def tasks(networks, only, how):
    """(technique, precision, how, network) in order. Empty: all."""
    return [(*task, network) for level in PLAN for network in networks for task in level
            if (not only or task[0] in only) and (not how or task[2] in how)]


def in_order(batches, how):
    if how not in COMPILED:
        return sorted(batches)
    ranks = {batch: rank for rank, batch in enumerate(COMPILED_FIRST)}
    return sorted(batches, key=lambda batch: (ranks.get(batch, len(ranks)), batch))
