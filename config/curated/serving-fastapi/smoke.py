import json
import threading
import time
import urllib.request

import uvicorn
from fastapi import FastAPI
from sklearn.linear_model import LinearRegression

model = LinearRegression().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
app = FastAPI()


@app.post("/score")
def score(values: list[float]) -> list[float]:
    return [float(each) for each in model.predict([[value] for value in values])]


server = uvicorn.Server(uvicorn.Config(app, port=8000, log_level="warning"))
threading.Thread(target=server.run, daemon=True).start()
while not server.started:
    time.sleep(0.05)
asked = {"data": json.dumps([10.0]).encode(), "headers": {"Content-Type": "application/json"}}
with urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:8000/score", **asked)) as answer:
    assert abs(json.load(answer)[0] - 21) < 1e-6
