"""How many labels are enough? Scikit-learn's own grid search compares budgets."""

from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

import skal
from skal.classifiers import LinearProbe
from skal.samplers import KMeansSampler

X, y = load_digits(return_X_y=True)
model = skal.LowBudgetClassifier(KMeansSampler(random_state=0), LinearProbe(random_state=0))
search = GridSearchCV(model, {"sampler__budget": [10, 30, 100, 300]}, cv=3).fit(X, y)
for parameters, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
    print(f"{parameters['sampler__budget']:4d} labels: {score:.1%}")
