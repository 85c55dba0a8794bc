//! The ndjson dialect.
