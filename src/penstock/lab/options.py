"""The options of `penstock lab`, handed to the pages, which Streamlit runs as a separate script."""

import os
from functools import cached_property

import msgspec

from penstock.config import Settings, load_settings
from penstock.decoding import prepared
from penstock.wiring.detectors import installed

VARIABLE = "PENSTOCK_LAB"
"""The variable of the environment in which it travels; set for the process alone that runs the pages."""


class LabOptions(msgspec.Struct, frozen=True, dict=True):
    """The options: the service, the offered detectors, and flags that override other settings.

    >>> LabOptions(detectors=("banking",)).offered
    ('banking',)
    """

    url: str = "http://127.0.0.1:8000"
    detectors: tuple[str, ...] = ()
    flags: dict[str, str] = {}

    @property
    def offered(self) -> tuple[str, ...]:
        """The DETECTORs of the command line; by default all installed ones."""
        return self.detectors or tuple(installed())

    @cached_property
    def settings(self) -> Settings:
        """The settings in force: the key of the service, where models are, and the rest."""
        return load_settings(self.flags)


def hand_over(options: LabOptions) -> None:
    """Put the options into the environment, where the pages read them."""
    os.environ[VARIABLE] = msgspec.json.encode(options).decode()


def options_of_lab() -> LabOptions:
    """The options of the command; defaults if Streamlit runs the pages directly."""
    return msgspec.json.decode(os.environ.get(VARIABLE, "{}"), type=prepared(LabOptions))
