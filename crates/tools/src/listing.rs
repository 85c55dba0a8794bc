//! What a tool server offers.

use std::sync::Arc;

use breezeway_chat::ToolFunction;

use crate::openapi::Operation;

/// Most functions of one server; what else it lists is left out.
pub(crate) const MOST_FUNCTIONS: usize = 256;

/// The longest name, in bytes: it is shown and logged.
pub(crate) const LONGEST_NAME: usize = 256;

/// The longest description of a function, in bytes: a model reads all of them each time.
pub(crate) const LONGEST_DESCRIPTION: usize = 4 << 10;

/// The longest schema of a function's arguments, in bytes.
pub(crate) const LONGEST_SCHEMA: usize = 32 << 10;

/// What a tool server says about itself.
#[derive(Clone, Debug)]
pub struct Listing {
    /// What it calls itself.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// Its functions, with how to call them.
    pub(crate) offers: Vec<Offer>,
}

/// A function, and how to call it.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) function: ToolFunction,
    /// The request to make; none for servers that are called by name.
    pub(crate) operation: Option<Arc<Operation>>,
}

impl Listing {
    /// Its functions.
    pub fn functions(&self) -> impl Iterator<Item = &ToolFunction> {
        self.offers.iter().map(|offer| &offer.function)
    }
}

/// A text of somebody else's, cut.
pub(crate) fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}
