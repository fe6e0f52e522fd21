"""Push a model to the Hugging Face Hub: what is uploaded, and how.

A repository gets what `save_pretrained` saves, made public: the card names the
repository, no file holds a local path, and neither the corpus, nor a checkpoint, nor an
index of sentences goes along unless it is asked for.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from huggingface_hub import CommitInfo, HfApi, get_session, hf_raise_for_status

from textvae.errors import CheckpointError, ConfigError, OutputError
from textvae.inference.bundle import Bundle
from textvae.runs.card_sections import CardTexts
from textvae.runs.fitted import FITTED_FOLDER
from textvae.runs.hub import MODEL_FILES
from textvae.runs.local_paths import hide_local_paths
from textvae.runs.model_card import build_card, read_run_settings, update_card
from textvae.runs.publishing import save_with_records
from textvae.runs.push_target import PushTarget
from textvae.runs.run import SETTINGS_FILE, Run
from textvae.runtime.files import read_json, write_text
from textvae.runtime.hub import Hub, explain_failed_upload
from textvae.runtime.yaml_text import parse_yaml
from textvae.settings.card import CardSettings

CARD_FILE = "README.md"
_MEASURES_FILE = "measures.json"
_MESSAGE = "Push a text VAE"

# What an earlier push may have left, and another model must not be used with.
_REPLACED_FILES = [
    *(name for name in MODEL_FILES if "*" not in name),
    SETTINGS_FILE,
    _MEASURES_FILE,
    f"{FITTED_FOLDER}/*",
]
_OLD_HEADING = "\n# A text VAE\n"  # of cards that earlier releases wrote, with local paths


def push_to_hub(
    bundle: Bundle,
    run: Run | None,
    target: PushTarget,
    *,
    card: CardSettings | None = None,
    texts: CardTexts | None = None,
    with_indices: bool = False,
    hub: Hub | None = None,
) -> str:
    """Upload a model with the records and the fits of its run; return the address.

    Args:
        card: settings of the card, in place of those of the run.
        texts: sentences for the card to show.
        with_indices: upload the run's indices too, which hold the sentences themselves.
        hub: default: the hub of huggingface_hub.

    Raises:
        ConfigError: no repository can have this name, or nobody else could load the model.
        OutputError: the hub cannot be reached, or refuses the upload.
    """
    target.check()
    refuse_local_bases(bundle)
    hub = hub or Hub()
    check_reachable(target.repository, hub)
    # Filled before the repository is created, so that a failure leaves no empty one.
    with TemporaryDirectory() as name:
        folder = Path(name)
        run_folder = None if run is None else run.folder
        save_with_records(bundle, run_folder, folder, with_indices=with_indices)
        hide_paths_in_records(folder)
        text = _write_card(bundle, run, folder, target.repository, card, texts)
        check_card(text, target.repository, hub)
        repository = open_repository(target, hub)
        write_text(folder / CARD_FILE, update_card(text, repository=repository))
        return upload_folder(folder, repository, target, hub)


def check_reachable(repository: str, hub: Hub) -> None:
    """Check that the hub can be asked at all.

    Raises:
        OutputError: the user has switched the network off, or it is missing.
    """
    obstacle = hub.find_obstacle()
    if obstacle is not None:
        reason, advice = obstacle
        raise OutputError(f"{repository}: cannot be pushed to, because {reason}. {advice}.")


def check_card(text: str, repository: str, hub: Hub) -> None:
    """Ask the hub whether it would take a model card: it knows only some licenses, for example.

    Raises:
        OutputError: the hub would refuse it.
    """
    card = {"content": text, "repoType": "model"}
    try:
        hf_raise_for_status(get_session().post(f"{hub.endpoint}/api/validate-yaml", json=card))
    except Exception as error:  # those of the network have no common base
        reason = explain_failed_upload(error, f"{hub.endpoint}/{repository}")
        raise OutputError(f"{repository} {reason}") from error


def open_repository(target: PushTarget, hub: Hub) -> str:
    """Return the full name of a repository, which is created if it does not exist.

    Raises:
        OutputError: the hub refuses it, or the repository is public and should be private.
    """
    api = HfApi(endpoint=hub.endpoint, token=hub.token)
    name = target.repository
    try:
        if not target.create_pr:
            name = api.create_repo(name, private=target.private or None, exist_ok=True).repo_id
        info = api.model_info(name)
        if target.revision is not None and not target.create_pr:
            api.create_branch(name, branch=target.revision, exist_ok=True)
    except Exception as error:  # those of the network have no common base
        reason = explain_failed_upload(error, f"{hub.endpoint}/{name}")
        raise OutputError(f"{name} {reason}") from error
    if target.private and not info.private:
        raise OutputError(
            f"{name}: already exists and is public; make it private on its page, under Settings, "
            "or name another repository."
        )
    return name


def upload_folder(folder: Path, repository: str, target: PushTarget, hub: Hub) -> str:
    """Upload a folder as one commit; return the address of the model or of the pull request.

    Raises:
        OutputError: the hub refuses the upload, or the connection failed.
    """
    page = f"{hub.endpoint}/{repository}"
    try:
        commit: CommitInfo = HfApi(endpoint=hub.endpoint, token=hub.token).upload_folder(
            repo_id=repository,
            folder_path=folder,
            revision=target.revision,
            create_pr=target.create_pr,
            commit_message=target.commit_message or _MESSAGE,
            delete_patterns=_REPLACED_FILES,
        )
    except Exception as error:
        raise OutputError(f"{repository} {explain_failed_upload(error, page)}") from error
    if target.create_pr:
        return commit.pr_url or page
    return page if target.revision is None else f"{page}/tree/{target.revision}"


def hide_paths_in_records(folder: Path) -> None:
    """Shorten the local paths in a folder's settings and configs to their last names."""
    settings = folder / SETTINGS_FILE
    if settings.is_file():
        content = hide_local_paths(parse_yaml(settings.read_text(encoding="utf-8")))
        write_text(settings, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    config = folder / "config.json"
    entries = read_json(config)
    for part in ("encoder_settings", "decoder_settings"):
        entries[part] = hide_local_paths(entries.get(part))
    write_text(config, json.dumps(entries, indent=2, sort_keys=True) + "\n")


def refuse_local_bases(bundle: Bundle) -> None:
    """Refuse a model that needs a base which only this machine has.

    Raises:
        ConfigError: one of its bases is a local folder.
    """
    config = bundle.model.config
    for part in (config.encoder_settings, config.decoder_settings):
        base = (part or {}).get("base")
        if base and base["is_needed"] and base["revision"] is None:
            assert part is not None
            raise ConfigError(
                f"the model needs the weights of {part['name']}, a folder of this machine, so "
                "nobody else could load it: push it with merge=True (--merge), which uploads "
                "these weights too."
            )


def _write_card(
    bundle: Bundle,
    run: Run | None,
    folder: Path,
    repository: str,
    options: CardSettings | None,
    texts: CardTexts | None,
) -> str:
    """Return the card to publish: that of the run, brought up to date, or a new one."""
    file = folder / CARD_FILE
    if file.is_file():
        text = file.read_text(encoding="utf-8")
        if _OLD_HEADING not in text:
            try:
                return update_card(text, options=options, texts=texts)
            except (ValueError, yaml.YAMLError) as error:
                reason = " ".join(str(error).split())
                raise CheckpointError(
                    f"{CARD_FILE}: its metadata is damaged ({reason}); correct or remove it."
                ) from error
    measures = run.read_json(_MEASURES_FILE) if run is not None else {}
    settings = read_run_settings(run)
    own = settings.card if settings else CardSettings()
    if options is not None:
        own = own.model_copy(update=options.model_dump(exclude_unset=True))
    has_measures = "verdict" in measures
    return build_card(
        bundle,
        run,
        options=own,
        measures=measures if has_measures else None,
        repository=repository,
        texts=texts,
    )
