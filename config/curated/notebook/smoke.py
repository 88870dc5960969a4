import nbformat
from nbclient import NotebookClient

cells = ["import pandas as pd", "pd.Series([1, 2, 3]).sum()"]
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
assert notebook.cells[1].outputs[0]["data"]["text/plain"] == "np.int64(6)"
