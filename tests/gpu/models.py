# SPDX-License-Identifier: Apache-2.0
"""How a model is made from its name, and what it is given to compute.

`timm:resnet50`, `torchvision:vgg16`, `transformers:bert-base` (language.py), `own:mlp-d8-w1024`
(nets.py), `python:MODULE:FUNCTION` (yours: a function of the input's shape that returns a module).
Weights are random: nothing is ever downloaded.
"""
import contextlib
import importlib
import sys

import torch

import language
import nets

def load(libraries):
    """Imports them, and what they would else import late: name -> version of those that can be."""
    versions = {}
    with contextlib.suppress(ImportError):  # seconds, which the first optimizer would else take
        importlib.import_module('torch._dynamo')
    for name in libraries:
        try:
            library = importlib.import_module(name)
            if name == 'transformers':
                language.load()
            versions[name] = library.__version__
        except Exception as error:  # made for another torch, say; its families are left out
            print(f'{name}: {error}', file=sys.stderr)
    return versions


def build(name, shape, device):
    """The module, made on that device where torch can do so, which spares the weights' way.

    Its parts may lie on several devices afterwards: the caller moves it as a whole.
    """
    source, _, rest = name.partition(':')
    torch.manual_seed(0)
    if not hasattr(torch.device, '__enter__'):  # torch 1.13
        return SOURCES[source](rest, shape)
    try:
        with torch.device(device):
            return SOURCES[source](rest, shape)
    except (RuntimeError, NotImplementedError, TypeError) as error:
        if 'out of memory' in str(error):
            raise
    # Some models read values back or mix in numpy while they are made.
    return SOURCES[source](rest, shape)


def _timm(name, shape):
    import timm
    sized = {}
    known = timm.get_pretrained_cfg(name)
    if known and known.fixed_input_size and tuple(known.input_size) != tuple(shape):
        sized = {'img_size': tuple(shape[1:])}
    return timm.create_model(name, pretrained=False, **sized)


# Their defaults would fetch a trained backbone, or take minutes of scipy to draw weights.
_TORCHVISION = {
    'googlenet': {'aux_logits': False, 'init_weights': False},
    'fcn_resnet50': {'weights_backbone': None},
    'deeplabv3_resnet50': {'weights_backbone': None},
    'deeplabv3_mobilenet_v3_large': {'weights_backbone': None},
    'lraspp_mobilenet_v3_large': {'weights_backbone': None},
}


def _torchvision(name, shape):
    from torchvision import models
    options = dict(_TORCHVISION.get(name, {}))
    if name.startswith('vit_'):
        options['image_size'] = shape[-1]
    for place in (models, models.segmentation, models.video):
        if hasattr(place, name):
            return getattr(place, name)(**options)
    raise ValueError(f'torchvision has no {name}')


def _python(name, shape):
    module, _, function = name.partition(':')
    return getattr(importlib.import_module(module), function)(shape)


SOURCES = {
    'timm': _timm,
    'torchvision': _torchvision,
    'transformers': lambda name, shape: language.make(name),
    'own': nets.make,
    'python': _python,
}


def example(name, shape, batch, dtype, device):
    """One batch of random input: (positional, by name). Never zeros, which compute faster."""
    source, _, rest = name.partition(':')
    if source != 'transformers':
        return (torch.randn(batch, *shape, dtype=dtype, device=device),), {}
    words = torch.randint(0, language.vocabulary(rest), (batch, *shape), device=device)
    if rest.startswith('t5'):
        return (), {'input_ids': words, 'decoder_input_ids': words}
    return (words,), {}


def answer(output):
    """The tensor that a loss is taken of, whatever the model wraps it in."""
    while not isinstance(output, torch.Tensor):
        output = next(iter(output.values())) if hasattr(output, 'values') else output[0]
    return output


def loss(output, targets):
    """Cross entropy against random classes, drawn at the first call and kept in `targets`.

    Shapes: [batch, classes], [batch, steps, classes] or [batch, classes, height, width].
    """
    scores = answer(output)
    if scores.dim() == 3:
        scores = scores.flatten(0, 1)
    if not targets:
        shape = (scores.shape[0], *scores.shape[2:])
        targets.append(torch.randint(0, scores.shape[1], shape, device=scores.device))
    return torch.nn.functional.cross_entropy(scores, targets[0])


def attention(name, module):
    """Which attention kernels the model may use, or None if it has none that can be told."""
    fused = {bool(part.fused_attn) for part in module.modules() if hasattr(part, 'fused_attn')}
    implementation = getattr(getattr(module, 'config', None), '_attn_implementation', None)
    mixes = any(isinstance(part, torch.nn.MultiheadAttention) for part in module.modules())
    if not (fused or implementation or mixes):
        return None
    kernels = {}
    for kind in ('flash', 'mem_efficient', 'math', 'cudnn'):
        with contextlib.suppress(AttributeError):  # each came with another version
            kernels[kind] = getattr(torch.backends.cuda, f'{kind}_sdp_enabled')()
    return {'timm_fused': sorted(fused) or None, 'transformers': implementation,
            'torch_multihead': mixes, 'sdpa_allowed': kernels}
