"""Simulated traffic for a detector: people with habits, merchants, attacks, and delayed labels.

from penstock.detectors.banking.profile import profile
frame = simulate(profile, events=100_000, seed=1)            # 30 days in a frame
simulator = Simulator(profile, seed=1, start=start)          # or without end
simulator.batch(1000); simulator.attack("card_testing")
"""

from penstock.offline.simulate.attacks import Attack, known
from penstock.offline.simulate.profile import Profile
from penstock.offline.simulate.simulator import EXTRA, Simulator, simulate, submitted
from penstock.offline.simulate.traffic import all_attacks, attack_shares

__all__ = ["EXTRA", "Attack", "Profile", "Simulator", "all_attacks", "attack_shares", "known", "simulate", "submitted"]
