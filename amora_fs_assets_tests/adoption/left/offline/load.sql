COPY feature_store.spending FROM 'LEFT/feature_store_spending.csv' (FORMAT 'csv', quote '"', delimiter ',', header 1);
COPY feature_store.totals FROM 'LEFT/feature_store_totals.csv' (FORMAT 'csv', quote '"', delimiter ',', header 1);
COPY feature_store._dropped_spending FROM 'LEFT/feature_store__dropped_spending.csv' (FORMAT 'csv', quote '"', delimiter ',', header 1);
COPY feature_store._dropped_totals FROM 'LEFT/feature_store__dropped_totals.csv' (FORMAT 'csv', quote '"', delimiter ',', header 1);
COPY feature_store._publications FROM 'LEFT/feature_store__publications.csv' (FORMAT 'csv', quote '"', delimiter ',', header 1);
COPY raw.orders FROM 'LEFT/raw_orders.csv' (FORMAT 'csv', quote '"', delimiter ',', header 1);
