import numpy as np
import torch
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier

torch.manual_seed(0)
x, y = load_iris(return_X_y=True)
layers = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
net = NeuralNetClassifier(
    layers,
    criterion=torch.nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=0.02,
    max_epochs=100,
    train_split=None,
    verbose=0,
)
model = make_pipeline(StandardScaler(), net).fit(x.astype(np.float32), y.astype(np.int64))
assert model.score(x.astype(np.float32), y) > 0.9
