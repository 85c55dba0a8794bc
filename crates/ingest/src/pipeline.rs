//! The way of one file: extract, chunk, embed, commit.
