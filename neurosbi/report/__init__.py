"""Results for people: tables, sentences, the HTML report and the summary in the terminal."""

from neurosbi.report.findings import Findings
from neurosbi.report.html import render_report
from neurosbi.report.terminal import print_summary, summary_json

__all__ = ["Findings", "print_summary", "render_report", "summary_json"]
