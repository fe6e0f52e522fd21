"""Saving and sharing a model."""

from pathlib import Path

from textvae import TextVAE
from textvae.sharing import HfApi


def test_a_saved_copy_writes_the_same_text_and_keeps_its_records(tiny_run, tmp_path):
    """Model, tokenizer, card and settings go together."""
    vae = TextVAE.from_pretrained(tiny_run)
    vae.save_pretrained(tmp_path / "copy")
    assert {"README.md", "settings.yaml", "model.safetensors"} <= {path.name for path in (tmp_path / "copy").iterdir()}
    assert TextVAE.from_pretrained(tmp_path / "copy").generate(3, seed=5) == vae.generate(3, seed=5)


def test_pushing_uploads_the_card_and_nothing_of_the_corpus(tiny_run, monkeypatch):
    """What is uploaded is what `save_pretrained` saves."""
    uploaded: list[str] = []
    monkeypatch.setattr(HfApi, "create_repo", lambda self, *args, **options: None)

    def upload(self, repo_id: str, folder_path: str) -> str:
        uploaded.extend(path.name for path in Path(folder_path).rglob("*"))
        return f"https://hub/{repo_id}"

    monkeypatch.setattr(HfApi, "upload_folder", upload)
    assert TextVAE.from_pretrained(tiny_run).push_to_hub("me/tiny") == "https://hub/me/tiny"
    assert "README.md" in uploaded
    assert not [name for name in uploaded if name.endswith(".arrow")]
