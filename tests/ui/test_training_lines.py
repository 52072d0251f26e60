"""Curves before they are painted: means, thinning, legends, colours that can be seen; runs in words."""

from datetime import datetime

import numpy as np
import pytest

from locstudio.ui import theme
from locstudio.ui.training.lines import Curve, Line, legend_of, line_color, number, smoothed, thinned
from locstudio.ui.training.wording import counted, metric_name, size_in_words, when

CURVE = Curve.of([(1, 4.0), (2, 2.0), (3, 0.0)])


def test_that_no_smoothing_leaves_a_curve_alone():
    assert smoothed(CURVE, 0.0) is CURVE


def test_that_a_running_mean_begins_with_the_first_value_and_has_no_bias():
    # weight 0.5: (4), (0.5*0.5*4 + 0.5*2) / 0.75 = 8/3, (0.25*0.5*4 + 0.5*0.5*2 + 0) / 0.875 = 8/7
    assert smoothed(CURVE, 0.5).values == pytest.approx([4.0, 8 / 3, 8 / 7])
    assert smoothed(Curve.of([(1, 3.0), (2, 3.0)]), 0.99).values == pytest.approx([3.0, 3.0])


def test_that_a_weight_of_one_is_refused():
    with pytest.raises(ValueError, match="not 1"):
        smoothed(CURVE, 1.0)


def test_that_a_long_curve_is_thinned_to_means_of_neighbours():
    long = Curve(np.arange(10.0), np.arange(10.0) * 2)
    thin = thinned(long, 5)
    assert thin.steps.tolist() == [0.5, 2.5, 4.5, 6.5, 8.5]
    assert thin.values.tolist() == [1.0, 5.0, 9.0, 13.0, 17.0]
    assert thinned(long, 10) is long


def test_that_a_value_is_read_at_the_nearest_step():
    assert CURVE.at(2.4) == 2.0
    assert CURVE.last == 0.0
    assert Curve.of([]).at(1) is None


def test_that_the_legend_of_one_line_is_its_value_alone():
    assert [entry.words() for entry in legend_of([Line("loss", "a", CURVE)], None)] == ["0"]


def test_that_the_legend_of_one_run_names_quantities():
    lines = [Line("top 1", "a", CURVE, 0), Line("top 5", "a", CURVE, 1)]
    assert [entry.words() for entry in legend_of(lines, 1)] == ["top 1 4", "top 5 4"]


def test_that_the_legend_of_several_runs_and_quantities_has_one_entry_a_quantity_with_a_value_of_each_run():
    lines = [Line(name, run, CURVE, color, dash) for color, run in enumerate("ab") for dash, name in enumerate("xy")]
    entries = legend_of(lines, 1)
    assert [entry.words() for entry in entries] == ["x 4 4", "y 4 4"]
    assert [color for _, color in entries[0].values] == [0, 1]
    assert [entry.dash for entry in entries] == [0, 1]


@pytest.mark.parametrize("look", [theme.DARK, theme.LIGHT])
def test_that_every_line_stands_out_from_its_background(look, qapp):
    theme.apply(qapp, look.name)
    assert all(theme.contrast(line_color(index, look.base), look.base) >= 3 for index in range(20))
    assert len({line_color(index, look.base) for index in range(8)}) == 8
    theme.apply(qapp, "dark")


def test_that_the_legend_of_one_quantity_of_several_runs_has_their_values_alone():
    entries = legend_of([Line("loss", run, CURVE, color) for color, run in enumerate("ab")], None)
    assert [entry.words() for entry in entries] == ["0 0"]


def test_that_numbers_are_short():
    assert [number(value) for value in (1.58098, 0.0005, 2.5e-7, 0.0, None, float("nan"))] == [
        "1.581",
        "5.00e-4",
        "2.50e-7",
        "0",
        "–",
        "–",
    ]


def test_that_metrics_sizes_and_counts_are_said_in_words():
    assert metric_name("macc") == "mean accuracy"
    assert metric_name("r2t_r5") == "region → text, recall at 5"
    assert metric_name("recall_24") == "boxes found by 24 proposals"
    assert metric_name("something_new") == "something new"
    assert [size_in_words(value) for value in (512, 1.34e9, 48e9, 999_600)] == ["512 bytes", "1.3 GB", "48 GB", "1 MB"]
    assert counted(1, "region") == "1 region"
    assert counted(1204, "region") == "1,204 regions"


def test_that_a_run_says_when_it_was_made():
    made = datetime.fromisoformat("2026-11-24T03:16:05+00:00").astimezone()
    run = "20261124T031605Z-cloc-1e63ab"
    assert when(run, made) == f"{made:%H:%M}"
    assert when(run, made.replace(day=26)) == f"{made:%a %H:%M}"
    assert when(run, made.replace(month=12, day=24)) == f"{made.day} {made:%b} {made:%H:%M}"
    assert when("not-a-run") == "not-a-run"
