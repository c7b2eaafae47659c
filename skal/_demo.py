"""The main job on data that every installation has: the 1,797 digits inside scikit-learn."""

from __future__ import annotations

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skal.classifiers import CosineKNNClassifier, GraphClassifier, LinearProbe
from skal.evaluation import budget_curve
from skal.plotting import BudgetCurveDisplay, PickedImagesDisplay
from skal.plotting._pyplot import pyplot
from skal.samplers import GraphCoverageSampler, KMeansSampler, RandomSampler, UniformSampler

__all__ = ["BUDGETS", "EXPLANATION", "N_SEEDS", "draw_demo", "make_classifiers", "make_samplers", "run_demo"]

BUDGETS = (10, 20, 50, 100)
N_SEEDS = 3
EXPLANATION = (
    "LIN: a linear classifier trained on the labelled digits. NN: the class of the labelled digit most like it.\n"
    "Graph: the labels spread from each digit to those most like it, over the whole pool.\n"
    "Uniform draws equally many digits of each class, for which it has to know all labels beforehand."
)


def make_samplers():
    return {
        "Uniform": UniformSampler(),
        "Random": RandomSampler(),
        "K-means": KMeansSampler(),
        "Graph coverage": GraphCoverageSampler(),
    }


def make_classifiers():
    return {"LIN": LinearProbe(), "NN": CosineKNNClassifier(), "Graph": GraphClassifier()}


def split_digits():
    """Split the digits into a pool of 1,197 and a test set of 600, by class."""
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, test_size=600, stratify=y, random_state=0)


def run_demo(n_jobs=None, on_score=None):
    """Evaluate `make_samplers()` at `BUDGETS`; return a `BudgetCurve`."""
    X_pool, X_test, y_pool, y_test = split_digits()
    return budget_curve(
        make_samplers(),
        make_classifiers(),
        X_pool,
        y_pool,
        X_test,
        y_test,
        BUDGETS,
        n_seeds=N_SEEDS,
        n_jobs=n_jobs,
        on_score=on_score,
    )


def draw_demo(curve, folder):
    """Write the two pictures into `folder` and return what each shows with its path."""
    pyplot()  # says what to install where it is missing
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    accuracy_path, picks_path = folder / "accuracy_over_budget.png", folder / "digits_picked_by_kmeans.png"

    figure = Figure(figsize=(5 * len(curve.classifiers), 4), layout="constrained")
    for ax, classifier in zip(figure.subplots(1, len(curve.classifiers), sharey=True), curve.classifiers, strict=True):
        BudgetCurveDisplay.from_curve(curve, classifier, ax=ax)
    figure.suptitle("What a budget buys: 10-class digits, mean ± std over 3 seeds")
    figure.savefig(accuracy_path, dpi=150)

    X_pool, _, y_pool, _ = split_digits()
    picks = curve.selections["K-means", 50, 0]
    display = PickedImagesDisplay.from_indices(X_pool.reshape(-1, 8, 8), picks, titles=y_pool)
    display.figure_.suptitle("The 50 digits that K-means would have labelled")
    display.figure_.savefig(picks_path, dpi=150)
    return {"Accuracy over budget": accuracy_path, "The digits K-means picked": picks_path}
