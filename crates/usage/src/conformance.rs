//! The contract of the port, sentence by sentence.
