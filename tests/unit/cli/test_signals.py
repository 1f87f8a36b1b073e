"""A command that runs until it is stopped ends after any number of signals, whatever its threads do meanwhile."""

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import threading
from penstock.cli import signals
signals.AT_ONCE_S = 0.5
stop = threading.Event()
signals.stop_on_signals({stop}, {within_s})
print("up", flush=True)
with stop._cond:  # as it is for a moment in every wait of the main thread
    while not {asked}:
        pass
{then}
print("down", flush=True)
"""

WAITING = "while not stop.wait(0.1): pass"
"""As every command waits: a signal right before a wait without time-out would not end it."""


def run(program, *numbers):
    """Exit code and output of a program that gets these signals, one right behind the other."""
    alone = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # the tests themselves may run under nohup
    command = [sys.executable, "-c", alone + program]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        for number in numbers:
            process.send_signal(number)
        try:
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
        return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_one_signal_or_several_ask_to_stop_and_the_exit_code_is_zero(number):
    program = PROGRAM.format(stop="stop.set", within_s=60, asked="True", then=WAITING)
    for count in (1, 3):
        assert run(program, *[number] * count)[:2] == (0, "down\n")


def test_a_signal_that_meets_the_main_thread_with_the_lock_of_what_stops_it_blocks_nothing():
    program = PROGRAM.format(
        stop="lambda: (asked.append(1), stop.set())", within_s=60, asked="len(asked) > 1", then=WAITING
    ).replace("stop = threading.Event()", "stop, asked = threading.Event(), []")
    assert run(program, signal.SIGTERM, signal.SIGINT)[:2] == (0, "down\n")


def test_a_signal_that_does_not_interrupt_the_main_thread_asks_to_stop_too():
    """As one that comes between the main thread's last look at its signals and the beginning of its next wait."""
    elsewhere = "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"  # receives what the main thread blocks
    elsewhere += "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
    program = PROGRAM.format(stop="stop.set", within_s=10, asked="True", then=WAITING)
    assert run(program.replace('print("up"', elsewhere + 'print("up"'), signal.SIGTERM)[:2] == (0, "down\n")


@pytest.mark.parametrize(("numbers", "within_s"), [([signal.SIGTERM], 0.5), ([signal.SIGTERM, signal.SIGINT], 600)])
def test_a_process_that_does_not_stop_is_ended_and_says_so(numbers, within_s):
    program = PROGRAM.format(stop="lambda: None", within_s=within_s, asked="True", then=WAITING)
    code, out, err = run(program, *numbers)
    assert (code, out) == (1, "")
    assert "has not stopped 0.5 s after a signal" in err


def test_what_nohup_has_switched_off_stays_off():
    program = PROGRAM.format(stop="stop.set", within_s=60, asked="True", then="print(stop.wait(0.2))")
    switched_off = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    assert run(switched_off + program, signal.SIGHUP)[:2] == (0, "False\ndown\n")


def test_one_signal_is_enough_for_a_process_that_has_not_started():
    program = PROGRAM.format(stop="lambda: None", within_s="600, started=lambda: False", asked="True", then=WAITING)
    assert run(program, signal.SIGTERM)[:2] == (1, "")
