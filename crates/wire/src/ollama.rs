//! The ollama dialect.
