import numpy as np
import pandas as pd
from statsmodels.tsa.holtwinters import ExponentialSmoothing

months = pd.date_range("2015-01-01", periods=96, freq="MS")
season = 10 * np.sin(2 * np.pi * np.arange(96) / 12)
series = pd.Series(100 + 0.5 * np.arange(96) + season, index=months)
known, coming = series[:-12], series[-12:]
fitted = ExponentialSmoothing(known, trend="add", seasonal="add", seasonal_periods=12).fit()
assert np.abs(fitted.forecast(12) - coming).max() < 5
