//! Models: the entries of the model list.

use std::sync::{Arc, OnceLock};

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
    /// Room for whoever shows the list to keep the model's text in. A change of the lists or the
    /// overlays makes new `Model`s, so what is kept here never outlives what it was made from.
    pub rendered: OnceLock<Arc<str>>,
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

    /// The offer whose words the list shows: where several connections serve one id, the last.
    pub fn shown(&self) -> Option<&Offer> {
        self.offers.last()
    }
}
