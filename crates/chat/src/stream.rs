//! Streams: sources first, then the answer, and an error event if it breaks off.
