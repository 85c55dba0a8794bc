//! Overlays: what has been made of models here.
//!
//! With a base it is a custom model: a name, a system prompt, parameters. Without one it overrides
//! the upstream's model of the same id, and that is how upstream models get access grants.

use breezeway_core::{Grants, ModelId, UnixTime, UserId};
use serde_json::{Map, Value};

/// A stored overlay.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlay {
    /// Its id, which is a model id.
    pub id: ModelId,
    /// Who made it.
    pub owner: UserId,
    /// The model it asks, if it is not an override.
    pub base: Option<ModelId>,
    /// What people see.
    pub name: String,
    /// Parameters: `system`, and defaults of request fields.
    pub params: Map<String, Value>,
    /// Description, capabilities, attached knowledge and whatever clients keep here.
    pub meta: Map<String, Value>,
    /// Who may use it.
    pub grants: Grants,
    /// Whether it is offered.
    pub active: bool,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it last changed.
    pub updated_at: UnixTime,
}

/// An overlay as clients send it.
#[derive(Clone, Debug)]
pub struct NewOverlay {
    /// Its id.
    pub id: ModelId,
    /// The model it asks.
    pub base: Option<ModelId>,
    /// What people see.
    pub name: String,
    /// Parameters.
    pub params: Map<String, Value>,
    /// Everything else about it.
    pub meta: Map<String, Value>,
    /// Who may use it; `None` keeps what is stored.
    pub grants: Option<Grants>,
    /// Whether it is offered.
    pub active: bool,
}
