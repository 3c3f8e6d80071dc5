"""Definitions, records, ports and errors: plain data and its rules, without stores and orchestrators.

definitions     entity, source, schema, feature_view, on_demand_view, feature_service, training_set
their parts     column, types, names, transforms, projection; rules/, places/, windows/, request_time/
in transforms   known (known_at), aligned, elapsed; arguments and view_checks refuse wrong definitions
the catalogue   catalogue, catalogue_json, catalogue_checks; changes and comparison of two; applied: code and registry
identity/       hashes of definitions (fingerprint, meaning): of all that they say, and of what they compute
publications    protocol, records, ownership, table_names: who may write which table, and what is recorded
rows            row_order, arrow, ibis_types, decimals: which row counts, and values in each library
online          generations and expiry: which rows an online store keeps and serves
ports/          the interfaces of stores, and the properties of an engine
for all         errors, time, callers (arguments of public functions), job_costs
"""
