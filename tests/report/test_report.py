import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from passive_cell import fitted, observe, rejection_posterior

from neurosbi.contract import Parameter, in_words
from neurosbi.report import print_summary, render_report, summary_json
from neurosbi.report.html import _pairs_text
from neurosbi.report.summary import number, parameter_table, summary_sentences

IMAGES = dict.fromkeys(("pairplot", "predictive", "features", "training"), b"png")


@pytest.fixture(scope="module")
def result():
    return fitted()


@pytest.fixture(scope="module")
def impossible():
    observation = observe(gain=10)
    return fitted(observation, theta=rejection_posterior(observation.x))


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.found = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_report_needs_nothing_from_elsewhere(result):
    tags = Tags(render_report(result, images=IMAGES))
    assert tags.open == []  # well formed
    assert not [t for t, _ in tags.found if t in ("script", "link", "iframe", "object")]
    assert all(a["src"].startswith("data:") for t, a in tags.found if t == "img")
    style = re.search(r"<style>(.*?)</style>", render_report(result, images=IMAGES), re.S)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_the_verdict_comes_before_any_table(impossible):
    text = render_report(impossible, images=IMAGES)
    assert text.index("Do not use this posterior") < text.index("<table")
    assert text.index("outside what the model can produce") < text.index("What the recording says")
    assert text.index("should not be used") < text.index("<table")
    assert text.index("What may help: the model may be") < text.index("What the recording says")


def test_everything_is_escaped(result):
    text = render_report(result, images=IMAGES)
    assert "cell &lt;b&gt;7&lt;/b&gt;" in text
    assert "<b>7</b>" not in text


def test_the_numbers_of_the_table_are_in_the_report(result):
    text = render_report(result, images=IMAGES)
    row = result.summary.iloc[0]
    assert f">{number(row['median'], row['q95'] - row['q5'])}<" in text
    assert "current step of 50 pA from 60 to 210 ms" in text
    assert "current step found at 60 ms" in text


def test_words_for_what_is_told():
    rng = np.random.default_rng(0)
    parameters = tuple(Parameter(n, "mS/cm2", 0.0, 10.0) for n in ("a", "b", "c"))
    theta = np.column_stack(
        [rng.normal(5, 0.1, 4000), rng.normal(5, 1.4, 4000), rng.uniform(0, 10, 4000)]
    )
    table = parameter_table(parameters, theta)
    assert table["identified"].tolist() == ["identified", "weakly identified", "not identified"]
    sentences = summary_sentences(table)
    assert sentences[0].startswith("The recording pins down a (4.8")
    assert sentences[1].startswith("It narrows b (")
    assert sentences[2] == "It says little about c."


def test_shrinkage_of_a_log_parameter_is_measured_on_its_scale():
    p = Parameter("tau_max", "ms", 50.0, 5000.0, scale="log")
    theta = np.exp(np.random.default_rng(0).uniform(np.log(50), np.log(5000), (20_000, 1)))
    assert parameter_table((p,), theta)["shrinkage"][0] == pytest.approx(0, abs=0.02)


def test_a_posterior_at_the_bound_is_pointed_out():
    p = Parameter("g", "1", 0.0, 1.0)
    theta = np.random.default_rng(0).exponential(0.02, (1000, 1))
    table = parameter_table((p,), theta)
    assert table["remark"][0] == "piles up at the lower bound"
    assert "piles up at a bound" in " ".join(summary_sentences(table))


@pytest.mark.parametrize(
    ("value", "width", "text"),
    [
        (-70.234, 5.0, "-70.2"),
        (0.00012345, None, "0.000123"),
        (1234567.0, 10.0, "1.23457e+06"),
        (2345.6, 3000.0, "2346"),
        (0.0, 1.0, "0"),
        (float("nan"), 1.0, "undefined"),
    ],
)
def test_numbers_have_the_digits_they_deserve(value, width, text):
    shown = number(value, width)
    assert shown == text or float(shown) == pytest.approx(value, rel=5e-3)
    assert (text == "undefined") == (shown == "undefined")


def test_terminal_summary_starts_with_the_verdict(impossible, tmp_path, capsys):
    print_summary(impossible, folder=tmp_path)
    out = capsys.readouterr().out
    assert out.index("Do not use this posterior") < out.index("parameter")
    assert out.index("What may help: the model may be") < out.index("prior range")
    assert "cell <b>7</b>" in out
    assert f"Report:  {tmp_path / 'report.html'}" in out


def test_json_summary_is_json(result):
    values = json.loads(json.dumps(summary_json(result), allow_nan=False))
    assert values["verdict"]["level"] == "trust"
    assert [p["parameter"] for p in values["parameters"]] == ["R", "tau", "V_rest"]
    assert values["parameters"][0]["mean"] == pytest.approx(result.stored.theta[:, 0].mean())
    assert values["features"][1]["distance"] == pytest.approx(result.predictive.distance[1])


def test_the_mean_distance_is_that_of_the_features_used(capsys):
    given = np.ones(len(observe().x), dtype=bool)
    given[0] = False
    partial = fitted(given=given)
    expected = np.mean(partial.predictive.distance[given])
    assert expected != pytest.approx(partial.predictive.mean_distance)
    assert summary_json(partial)["predictive"]["mean_distance"] == pytest.approx(expected)
    print_summary(partial)
    out = " ".join(capsys.readouterr().out.split())
    assert f"Predictive distance {expected:.2f} prior" in out
    name = in_words(partial.stored.features[0].name)
    assert f"{name} {partial.predictive.distance[0]:.2f} (left out of the fit)" in out
    assert out.count("(left out of the fit)") == 1
    assert f"predictions are {expected:.2f} prior" in render_report(partial, images=IMAGES)


def test_facts_about_the_recording_are_words_with_units():
    recording = {
        "name": "cell",
        "junction_potential": -14.0,
        "metadata": {"species": "Mus musculus", "database": {"input_resistance_MOhm": 126.04}},
    }
    text = render_report(fitted(recording=recording), images=IMAGES)
    assert "<dt>junction potential</dt><dd>-14 mV</dd>" in text
    assert "species Mus musculus; database: input resistance 126 MOhm" in text


def test_a_pair_plot_of_some_of_the_parameters_is_told():
    assert _pairs_text(12) == ""
    assert "Shown are 12 of the 31 parameters: those with the largest shrinkage" in _pairs_text(31)
