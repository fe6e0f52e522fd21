"""The options of transformers' `GenerationConfig` and `generate()` that no verb takes, and why.

A test compares this table and `DecodingSettings` with the installed `GenerationConfig`, so that
an option of a new release is neither missed nor ignored. The module imports nothing slow.
"""

from collections.abc import Iterable

from textvae.errors import ConfigError

_ASSISTED = "a second model cannot propose tokens, since it does not know z; leave it out"
_CACHE = "each decoder makes its own cache; leave it out"
_ON_THE_HUB = (
    "transformers has moved this method to code on the hub, which textvae never runs; "
    "use sampling or num_beams"
)
_MODEL_ONLY = (
    "the verbs return texts; call vae.model.generate(..., latent=z), which takes this argument"
)
_SPECIAL_TOKEN = "the tokenizer has the special tokens; to end texts earlier, use stop_strings"
_PREFIX_ONLY = (
    "it would apply to the prefix, because no tokens of the encoder reach the decoder; "
    "use {other} instead"
)

UNSUPPORTED_OPTIONS = {
    "max_length": "lengths do not count the start token and the prefix; use max_new_tokens",
    "min_length": "lengths do not count the start token and the prefix; use min_new_tokens",
    "encoder_repetition_penalty": _PREFIX_ONLY.format(other="repetition_penalty"),
    "encoder_no_repeat_ngram_size": _PREFIX_ONLY.format(other="no_repeat_ngram_size"),
    "forced_bos_token_id": "to begin texts with given words, use `complete`",
    "forced_eos_token_id": "a text that is cut needs no end token; use max_new_tokens",
    "guidance_scale": "a text VAE has no prompt to leave out; use a label or an attribute",
    "token_healing": "prefixes end at whole words; leave it out",
    "low_memory": "transformers no longer uses it; use a smaller batch_size",
    "pad_token_id": _SPECIAL_TOKEN,
    "bos_token_id": _SPECIAL_TOKEN,
    "eos_token_id": _SPECIAL_TOKEN,
    "decoder_start_token_id": _SPECIAL_TOKEN,
    "compile_config": _CACHE,
    "disable_compile": _CACHE,
    "continuous_batching_config": _CACHE,
    "transformers_version": "it is a remark in a file, not an option",
    **dict.fromkeys(
        (
            "assistant_model",
            "assistant_tokenizer",
            "assistant_confidence_threshold",
            "assistant_early_exit",
            "assistant_ensemble_weight",
            "assistant_lookbehind",
            "is_assistant",
            "max_matching_ngram_size",
            "num_assistant_tokens",
            "num_assistant_tokens_schedule",
            "prompt_lookup_num_tokens",
            "speculation_type",
            "target_lookbehind",
            "use_mtp",
        ),
        _ASSISTED,
    ),
    **dict.fromkeys(
        (
            "cache_config",
            "cache_implementation",
            "max_cache_len",
            "prefill_chunk_size",
            "use_cache",
        ),
        _CACHE,
    ),
    **dict.fromkeys(
        (
            "constraints",
            "custom_generate",
            "diversity_penalty",
            "dola_layers",
            "force_words_ids",
            "num_beam_groups",
            "penalty_alpha",
            "trust_remote_code",
        ),
        _ON_THE_HUB,
    ),
    **dict.fromkeys(
        (
            "generation_config",
            "logits_processor",
            "negative_prompt_attention_mask",
            "negative_prompt_ids",
            "output_attentions",
            "output_hidden_states",
            "output_logits",
            "output_scores",
            "prefix_allowed_tokens_fn",
            "return_dict_in_generate",
            "stopping_criteria",
            "streamer",
            "synced_gpus",
        ),
        _MODEL_ONLY,
    ),
}


def refuse_unsupported_options(names: Iterable[str]) -> None:
    """Refuse options that transformers has and the verbs do not take.

    Raises:
        ConfigError: there are such options; it has a message for each.
    """
    messages = [
        f"decoding.{name} is not supported: {UNSUPPORTED_OPTIONS[name]}."
        for name in names
        if name in UNSUPPORTED_OPTIONS
    ]
    if messages:
        raise ConfigError(*messages)
