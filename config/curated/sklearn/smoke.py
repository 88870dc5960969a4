import io

import joblib
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score

x, y = load_iris(return_X_y=True)
forest = RandomForestClassifier(n_estimators=20, random_state=0)
assert cross_val_score(forest, x, y, cv=3).mean() > 0.9
kept = io.BytesIO()
joblib.dump(forest.fit(x, y), kept)
kept.seek(0)
assert (joblib.load(kept).predict(x) == forest.predict(x)).all()
