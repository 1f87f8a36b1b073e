"""The notebooks in examples/: each runs from top to bottom, in thirty lines, and shows what it says it shows."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module", params=["custom_detector", "card_training"])
def source(request):
    return nbformat.read(NOTEBOOKS / f"{request.param}.ipynb", as_version=4)


def test_it_is_short_and_holds_no_results_of_a_former_run(source):
    code = [cell for cell in source.cells if cell.cell_type == "code"]
    statements = [line for cell in code for line in cell.source.splitlines() if line.strip()]
    assert len(statements) <= 30
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Proactor event loop", "ignore:zmq.eventloop", "ignore::DeprecationWarning")
def test_it_runs_and_explains_a_decision(source, tmp_path):
    client = NotebookClient(
        source, timeout=900, startup_timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    done = client.execute()
    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    shown = "".join(output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs)
    assert "BLOCK" in shown
    assert "'roc_auc': 0.9" in shown
