"""A run that all users of the page share: its model, which is loaded once, and its map.

The model may not exist yet, since a page can be opened while the run is being trained. So
it is loaded when it is first needed, and an action that comes too early raises the error
that says so. Sampling uses torch's global random numbers: one lock lets one action at a
time use the model, so that a seed always gives the same texts.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from textvae.errors import DataError, TextVAEError
from textvae.explorer.defaults import DEFAULT_LIMIT, DEFAULT_POINTS
from textvae.explorer.latent_map import LatentMap, Sentences, compute_map
from textvae.explorer.map_cache import list_map_folders, load_map, name_map, save_map
from textvae.explorer.projection import ProjectionKind
from textvae.explorer.reference import choose_sentences
from textvae.inference.model_folder import WEIGHTS_FILE
from textvae.runtime.spacing import take_evenly
from textvae.uses.density_path import KernelDensity
from textvae.vae import TextVAE

NO_LABEL = "none"  # the choice that a page offers for a model without labels
_DENSITY_SENTENCES = 2_000  # reference points of the path that follows the density
_PAUSE_SECONDS = 0.002  # in which a waiting action can take the lock from the map


@dataclass(frozen=True)
class MapStatus:
    """How far the computation of the map is.

    Attributes:
        share: what is done, 0 to 1.
        what: what is being done, or why it failed.
    """

    share: float = 0.0
    what: str = "waiting to begin"
    is_failed: bool = False

    @property
    def is_over(self) -> bool:
        """Whether there is nothing to wait for."""
        return self.is_failed or self.share >= 1


class SharedRun:
    """A run and its map.

    Args:
        source: the folder of a run, finished or not, or a loaded model.
        sentences: what the map shows; by default sentences of the run's corpus.
        points: the most sentences on the map.
        limit: the most texts that one action writes.
        device: where a model that is not loaded yet is put.
    """

    def __init__(
        self,
        source: Path | TextVAE,
        sentences: Sentences | None = None,
        *,
        points: int = DEFAULT_POINTS,
        limit: int = DEFAULT_LIMIT,
        projection: ProjectionKind = "pca",
        device: str | None = None,
    ) -> None:
        self.folder = source.folder if isinstance(source, TextVAE) else source
        self.limit = limit
        self.status = MapStatus()
        self._vae: TextVAE | None = None
        self._chosen_label: str | None = None
        if isinstance(source, TextVAE):
            # A view of a label says what the page writes with; the map has sentences of all labels.
            self._chosen_label = source.bundle.fixed_label
            self._vae = source.without_label()
        self._sentences = sentences
        self._points = points
        self._projection = projection
        self._device = device
        self._map: LatentMap | None = None
        self._density: KernelDensity | None = None
        self._lock = threading.Lock()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._weights_time = self._stamp_weights()
        self._failed_at: int | None = None  # when the weights were written that gave no map

    @property
    def name(self) -> str:
        """What the page calls the run."""
        if self.folder is None:
            return "a model in memory"
        if self.folder.parent.name == "snapshots":  # of a repository in the cache of the hub
            return self.folder.parents[1].name.removeprefix("models--").replace("--", "/")
        return self.folder.name

    @property
    def is_loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._vae is not None

    @property
    def labels(self) -> list[str]:
        """The labels of a conditional model; empty for any other, or one that is not loaded yet."""
        return [] if self._vae is None else self._vae.labels

    @property
    def chosen_label(self) -> str | None:
        """The label of the view that was passed, or the most frequent one; None without labels."""
        return self._chosen_label or next(iter(self.labels), None)

    def describe(self) -> str:
        """Return what is shown under the title of the page."""
        if self._vae is None:
            return "This run has no finished model yet; the panel Training shows how far it is."
        size = sum(weights.numel() for weights in self._vae.model.parameters())
        latent = f"a latent of {self._vae.latent_dim} numbers"
        if not self._vae.latent_dim:
            latent = "a language model, without a latent"
        config = self._vae.model.config
        return f"{latent}, {size / 1e6:,.1f} million weights, {config.vocab_size:,} tokens"

    def has_weights(self) -> bool:
        """Return whether there is a model to load, or one in memory."""
        return self.is_loaded or self._stamp_weights() is not None

    def load_if_finished(self) -> None:
        """Load the model, unless the training of the run has not finished."""
        if self.has_weights():
            with self.model():
                return

    @property
    def latent_map(self) -> LatentMap | None:
        """The map, or None while it is being computed."""
        return self._map

    @contextmanager
    def model(self, label: str | None = None) -> Iterator[TextVAE]:
        """Yield the model, for one user at a time.

        Args:
            label: of a conditional model; None or an empty string for the one that was chosen
                (see `chosen_label`).

        Raises:
            CheckpointError: the training has not finished, or the run is damaged or missing.
            ConfigError: the model does not know the label, or was trained without labels.
        """
        with self._lock:
            vae = self._load()
            if vae.labels:
                vae = vae.with_label(label or self._chosen_label or vae.labels[0])
            elif label and label != NO_LABEL:
                vae = vae.with_label(label)  # which says that the model has no labels
            yield vae

    def require_map(self) -> LatentMap:
        """Return the map.

        Raises:
            DataError: it is not ready, or cannot be computed.
        """
        if self._map is not None:
            return self._map
        if self.status.is_failed:
            raise DataError(f"there is no map: {self.status.what}")
        raise DataError(
            f"the map is not ready yet ({self.status.share:.0%}: {self.status.what}); "
            "wait until it is, or look at another panel meanwhile."
        )

    def require_density(self) -> KernelDensity:
        """Return the density of the sentences' latents, which is fitted when it is first needed."""
        if self._density is None:
            self._density = KernelDensity.fit(_choose_reference(self.require_map().z))
        return self._density

    def start_map(self) -> None:
        """Begin to load or compute the map in the background, unless that has begun already.

        A map that failed is tried again when the run has other weights, or its first ones.
        """
        with self._starting:
            if self._map is not None or (self._thread is not None and self._thread.is_alive()):
                return
            if self.status.is_failed and self._stamp_weights() == self._failed_at:
                return
            self.status = MapStatus()
            self._thread = threading.Thread(target=self._make_map, name="map", daemon=True)
            self._thread.start()

    def wait_for_map(self) -> None:
        """Wait until the map is ready or has failed."""
        self.start_map()
        assert self._thread is not None or self._map is not None
        if self._thread is not None:
            self._thread.join()

    def describe_change(self) -> str | None:
        """Return what has happened to the run's files since it was loaded; None if nothing has."""
        if self.folder is None or not self.is_loaded:
            return None
        if not self.folder.is_dir():
            return (
                f"The folder {self.folder} has been removed. The page goes on with the model in "
                "memory; what the run has saved cannot be read any more."
            )
        if self._stamp_weights() != self._weights_time:
            return (
                "The run has been trained again. The page still shows the model from before: "
                "start the explorer again to see the new one."
            )
        return None

    def _stamp_weights(self) -> int | None:
        """Return when the weights were written, in nanoseconds; None if there are none."""
        if self.folder is None:
            return None
        try:
            return (self.folder / WEIGHTS_FILE).stat().st_mtime_ns
        except OSError:
            return None

    def _load(self) -> TextVAE:
        """Return the model; the first call loads it."""
        if self._vae is None:
            assert self.folder is not None
            self._weights_time = self._stamp_weights()
            self._vae = TextVAE.from_pretrained(self.folder, self._device)
        return self._vae

    def _make_map(self) -> None:
        """Load the map, or compute and save it; the status says how it goes."""
        self._failed_at = self._stamp_weights()
        try:
            with self._lock:
                self._map = self._load_or_compute(self._load())
            self.status = MapStatus(1.0, "ready")
        except TextVAEError as error:
            self.status = MapStatus(0.0, str(error), is_failed=True)
        except Exception as error:  # a thread has nobody else to tell
            self.status = MapStatus(0.0, f"{type(error).__name__}: {error}", is_failed=True)

    def _load_or_compute(self, vae: TextVAE) -> LatentMap:
        """Return the map of the sentences, from the cache if it is there."""
        held_out = None
        sentences = self._sentences
        if sentences is None:
            column = vae.bundle.label_column if vae.labels else None
            sentences, held_out = choose_sentences(self.folder, self._points, column)
        sentences = sentences.part(slice(self._points))
        folders = list_map_folders(
            self.folder, vae.bundle, name_map(sentences, held_out, self._projection)
        )
        saved = load_map(folders, vae.bundle, sentences)
        if saved is not None:
            return saved
        computed = compute_map(
            vae, sentences, held_out, projection=self._projection, report=self._report
        )
        save_map(folders, vae.bundle, computed)
        return computed

    def _report(self, share: float, what: str) -> None:
        """Note the progress, and let an action that waits for the model go first."""
        self.status = replace(self.status, share=min(share, 0.99), what=what)
        self._lock.release()
        time.sleep(_PAUSE_SECONDS)
        self._lock.acquire()


def _choose_reference(z: Tensor) -> Tensor:
    """Return some of the latents of a map, evenly spaced and without copies."""
    distinct: Tensor = z.unique(dim=0)
    return distinct[take_evenly(range(len(distinct)), _DENSITY_SENTENCES)]
