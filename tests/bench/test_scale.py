"""The model of docs/scale.md: it queues as theory says, gives the same answer twice, and its figures are in the document."""
from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from bench import scale

FIGURES = [   # a run of `make bench` on two cores
    {"name": "book", "value": 1000.0, "limit": 2000.0, "ratio": .5}, {"name": "read_one", "value": 3000.0},
    {"name": "list_25", "value": 2000.0}, {"name": "page_cpu", "value": 3.0}]
DOCUMENT = Path(__file__).parents[2] / "docs/scale.md"


def application(figures: list[dict[str, object]] = FIGURES) -> dict[str, float]:
    return {kind: cost.application for kind, cost in scale.costs(figures, 2).items()}


def test_core_time_comes_from_the_bench() -> None:
    found = scale.costs(FIGURES, 2)
    assert found["book"].application == pytest.approx(.001) and found["book"].database == pytest.approx(.001)
    assert found["read_one"].application + found["read_one"].database == pytest.approx(2 / 3000)
    assert scale.costs(FIGURES, 4)["book"].database == pytest.approx(.002), "the same rate with more cores is dearer"


@pytest.mark.parametrize("missing", ["book", "read_one", "list_25", "page_cpu"])
def test_a_figure_that_is_missing_is_named(missing: str) -> None:
    with pytest.raises(ValueError, match=missing):
        scale.costs([one for one in FIGURES if one["name"] != missing], 2)


def test_the_price_of_separate_services_is_taken_from_the_bench_once_it_is_there() -> None:
    assert scale.services_price(FIGURES) == scale.SERVICES_PRICE
    assert scale.services_price([*FIGURES, {"name": "services_price", "ratio": .4}]) == 2.5
    assert scale.services_price([*FIGURES, {"name": "services_price", "ratio": 2.5}]) == 2.5


def test_erlangs_formula_knows_its_textbook_cases() -> None:
    assert scale.erlang_c(1, .5) == pytest.approx(.5)   # M/M/1: whoever comes waits as often as the server is busy
    assert scale.erlang_c(2, 1.0) == pytest.approx(1 / 3)
    assert scale.erlang_c(10, 8.0) == pytest.approx(.4092, abs=1e-4)
    assert scale.waiting(2, 2.0, .01) == math.inf and scale.waiting(50, 1.0, .01) == 0.0


def test_the_simulation_waits_as_long_as_the_formula_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """With service times that vary as an exponential's do, and no bursts, they must agree."""
    monkeypatch.setattr(scale, "PER_VISIT", {"book": 1.0})

    class Exponential(scale.random.Random):
        def lognormvariate(self, mu: float = 0.0, sigma: float = 1.0) -> float:
            return self.expovariate(1.0)

        def gammavariate(self, alpha: float, beta: float) -> float:
            return 1.0

    monkeypatch.setattr(scale.random, "Random", Exponential)
    mean, servers, load = .02, 3, 2.4
    found = scale.simulated(load / mean, {"book": mean}, servers)
    assert found.utilisation == pytest.approx(load / servers, rel=.03)
    assert found.p95 == pytest.approx(scale.waiting(servers, load, mean), rel=.12)


def test_the_same_seed_gives_the_same_answer_and_more_cores_wait_less() -> None:
    cost, rate = application(), scale.peak(60_000)
    assert scale.simulated(rate, cost, 1) == scale.simulated(rate, cost, 1)
    assert scale.simulated(rate, cost, 1) != scale.simulated(rate, cost, 1, seed=6)
    assert scale.simulated(rate, cost, 2).p95 < scale.simulated(rate, cost, 1).p95


@pytest.mark.parametrize("visits", [120, 3000, 60_000, 1_000_000])
def test_the_cores_it_asks_for_are_enough_and_one_fewer_would_not_be(visits: int) -> None:
    cost, rate = application(), scale.peak(visits)
    cores = scale.cores_for(rate, cost)
    found = scale.simulated(rate, cost, cores)
    assert found.utilisation <= scale.FULL * 1.05 and found.p95 <= scale.WAIT * 1.5
    if cores > 1:
        load = scale.offered(rate, cost)
        mean = load / (rate * sum(scale.PER_VISIT[kind] for kind in cost))
        assert load / (cores - 1) > scale.FULL or scale.waiting(cores - 1, load, mean) > scale.WAIT


def test_the_busiest_hour_is_a_part_of_the_day() -> None:
    mean = 86_400 / 86_400
    assert mean < scale.peak(86_400) < 10 * mean


def test_slower_services_carry_fewer_visits() -> None:
    cost = application()
    slower = {kind: seconds * 2 for kind, seconds in cost.items()}
    assert 0 < scale.most_visits(slower, 1) < scale.most_visits(cost, 1) < scale.most_visits(cost, 2)


def test_the_document_says_what_the_model_assumes() -> None:
    text = DOCUMENT.read_text()
    for said in (f"{scale.KEPT / 1000:.1f} kB", f"{scale.PASSING / 1000:.1f} kB", f"{scale.PROCESS_MB} MB",
                 f"{scale.HOSPITALS_IN_A_CELL} hospitals", f"{scale.BURST:.0f} times", f"{scale.FULL:.0%}".replace("%", " %")):
        assert said in text, f"docs/scale.md does not say {said}"
    for size in scale.SIZES:
        assert f"| {size.name} |" in text, size.name


def test_it_reports_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(scale, "BENCH", tmp_path / "bench.json")
    assert scale.main() == 1
    assert "make bench" in capsys.readouterr().err
    (tmp_path / "bench.json").write_text(json.dumps(FIGURES))
    assert scale.main() == 0
    printed = capsys.readouterr().out
    assert all(f"| {size.name} |" in printed for size in scale.SIZES) and "inf" not in printed
