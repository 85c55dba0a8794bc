//! Query generation: asking the model what to search for.
