"""Push a run to the Hugging Face Hub while it trains, with the settings that Trainer has for it.

Trainer's own push would upload the whole output folder, with the corpus and pickled
arguments in it. This one uploads the files that `textvae push` uploads, and of a checkpoint
what resuming needs, if `training.hub_strategy` asks for checkpoints.
"""

import json
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import HfApi
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from textvae.errors import OutputError, TextVAEError
from textvae.inference.bundle import Bundle
from textvae.inference.checkpoint import load_bundle
from textvae.inference.model_folder import WEIGHTS_FILE
from textvae.messages import print_note, print_warning
from textvae.runs.hub import MODEL_FILES
from textvae.runs.model_card import build_card
from textvae.runs.push_target import PushTarget
from textvae.runs.pushing import (
    CARD_FILE,
    check_reachable,
    hide_paths_in_records,
    open_repository,
    push_to_hub,
    refuse_local_bases,
    upload_folder,
)
from textvae.runs.run import SETTINGS_FILE, Run
from textvae.runtime.files import write_text
from textvae.runtime.hub import Hub, explain_failed_upload
from textvae.settings.training import TrainingSettings
from textvae.training import checkpoints

_LAST_CHECKPOINT = "last-checkpoint"  # in the repository, as Trainer calls it
_TRAINER_STATE = "trainer_state.json"


def describe_target(settings: TrainingSettings, run_folder: Path) -> PushTarget:
    """Return where a run is pushed to.

    Raises:
        ConfigError: the repository or the branch cannot have such a name.
    """
    target = PushTarget(
        settings.hub_model_id or run_folder.resolve().name,
        settings.hub_revision,
        settings.hub_private_repo,
    )
    target.check("training.hub_model_id")
    return target


def check_uploads(settings: TrainingSettings, run_folder: Path) -> None:
    """Check before any work begins that the hub can be asked, and knows the user.

    Raises:
        TextVAEError: pushing would fail; the message says why.
    """
    if not settings.push_to_hub:
        return
    target = describe_target(settings, run_folder)
    hub = Hub()
    check_reachable(target.repository, hub)
    try:
        HfApi(endpoint=hub.endpoint, token=hub.token).whoami()
    except Exception as error:
        page = f"{hub.endpoint}/{target.repository}"
        raise OutputError(f"{target.repository} {explain_failed_upload(error, page)}") from error


class HubUploads:
    """Pushes the model of a run, one upload at a time, next to the training.

    A push that fails during training only prints a warning, since the run goes on and the
    next one may succeed.

    Args:
        run: the run.
        bundle: the model that is trained, for its config.
        settings: where and how often to push.
    """

    def __init__(self, run: Run, bundle: Bundle, settings: TrainingSettings) -> None:
        self.run = run
        self.bundle = bundle
        self.strategy = settings.hub_strategy
        self.always_pushes = settings.hub_always_push
        self.target = describe_target(settings, run.folder)
        self.hub = Hub()
        self.repository = self.target.repository
        self.executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="push")
        self.pending: list[Future[None]] = []

    def open(self) -> None:
        """Create the repository, unless it exists.

        Raises:
            TextVAEError: the hub cannot be reached or refuses it, or nobody else could load the
                model.
        """
        refuse_local_bases(self.bundle)
        check_reachable(self.repository, self.hub)
        self.repository = open_repository(self.target, self.hub)

    def push_checkpoint(self, checkpoint: Path) -> None:
        """Begin to push the model of a checkpoint, and return at once.

        Nothing is pushed while the last push is under way, unless the settings ask for it.
        """
        if self.strategy == "end":
            return
        is_busy = any(not push.done() for push in self.pending)
        if is_busy and not self.always_pushes:
            return
        # A copy, because training removes its older checkpoints.
        folder = TemporaryDirectory()
        try:
            self._fill(Path(folder.name), checkpoint)
        except (OSError, SafetensorError, TextVAEError) as error:  # a full disk, for example
            folder.cleanup()
            print_warning(
                f"{self.repository} gets no checkpoint now, because it cannot be copied to "
                f"{folder.name} ({error}). The training goes on."
            )
            return
        message = f"Training in progress, step {checkpoints.parse_step(checkpoint)}"
        self.pending.append(self.executor.submit(self._upload, folder, message))

    def push_final(self) -> None:
        """Push the finished run; every push has ended when this returns.

        Raises:
            TextVAEError: the push failed; the message says how to repeat it.
        """
        self.close()
        target = PushTarget(
            self.repository, self.target.revision, commit_message="The trained model"
        )
        # Read again, because the weights in memory may be spread over several processes.
        bundle = load_bundle(self.run.folder, "cpu")
        try:
            address = push_to_hub(bundle, self.run, target, hub=self.hub)
        except TextVAEError as error:
            raise OutputError(
                f"{error} The run is finished and is in {self.run.folder}; push it with: textvae "
                f"push {self.run.folder} {self.repository}"
            ) from error
        print_note(f"the model is at {address}")

    def close(self) -> None:
        """Wait for the pushes that are under way."""
        self.executor.shutdown(wait=True)

    def _upload(self, folder: "TemporaryDirectory[str]", message: str) -> None:
        """Upload a folder, and remove it."""
        target = PushTarget(self.repository, self.target.revision, commit_message=message)
        with folder:
            try:
                upload_folder(Path(folder.name), self.repository, target, self.hub)
            except OutputError as error:
                print_warning(f"{error} The training goes on.")

    def _fill(self, folder: Path, checkpoint: Path) -> None:
        """Copy the model of a checkpoint, and the checkpoint itself if it is asked for."""
        for file in checkpoint.iterdir():
            if any(fnmatchcase(file.name, pattern) for pattern in MODEL_FILES):
                shutil.copyfile(file, folder / file.name)
        _drop_auxiliary_weights(folder / WEIGHTS_FILE)
        shutil.copyfile(self.run.folder / SETTINGS_FILE, folder / SETTINGS_FILE)
        hide_paths_in_records(folder)
        step = checkpoints.parse_step(checkpoint)
        note = f"**The training is not finished:** this is the model after step {step:,}."
        card = build_card(self.bundle, self.run, repository=self.repository, note=note)
        write_text(folder / CARD_FILE, card)
        if self.strategy == "checkpoint":
            _copy_checkpoint(checkpoint, folder / _LAST_CHECKPOINT)
        elif self.strategy == "all_checkpoints":
            _copy_checkpoint(checkpoint, folder / checkpoint.name)


def _drop_auxiliary_weights(file: Path) -> None:
    """Remove the weights of techniques, which only training needs, from a file of weights."""
    weights = load_file(file)
    kept = {name: value for name, value in weights.items() if not name.startswith("auxiliary.")}
    if len(kept) < len(weights):
        save_file(kept, file, metadata={"format": "pt"})


def _copy_checkpoint(checkpoint: Path, folder: Path) -> None:
    """Copy a checkpoint without the path of this machine that it holds."""
    shutil.copytree(checkpoint, folder)
    state = json.loads((folder / _TRAINER_STATE).read_text(encoding="utf-8"))
    if state.get("best_model_checkpoint"):
        state["best_model_checkpoint"] = Path(state["best_model_checkpoint"]).name
        (folder / _TRAINER_STATE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
        (folder / checkpoints.CHECKSUMS).unlink()
        checkpoints.write_checksums(folder)
