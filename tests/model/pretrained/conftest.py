"""Fixtures of the tests of pretrained parts."""

import pytest

from tests.model.pretrained.families import save_decoder, save_encoder


@pytest.fixture(scope="session")
def bases(tmp_path_factory):
    """A function that returns the folder of a base, which is built once."""
    made = {}

    def find(role, family):
        if (role, family) not in made:
            save = save_encoder if role == "encoder" else save_decoder
            made[role, family] = save(family, tmp_path_factory.mktemp(f"{role}_{family}"))
        return made[role, family]

    return find
