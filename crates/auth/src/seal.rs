//! Sealing API keys at rest.
