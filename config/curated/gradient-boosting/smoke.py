from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from xgboost import XGBClassifier

x, y = load_breast_cancer(return_X_y=True)
seen, unseen, labels, wanted = train_test_split(x, y, random_state=0)
model = XGBClassifier(n_estimators=30, max_depth=3, n_jobs=2).fit(seen, labels)
assert model.score(unseen, wanted) > 0.9
