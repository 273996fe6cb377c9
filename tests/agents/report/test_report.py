"""Reports: what they say, that nothing from a run can run in them, and how they look in a real browser."""

import json
import re
import struct
import sys
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest

import agents
import gfn_envs
from agents.cli import main as cli
from agents.export.samples import Samples
from agents.report import charts, facts
from agents.report.pictures import png
from agents.report.write import best_objects
from agents.runs import directory as runs
from tests.agents.runs.test_compare import make_run
from tests.helpers import FRAGMENTS, GRID, TFBIND8, TableDag, small_dag

pytest.importorskip("plotly")
pytest.importorskip("jinja2")


#: More molecules than are listed.
MOLECULES = {"max_blocks": 6}


def gfn(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main([*map(str, arguments)])
    return stop.value.code, capsys.readouterr()


def trained(path, id=GRID, arguments=None, agent="tb", iterations=20, eval_every=None, **settings):
    dag = small_dag(id, {"ndim": 2, "side": 8} if arguments is None else arguments)
    made = agents.make_agent(agent, dag, **{"hidden": (16,), **settings})
    agents.train(made, iterations, path, progress=False, eval_every=eval_every)
    return path


class Page(HTMLParser):
    """The visible text, the tags and the specs of the charts of a report."""

    def __init__(self, html):
        super().__init__()
        self.words, self.tags, self.specs, self.open = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        tag, attributes = self.open[-1] if self.open else ("", {})
        if attributes.get("type") == "application/json":
            self.specs.append(json.loads(data))
        elif tag not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def report(capsys, *arguments):
    code, printed = gfn(capsys, "report", *arguments, "--no-progress")
    assert code == 0, printed.err
    path = re.search(r"saved (.+)", printed.out)[1]
    return Page(open(path, encoding="utf-8").read())


@pytest.fixture(scope="module")
def grid_run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs") / "grid")


def test_a_run_says_what_was_run_and_how_it_went(capsys, grid_run):
    page = report(capsys, grid_run, "--num-samples", 200)
    assert (grid_run / "report.html").exists()
    metrics = runs.read_metrics(grid_run)
    assert f"total variation (exact) {facts.number(metrics['tv'])}" in page.text
    for words in (
        "tb on HyperGrid-v0",
        "GFN/HyperGrid-v0(ndim=2, side=8",
        "Learning curves",
        "Learned beside target",
        "Best objects",
    ):
        assert words in page.text
    for words in ("Trajectory balance", "gfn sample", f'load_agent("{grid_run}")', "hidden [16]", "Versions: gfn_envs"):
        assert words in page.text
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 12
    assert all(picture["src"].startswith("data:image/png;base64,") for picture in pictures)
    target, learned = (spec["data"][0]["z"] for spec in page.specs if spec["data"][0].get("type") == "heatmap")
    assert np.sum(target) == pytest.approx(1, abs=1e-4)
    assert np.abs(np.subtract(target, learned)).sum() / 2 == pytest.approx(metrics["tv"], abs=1e-3)


def test_the_page_loads_nothing_and_sends_nothing(capsys, grid_run):
    page = report(capsys, grid_run, "--num-samples", 50)
    for _, attributes in page.tags:
        assert not {"onclick", "onload", "action"} & set(attributes)
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    (policy,) = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")


class Hostile(TableDag):
    def object_names(self, states):
        return [f"</script><script>alert({state[0]})</script><img src=x onerror=alert(1)>" for state in states]


def test_names_of_objects_are_text(tmp_path, capsys, monkeypatch):
    dag = Hostile([(0, 0, 1), (0, 1, 2), (1, 0, 3), (1, 1, 4), (2, 0, 4), (2, 1, 5)])
    agent = agents.make_agent("tb", dag, hidden=(8,))
    agents.train(agent, 3, tmp_path / "run", progress=False)
    monkeypatch.setattr("agents.report.write.load_agent", lambda path, trust: agent)
    page = report(capsys, tmp_path / "run")
    assert page.text.count("<img src=x onerror=alert(1)>") == 3
    assert [attributes for tag, attributes in page.tags if attributes.get("onerror")] == []
    assert sum(tag == "script" for tag, _ in page.tags) == 2 + len(page.specs)
    assert "</script><script>alert" in page.specs[-1]["data"][0]["text"][0]


def test_several_settings_are_compared(tmp_path, capsys):
    paths = [make_run(tmp_path / f"a{seed}", seed, (0.9, tv)) for seed, tv in enumerate((0.1, 0.2, 0.6))]
    paths.append(make_run(tmp_path / "b", 0, (0.8, 0.4), agent="db", finished=False))
    page = report(capsys, *paths, "--out", tmp_path / "both.html")
    assert "2 settings on HyperGrid-v0" in page.text
    assert "tb has the best tv, 0.3 ± 0.15" in page.text
    assert "b is unfinished: iteration 10" in page.text
    assert page.text.count("The agent was not opened") == 2
    lines = [trace["name"] for trace in page.specs[0]["data"] if "name" in trace]
    assert lines == ["tb", "db"]


def test_what_cannot_be_reopened_is_still_reported(tmp_path, capsys, grid_run):
    path = trained(tmp_path / "run", GRID, {"ndim": 2, "side": 4})
    (path / runs.CHECKPOINT).write_bytes(b"damaged")
    page = report(capsys, path)
    assert "The agent was not opened, so its samples are missing" in page.text
    assert "Learning curves" in page.text
    code, printed = gfn(capsys, "report", tmp_path / "nowhere")
    assert (code, len(printed.err.splitlines())) == (2, 1)
    code, printed = gfn(capsys, "report", grid_run, tmp_path / "nowhere", "--num-samples", 50, "--no-progress")
    assert (code, printed.err.startswith("left out:")) == (0, True)


class Counting(TableDag):
    expensive_reward, asked = True, 0

    def log_reward(self, states):
        self.asked += len(states)
        return super().log_reward(states)


def test_expensive_rewards_are_not_spent(tmp_path, capsys, monkeypatch):
    dag = Counting([(0, 0, 1), (0, 1, 2), (1, 0, 3), (2, 0, 4)])
    agent = agents.make_agent("tb", dag, hidden=(8,), replay="none")
    agents.train(agent, 3, tmp_path / "run", progress=False)
    monkeypatch.setattr("agents.report.write.load_agent", lambda path, trust: agent)
    agent.dag.asked = 0
    page = report(capsys, tmp_path / "run")
    assert agent.dag.asked == 0
    assert "rewards are expensive" in page.text
    assert "reward not evaluated" in page.text
    page = report(capsys, tmp_path / "run", "--rewards", "all")
    assert agent.dag.asked > 0
    assert "reward not evaluated" not in page.text


def test_a_full_disk_is_one_line_and_the_old_report_stays(tmp_path, capsys, grid_run, monkeypatch):
    old = tmp_path / "report.html"
    old.write_text("old")
    monkeypatch.setattr("os.fsync", full_disk)
    code, printed = gfn(capsys, "report", grid_run, "--out", old, "--num-samples", 50, "--no-progress")
    assert code == 2
    assert printed.err.splitlines() == [f"error: [Errno 28] {old} was not written: No space left on device"]
    assert old.read_text() == "old"


@pytest.mark.parametrize("package", ["plotly.offline", "jinja2"])
def test_a_missing_package_is_one_line(capsys, grid_run, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    code, printed = gfn(capsys, "report", grid_run, "--no-progress")
    assert code == 2
    assert printed.err == 'error: reports need jinja2 and plotly: pip install "gfn-envs[report]"\n'


def full_disk(file):
    raise OSError(28, "No space left on device")


def test_pictures_are_png_files():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    content = png(image)
    assert struct.unpack(">II", content[16:24]) == (7, 5)
    data = content[content.index(b"IDAT") + 4 : content.index(b"IEND") - 8]
    rows = np.frombuffer(zlib.decompress(data), dtype=np.uint8).reshape(5, 22)
    np.testing.assert_array_equal(rows[:, 1:].reshape(5, 7, 3), image)
    pil = pytest.importorskip("PIL.Image")
    import io

    np.testing.assert_array_equal(np.asarray(pil.open(io.BytesIO(content))), image)


def test_charts_are_json_without_nan():
    line = charts.Line("a", np.arange(3.0), np.array([1.0, np.nan, np.inf]), np.zeros(3))
    chart = charts.line_chart("t", "c", [line], "x", "y")
    assert chart.spec["data"][0]["y"] == [1.0, None, None]
    json.dumps(chart.spec, allow_nan=False)
    long = charts.Line("a", np.arange(10_000.0), np.arange(10_000.0), np.ones(10_000))
    band, curve = charts.line_chart("t", "c", [long], "x", "y", log=True).spec["data"]
    assert len(curve["x"]) <= charts.MAX_POINTS
    assert min(band["y"]) > 0


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.012345, "0.01235"), (12345.6, "12,346"), (7, "7"), (1e6, "1,000,000"), (-3.0, "-3"), (1e-9, "1e-09")],
)
def test_numbers_are_readable(value, text):
    assert facts.number(value) == text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["/venv/bin/gfn", "train", "tb", "my env"], "gfn train tb 'my env'"),
        (["/src/agents/__main__.py", "train"], "gfn train"),
        (["run.py", "--fast"], "python run.py --fast"),
        ([], ""),
    ],
)
def test_commands_are_as_they_were_typed(words, text):
    assert facts.command_text(words) == text


# ---------------------------------------------------------------------- in a browser


def test_reports_in_a_browser(tmp_path, capsys, grid_run, browser):
    """Charts are drawn, nothing overflows at the width of a phone, nothing is logged or requested, and it prints."""
    sequences = trained(
        tmp_path / "strings", TFBIND8, {"length": 3, "table": list(range(1, 65))}, iterations=20, agent="subtb"
    )
    molecules = trained(tmp_path / "molecules", FRAGMENTS, MOLECULES, iterations=2, eval_every=0)
    out = tmp_path / "report.html"
    report(capsys, grid_run, sequences, molecules, "--out", out, "--num-samples", 100)
    assert out.stat().st_size < 4_000_000
    for width, height in ((1280, 900), (390, 844)):
        page = browser.new_page(viewport={"width": width, "height": height})
        problems = watched(page)
        page.goto(out.as_uri())
        page.wait_for_selector("body.drawn", timeout=30_000)
        assert problems == []
        drawn = page.eval_on_selector_all(".plot", "plots => plots.map(p => p.querySelectorAll('.main-svg').length)")
        assert len(drawn) >= 8
        assert min(drawn) > 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        shot = tmp_path / f"{width}.png"
        page.screenshot(path=shot, full_page=True)
        assert ink(shot) > 0.02
        if width > 1000:
            pdf = page.pdf(prefer_css_page_size=True)
            assert pdf.startswith(b"%PDF")
            assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 3
        page.close()


def watched(page):
    """Problems of a page: messages on the console, errors, network requests."""
    problems = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda sent: sent.url.startswith(("file:", "data:", "blob:")) or problems.append(sent.url))
    return problems


def ink(path):
    """Share of the pixels of a picture that differ from its most frequent color."""
    image = (pytest.importorskip("matplotlib.image").imread(path)[..., :3] * 255).astype(np.int64)
    colors = np.bincount((image @ [65536, 256, 1]).ravel())
    return 1 - colors.max() / colors.sum()


def test_rewards_outside_double_precision_are_shown_as_powers():
    dag = gfn_envs.make_dag("GFN/Ising-v0", side=2)
    states = dag.terminal_states()[:3]
    samples = Samples(states, ("a", "b", "c"), np.array([1800.0, -1800.0, 0.0]), np.ones(3, dtype=np.int64), {})
    assert [shown["reward"] for shown in best_objects(dag, samples)] == ["e^1800", "1", "e^-1800"]
