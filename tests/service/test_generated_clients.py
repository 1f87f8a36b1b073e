"""Clients that openapi-generator makes of the API document compile, in Java and in Go."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "console" / "openapi.json"
GENERATOR = "openapi-generator-cli:7.14.0"
SOURCES_ALONE = "apiTests=false,modelTests=false,apiDocs=false,modelDocs=false"

pytestmark = pytest.mark.slow


def run(*command, cwd, **environment):
    return subprocess.run(
        command, cwd=cwd, env=os.environ | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def compiles(*command, cwd, **environment):
    done = run(*command, cwd=cwd, **environment)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4_000:]


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    """The jar of the generator, which Maven copies from its own cache, or from wherever its settings say."""
    for tool in ("java", "javac", "mvn"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; on Debian: apt-get install default-jdk-headless maven")
    folder = tmp_path_factory.mktemp("generator")
    copy = ["mvn", "--quiet", "--batch-mode", "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"]
    copy += [f"-Dartifact=org.openapitools:{GENERATOR}", f"-DoutputDirectory={folder}"]
    for offline in (["--offline"], []):
        if run(*copy, *offline, cwd=folder).returncode == 0:
            return folder / f"{GENERATOR.replace(':', '-')}.jar"
    pytest.skip(f"Maven cannot fetch {GENERATOR}")


def generate(generator, language, folder, *options):
    command = ["java", "-jar", str(generator), "generate", "-i", str(DOCUMENT), "-g", language, "-o", str(folder)]
    compiles(*command, "--global-property", SOURCES_ALONE, *options, cwd=folder.parent)


def test_a_client_in_java_compiles(generator, tmp_path):
    folder = tmp_path / "java"
    generate(generator, "java", folder, "--additional-properties=openApiNullable=false")
    build = ["mvn", "--quiet", "--batch-mode", "-DskipTests"]
    if run(*build, "dependency:resolve", cwd=folder).returncode != 0:
        pytest.skip("Maven cannot fetch what the client depends on")
    compiles(*build, "compile", cwd=folder)
    assert list(folder.glob("target/classes/**/DecisionsApi.class"))


def test_a_client_in_go_compiles(generator, tmp_path):
    if shutil.which("go") is None:
        pytest.skip("go is not installed; on Debian: apt-get install golang-go")
    folder = tmp_path / "go"
    generate(generator, "go", folder, "--name-mappings", "this=IsThis", "--additional-properties=packageName=penstock")
    environment = {"GOCACHE": str(tmp_path / "cache"), "GOFLAGS": "-mod=mod"}
    if run("go", "mod", "download", cwd=folder, **environment).returncode != 0:
        pytest.skip("Go cannot fetch what the client depends on")
    compiles("go", "build", "./...", cwd=folder, **environment)
    assert "func (a *DecisionsAPIService) DecideTransaction(" in (folder / "api_decisions.go").read_text()
