"""The ratios as a picture, with a mark where each is to be."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.row import Outcome

_COLOURS = {True: "#2a9d5c", False: "#c8503c", None: "#8a94a0"}
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


def draw(outcomes: Sequence[Outcome], path: Path) -> bool:
    """Write the picture. Return False when matplotlib is not installed or there is no ratio to show."""
    shown = [
        (outcome.row, outcome.measured, outcome.measured.ratio)
        for outcome in reversed(outcomes)
        if outcome.measured and outcome.measured.ratio
    ]
    try:
        from matplotlib import use  # noqa: PLC0415 - may be missing, and slow to import
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        return False
    if not shown:
        return False
    use("agg")
    figure = Figure(figsize=(10, 0.55 * len(shown) + 1.2), layout="constrained")
    axes = figure.subplots()
    labels = [f"{row.name}\nbeside {row.peer}" for row, _, _ in shown]
    colours = [_COLOURS[row.bar.met(measured)] for row, measured, _ in shown]
    # Bars begin at 1x, where both are equal: to the right when our figure is the larger one.
    axes.barh(labels, [ratio - 1 for _, _, ratio in shown], left=1, color=colours, height=0.6)
    for place, (row, _, ratio) in enumerate(shown):
        side = "right" if ratio < 1 else "left"
        axes.text(ratio, place + 0.42, f" {ratio:.2f}x ", ha=side, va="center", fontsize=8, fontweight="bold")
        limit = row.bar.ratio_at_least or row.bar.ratio_at_most
        if limit is not None:
            axes.plot([limit, limit], [place - 0.4, place + 0.4], color="black", linewidth=2)
    axes.set_xscale("log")
    axes.set_xlim(0.05, 100)
    axes.set_xticks(_TICKS, [f"{tick:g}x" for tick in _TICKS])
    axes.minorticks_off()
    axes.axvline(1, color="#60686f", linewidth=1)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel("ours divided by the peer's; the black mark is what is to be reached")
    figure.savefig(path, dpi=130)
    return True
