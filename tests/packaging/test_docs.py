"""The pages about platforms: every command of ours in them exists with these options, and what can be run here gives what they say."""

from __future__ import annotations

import io
import pathlib
import re
import shlex
import subprocess
import tarfile

import pytest
import yaml

from tests.cli.command import run
from tools.package import __main__ as package

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = ("packages", "amazon-linux-2023", "ubuntu", "kubernetes", "ssm")


def text(page: str) -> str:
    """A page."""
    return (TOP / f"docs/{page}.md").read_text(encoding="utf-8")


def commands(page: str) -> list[list[str]]:
    """The words of every command line in a page's shell blocks."""
    found = []
    for block in re.findall(r"^```sh\n(.*?)^```$", text(page), re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r" && | \| ", line):
                words = shlex.split(part, comments=True)
                if words:
                    found.append(words[1:] if words[0] == "sudo" else words)
    return found


def ours(page: str) -> list[list[str]]:
    """The arguments of the page's calls of eniagent."""
    calls = []
    for words in commands(page):
        called = words[words.index("--") + 1 :] if "--" in words else words  # what kubectl exec runs stands after --
        if re.fullmatch(r"(\./|/usr/bin/)?eniagent(\.pyz)?", called[0]):
            calls.append(called[1:])
    return calls


@pytest.mark.parametrize("page", PAGES)
def test_our_commands_exist(page: str) -> None:
    """Each eniagent command line in the page is understood: --help after it answers, an unknown option would not."""
    for words in ours(page):
        told = run(*words, "--help")
        assert told.returncode == 0, (words, told.stderr)
        assert run(*words, "--no-such-option").returncode == 2
    assert ours(page) or page == "ssm"


@pytest.mark.parametrize("page", PAGES)
def test_files_and_anchors_exist(page: str) -> None:
    """Every path of the checkout and every page that is named is there, with the heading that a link asks for."""
    for path in re.findall(r"packaging/[\w/.-]+[\w/]", text(page)):
        assert (TOP / path).exists(), path
    for target, _, anchor in re.findall(r"\]\(([\w-]+\.md)?(#)?([\w-]*)\)", text(page)):
        other = (TOP / "docs" / target).read_text(encoding="utf-8") if target else text(page)
        headings = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", other, re.MULTILINE)}
        assert not anchor or anchor in headings, (target, anchor)


def test_the_builder_knows_what_the_page_says() -> None:
    """The options of `make package` and of the lock maker."""
    words = next(words for words in commands("packages") if words[0] == "make" and len(words) > 2)
    option, kind = words[2].partition("=")[2].split()
    assert option == "--only"
    assert kind in package.KINDS
    lock = next(words for words in commands("packages") if words[:3] == ["python", "-m", "tools.package"])
    assert lock[3:] == ["lock", "--uv", "uv"]


def test_parameters_of_the_document() -> None:
    """The page's table and its example name the document's parameters, each with its default."""
    document = yaml.safe_load((TOP / "packaging/ssm/eniagent-diagnose.yaml").read_text(encoding="utf-8"))
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| `?(\w+).*? \|$", text("ssm"), re.MULTILINE))
    assert rows == {name: parameter["default"] or "empty" for name, parameter in document["parameters"].items()}
    (sent,) = [words for words in commands("ssm") if words[:3] == ["aws", "ssm", "send-command"]]
    given = dict(pair.split("=") for pair in sent[sent.index("--parameters") + 1].split(","))
    assert set(given) <= set(document["parameters"])


def test_five_hundred_answers_are_read(tmp_path: pathlib.Path) -> None:
    """The page's pipelines count causes and list critical nodes, in answers as SSM's text output prints them."""
    first = []
    for name in ("subnet-exhausted", "healthy-busy"):
        (recording,) = (TOP / "eniagent/demo/recordings").glob(f"v1.23.0-{name}.tar.xz")
        place = tmp_path / name
        with tarfile.open(fileobj=io.BytesIO(recording.read_bytes())) as archive:
            archive.extractall(place)
        first.append(run("diagnose", "--from", str(place)).stdout.decode())
    rows = "".join(f"i-{index:017x}\tSuccess\t{first[index % 5 > 0]}\n" for index in range(500)) + f"i-{1:017x}\tDeliveryTimedOut\t\n"
    (tmp_path / "results.txt").write_text(rows, encoding="ascii")
    pipelines = [line for line in text("ssm").splitlines() if line.startswith(("grep -oh", "sed -n"))]
    counted, listed = (subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True, stdout=subprocess.PIPE, text=True).stdout for line in pipelines)
    assert [line.split() for line in counted.splitlines()] == [
        ["400", "ENIAGENT", "verdict=healthy", "cause=none"],
        ["100", "ENIAGENT", "verdict=critical", "cause=subnet-exhausted"],
    ]
    assert len(listed.splitlines()) == 100
    assert all(re.fullmatch(r"i-[0-9a-f]+ subnet-exhausted", line) for line in listed.splitlines())


@pytest.mark.packages
def test_the_job_of_the_page(tmp_path: pathlib.Path) -> None:
    """The page's edit of the manifest puts the node's name in, and what results is rendered."""
    import shutil

    shutil.copytree(TOP / "packaging/kubernetes", tmp_path / "kubernetes")
    edit = next(words for words in commands("kubernetes") if words[0] == "sed")
    subprocess.run(edit, cwd=tmp_path / "kubernetes/diagnose-node", check=True)
    words = ["kubectl", "kustomize"] if shutil.which("kubectl") else ["kustomize", "build"]
    done = subprocess.run([*words, str(tmp_path / "kubernetes/diagnose-node")], check=True, stdout=subprocess.PIPE, text=True)
    assert "nodeName: ip-10-0-1-2.us-west-2.compute.internal" in done.stdout
