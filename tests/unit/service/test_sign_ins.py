"""Attempts to sign in: limits that nobody can flush, the address that counts, and what the security log holds."""

import logging

import pytest

from penstock.errors import ConfigurationError
from penstock.service.access.sign_ins import SignIns
from penstock.service.http import rate_limit
from penstock.service.http.rate_limit import Attempts

PROXIES = "10.0.0.0/8 2001:db8:1::7"


def exhaust(attempts, name, address):
    """Attempts at one instant until one has to wait."""
    return next(n for n in range(100) if attempts.wait_s(name, address, 0))


def test_many_names_do_not_make_the_limit_of_their_address_forgotten():
    attempts = Attempts()
    for n in range(25_000):
        attempts.wait_s(f"name{n}", "192.0.2.1", 0)
    assert attempts.wait_s("another", "192.0.2.1", 0) > 0
    assert attempts.wait_s("another", "192.0.2.2", 0) == 0.0


def test_many_addresses_do_not_make_the_limit_of_a_name_forgotten():
    attempts = Attempts()
    assert exhaust(attempts, "ana", "192.0.2.1") == 5
    for n in range(25_000):
        attempts.wait_s("ana", f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 0)
    assert attempts.wait_s("ana", "192.0.2.1", 0) > 0


def test_an_attempt_that_its_address_may_not_make_takes_nothing_from_its_name():
    attempts = Attempts()
    for n in range(30):
        attempts.wait_s(f"name{n}", "192.0.2.1", 0)
    for _ in range(10):
        assert attempts.wait_s("ana", "192.0.2.1", 0) > 0
    assert attempts.wait_s("ana", "192.0.2.1", 5_000_000) == 0.0


def test_whoever_has_a_network_of_ipv6_has_one_limit():
    attempts = Attempts()
    assert exhaust(attempts, "ana", "2001:db8::1") == 5
    assert attempts.wait_s("ana", "2001:db8::2", 0) > 0
    assert attempts.wait_s("ana", "2001:db8:0:1::1", 0) == 0.0


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(rate_limit, "_BUCKETS", 8)
    attempts = Attempts()
    for n in range(1_000):
        attempts.wait_s(f"name{n}", f"192.0.2.{n % 256}", n)
    assert len(attempts.addresses) == len(attempts.names) == 8


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),  # anybody can write the header
        ("10.0.0.9", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.9", ["203.0.113.5, 198.51.100.7"], "198.51.100.7"),  # what the client wrote itself stands first
        ("10.0.0.9", ["203.0.113.5", "198.51.100.7, 10.0.0.8"], "198.51.100.7"),
        ("2001:db8:1::7", ["2001:db8:2::1"], "2001:db8:2::1"),
        ("10.0.0.9", ["10.0.0.7"], "10.0.0.7"),
        ("10.0.0.9", ["unknown\r\nx"], "10.0.0.9"),
        ("10.0.0.9", [], "10.0.0.9"),
        ("", [], ""),
    ],
)
def test_the_address_that_counts_is_the_last_that_is_no_trusted_proxys(peer, forwarded, address):
    assert SignIns(lambda: 0, PROXIES).address(peer, forwarded) == address


def test_without_trusted_proxies_the_header_is_not_believed():
    assert SignIns(lambda: 0).address("10.0.0.9", ["198.51.100.7"]) == "10.0.0.9"


def test_a_proxy_that_is_no_address_is_refused_by_name():
    with pytest.raises(ConfigurationError, match=r"'proxy\.internal', which is no address or network"):
        SignIns(lambda: 0, "10.0.0.1 proxy.internal")


def test_the_security_log_names_users_and_never_what_may_be_a_password(caplog):
    caplog.set_level(logging.WARNING, "penstock.security")
    sign_ins = SignIns(lambda: 0)
    for _ in range(2):
        sign_ins.failed("password", "192.0.2.1", "no user of this name", name="correct horse battery")
    sign_ins.failed("password", "192.0.2.1", "wrong password", name="ana", known=True)
    sign_ins.failed("oidc", "192.0.2.1", "the provider said no\nCRITICAL forged")
    first, second, third, fourth = caplog.records
    assert first.name_hash == second.name_hash
    assert "correct horse" not in caplog.text
    assert (third.event, third.way, third.user, third.address) == ("sign_in_failed", "password", "ana", "192.0.2.1")
    assert "\n" not in fourth.getMessage()
    assert sign_ins.counts == {("password", "failed"): 3, ("oidc", "failed"): 1}


def test_a_flood_is_counted_and_logged_now_and_then(caplog):
    sign_ins = SignIns(lambda: 0)
    for _ in range(1_000):
        sign_ins.wait_s("password", "ana", "192.0.2.1")
    assert sign_ins.counts["password", "limited"] == 995
    assert [record.event for record in caplog.records] == ["sign_in_limited"] * 20
