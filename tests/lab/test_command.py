"""`penstock lab`: starts here and nowhere else, tells nobody, stops when told to, and says what is missing."""

import signal
import socket
import subprocess
import sys

import httpx
import pytest

from penstock.cli import run
from penstock.lab.server import APP, OPTIONS
from tests.lab.conftest import PATIENCE_S, running


@pytest.mark.slow
def test_the_lab_listens_on_this_machine_alone_and_stops_when_interrupted(tmp_path):
    with running("lab", "banking", "--port", 0, "--data", tmp_path) as process:
        assert process.url.startswith("http://127.0.0.1:")
        assert httpx.get(f"{process.url}/_stcore/health", timeout=PATIENCE_S).text == "ok"
        assert "<title>" in httpx.get(process.url, timeout=PATIENCE_S).text
        assert process.stop(signal.SIGINT) == 0, process.said
        assert "Traceback" not in process.said


def test_nothing_is_told_to_anybody():
    assert OPTIONS["browser.gatherUsageStats"] == "false"
    assert APP.is_file()
    outside = [line for line in APP.with_name("icon.svg").read_text().splitlines() if "http" in line]
    assert outside == ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">']


def test_without_streamlit_the_remedy_is_said():
    program = "import sys; sys.modules['streamlit'] = None; from penstock.cli import run; sys.exit(run(['lab', '--port', '0']))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr == "Error: the lab needs an optional part: pip install 'penstock[lab]'\n"


def test_what_cannot_work_is_said_before_anything_starts(capsys):
    assert run(["lab", "--url", "ftp://somewhere"]) == 2
    assert "'ftp://somewhere' is not the URL of a service" in capsys.readouterr().err
    assert run(["lab", "bankin"]) == 2
    assert "Did you mean banking?" in capsys.readouterr().err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert run(["lab", "--port", str(taken.getsockname()[1])]) == 2
    assert "another process listens there already" in capsys.readouterr().err


def test_what_was_chosen_stays_chosen_where_a_page_does_not_show_it():
    from streamlit.testing.v1 import AppTest

    def script():
        import streamlit as st

        from penstock.lab.controls import keep

        keep()
        if st.checkbox("another page"):
            return
        st.text_input("what", key="chosen.what")

    shown = AppTest.from_function(script, default_timeout=PATIENCE_S)
    shown.run()
    shown.text_input[0].set_value("mine.py").run()
    shown.checkbox[0].check().run()
    shown.checkbox[0].uncheck().run()
    assert shown.text_input[0].value == "mine.py"
