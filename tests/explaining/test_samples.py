"""Every known error explains its own samples."""

from __future__ import annotations

import pytest

from tests.explaining.known import known_errors, seen


@pytest.mark.parametrize("error", known_errors(), ids=lambda e: e.id)
def test_samples_are_explained_by_their_own_error(error):
    for sample in error.samples:
        assert error.id in [one.error.id for one in seen(sample.text).observed]
