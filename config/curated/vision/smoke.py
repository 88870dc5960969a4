import io

import numpy as np
import torch
from PIL import Image
from skimage import filters, measure

canvas = np.zeros((64, 64), dtype=np.uint8)
canvas[8:24, 8:24] = canvas[40:56, 40:56] = 200
file = io.BytesIO()
Image.fromarray(canvas).save(file, "png")
read = np.asarray(Image.open(file))
assert measure.label(read > filters.threshold_otsu(read)).max() == 2
pixels = torch.from_numpy(read.copy()).float()[None, None]
assert torch.nn.Conv2d(1, 4, 3, padding=1)(pixels).shape == (1, 4, 64, 64)
