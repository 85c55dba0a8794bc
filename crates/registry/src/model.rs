//! Models: the entries of the model list.

use std::sync::Arc;

use breezeway_core::ModelId;

use crate::{CatalogEntry, Connection, Overlay};

/// An entry of the model list: an upstream's model, a custom one, or both.
#[derive(Clone, Debug)]
pub struct Model {
    /// What clients call it, prefix and tag included.
    pub id: ModelId,
    /// What people see.
    pub name: String,
    /// The connections that serve it, in order, with the upstream's own words about it. A custom
    /// model has those of its base.
    pub offers: Vec<Offer>,
    /// What has been made of it here: an override of a base model, or a custom model.
    pub overlay: Option<Arc<Overlay>>,
}

/// A model at one connection.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The connection.
    pub connection: Arc<Connection>,
    /// The upstream's entry.
    pub entry: Arc<CatalogEntry>,
}

impl Model {
    /// Whether it is a custom model on top of another, rather than an upstream's own.
    pub fn is_custom(&self) -> bool {
        self.overlay.as_ref().is_some_and(|overlay| overlay.base.is_some())
    }
}
