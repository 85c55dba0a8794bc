//! Citations: the sources of an answer as the API shows them.
