"""Measures: what a trained model is worth, each a function of a `Subject`.

Definitions: docs/measures.md.
"""

from collections.abc import Callable
from typing import Any

from textvae.measures.active_units import active_units
from textvae.measures.bleu import bleu
from textvae.measures.elbo import elbo
from textvae.measures.evidence import Evidence, Subject, gather
from textvae.measures.information import information
from textvae.measures.likelihood import likelihood
from textvae.measures.shuffled_latent import shuffled_latent

Measure = Callable[[Subject], dict[str, Any]]

QUICK: dict[str, Measure] = {
    "elbo": elbo,
    "information": information,
    "active_units": active_units,
    "shuffled_latent": shuffled_latent,
}

MEASURES: dict[str, Measure] = {**QUICK, "likelihood": likelihood, "bleu": bleu}

__all__ = ["MEASURES", "QUICK", "Evidence", "Measure", "Subject", "gather"]
