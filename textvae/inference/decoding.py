"""How text is written from z: the options of transformers' `GenerationConfig`, under their own names."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from tqdm import tqdm

from textvae.data.tokenization import decode_batch
from textvae.inference.bundle import Bundle
from textvae.inference.generation_loop import generate_with_shrinking_batch
from textvae.runtime.seeds import Stream, seeded
from textvae.schema import StrictSettings, validate_settings


class DecodingSettings(StrictSettings):
    """Decoding options; what is not given is left to the verb and to `generation_config.json`."""

    do_sample: bool | None = Field(
        None, description="draw each token instead of taking the likeliest"
    )
    temperature: float | None = Field(None, gt=0)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0)
    num_beams: int | None = Field(None, ge=1)
    max_new_tokens: int | None = Field(None, ge=1)
    seed: int = Field(0, ge=0, lt=2**63)

    def arguments(self, samples: bool) -> dict[str, Any]:
        """Return the arguments of `generate`; `samples` is the verb's own habit."""
        given = self.model_dump(exclude_none=True, exclude={"seed"})
        asks_to_sample = any(name in given for name in ("temperature", "top_p", "top_k"))
        given.setdefault("do_sample", asks_to_sample or (samples and "num_beams" not in given))
        return (
            given
            if given.get("num_beams", 1) > 1
            else {**given, "custom_generate": generate_with_shrinking_batch}
        )


def build_decoding_settings(**options: Any) -> DecodingSettings:
    """Return checked decoding options.

    Raises:
        ConfigError: an option is unknown or out of range.
    """
    return validate_settings(DecodingSettings, options, "decoding")


def decode_latents(
    bundle: Bundle,
    z: Tensor,
    options: DecodingSettings,
    samples: bool,
    prefixes: Sequence[Sequence[int]] | None = None,
    batch_size: int = 512,
    progress: bool = False,
    label_ids: Tensor | None = None,
) -> list[str]:
    """Write one text for each z.

    Args:
        z: (n, latent).
        samples: whether tokens are drawn where the options do not say.
        prefixes: token ids each text begins with.
        label_ids: (n,), what a conditional model shall write; without them, the bundle's one label.

    Returns:
        n texts, prefixes included, in the order of z.
    """
    arguments = options.arguments(samples)
    texts: list[str] = []
    label_ids = bundle.label_ids(len(z)) if label_ids is None else label_ids.to(bundle.device)
    with seeded(options.seed, Stream.TOKENS, bundle.device), torch.inference_mode():
        for start in tqdm(
            range(0, len(z), batch_size), desc="writing", unit="batch", disable=not progress
        ):
            part = slice(start, start + batch_size)
            inputs = build_start_inputs(bundle, len(z[part]), prefixes[part] if prefixes else None)
            inputs |= {} if label_ids is None else {"label_ids": label_ids[part]}
            latent = z[part].to(bundle.device, bundle.model.dtype)
            texts += decode_batch(
                bundle.tokenizer,
                bundle.model.generate(**inputs, latent=latent, **arguments).tolist(),
            )
    return texts


def build_start_inputs(
    bundle: Bundle, count: int, prefixes: Sequence[Sequence[int]] | None
) -> dict[str, Tensor]:
    """Return what each text begins with: the start token and its prefix, padded on the left."""
    start, pad = bundle.tokenizer.bos_token_id, bundle.tokenizer.pad_token_id
    rows = [[start, *prefix] for prefix in prefixes or [[]] * count]
    width = max(map(len, rows))
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return {"input_ids": ids.to(bundle.device), "attention_mask": mask.to(bundle.device)}


def batch_by_length(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Yield batches of places, longest sentences first."""
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    yield from (order[start : start + batch_size] for start in range(0, len(order), batch_size))
