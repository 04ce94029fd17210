"""The tables of docs/simulators are those of the code; every registered family has a page."""

import importlib.util

import pytest
from docs_pages import DOCS


@pytest.fixture(scope="module")
def generator():
    path = DOCS / "generate_simulator_pages.py"
    spec = importlib.util.spec_from_file_location("generate_simulator_pages", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_page_is_stale(generator, capsys):
    assert generator.main(["--check"]) == 0, capsys.readouterr().out


def test_every_page_has_its_figure_and_belongs_to_a_family(generator):
    pages = {path.stem for path in generator.PAGES.glob("*.md")}
    assert pages == set(generator.families())
    for page in pages:
        assert "<!-- generated: traces -->" in (generator.PAGES / f"{page}.md").read_text()
        assert (generator.FIGURES / f"traces-{page}.png").stat().st_size > 10_000


def test_a_change_of_the_code_makes_a_page_stale(generator, capsys, monkeypatch):
    family, models = next(iter(generator.families().items()))

    class Changed(models[0]):
        summary = "something else entirely"

    monkeypatch.setattr(generator, "families", lambda: {family: [Changed, *models[1:]]})
    assert generator.main(["--check"]) == 1
    assert f"docs/simulators/{family}.md is not what the code says" in capsys.readouterr().out


def test_filling_is_idempotent_and_leaves_the_rest(generator):
    page = "# A\n\n<!-- generated: traces -->\n\ntext\n\n<!-- generated: parameters and features -->\nend\n"
    once = generator.filled(generator.filled(page, "traces", "T1"), generator.TABLES, "P1")
    twice = generator.filled(generator.filled(once, "traces", "T2"), generator.TABLES, "P2")
    assert twice == once.replace("T1", "T2").replace("P1", "P2")
    assert "\ntext\n" in twice
    assert twice.endswith("end\n")
