//! The sse dialect.
