"""One simulated month for each built-in profile, made once for all tests."""

import polars as pl
import pytest

from penstock.detectors.banking.profile import profile as banking
from penstock.detectors.card.profile import profile as card
from penstock.detectors.ecommerce.profile import profile as ecommerce
from penstock.detectors.mobile_money.profile import profile as mobile_money
from penstock.detectors.payments.profile import profile as by_users
from penstock.offline.simulate import Profile, simulate


@pytest.fixture(scope="session", params=[banking, card, ecommerce, mobile_money, by_users], ids=lambda profile: profile.name)
def profile(request: pytest.FixtureRequest) -> Profile:
    return request.param


@pytest.fixture(scope="session")
def month(profile: Profile) -> pl.DataFrame:
    """60,000 events of 30 days, 2 % of them fraud."""
    return simulate(profile, events=60_000, seed=5, fraud_rate=0.02)


@pytest.fixture(scope="session")
def payments() -> pl.DataFrame:
    """The same of banking alone, with its fraud all kinds of attack."""
    return simulate(banking, events=60_000, seed=6, fraud_rate=0.02)
