CREATE SCHEMA feature_store;;
CREATE SCHEMA raw;;
CREATE TABLE feature_store.spending(customer BIGINT, event_timestamp TIMESTAMP WITH TIME ZONE, amount DOUBLE, code VARCHAR, "day" DATE);;
CREATE TABLE feature_store.totals(customer BIGINT, event_timestamp TIMESTAMP WITH TIME ZONE, total DOUBLE);;
CREATE TABLE feature_store._dropped_spending("sequence" BIGINT, customer BIGINT);;
CREATE TABLE feature_store._dropped_totals("sequence" BIGINT, customer BIGINT);;
CREATE TABLE feature_store._publications("sequence" BIGINT, "name" VARCHAR, "table" VARCHAR, "start" TIMESTAMP WITH TIME ZONE, "end" TIMESTAMP WITH TIME ZONE, "rows" BIGINT, run_id VARCHAR, definition_hash VARCHAR, schema_hash VARCHAR, sql_hash VARCHAR, published_at TIMESTAMP WITH TIME ZONE);;
CREATE TABLE raw.orders(customer BIGINT, "at" TIMESTAMP WITH TIME ZONE, amount DOUBLE, code VARCHAR);;

