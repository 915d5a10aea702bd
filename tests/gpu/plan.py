# SPDX-License-Identifier: Apache-2.0
"""What is measured, and in which order.

A visit is one model in one process of its own, in a handful of configurations: building the model
and the GPU's context is paid once for all of them. Visits go round the families, so that any
stretch from the start holds every family, mode and precision in its share: whenever the time is up,
what has been measured is a fair sample of what was planned.
"""
import collections
import importlib.util
import itertools
import json
import os
import random

LIBRARIES = ('timm', 'torchvision', 'transformers')
MODES = ('inference', 'graph', 'train')
PRECISIONS = ('fp32', 'tf32', 'bf16')
OPTIMIZERS = ('sgd', 'adam')
CALIBRATIONS = ('context-bare', 'context-cublas', 'context-cudnn', 'context-both', 'idle-power',
                'launch', 'copy', 'matmul', 'elementwise', 'normalisation', 'convolution',
                'attention')

POWERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
OTHERS = (3, 6, 12, 20, 24, 40, 48, 80, 96, 112, 160, 192, 200)
OTHERS_SHARE = 0.25
# Rows of a table rather than images: such networks are used with thousands at once.
MORE_ROWS = (512, 1024, 2048, 4096)
# Their weights are matrices, or not of four dimensions: the layout of images says nothing there.
ONE_LAYOUT = {'vit', 'deit', 'beit', 'mixer', 'swin', 'encoder', 'mlp', 'recurrent', 'tcn', 'video',
              'bert', 'gpt', 'llama', 't5', 'deberta'}

# A guess of speed, to leave out what takes too long and to know how much fits into the time; rates
# are a third to a half of the data sheet's of an H200 (67, 495 and 989 TFLOP/s, 4.8 TB/s), and the
# program corrects itself by what it measures.
FLOP_PER_S = {'fp32': 35e12, 'tf32': 150e12, 'bf16': 300e12}
BYTES_PER_S = 2.5e12
OPERATOR_S = 10e-6      # host time of one eager operator: 7 to 54 us, by operator and host
RUN_LONGEST_S = 0.2    # a slower configuration would cost as much as five others
MEMORY_MOST_BYTES = 150e9
# How often a configuration is run. Source: MAELSTROM D3.5, section 5.1, five runs to warm up and
# thirty measured; fewer where one takes long, more to warm up where five are over before the card
# has raised its clocks.
WARM_UPS = 5
WARM_UP_LEAST_S = 0.05
WARM_UP_S = 0.3         # after two runs, this much is enough
RUNS = 30
RUNS_LEAST = 5
TIMED_S = 0.5
FIXED_S = 0.6           # caches emptied, cold first run, energy window
VISIT_S = 2.5           # process, context, libraries of the GPU, model

Model = collections.namedtuple('Model', 'family name shape gmacs mparams written_mb operators')


def catalogue():
    """Every model that is known, as catalogue.tsv has it."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'catalogue.tsv')
    with open(path, encoding='utf-8') as file:
        rows = [line.split() for line in file if not line.startswith('#')]
    return [Model(family, name, [int(size) for size in shape.split('x')],
                  *(float(figure) for figure in figures))
            for family, name, shape, *figures in rows]


def families():
    return sorted({model.family for model in catalogue()})


def installed():
    """The model libraries that are here, without importing them."""
    return [name for name in LIBRARIES if importlib.util.find_spec(name)]


def libraries(planned):
    """Those that the models of these visits come from."""
    return sorted({task['model'].split(':')[0] for visit in planned for task in visit
                   if task['kind'] == 'model'} & set(LIBRARIES))


def calibrations():
    """One visit each: what a process has loaded before would show in the next one's memory."""
    return [[{'kind': 'calibration', 'key': f'calibration|{name}', 'name': name, 'family': '-',
              'estimate_s': 6.0}] for name in CALIBRATIONS]


def visits(seed, wanted, libraries):
    """The plan: visits of those families whose library is here. Equal seeds give equal plans."""
    chance = random.Random(seed)
    by_family = collections.defaultdict(list)
    for model in catalogue():
        source = model.name.split(':')[0]
        if model.family in wanted and (source == 'own' or source in libraries):
            by_family[model.family].append(model)
    for models in by_family.values():
        chance.shuffle(models)
    rounds = itertools.zip_longest(*(by_family[family] for family in sorted(by_family)))
    ordered = []
    for models in rounds:
        models = [model for model in models if model]
        chance.shuffle(models)
        ordered += models
    return [_visit(model, number, chance) for number, model in enumerate(ordered)]


def _visit(model, number, chance):
    """Two precisions in inference and training and one with the graph alone, in turn.

    More of one model would tell less than another model does. Batches are drawn so that each fifth
    of what is affordable occurs once.
    """
    cells = [(mode, precision) for mode in MODES for precision in PRECISIONS]
    for mode, left_out in (('inference', (0,)), ('graph', (0, 1)), ('train', (1,))):
        for one in left_out:
            cells.remove((mode, PRECISIONS[(number + one) % 3]))
    parts = list(range(len(cells)))
    chance.shuffle(parts)
    layouts = _layouts(model, chance)
    tasks = []
    for (mode, precision), part in zip(cells, parts):
        batches = OTHERS if chance.random() < OTHERS_SHARE else POWERS
        ladder = (affordable(model, mode, precision, batches)
                  or affordable(model, mode, precision, POWERS))
        if not ladder:
            continue
        batch = ladder[int((part + chance.random()) / len(parts) * len(ladder))]
        optimizer = chance.choice(OPTIMIZERS) if mode == 'train' else None
        tasks.append(task(model, batch, precision, mode, optimizer, layouts[precision]))
    # Weights are placed anew for another type or layout, so those of one placement stay together;
    # which comes first, in the fresh process, is left to chance.
    places = collections.defaultdict(list)
    chance.shuffle(tasks)
    for one in tasks:
        places[weights(one), one['memory_format']].append(one)
    return list(itertools.chain.from_iterable(places.values()))


def _layouts(model, chance):
    """Memory format by precision: mostly as torch has it by default, sometimes channels last."""
    draw = 0 if model.family in ONE_LAYOUT else chance.random()
    last = PRECISIONS if draw > 0.8 else ('bf16',) if draw > 0.55 else ()
    return {precision: 'channels_last' if precision in last else 'contiguous'
            for precision in PRECISIONS}


def task(model, batch, precision, mode, optimizer, memory_format):
    """One configuration, as it is sent to the worker and as it stands in the record."""
    shape = 'x'.join(str(size) for size in model.shape)
    parts = (model.name, shape, f'b{batch}', precision, mode, optimizer or '-', memory_format)
    return {'kind': 'model', 'key': '|'.join(parts), 'model': model.name, 'family': model.family,
            'input': model.shape, 'batch': batch, 'precision': precision, 'mode': mode,
            'optimizer': optimizer, 'memory_format': memory_format,
            'estimate_s': round(seconds(run_s(model, batch, precision, mode)), 3)}


def weights(one):
    """The type that weights have: autocast keeps them in fp32, which is how bf16 is trained."""
    return 'bf16' if one['precision'] == 'bf16' and one['mode'] != 'train' else 'fp32'


def affordable(model, mode, precision, batches):
    """The batches that are neither too slow nor far beyond any card's memory."""
    if model.family == 'mlp':
        batches = batches + MORE_ROWS
    return [batch for batch in batches
            if run_s(model, batch, precision, mode) <= RUN_LONGEST_S
            and memory_bytes(model, batch, precision, mode) <= MEMORY_MOST_BYTES
            and (batch > 1 or mode != 'train')]  # a normalisation refuses a batch of one


def run_s(model, batch, precision, mode):
    """One run's time by a coarse roofline; training is three forward passes and the optimizer."""
    passes = 3 if mode == 'train' else 1
    width = 0.5 if precision == 'bf16' else 1
    compute = 2e9 * model.gmacs * batch / FLOP_PER_S[precision]
    traffic = (2e6 * model.written_mb * batch + 4e6 * model.mparams) * width / BYTES_PER_S
    update = 32e6 * model.mparams / BYTES_PER_S if mode == 'train' else 0
    return max(passes * (compute + traffic) + update, passes * model.operators * OPERATOR_S)


def memory_bytes(model, batch, precision, mode):
    """What a graph keeps, as the sum of what operators write: an upper guess."""
    width = 0.5 if precision == 'bf16' else 1
    kept = 0.1 if mode == 'inference' else 1
    return 1e6 * (model.written_mb * batch * width * kept + 4 * model.mparams * 4)


def seconds(one_run_s):
    """What a configuration takes, measured as measure.py does it."""
    warm = min(WARM_UPS, 2 + int(WARM_UP_S / one_run_s))
    return FIXED_S + (warm + runs(one_run_s)) * one_run_s


def runs(one_run_s):
    """How many runs are timed."""
    return min(RUNS, max(RUNS_LEAST, int(TIMED_S / one_run_s)))


def from_file(path):
    """A plan of one's own: a JSON list of configurations; README.md says which fields they have.

    Those of one model that follow each other make a visit.
    """
    with open(path, encoding='utf-8') as file:
        listed = json.load(file)
    tasks = []
    for given in listed:
        if given.get('kind') == 'calibration':
            tasks += [one for [one] in calibrations() if one['name'] == given['name']]
            continue
        family = given.get('family', given['model'].split(':')[0])
        model = Model(family, given['model'], given['input'], 1, 1, 1, 100)
        mode = given.get('mode', 'inference')
        optimizer = given.get('optimizer', 'sgd') if mode == 'train' else None
        tasks.append(task(model, given['batch'], given.get('precision', 'fp32'), mode, optimizer,
                          given.get('memory_format', 'contiguous')))
    once = {one['key']: one for one in tasks}.values()
    return [list(visit) for _, visit in itertools.groupby(
        once, lambda one: (one['kind'], one.get('model'), one.get('input'), one.get('name')))]


def table(planned):
    """The plan as text: a line for each family, and the sum."""
    lines = [f'{"family":<16}{"models":>8}{"configurations":>16}{"minutes":>10}']
    rows = collections.defaultdict(lambda: [0, 0, 0.0])
    for visit in planned:
        for row in (rows[visit[0]['family']], rows['~']):
            row[0] += 1
            row[1] += len(visit)
            row[2] += VISIT_S + sum(one['estimate_s'] for one in visit)
    for family, (models, count, spent_s) in sorted(rows.items()):
        name = {'~': 'together', '-': 'calibration'}.get(family, family)
        lines.append(f'{name:<16}{models:>8}{count:>16}{spent_s / 60:>10.1f}')
    return '\n'.join(lines)
