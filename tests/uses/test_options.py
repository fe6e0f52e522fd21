"""The typed options and records of the verbs agree with the settings classes and with what the verbs return."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import pytest

from textvae.bulk.verbs import VERBS
from textvae.inference.paths import PATHS
from textvae.inference.settings import (
    DecodingChoices,
    DecodingSettings,
    SingleDecodingSettings,
)
from textvae.schema import StrictSettings
from textvae.settings.card import CardSettings
from textvae.uses import options, records
from textvae.uses.features import FEATURES
from textvae.uses.fit_prior.fit import FITTED_PRIORS
from textvae.uses.interpolate import DENSITY_PATH_NAME
from textvae.uses.settings import (
    AnomalySettings,
    AugmentSettings,
    FeatureKind,
    InfillSettings,
    InterpolationPath,
    PriorKind,
    ScoreSettings,
    TraverseSettings,
    UncertaintySettings,
    VarySettings,
)

PAIRS: dict[Any, type[StrictSettings]] = {
    options.DecodingChoiceOptions: DecodingChoices,
    options.SingleDecodingOptions: SingleDecodingSettings,
    options.DecodingOptions: DecodingSettings,
    options.VaryOptions: VarySettings,
    options.InfillOptions: InfillSettings,
    options.TraverseOptions: TraverseSettings,
    options.AugmentOptions: AugmentSettings,
    options.AnomalyOptions: AnomalySettings,
    options.ScoreOptions: ScoreSettings,
    options.UncertaintyOptions: UncertaintySettings,
    options.CardOptions: CardSettings,
}


@pytest.mark.parametrize("typed", PAIRS, ids=lambda typed: typed.__name__)
def test_the_typed_options_are_the_fields_of_the_settings(typed):
    """A field that only one of the two has would be an option that cannot be used, or is not typed."""
    assert set(get_type_hints(typed)) == set(PAIRS[typed].model_fields)
    assert not typed.__required_keys__


@pytest.mark.parametrize("typed", PAIRS, ids=lambda typed: typed.__name__)
def test_an_option_has_the_type_of_its_field(typed):
    """A name of one of several choices is typed by the same choices; only sequences are wider."""
    fields = PAIRS[typed].model_fields
    types = {name: kind for name, kind in get_type_hints(typed).items() if name != "values"}
    assert types == {name: strip_bounds(fields[name].annotation) for name in types}


def strip_bounds(annotation):
    """Return a type without the bounds of its parts, which the types of options leave out."""
    if get_origin(annotation) is Annotated:
        return strip_bounds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        parts = [strip_bounds(part) for part in get_args(annotation)]
        return reduce(or_, parts)
    if get_origin(annotation) in (Sequence, tuple):
        return get_origin(annotation)[tuple(map(strip_bounds, get_args(annotation)))]
    return annotation


def test_the_options_of_bulk_jobs_are_the_fields_of_their_verbs_settings():
    """`encode` has none."""
    fields = {name for verb in VERBS.values() for name in verb.Settings.model_fields}
    assert set(get_type_hints(options.BulkOptions)) == fields


def test_the_names_of_choices_are_the_keys_of_their_tables():
    """The types cannot import the tables, which import torch."""
    assert set(get_args(PriorKind)) == FITTED_PRIORS.keys()
    assert set(get_args(FeatureKind)) == FEATURES.keys()
    assert set(get_args(InterpolationPath)) == {*PATHS, DENSITY_PATH_NAME}


def test_the_verbs_return_the_fields_of_their_records(vae):
    """A blank text has the same fields as any other, all of them None."""
    verbs = {records.Score: vae.score, records.Uncertainty: vae.uncertainty}
    for record, verb in verbs.items():
        full, blank = verb(["a man rides a wave.", " "])
        assert set(full) == set(blank) == set(record.__annotations__)
        assert set(blank.values()) == {None}


def test_traversals_and_infills_return_the_fields_of_their_records(vae):
    """These verbs return a list of records for one text."""
    (step, *_) = vae.traverse("a man", 0, steps=2, unit="prior")
    assert set(step) == set(records.TraversalStep.__annotations__)
    for filled in vae.infill("a ___ man", n=1, latents=2, beams=2):
        assert set(filled) == set(records.Infill.__annotations__)
