"""How fast believable traffic is made: events a second for each built-in profile, frame and ids included."""

from _report import Row, best_of, main

from penstock.detectors.banking.profile import profile as banking
from penstock.detectors.ecommerce.profile import profile as ecommerce
from penstock.offline.simulate import simulate

LEAST = 50_000


def run(quick: bool) -> list[Row]:
    events = 100_000 if quick else 500_000
    rows = []
    for profile in (banking, ecommerce):
        seconds = best_of(3, lambda profile=profile: simulate(profile, events=events, seed=1))
        rows.append(Row.at_least(f"simulated events, {profile.name}", events / seconds, "events/s", LEAST))
    return rows


if __name__ == "__main__":
    main(run)
