from sqlframe.duckdb import DuckDBSession
from sqlframe.duckdb import functions as F

spark = DuckDBSession()
sales = spark.createDataFrame([("north", 3), ("south", 5), ("north", 4)], ["region", "amount"])
total = sales.groupBy("region").agg(F.sum("amount").alias("total")).orderBy("region")
assert [tuple(row) for row in total.collect()] == [("north", 7), ("south", 5)]
