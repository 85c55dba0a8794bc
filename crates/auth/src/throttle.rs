//! Throttling sign-ins.
