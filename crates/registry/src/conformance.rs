//! The contracts of the ports, sentence by sentence.
