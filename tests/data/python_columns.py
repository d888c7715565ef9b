"""Writes python_columns.json: what scikit-learn's ColumnTransformer makes of a table, and what pandas says of dates.

python tests/data/python_columns.py   (numpy, pandas, scikit-learn)
"""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

train_text = """age,fare,colour,size,member,day,id
22,7.25,red,small,True,2024-02-29,7
,71.3,blue,large,False,1999-12-31,8
26,,red,huge,True,2000-01-01,9
35,53.1,green,small,True,1970-01-01,10
"""
test_text = """fare,age,member,colour,id,size,day
8.05,,False,green,11,large,2023-06-15
,54,True,violet,12,small,1968-07-04
"""
train = pd.read_csv(io.StringIO(train_text))
test = pd.read_csv(io.StringIO(test_text))
columns = ColumnTransformer(
    [
        ("age", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ["age", "fare"]),
        ("fare", make_pipeline(SimpleImputer(), MinMaxScaler()), ["fare"]),
        ("colour", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["colour"]),
        ("drop", OneHotEncoder(drop="first", sparse_output=False), ["size"]),
        ("size", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["size", "colour"]),
        ("id", "passthrough", ["id"]),
    ]
).fit(train)
dates = pd.to_datetime(pd.concat([train["day"], test["day"]], ignore_index=True))
stamps = ["2024-02-29 18:30", "1600-03-01T00:00:59.5", "2100-12-31 23:59:59"]
rows = []
for text in [*dates.dt.strftime("%Y-%m-%d"), *stamps]:
    # Periods go beyond the years that nanoseconds reach.
    t = np.datetime64(text.replace(" ", "T"), "ms")
    day = t.astype("datetime64[D]")
    year = int(day.astype("datetime64[Y]").astype(int)) + 1970
    month = int(day.astype("datetime64[M]").astype(int)) % 12 + 1
    start = np.datetime64(f"{year:04d}-01-01")
    rows.append({
        "text": text,
        "year": year,
        "month": month,
        "day": int((day - day.astype("datetime64[M]").astype("datetime64[D]")).astype(int)) + 1,
        "weekday": (int(day.astype(int)) + 3) % 7,
        "day_of_year": int((day - start).astype(int)) + 1,
        "hour": float((t - day.astype("datetime64[ms]")).astype(int)) / 3600e3,
        "elapsed": float(t.astype(int)) / 86400e3,
    })
for row, stamp in zip(rows[: len(dates)], dates):
    assert (row["weekday"], row["day_of_year"]) == (stamp.weekday(), stamp.day_of_year)
Path(__file__).with_name("python_columns.json").write_text(json.dumps({
    "train": train_text,
    "test": test_text,
    "names": [name.split("__")[1] for name in columns.get_feature_names_out()],
    "of_train": columns.transform(train).tolist(),
    "of_test": columns.transform(test).tolist(),
    "dates": rows,
}, indent=0) + "\n")
