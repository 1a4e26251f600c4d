"""What the columns of each stream are: typed by hand, in Sentry's own field names.

The contract tests compare them with Sentry's OpenAPI document. Nested payloads stay objects
and arrays, which become JSON columns; integers carry `maximum`, so that loaders choose 64 bits.
"""
