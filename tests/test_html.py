"""What notebooks show: text from outside is escaped, nothing is read again, and what is not fitted is shown too."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch

import skal
from skal import _html, registry
from skal._core.blocks import Blocks
from skal.datasets import ImageCollection
from skal.evaluation import CoverageCurve, Selections, coverage_curve
from skal.features import Embedded
from skal.rounds import IterativeSampler, Ledger
from skal.samplers import CoreSetSampler, KMeansSampler, MarginSampler, MaxHerdingSampler, RandomSampler

EVIL = "<script>alert(\"1\")</script><img src=x onerror='alert(2)'>&"


class Shown(HTMLParser):
    """Cells, tags and attributes of a page."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.tags, self.attributes, self._is_cell = [], set(), set(), False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        if tag == "tr":
            self.rows.append([])
        self._is_cell = tag in ("td", "th")
        if self._is_cell:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self._is_cell = False

    def handle_data(self, text):
        if self._is_cell:
            self.rows[-1][-1] += text

    @property
    def facts(self):
        return {row[0]: row[1] for row in self.rows}


def shown(thing):
    """Parse what a notebook shows of something that is no estimator, after a look at its tags."""
    page = Shown(thing._repr_html_())
    assert page.tags <= {"div", "style", "table", "thead", "tbody", "tr", "th", "td"}
    assert page.attributes <= {"class", "scope"}
    return page


def facts_below(estimator):
    """Parse what stands below scikit-learn's diagram."""
    page = estimator._repr_mimebundle_()["text/html"]
    assert 'class="sk-top-container' in page
    _, is_there, below = page.partition('<div class="skal-repr">')
    return Shown(below).facts if is_there else {}


def test_cells_titles_and_names_are_escaped():
    for page in (_html.table([EVIL], [[EVIL]], EVIL), _html.facts(EVIL, {EVIL: EVIL})):
        assert "<script" not in page
        assert "<img" not in page
        assert page.count("&lt;script&gt;") == 3
    assert Shown(_html.table([EVIL], [[EVIL]])).rows == [[EVIL], [EVIL]]


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1500, "1.465 KiB"), (5 * 2**40, "5 TiB")],
)
def test_sizes_are_in_a_unit_that_suits(n_bytes, words):
    assert _html.size_in_words(n_bytes) == words


@pytest.mark.parametrize("entry", registry.samplers(), ids=lambda entry: entry.name)
def test_every_sampler_says_what_it_picked(entry, blobs):
    X, y = blobs
    sampler = entry.make(random_state=0)
    assert facts_below(sampler) == {}
    picks = sampler.fit(X, y if entry.needs == "all labels" else None).selected_indices_
    known = facts_below(sampler)
    assert known["picks"] == f"{len(picks)} of 120 rows ({100 * len(picks) / 120:.2f} %)"
    assert known["first picks"].removesuffix(", …").split(", ") == [str(row) for row in picks[:8]]
    page = sampler._repr_html_()
    assert page.count('<div class="skal-repr">') == 1
    assert "href=" not in page  # scikit-learn's site has no page of it


def test_what_a_fit_found_is_shown(blobs):
    X, y = blobs
    kmeans = KMeansSampler(budget=5, metric="euclidean", random_state=0).fit(X)
    distances = np.linalg.norm(X - kmeans.cluster_centers_[kmeans.labels_], axis=1)
    shown_distance = float(facts_below(kmeans)["root mean square distance to a centroid"])
    assert shown_distance == pytest.approx(np.sqrt((distances**2).mean()), rel=1e-3)
    core_set = CoreSetSampler(budget=5).fit(X)
    assert facts_below(core_set)["distance of the farthest row"] == f"{core_set.radius_:.4g}"
    herding = MaxHerdingSampler(budget=5).fit(X)
    assert facts_below(herding)["coverage"] == f"{herding.coverage_:.4g}"
    cold = facts_below(MarginSampler(budget=5, initial=RandomSampler()).fit(X))
    assert cold["picked by"].startswith("RandomSampler")
    assert cold["order"] == RandomSampler._order
    warm = facts_below(MarginSampler(budget=5).fit(X, y, labeled_indices=np.arange(20)))
    assert "picked by" not in warm


def test_a_classifier_that_picks_shows_its_picks(blobs):
    X, y = blobs
    model = skal.LowBudgetClassifier(KMeansSampler(budget=7), random_state=0)
    assert facts_below(model) == {}
    model.fit(X, y)
    assert facts_below(model) == {"classes": "3", **facts_below(model.sampler_)}
    assert facts_below(model)["picks"].startswith("7 of 120 rows")


def test_of_a_frame_the_index_is_shown_and_escaped(blobs):
    frame = pd.DataFrame(blobs[0], index=[f"{EVIL}{row}" for row in range(120)])
    sampler = KMeansSampler(budget=2, random_state=0).fit(frame)
    page = sampler._repr_html_().partition('<div class="skal-repr">')[2]
    assert "<script" not in page
    assert Shown(page).facts["first picks"] == ", ".join(sampler.selected_index_)


def test_rounds_are_shown_and_what_was_set_aside(blobs):
    X, y = blobs
    rounds = IterativeSampler(budgets=(5, 12), random_state=0).fit(X, lambda rows: _all_but_the_first(rows, y))
    known = facts_below(rounds)
    assert known["rows of each round"] == "5, 7"
    assert int(known["set aside"]) == len(rounds.ledger_.skipped) > 0


def test_where_scikit_learn_shows_text_so_do_samplers(blobs):
    sampler = RandomSampler().fit(blobs[0])
    with sklearn.config_context(display="text"):
        assert not hasattr(sampler, "_repr_html_")
        assert sampler._repr_mimebundle_() == {"text/plain": repr(sampler)}


def test_a_look_reads_no_row(blobs, monkeypatch):
    pool = skal.Pool(blobs[0])
    things = [CoreSetSampler(budget=5).fit(pool), KMeansSampler(budget=5).fit(pool), coverage_curve(pool, 9), pool]
    pool.neighbors(3)
    unopened = skal.Pool(np.full((3, 2), np.nan))

    def read(*arguments, **options):
        raise AssertionError("rows were read")

    for verb in ("_map", "take", "tiles"):
        monkeypatch.setattr(Blocks, verb, read)
    monkeypatch.setattr(skal.Pool, "check_finite", read)
    monkeypatch.setattr(skal.Pool, "X", property(read))
    for thing in (*things, unopened):
        assert "skal-repr" in thing._repr_html_()


def test_a_pool_says_where_it_lies_and_what_it_learned(blobs, tmp_path):
    np.save(tmp_path / "pool.npy", blobs[0])
    pool = skal.Pool(np.load(tmp_path / "pool.npy", mmap_mode="r")[:100], metric="euclidean")
    before = shown(pool).facts
    assert before["rows × features"] == "100 × 6"
    assert before["size"] == "2.344 KiB"
    assert before["kept in"] == f"memmap of {tmp_path / 'pool.npy'}"
    assert before["NaN and infinity"] == "not looked for yet"
    pool.neighbors(4)
    pool.check_finite()
    after = shown(pool).facts
    assert after["NaN and infinity"] == "none"
    assert after["learned under euclidean on cpu"] == "4 neighbours of each row"
    assert shown(skal.Pool(blobs[0])).facts["kept in"] == "ndarray in memory"
    assert shown(skal.Pool(torch.from_numpy(blobs[0]))).facts["kept in"] == "Tensor on cpu"
    assert shown(skal.Pool(pd.DataFrame(blobs[0]))).facts["kept in"] == "DataFrame in memory"


def test_selections_are_a_table_of_coverage_or_of_seeds():
    picks = {(EVIL, 2, 0): [0, 1], (EVIL, 2, 1): [0, 2], ("Random", 3, 0): [0, 1, 2]}
    assert shown(Selections(picks)).rows == [["Method", "2", "3"], [EVIL, "2", "–"], ["Random", "–", "1"]]
    with_labels = Selections(picks, y=[0, 0, 1])
    assert shown(with_labels).rows[1:] == [[EVIL, "75.0", "–"], ["Random", "–", "100.0"]]
    assert shown(Selections({})).rows == [["Method"]]


def test_a_coverage_curve_shows_some_budgets_the_knee_among_them(blobs):
    curve = coverage_curve(blobs[0], 60)
    of_budget = {int(row[0]): row[1:] for row in shown(curve).rows[1:]}
    assert {1, curve.knee, 60} <= of_budget.keys()
    assert len(of_budget) <= 11
    for budget, (coverage, radius) in of_budget.items():
        assert coverage == f"{100 * curve.coverage[budget - 1]:.1f}"
        assert radius == f"{curve.radius[budget - 1]:.4g}"
    one = CoverageCurve(curve.budgets[:1], curve.coverage[:1], curve.radius[:1], 1, curve.picks[:1], curve.sigma)
    assert len(shown(one).rows) == 2


def test_a_ledger_shows_each_round_and_what_was_never_asked():
    assert shown(Ledger()).rows[1:] == [["all", "0", "0", "0", "0"]]
    ledger = Ledger(n_samples=30)
    ledger.ask([1, 2, 3], sampler=EVIL)
    ledger.answer([1], ["cat"])
    ledger.set_aside([2], EVIL)
    ledger.answer([20, 21], ["cat", "dog"])
    assert shown(ledger).rows == [
        ["round", "asked", "labelled", "set aside", "pending"],
        [f"1: {EVIL}", "3", "1", "1", "1"],
        ["without being asked", "0", "2", "0", "0"],
        ["all", "3", "3", "1", "1"],
    ]


def test_names_of_files_and_classes_are_escaped(tmp_path):
    embedded = Embedded(np.zeros((2, 4), dtype=np.float32), np.array([0, 2]), (f"{EVIL}.png", "b.png"))
    assert shown(embedded).facts["images"] == f"{EVIL}.png, b.png"
    assert shown(Embedded(np.zeros((0, 4)), np.zeros(0, dtype=np.int64), None)).facts["images"] == "no files"
    pixels = np.zeros((3, 8, 9), dtype=np.uint8)
    images = ImageCollection(pixels, np.array([2, 0, 2]), ("cat", "dog", EVIL), EVIL)
    known = shown(images).facts
    assert known["split"] == EVIL
    assert known["pixels of each"] == "8 × 9"
    assert known["images of each class"] == f"cat: 1, {EVIL}: 2"
    assert shown(ImageCollection([tmp_path / "a.png"], None, None, "all")).facts["images of each class"] == "no labels"


def _all_but_the_first(rows, y):
    return [None if place == 0 else y[row] for place, row in enumerate(rows)] if len(rows) > 1 else y[rows]
