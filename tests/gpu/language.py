# SPDX-License-Identifier: Apache-2.0
"""Language models by configuration alone: the sizes that are published under these names.

Nothing is downloaded; weights are random. Each entry: the class, its configuration, the values that
differ from the library's defaults, which are the base model's.
"""


def _bert(layers, width):
    return ('BertModel', 'BertConfig', {
        'num_hidden_layers': layers, 'hidden_size': width, 'num_attention_heads': width // 64,
        'intermediate_size': 4 * width})


def _roberta(layers, width):
    return ('RobertaModel', 'RobertaConfig', {
        'vocab_size': 50265, 'max_position_embeddings': 514, 'type_vocab_size': 1,
        'num_hidden_layers': layers, 'hidden_size': width, 'num_attention_heads': width // 64,
        'intermediate_size': 4 * width})


def _gpt2(layers, width):
    return ('GPT2LMHeadModel', 'GPT2Config', {
        'n_layer': layers, 'n_embd': width, 'n_head': width // 64})


def _opt(layers, width):
    return ('OPTForCausalLM', 'OPTConfig', {
        'num_hidden_layers': layers, 'hidden_size': width, 'num_attention_heads': width // 64,
        'ffn_dim': 4 * width, 'word_embed_proj_dim': width})


def _llama(layers, width, inner, heads_kv):
    return ('LlamaForCausalLM', 'LlamaConfig', {
        'num_hidden_layers': layers, 'hidden_size': width, 'num_attention_heads': width // 64,
        'num_key_value_heads': heads_kv, 'intermediate_size': inner,
        'max_position_embeddings': 2048})


def _t5(layers, width, inner, heads):
    return ('T5ForConditionalGeneration', 'T5Config', {
        'num_layers': layers, 'num_decoder_layers': layers, 'd_model': width, 'd_ff': inner,
        'num_heads': heads})


def _deberta(layers, width, vocabulary):
    return ('DebertaV2Model', 'DebertaV2Config', {
        'vocab_size': vocabulary, 'num_hidden_layers': layers, 'hidden_size': width,
        'num_attention_heads': width // 64, 'intermediate_size': 4 * width, 'type_vocab_size': 0,
        'relative_attention': True, 'position_buckets': 256, 'norm_rel_ebd': 'layer_norm',
        'share_att_key': True, 'pos_att_type': ['p2c', 'c2p'], 'max_relative_positions': -1,
        'position_biased_input': False})


MODELS = {
    'bert-tiny': _bert(2, 128),
    'bert-mini': _bert(4, 256),
    'bert-small': _bert(4, 512),
    'bert-medium': _bert(8, 512),
    'bert-base': _bert(12, 768),
    'bert-large': _bert(24, 1024),
    'roberta-base': _roberta(12, 768),
    'roberta-large': _roberta(24, 1024),
    'distilbert-base': ('DistilBertModel', 'DistilBertConfig', {}),
    'albert-base': ('AlbertModel', 'AlbertConfig', {
        'hidden_size': 768, 'num_attention_heads': 12, 'intermediate_size': 3072}),
    'electra-small': ('ElectraModel', 'ElectraConfig', {}),
    'gpt2-distil': _gpt2(6, 768),
    'gpt2': _gpt2(12, 768),
    'gpt2-medium': _gpt2(24, 1024),
    'opt-125m': _opt(12, 768),
    'opt-350m-like': _opt(24, 1024),
    'llama-60m': _llama(8, 512, 1376, 8),
    'llama-130m': _llama(12, 768, 2048, 12),
    'llama-350m': _llama(24, 1024, 2736, 16),
    'llama-gqa-200m': _llama(16, 1024, 2816, 4),
    't5-small': _t5(6, 512, 2048, 8),
    't5-base': _t5(12, 768, 3072, 12),
    'deberta-v3-xsmall': _deberta(12, 384, 128100),
    'deberta-v3-small': _deberta(6, 768, 128100),
    'deberta-v3-base': _deberta(12, 768, 128100),
}


def make(name):
    """The model of that name, with random weights and without a cache of past keys."""
    import transformers
    model, config, values = MODELS[name]
    settings = getattr(transformers, config)(**values)
    settings.use_cache = False
    return getattr(transformers, model)(settings)


def load():
    """Imports the code of every model, which the library would else do at the first of each."""
    import transformers
    for model, config, _ in MODELS.values():
        getattr(transformers, model, None)
        getattr(transformers, config, None)


def vocabulary(name):
    """How many tokens it knows, without making it."""
    import transformers
    _, config, values = MODELS[name]
    return getattr(transformers, config)(**values).vocab_size
