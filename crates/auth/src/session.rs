//! Signing and checking session tokens (HS256).
