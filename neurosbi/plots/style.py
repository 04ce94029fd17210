"""One look for all figures: a colour-blind safe palette, quiet axes, labels with units.

Figures are made without pyplot, so that plotting neither opens windows nor keeps figures alive.
Colours are those of Okabe and Ito (2008), https://jfly.uni-koeln.de/color/.
"""

__all__ = [
    "BLUE",
    "GREY",
    "MINUS",
    "ORANGE",
    "PRIOR",
    "RECORDING",
    "SKY",
    "new_figure",
    "styled",
    "symbol",
    "unit_text",
]

import functools
from collections.abc import Callable
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.figure import Figure

from neurosbi.contract import in_words

RECORDING = "#1a1a1a"  # what was measured
BLUE = "#0072B2"  # what the posterior says
SKY = "#56B4E9"
ORANGE = "#D55E00"  # true values and warnings
GREY = "#8c8c8c"
PRIOR = "#c9c9c9"  # what the prior says
MINUS = "\N{MINUS SIGN}"

_FONTS = ("Helvetica Neue", "Arial", "Liberation Sans", "DejaVu Sans")
_SETTINGS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.labelsize": 9.0,
    "axes.linewidth": 0.8,
    "axes.edgecolor": "#444444",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "mathtext.default": "regular",
    "svg.hashsalt": "neurosbi",
}
_GREEK = {"alpha", "beta", "delta", "gamma", "lambda", "mu", "sigma", "tau", "theta"}
_UNITS = {"um2": "µm²", "cm2": "cm²", "mV2": "mV²", "MOhm": "MΩ", "degC": "°C"}

P = ParamSpec("P")


def styled(plot: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw a figure with the settings of this module, whatever the user's own settings are."""

    @functools.wraps(plot)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context():
            mpl.rcdefaults()
            for name, value in _SETTINGS.items():
                mpl.rcParams[name] = value
            mpl.rcParams["font.sans-serif"] = _installed_fonts()
            return plot(*args, **kwargs)

    return wrapped


def new_figure(width: float, height: float, *, layout: str = "constrained") -> Figure:
    """An empty figure of this size in inches."""
    return Figure(figsize=(width, height), dpi=150, layout=layout)  # type: ignore[arg-type]


def symbol(name: str) -> str:
    """A parameter's name as a formula: ``g_Na`` becomes g with the subscript Na.

    What stands before a point is the cell or synapse it belongs to: ``PD.g_Na`` becomes PD g_Na.
    """
    owner, point, own = name.rpartition(".")
    if point and "$" in (formula := symbol(own)) and "$" not in owner:
        return f"{in_words(owner)} {formula}"
    head, _, tail = name.partition("_")
    head = f"\\{head}" if head in _GREEK else head
    if not (len(head) <= 2 or head.startswith("\\")) or "$" in name:
        return in_words(name).replace("$", "")
    return f"${head}_{{{tail.replace('_', ',')}}}$" if tail else f"${head}$"


def unit_text(unit: str) -> str:
    """A unit as it is printed: ``uA/cm2`` becomes µA/cm², ``1`` becomes nothing."""
    if unit == "1":
        return ""
    parts = [_UNITS.get(part, part) for part in unit.split("/")]
    micro = {"uA", "uM", "um", "uS", "uF", "us"}
    return "/".join("µ" + part[1:] if part in micro else part for part in parts)


def _installed_fonts() -> list[str]:
    # A font that is not there makes matplotlib warn for every text it draws.
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in _FONTS if name in installed] or ["DejaVu Sans"]
